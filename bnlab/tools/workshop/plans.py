"""Which notebooks a workshop of 45, 90 or 180 minutes takes, and the parts of a notebook.

A notebook is an opening, sections and an ending. The heading of a section says in its metadata how
many minutes the section takes and whether it is the core of the course or more of it; the ending
begins where a cell says that it is one. A plan keeps the core.
"""

from dataclasses import dataclass

from bnlab.course.exercises.registry import find
from bnlab.data import course_files
from bnlab.tools.workshop.formulas import load

__all__ = ["PLANS", "Part", "WorkshopError", "mark", "parts_of", "read_plan"]

PLANS = {45: ("02",), 90: ("02", "03", "05"), 180: ("00", "01", "02", "03", "04", "05", "06")}


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
        """Reading and exercises together."""
        return mark(self.cells[0], "minutes") or 0

    @property
    def note(self):
        """What the instructor should know; empty for most openings and endings."""
        return mark(self.cells[0], "instructor") or ""

    @property
    def exercises(self):
        """Each `Exercise` and `Question` of the part."""
        return [find(name) for cell in self.cells if (name := mark(cell, "exercise"))]


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


def read_plan(minutes):
    """Notebooks of a plan, whole, in their order.

    Parameters
    ----------
    minutes : int
        A key of `PLANS`.

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
    if minutes not in PLANS:
        known = ", ".join(map(str, PLANS))
        raise WorkshopError(f"a workshop takes {known} minutes, got {minutes}; choose one of these")
    files = sorted((course_files() / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    chosen = [file for file in files if file.stem[:2] in PLANS[minutes]]
    return {file.stem: load("nbformat").read(file, as_version=4) for file in chosen}
