"""The picture of the README's first screen: `OMP_NUM_THREADS=1 python docs/pictures.py` writes it.

Nothing in it is typed: the curve is what notebook 00 draws, by its own cells. The file carries what
it shows as text, under "Description"; `tests/whole/test_docs.py` compares that with a new run. One
thread, as `bnlab lab` has it: with two, the curve without batch norm moves by up to two points.
"""

import json
from pathlib import Path
from unittest import mock

import matplotlib.pyplot as plt

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


def write(folder):
    """Write the picture."""
    figure, shows = accuracy()
    metadata = {"Description": shows, "Software": None}
    paper = {"facecolor": "white", "bbox_inches": "tight", "pad_inches": 0.12}  # on a dark page
    figure.savefig(folder / "accuracy.png", dpi=120, metadata=metadata, **paper)
    plt.close(figure)


if __name__ == "__main__":
    plt.switch_backend("agg")
    write(HERE)
