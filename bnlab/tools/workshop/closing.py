"""The last notebook of a workshop: a vote, and what each notebook comes down to.

Nothing is written for it: the questions are closed-book questions of later notebooks about what the
room has done, the summary is the idea and the number of each summary card. Where a workshop never
meets that number, the card's metadata has another one (`workshop_number`).
"""

import copy
import re

from bnlab.tools.workshop.formulas import load
from bnlab.tools.workshop.plans import closed_book, mark, read_notebooks

__all__ = ["CLOSING", "card_of", "closing"]

CLOSING = "99_vote_and_summary"
OPENING = """# Vote, and take stock

**Time**: 5 minutes of reading, 0 minutes of exercises."""
VOTE = """## Vote

Answer alone and from memory, with how sure you are, from 1 (a guess) to 3 (certain), such as
`"a", 2` or `100, 3`. Then raise your hand with the others, and run the check."""
SUMMARY = """## Sum up in a sentence

Before you look at the table: say for each notebook its idea, in your own words. The whole cards are
on your sheet."""
TABLE = """| notebook | the idea | the number |
|---|---|---|
"""
GO_ON = """## Go on

The whole course is on your computer: `bnlab lab` opens it, in a folder of its own. Copy
`my_batchnorm.py` into that folder, and the course goes on with your functions."""
IMPORTS = "from bnlab.course import check, hint, solution  # noqa: F401"
# "- **The idea**: ..." in one card is "**The idea.** ..." in another.
LINE = r"^(?:- )?\*\*The {}[.:]?\*\*[.:]? *(.+)$"


def closing(minutes, notebooks):
    """Notebook that ends a workshop.

    Parameters
    ----------
    minutes : int
    notebooks : dict
        The notebooks of the workshop, of which the cards are taken.

    Returns
    -------
    NotebookNode
    """
    make = load("nbformat.v4")
    votes = [cell for question in _questions(minutes) for cell in question]
    vote = make.new_markdown_cell(VOTE, id="vote", metadata=_section(3, minutes))
    sums = make.new_markdown_cell(SUMMARY, id="sum-up", metadata=_section(2, minutes))
    rows = "\n".join(_row(name, notebook) for name, notebook in notebooks.items())
    table = make.new_markdown_cell(TABLE + rows, id="table")  # a cell of its own, and a slide
    opening = [make.new_markdown_cell(OPENING, id="title"), make.new_code_cell(IMPORTS, id="tools")]
    summary = {"bnlab": {"ending": "summary"}}
    ending = make.new_markdown_cell(GO_ON, id="go-on", metadata=summary)
    notebook = make.new_notebook(cells=[*opening, vote, *votes, sums, table, ending])
    notebook.metadata = copy.deepcopy(next(iter(notebooks.values())).metadata)
    return notebook


def card_of(notebook):
    """Summary card of a notebook, without its title and what comes next."""
    blocks = _card_cell(notebook).source.split("\n\n")[1:]
    return "\n\n".join(block for block in blocks if not re.match("Next: |Words: ", block))


def _card_cell(notebook):
    (cell,) = [cell for cell in notebook.cells if mark(cell, "ending") == "summary"]
    return cell


def _section(minutes, plan):
    return {"bnlab": {"section": "core", "minutes": minutes, "plans": [plan]}}


def _questions(minutes):
    """The closed-book questions on which this workshop votes, as exercises of their own."""
    for notebook in read_notebooks().values():
        for asked, stub, check in closed_book(notebook.cells):
            if minutes in (mark(stub, "plans") or ()):
                asked, stub, check = copy.deepcopy([asked, stub, check])
                asked.source = _alone(asked.source)
                del stub.metadata.bnlab["recall"], stub.metadata.bnlab["plans"]
                yield asked, stub, check


def _alone(text):
    """A question without its place among three, and with a heading."""
    return "### Question\n\n" + re.sub(r"^(?:.*\n\n)?\*\*(?:One|Two|Three)\.\*\* *", "", text)


def _row(name, notebook):
    card = card_of(notebook)
    idea, number = (re.search(LINE.format(what), card, re.M)[1] for what in ("idea", "number"))
    number = mark(_card_cell(notebook), "workshop_number") or number
    return f"| {name[:2]} | {_in_a_cell(idea)} | {_in_a_cell(number)} |"


def _in_a_cell(text):
    r"""A bar ends the cell of a table: \|w\| is \Vert w \Vert, and | is \vert."""
    text = text[0].upper() + text[1:]
    return text.replace(r"\|", r"\Vert ").replace("|", r"\vert ")
