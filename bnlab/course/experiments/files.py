"""The files of a run: arrays that can be read back, and a table, a figure and a verdict to look at.

A file is there whole or not at all: it is written under another name first and then renamed, which
an operating system does in one go. What a killed process leaves is a file ending in ``.part``.
"""

import contextlib
import csv
import json
import os
import shutil
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import numpy as np

from bnlab.course.experiments import stored
from bnlab.course.experiments.columns import to_columns

__all__ = [
    "ResultsError",
    "load_part",
    "paragraph",
    "remove_leftovers",
    "replacing",
    "save_part",
    "write_results",
    "write_verdict",
]

DEAD = 60.0  # seconds; to write a file takes milliseconds, so an older ``.part`` has no owner
OWN = {"prefix": ".bnlab-", "suffix": ".part"}  # what this file makes, and so may remove


class ResultsError(Exception):
    """Results cannot be written; the message says where, why and what to do."""


@contextlib.contextmanager
def replacing(path):
    """Give a path beside this one to write to; it takes this one's name if all went well.

    Parameters
    ----------
    path : Path
        The folder is made if it is not there.

    Yields
    ------
    Path
        With the same ending, and unlike that of any other process.

    Raises
    ------
    ResultsError
        If the disk is full, the folder cannot be written, or the like.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(Path(folder) / "x.txt") as new:
    ...         _ = new.write_text("whole")
    ...     [file.name for file in Path(folder).iterdir()]
    ['x.txt']
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, **OWN) as own:
            new = Path(own) / path.name
            yield new
            os.replace(new, path)
    except OSError as error:
        raise ResultsError(
            f"{path.name} cannot be written in {path.absolute().parent} ({error.strerror}); make "
            "room there and run the same command again, which goes on from what is finished, or "
            "choose another folder with --out DIR"
        ) from error


def remove_leftovers(folder):
    """Remove what killed processes left half-written in this folder, as far as one may."""
    with contextlib.suppress(OSError):
        for own in folder.glob("{prefix}*{suffix}".format(**OWN)):
            if time.time() - own.stat().st_mtime > DEAD:
                shutil.rmtree(own)


def save_part(path, arrays, about):
    """Keep arrays, and what they were made from, in one file.

    Parameters
    ----------
    path : Path
        Ends in .npz.
    arrays : dict of arrays, numbers, text or lists of these
    about : dict that JSON can write
    """
    own = {f"_{name}": array for name, array in arrays.items()}  # no array is called "about"
    with replacing(path) as new:
        np.savez_compressed(new, about=_label(about, own), **own)


def load_part(path, about):
    """Read arrays back, or None if there is no such file, whole and made from the same.

    Numbers come back as numbers, lists as arrays.
    """
    # A damaged file can raise anything; what it held is computed again.
    with contextlib.suppress(Exception), np.load(path, allow_pickle=False) as content:
        names = [name for name in content.files if name != "about"]
        if content["about"].item() == _label(about, names):
            return {name[1:]: _plain(content[name]) for name in names}
    return None


def _label(about, names):
    return json.dumps([about, *names])


def _plain(array):
    return array if array.ndim else array.item()


def paragraph(evidence):
    """One paragraph about a claim: what is said, what was measured, the verdict, the source.

    Parameters
    ----------
    evidence : Evidence

    Returns
    -------
    str
    """
    claim = evidence.claim
    spread = f" ({evidence.uncertainty})" if evidence.uncertainty else ""
    text = (
        f'{claim.id}, notebook {claim.notebook}. Said: "{claim.said}" Measured: '
        f"{evidence.measured}{spread}. Verdict: {evidence.verdict}. {claim.correct} "
        f"[{claim.source}]"
    )
    return textwrap.fill(text, width=88, break_long_words=False, break_on_hyphens=False)


def write_results(experiment, arrays, about, folder):
    """Write ID.csv, ID.png, ID.json (config, verdict) and ID.txt (verdict in words), and judge.

    Parameters
    ----------
    experiment : Experiment
    arrays : dict of arrays
    about : dict
        The claim, the version of bnlab and the config.
    folder : Path

    Returns
    -------
    Evidence
    """
    evidence = experiment.read(arrays)
    name = experiment.claim.id
    with replacing(folder / f"{name}.csv") as new:
        _write_csv(new, experiment, arrays, about)
    with replacing(folder / f"{name}.png") as new:
        _write_figure(new, experiment, arrays)
    with replacing(folder / f"{name}.json") as new:
        new.write_text(_as_json(about, evidence), encoding="utf-8")
    return write_verdict(evidence, folder)  # last: where a verdict is, the rest is too


def write_verdict(evidence, folder):
    """Write ID.txt, and return the evidence.

    Parameters
    ----------
    evidence : Evidence
    folder : Path

    Returns
    -------
    Evidence
    """
    with replacing(folder / f"{evidence.claim.id}.txt") as new:
        new.write_text(paragraph(evidence) + "\n", encoding="utf-8")
    return evidence


def _as_json(about, evidence):
    """The config, and the verdict in the words that data/results/ID.json uses."""
    found = {name: getattr(evidence, name) for name in ("verdict", "measured", "uncertainty")}
    return json.dumps(about | found, indent=1, ensure_ascii=False) + "\n"


def _write_csv(path, experiment, arrays, about):
    """One row a seed if all arrays have the seeds as first axis, as in data/results; else long."""
    seeds = about["config"].get("seeds", ())
    if seeds and all(np.shape(array)[:1] == (len(seeds),) for array in arrays.values()):
        stored.save(experiment, to_columns(arrays), path)
    else:
        _write_long_csv(path, arrays, about)


def _write_long_csv(path, arrays, about):
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
    """The figure of the experiment's own module if it has one, else one that fits any arrays."""
    import matplotlib.pyplot as plt

    from bnlab import plots
    from bnlab.course.experiments.panels import draw

    module = sys.modules.get(experiment.run.__module__)
    draw = getattr(module, f"draw_{experiment.claim.id.lower()}", draw)
    with plt.rc_context():
        plots.use_style()
        figure = draw(arrays).figure
        figure.savefig(path, dpi=150)
        plt.close(figure)
