"""What a run leaves to look at: a table, a figure, and the verdict in a paragraph."""

import csv
import json
import textwrap

import numpy as np

from bnlab.course.experiments.files import replacing
from bnlab.course.experiments.results import save

__all__ = ["paragraph", "write_results", "write_verdict"]


def paragraph(evidence):
    """What is said, what was run, each part with its criterion, the verdict, the source."""
    claim = evidence.claim
    said = [f'{claim.id}, notebook {claim.notebook}. Said: "{claim.said}"']
    if evidence.setting:
        said.append(f"Run: {evidence.setting}.")
    numbered = [f"({k}) {part}." for k, part in enumerate(evidence.parts, 1)]
    how = ", by source" if evidence.by_source else ""
    said += [*numbered, f"Verdict: {evidence.verdict}{how}."]
    if evidence.left_open:
        said.append(f"This run {evidence.left_open}.")
    text = " ".join([*said, f"What is true: {claim.correct}", f"[{claim.source}]"])
    return textwrap.fill(text, width=88, break_long_words=False, break_on_hyphens=False)


def write_results(experiment, about, arrays, seconds, folder):
    """Write ID.csv, ID.png, ID.json (all there is) and ID.txt (verdict in words), and judge."""
    evidence = experiment.read(arrays)
    name = experiment.claim.id
    with replacing(folder / f"{name}.csv") as new:
        _write_csv(new, about, arrays)
    with replacing(folder / f"{name}.png") as new:
        _write_figure(new, experiment, arrays)
    found = {field: getattr(evidence, field) for field in ("verdict", "measured", "setting")}
    save(folder / f"{name}.json", about | {"seconds": round(seconds, 1)} | found, arrays)
    return write_verdict(evidence, folder)  # last: where a verdict is, the rest is too


def write_verdict(evidence, folder):
    """Write ID.txt, and return the evidence."""
    with replacing(folder / f"{evidence.claim.id}.txt") as new:
        new.write_text(paragraph(evidence) + "\n", encoding="utf-8")
    return evidence


def _write_csv(path, about, arrays):
    """Rows of an array's name, the place in it, as in ``2 0 1``, and the value there."""
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(f"# {json.dumps(about)}\n")
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["array", "index", "value"])
        for name, array in arrays.items():
            for index, value in np.ndenumerate(array):
                rows.writerow([name, " ".join(map(str, index)), _digits(value)])


def _digits(value):
    return f"{value:.10g}" if isinstance(value, float | np.floating) else value


def _write_figure(path, experiment, arrays):
    import matplotlib.pyplot as plt

    from bnlab import plots

    with plt.rc_context():
        plots.use_style()
        figure = experiment.draw(arrays).figure
        figure.savefig(path, dpi=150)
        plt.close(figure)
