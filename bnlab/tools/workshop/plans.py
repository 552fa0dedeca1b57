"""What a workshop of 45, 90 or 180 minutes takes, and the parts of a notebook.

A notebook is an opening, sections and an ending. The heading of a section says in its metadata how
many minutes the section takes alone (`minutes`) and in a room, where that differs (`room`), whether
it is the core of the course or more of it (`section`), and which workshops have it (`plans`). A
cell inside a section may say `plans` too; that holds from there to the end of the section.

The questions that a reader answers closed-book (`recall`) are out: they are for another day. Those
with `plans` of their own are what these workshops vote on at their end.
"""

import re
from dataclasses import dataclass

from bnlab.course.exercises.registry import find
from bnlab.data import course_files
from bnlab.tools.workshop.formulas import load

__all__ = [
    "BREAKS", "SCRIPT", "Part", "WorkshopError", "cells_of_plan", "closed_book", "mark", "parts_of",
    "read_notebooks", "read_plan", "title_of",
]  # fmt: skip

# Length of a workshop -> the minutes of its breaks, each before a notebook.
BREAKS = {45: {}, 90: {"03": 7}, 180: {"03": 10, "06": 10}}
# A `script` of 90 seconds, at a question or an exercise: its parts, in the order of their use.
SCRIPT = {"vote": "When to ask", "wrong": "Likely wrong", "show": "Draw or run", "say": "Then say"}


class WorkshopError(Exception):
    """The kit cannot be built; the message says why and what to do."""


@dataclass(frozen=True)
class Part:
    """Cells of a notebook that belong together.

    Parameters
    ----------
    kind : {"opening", "core", "more", "ending"}
    cells : list of NotebookNode
        The first one of a section is its heading.
    """

    kind: str
    cells: list

    @property
    def title(self):
        """What the heading says."""
        return self.cells[0].source.splitlines()[0].lstrip("# ")

    @property
    def minutes(self):
        """Reading and exercises together, in a room."""
        return mark(self.cells[0], "room") or mark(self.cells[0], "minutes") or 0

    @property
    def note(self):
        """What the instructor should know; empty for openings and endings."""
        return mark(self.cells[0], "instructor") or ""

    @property
    def exercises(self):
        """Each `Exercise` and `Question` of the part."""
        return [find(name) for cell in self.cells if (name := mark(cell, "exercise"))]

    def is_in(self, minutes):
        """Whether a workshop of this length has the section."""
        return minutes in (mark(self.cells[0], "plans") or ())


def mark(cell, key):
    """Read what this course has noted about a cell, or None."""
    return cell.metadata.get("bnlab", {}).get(key)


def parts_of(notebook):
    """Opening, sections and ending of a notebook.

    Parameters
    ----------
    notebook : NotebookNode

    Returns
    -------
    list of Part
    """
    parts = [Part("opening", [])]
    for cell in notebook.cells:
        if mark(cell, "section"):
            parts.append(Part(mark(cell, "section"), []))
        elif mark(cell, "ending") and parts[-1].kind != "ending":
            parts.append(Part("ending", []))
        parts[-1].cells.append(cell)
    return parts


def cells_of_plan(part, minutes):
    """Cells of an opening, a section or an ending that a workshop of this length keeps.

    Of an ending it keeps the summary card and the reading: the record is for those who read on.
    """
    out = {cell.id for question in closed_book(part.cells) for cell in question}
    kept, keep = [], part.kind in ("opening", "ending")
    for cell in part.cells:
        if cell.id in out:
            continue
        if part.kind == "ending":
            keep = keep and mark(cell, "ending") != "record"
        elif mark(cell, "plans") is not None:
            keep = minutes in mark(cell, "plans")
        if keep:
            kept.append(cell)
    return kept


def title_of(notebook):
    """The first heading of a notebook, as plain text."""
    sources = (cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    heading = re.search(r"^# (.+)", "\n".join(sources), re.MULTILINE)
    return heading[1] if heading else "Slides"


def closed_book(cells):
    """Closed-book questions: what is asked, the cell for the answer, and its check."""
    found = [i for i, cell in enumerate(cells) if mark(cell, "recall")]
    return [cells[i - 1 : i + 2] for i in found]


def read_notebooks():
    """All numbered notebooks in their order: name of the file without its ending -> notebook."""
    files = sorted((course_files() / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    return {file.stem: load("nbformat").read(file, as_version=4) for file in files}


def read_plan(minutes):
    """Notebooks of a workshop, whole, in their order.

    Parameters
    ----------
    minutes : int
        A key of `BREAKS`.

    Returns
    -------
    dict
        Name of the file without its ending -> NotebookNode.

    Raises
    ------
    WorkshopError
        If there is no plan of this length.
    MissingPackage
        If nbformat is not installed; the message says what to do.
    """
    if minutes not in BREAKS:
        known = ", ".join(map(str, BREAKS))
        raise WorkshopError(f"a workshop takes {known} minutes, got {minutes}; choose one of these")
    whole = read_notebooks()
    return {
        name: notebook
        for name, notebook in whole.items()
        if any(part.is_in(minutes) for part in parts_of(notebook))
    }
