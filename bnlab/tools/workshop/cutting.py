"""A notebook cut to the core, and still able to run from top to bottom.

A section that is left out may define what a later section uses. Which names a cell takes and which
it gives is read from its bytecode, where they stand in the order in which they are used.
"""

import copy
import dis
import re
from types import CodeType

from bnlab.tools.workshop.formulas import load
from bnlab.tools.workshop.plans import mark, parts_of

__all__ = ["cut", "given_and_taken"]


def cut(notebook):
    """Participants' notebook: the core, exercises empty, everything else as it is stored.

    Parameters
    ----------
    notebook : NotebookNode
        A whole notebook of the course; it is not modified.

    Returns
    -------
    NotebookNode
    """
    notebook = copy.deepcopy(notebook)
    parts = parts_of(notebook)
    carried = _carried_cells(parts)
    kept = [part.cells if part.kind != "more" else _remains(part, carried) for part in parts]
    notebook.cells = [cell for cells in kept for cell in cells]
    _say_what_is_left_out(notebook.cells[0], parts)
    _clear_exercises(notebook)
    return notebook


def given_and_taken(source):
    """Names that a cell leaves behind, and names that it expects to find.

    Parameters
    ----------
    source : str

    Returns
    -------
    given, taken : set of str

    Examples
    --------
    >>> given, taken = given_and_taken("y = x + sum(row for row in rows); print(y)")
    >>> sorted(given), sorted(taken)
    (['y'], ['print', 'rows', 'sum', 'x'])
    """
    given, taken = set(), set()
    code = compile(source, "cell", "exec")
    for step in dis.get_instructions(code):
        if step.opname == "STORE_NAME":
            given.add(step.argval)
        elif step.opname == "LOAD_NAME" and step.argval not in given:
            taken.add(step.argval)
    return given, taken | (_names_used_inside(code) - given)


def _names_used_inside(code):
    """Global names that the functions of a cell look up when they are called."""
    inside = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    steps = [step for part in inside for step in dis.get_instructions(part)]
    names = {step.argval for step in steps if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    return names.union(*map(_names_used_inside, inside))


def _carried_cells(parts):
    """Ids of the cells left out that must come along: a later cell uses what they define."""
    cells = [(part.kind, cell) for part in parts for cell in part.cells if _is_lesson(cell)]
    names = [given_and_taken(cell.source) for _, cell in cells]
    carried, to_do = set(), [i for i, (kind, _) in enumerate(cells) if kind != "more"]
    while to_do:
        here = to_do.pop()
        for name in names[here][1]:
            giver = next((i for i in range(here)[::-1] if name in names[i][0]), None)
            if giver is not None and cells[giver][0] == "more" and giver not in carried:
                carried.add(giver)
                to_do.append(giver)
    return {cells[i][1].id for i in carried}


def _is_lesson(cell):
    return cell.cell_type == "code" and not (mark(cell, "exercise") or mark(cell, "check"))


def _remains(part, carried):
    """What stays of a section that is left out: often nothing, else cells with a word before."""
    cells = [cell for cell in part.cells if cell.id in carried]
    words = (
        f'*The next code comes from "{part.title}", a section that this workshop leaves out. '
        "Run it and go on: later cells use what it defines.*"
    )
    new = load("nbformat.v4").new_markdown_cell
    return [new(words, id=f"from-{cells[0].id}"), *cells] if cells else []


def _say_what_is_left_out(opening, parts):
    """The opening promises minutes of the whole notebook; say those of this one instead."""
    minutes = sum(part.minutes for part in parts if part.kind == "core")
    titles = "".join(f"\n- {part.title}" for part in parts if part.kind == "more")
    words = f"**Time**: {minutes} minutes in this workshop, reading and exercises."
    if titles:
        words += f"\n\n**For home**, in the whole notebook (`bnlab lab`):\n{titles}"
    opening.source = re.sub(r"^\*\*Time\b.*$", lambda _: words, opening.source, flags=re.M)


def _clear_exercises(notebook):
    """Number the cells as they will run; a cell that waits for an answer has not run yet."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for count, cell in enumerate(code, start=1):
        if _is_lesson(cell):
            cell.execution_count = count
        else:
            cell.execution_count, cell.outputs = None, []
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = count
