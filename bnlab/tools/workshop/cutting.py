"""A notebook cut to what a workshop takes, and still able to run from top to bottom.

A section that is left out may define what a later section uses. Which names a cell takes and which
it gives is read from its bytecode, where they stand in the order in which they are used.
"""

import copy
import dis
import re
from itertools import pairwise
from types import CodeType

from bnlab.tools.workshop.formulas import load
from bnlab.tools.workshop.plans import cells_of_plan, mark, parts_of, title_of

__all__ = ["cut", "given_and_taken", "lead_on"]

LEARN = "**What you will learn**"
EARLIER = r"^(\*\*Before you start\*\*: )notebooks \d\d (?:and|to) \d\d"
WHOLE_CARD = "\n\n*This is the card of the whole notebook; some of it you meet at home.*\n"
GUARD = r'''\1 INSTALL.txt, beside this notebook,
says how to install the course; then restart the kernel."""'''


def cut(notebook, minutes):
    """What a workshop takes of a notebook: exercises empty, all else as it is stored.

    So slides have their pictures; participants get it without outputs (`build`).

    Parameters
    ----------
    notebook : NotebookNode
        A whole notebook of the course; it is not modified.
    minutes : int
        Length of the workshop.

    Returns
    -------
    NotebookNode
    """
    notebook = copy.deepcopy(notebook)
    parts = parts_of(notebook)
    kept = [cells_of_plan(part, minutes) for part in parts]
    carried = _carried_cells(notebook.cells, {cell.id for cells in kept for cell in cells})
    _say_what_is_left_out(notebook.cells[0], parts, kept, minutes)
    _name_what_is_next(parts, kept)
    notebook.cells = [
        cell
        for part, cells in zip(parts, kept, strict=True)
        for cell in (_section(part, cells) if cells else _remains(part, carried))
    ]
    _say_how_to_install(notebook)
    _unlink(notebook)
    _clear_exercises(notebook)
    return notebook


def lead_on(notebooks):
    """At the end of each cut notebook, link to the next one of the workshop; in place.

    Parameters
    ----------
    notebooks : dict
        Name -> cut notebook, in their order.
    """
    for (_, notebook), (name, following) in pairwise(notebooks.items()):
        link = f"Next: [{title_of(following)}]({name}.ipynb)."
        for cell in _cards(notebook.cells):
            before, _, after = re.split(r"^(Next: .*)$", cell.source, flags=re.M)
            cell.source = before + link + after


def _cards(cells):
    return [cell for cell in cells if mark(cell, "ending") == "summary"]


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


def _carried_cells(cells, kept):
    """Ids of the cells left out that must come along: a later cell uses what they define."""
    cells = [cell for cell in cells if _is_lesson(cell)]
    names = [given_and_taken(cell.source) for cell in cells]
    carried, to_do = set(), [i for i, cell in enumerate(cells) if cell.id in kept]
    while to_do:
        here = to_do.pop()
        for name in names[here][1]:
            giver = next((i for i in range(here)[::-1] if name in names[i][0]), None)
            if giver is not None and cells[giver].id not in kept | carried:
                carried.add(cells[giver].id)
                to_do.append(giver)
    return carried


def _is_lesson(cell):
    return cell.cell_type == "code" and not (mark(cell, "exercise") or mark(cell, "check"))


def _section(part, kept):
    """A part that the workshop takes; where it stops early, a line says so."""
    if part.kind == "more":
        kept[0].source = kept[0].source.replace(part.title, _plain(part.title), 1)
    if part.kind in ("opening", "ending") or kept[-1] is part.cells[-1]:
        return kept
    words = f'*Here the workshop stops; in the whole notebook "{part.title}" goes on.*'
    new = load("nbformat.v4").new_markdown_cell
    return [*kept, new(words, id=f"end-{kept[0].id}")]


def _plain(title):
    """Title of a section, which is more of the course or core of it, as if there was no more."""
    title = title.removeprefix("More: ")
    return title[0].upper() + title[1:]


def _remains(part, carried):
    """What stays of a section that is left out: often nothing, else cells with a word before."""
    cells = [cell for cell in part.cells if cell.id in carried]
    words = (
        f'*The next code comes from "{_plain(part.title)}", a section that this workshop leaves '
        "out. Run it and go on: later cells use what it defines.*"
    )
    new = load("nbformat.v4").new_markdown_cell
    return [new(words, id=f"from-{cells[0].id}"), *cells] if cells else []


def _say_what_is_left_out(opening, parts, kept, minutes):
    """The opening promises minutes of the whole notebook; say those of this one instead."""
    taken = sum(part.minutes for part, cells in zip(parts, kept, strict=True) if cells)
    left = [part for part in parts if part.minutes and not part.is_in(minutes)]
    words = f"**Time**: {taken} minutes in this workshop, reading and exercises."
    if left:
        titles = "".join(f"\n- {_plain(part.title)}" for part in left)
        words += f"\n\n**For home**, in the whole notebook (`bnlab lab`):\n{titles}"
        opening.source = opening.source.replace(LEARN, "**What the whole notebook teaches**", 1)
        for card in _cards(parts[-1].cells):
            card.source = card.source.replace("\n", WHOLE_CARD, 1)
    opening.source = re.sub(r"^\*\*Time\b.*$", lambda _: words, opening.source, flags=re.M)
    # What a reader should bring and how long the core is holds for the whole notebook only.
    opening.source = re.sub(r" The core takes .*\.$", "", opening.source, flags=re.M)
    opening.source = re.sub(EARLIER, r"\1the notebooks before this one", opening.source, flags=re.M)


def _name_what_is_next(parts, kept):
    """Words that point to the next section name it, where the workshop leaves it out."""
    for cells, following, part in zip(kept, kept[1:], parts[1:], strict=False):
        named = f'"{_plain(part.title)}" in the whole notebook'
        for cell in cells:
            if cell.cell_type == "markdown" and not following:
                cell.source = cell.source.replace("the next section", named)


def _say_how_to_install(notebook):
    """The first cell, where bnlab is missing, points to the kit and not to the repository."""
    for cell in notebook.cells:
        if mark(cell, "guard"):
            cell.source = re.sub(r'(f"""\{problem\}\.).*?"""', GUARD, cell.source, flags=re.DOTALL)


def _unlink(notebook):
    """A link to another notebook becomes its words: that one may not be in the folder."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = re.sub(r"\[([^][]+)\]\(\d\d_\w+\.ipynb[^()]*\)", r"\1", cell.source)


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
