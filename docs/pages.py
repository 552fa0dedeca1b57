"""What the pages of the site take from the course: the notebooks, one check, the ledger."""

import inspect
import json
import os
import re
import tempfile
import textwrap
from collections import Counter
from unittest import mock

import taste

from bnlab import plots
from bnlab.course import check, claim
from bnlab.course.experiments.evidence import VERDICTS, Experiment
from bnlab.course.experiments.ledger import ledger
from bnlab.course.experiments.record import at_both_scales
from bnlab.course.experiments.results import evidence_of
from bnlab.data import course_files

TIME = re.compile(r"(\d+) minutes of reading, (\d+) minutes of exercises")
WIDGET = "application/vnd.jupyter.widget-view+json"
NO_SLIDERS = "*Sliders, in JupyterLab. The next figure shows the same without them.*"


def notebooks():
    """Path -> cells, of each notebook of the course."""
    paths = sorted((course_files() / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    return {path: json.loads(path.read_text(encoding="utf-8"))["cells"] for path in paths}


def opening(cells):
    """Title, minutes of reading and minutes of exercises, from a notebook's first cell."""
    text = "".join(cells[0]["source"])
    reading, exercises = TIME.search(text).groups()
    return text.splitlines()[0].removeprefix("# "), int(reading), int(exercises)


def course_list():
    """The notebooks for the side bar, with their numbers."""
    return "\n".join(
        f"{path.stem[:2]} {opening(cells)[0]} <notebooks/{path.stem}>"
        for path, cells in notebooks().items()
    )


def course_table():
    """The notebooks with their minutes, in Markdown."""
    lines = ["| | notebook | reading | exercises |", "|---|---|--:|--:|"]
    for path, cells in notebooks().items():
        title, reading, exercises = opening(cells)
        link = f"[{title}](notebooks/{path.name})"
        lines.append(f"| {path.stem[:2]} | {link} | {reading} min | {exercises} min |")
    return "\n".join(lines)


def shown(text, stem):
    """The text of a notebook as the site shows it: with a download, without dead widgets."""
    notebook = json.loads(text)
    title, *rest = "".join(notebook["cells"][0]["source"]).splitlines(keepends=True)
    download = f"\n{{download}}`Download this notebook <{stem}.ipynb>`\n"
    notebook["cells"][0]["source"] = "".join([title, download, *rest])
    for data in (o["data"] for c in notebook["cells"] for o in c.get("outputs", []) if "data" in o):
        if WIDGET in data:
            data.clear()
            data["text/markdown"] = NO_SLIDERS
    return json.dumps(notebook)


# One check


def taste_code():
    """A learner's function with a mistake in it, and the call that checks it."""
    source = textwrap.dedent(inspect.getsource(taste.batchnorm_forward))
    return f'```python\n{source}\n\ncheck("batchnorm_forward", batchnorm_forward)\n```'


def taste_answer():
    """What `check` says to it: computed now, in a home of its own, and shown as in a notebook."""
    with tempfile.TemporaryDirectory() as home, mock.patch.dict(os.environ, BNLAB_HOME=home):
        report = check("batchnorm_forward", taste.batchnorm_forward)
    return f'<div class="text_html">{report._repr_html_()}</div>'


# The ledger


def found():
    """Claim id -> (evidence, how), as the last cells of notebook 08 have it."""
    return {name: evidence_of(entry) for name, entry in ledger().items()}


def plain(text):
    """Text that Markdown leaves as it is."""
    return re.sub(r"([\\`*_$<>\[\]{}|#^~])", r"\\\1", text)


def verdicts_table():
    """How often each verdict was given, in Markdown."""
    counts = Counter(evidence.verdict for evidence, _ in found().values())
    lines = ["| verdict | claims |", "|---|--:|"]
    return "\n".join(lines + [f"| {verdict} | {counts[verdict]} |" for verdict in VERDICTS])


def draw_claims(folder):
    """Write the figure of each experiment, ID.png; the same as in the notebooks."""
    import matplotlib.pyplot as plt

    plots.use_style()
    folder.mkdir(exist_ok=True)
    for name, line in ledger().items():
        if isinstance(line, Experiment):
            figure = claim(name).draw().figure
            figure.savefig(folder / f"{name}.png", dpi=100)
            plt.close(figure)


def entry(name, evidence, how):
    """One claim as an item of a definition list: what is said, then what is true and why."""
    said = evidence.claim
    lines = [f"[**{name}**]{{#{name}}} {plain(said.said)}",
             f": **{evidence.verdict}.** {plain(said.correct)}"]  # fmt: skip
    if how != "source":
        lines.append(f": Run, {how}: {plain(evidence.setting or 'an identity, in float64')}")
        lines.extend(f": {k}. {plain(str(part))}" for k, part in enumerate(evidence.parts, 1))
        lines.append(f": ![{name} in a figure: {plain(evidence.measured)}](figures/{name}.png)")
    return "\n".join([*lines, f": Source: {plain(said.source)}"])


def ledger_text():
    """Every claim, under the notebook that teaches it."""
    parts, lines = [], found()
    for path, cells in notebooks().items():
        here = {n: line for n, line in lines.items() if line[0].claim.notebook == path.stem[:2]}
        if here:
            title = opening(cells)[0]
            parts.append(f"## {path.stem[:2]}: {title}\n\n[The notebook](notebooks/{path.name})")
            parts.extend(entry(name, *line) for name, line in here.items())
    return "\n\n".join(parts)


def scales_table():
    """The claims on the digits and on CIFAR-10, in Markdown."""
    return at_both_scales()._repr_markdown_()


PLACES = {
    "<!-- side bar -->": course_list,
    "<!-- the notebooks -->": course_table,
    "<!-- a wrong answer -->": taste_code,
    "<!-- what check says -->": taste_answer,
    "<!-- verdicts -->": verdicts_table,
    "<!-- at both scales -->": scales_table,
    "<!-- the ledger -->": ledger_text,
}

# Colours

# The reports of `check` carry colours made for white paper: light -> dark paper.
LIGHT = {"correct": "#1a7f37", "incorrect": "#b35900", "error": "#a40e26", "quiet": "#57606a"}
DARK = {"correct": "#4ac26b", "incorrect": "#f0983a", "error": "#ff8a8a", "quiet": "#a8b1bb"}


def css_variables(colours):
    """Colours under the names that _static/custom.css uses."""
    return {f"bnlab-{name}": colour for name, colour in colours.items()}
