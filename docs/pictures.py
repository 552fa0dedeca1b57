"""The two pictures of the README's first screen: `python docs/pictures.py` writes them.

Nothing in them is typed: the curve is what notebook 00 draws, by its own cells, and the card is
what `check` says to the function in `taste.py`. Each file carries what it shows as text, under
"Description"; `tests/whole/test_docs.py` compares that with a new run.
"""

import inspect
import json
import os
import tempfile
import textwrap
from pathlib import Path
from unittest import mock

import matplotlib.pyplot as plt
import taste

from bnlab import plots
from bnlab.course import check
from bnlab.course.cards import ORANGE
from bnlab.data import course_files

HERE = Path(__file__).parent / "_static"
CELLS = ("start-02", "start-03", "start-04", "start-27", "start-28")  # of notebook 00


def accuracy():
    """Figure of the accuracy against s, and its numbers."""
    notebook = course_files() / "notebooks" / "00_start_here.ipynb"
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    source = {cell["id"]: "".join(cell["source"]) for cell in cells}
    names = {}
    with mock.patch.object(plt, "show"):
        for cell in CELLS:
            exec(source[cell], names)
    columns = zip(names["knob"], names["without"], names["normed"], strict=True)
    rows = (f"s = {s:g}: {a:.1%} without, {b:.1%} with batch norm" for s, a, b in columns)
    return plt.gcf(), "; ".join(rows)


def card():
    """Figure of a wrong function and what `check` says to it, and the sentence."""
    with tempfile.TemporaryDirectory() as home, mock.patch.dict(os.environ, BNLAB_HOME=home):
        said = str(check("batchnorm_forward", taste.batchnorm_forward))
    code = textwrap.dedent(inspect.getsource(taste.batchnorm_forward)).rstrip()
    lines = [*code.splitlines(), "", 'check("batchnorm_forward", batchnorm_forward)']
    answer = textwrap.wrap(said, 84)
    height = len(lines) + len(answer) + 2  # in lines of text
    plots.use_style()
    figure = plt.figure(figsize=(7.5, 0.2 * height))
    style = {"size": 9.5, "linespacing": 1.45, "color": "black"}
    top, middle = 1 - 0.5 / height, (len(answer) / 2 + 0.5) / height
    figure.text(0.03, top, "\n".join(lines), va="top", family="monospace", **style)
    figure.text(0.055, middle, "\n".join(answer), va="center", **style)
    ends = [0.5 / height, (len(answer) + 0.5) / height]
    figure.add_artist(plt.Line2D([0.035] * 2, ends, color=ORANGE, linewidth=4))
    return figure, said


def write(folder):
    """Write both pictures."""
    for name, draw in {"accuracy": accuracy, "check": card}.items():
        figure, shows = draw()
        metadata = {"Description": shows, "Software": None}
        figure.savefig(folder / f"{name}.png", dpi=120, facecolor="white", metadata=metadata)
        plt.close(figure)


if __name__ == "__main__":
    plt.switch_backend("agg")
    write(HERE)
