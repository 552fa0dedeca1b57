"""The field guide is read while something is broken: an entry is short, and it is found."""

import ast
import re

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell

from bnlab.data import course_files

MOST = 9  # lines of a cell: "demonstration under ten lines"


def entries(cells):
    """Name of an entry, such as "P1" -> its code cells, up to the next heading."""
    found, name = {}, None
    for cell in cells:
        if cell.cell_type == "markdown":
            for heading in re.findall(r"^##+ (.*)$", cell.source, re.M):
                entry = re.match(r"P\d+\b", heading)
                name = entry and entry[0]
        elif name:
            found.setdefault(name, []).append(cell.source)
    return found


def lines(source):
    """How many lines there are to read: all that are not blank, comments too."""
    return sum(bool(line.strip()) for line in source.splitlines())


def too_long(cells):
    return {name: counts for name, sources in entries(cells).items()
            if max(counts := [lines(source) for source in sources]) > MOST}  # fmt: skip


def guide():
    path = course_files() / "notebooks" / "09_field_guide.ipynb"
    return nbformat.read(path, as_version=4).cells


def test_every_entry_runs_something():
    assert sorted(entries(guide()), key=lambda id: int(id[1:])) == [f"P{k}" for k in range(1, 29)]


def test_a_demonstration_and_a_fix_have_at_most_nine_lines_each():
    assert too_long(guide()) == {}


@pytest.mark.parametrize(
    ("cells", "found"),
    [
        (["### P1 A batch", "x = 1\n" * 9 + "\n\n"], {}),
        (["### P1 A batch", "x = 1\n" * 10], {"P1": [10]}),
        (["### P1 A batch", "x = 1\n\n" * 9 + "# why"], {"P1": [10]}),
        (["### P1 A batch", "x = 1", "the fix", "x = 1\n" * 12], {"P1": [1, 12]}),
        (["## Several", "x = 1\n" * 12], {}),
        (["### P1 A batch", "x = 1", "## Hunt", "x = 1\n" * 12], {}),
        (["## Several\n\n### P2 Two", "x = 1\n" * 12], {"P2": [12]}),
    ],
)
def test_a_long_cell_is_found(cells, found):
    kinds = [new_code_cell if cell.startswith("x") else new_markdown_cell for cell in cells]
    assert too_long([make(cell) for make, cell in zip(kinds, cells, strict=True)]) == found


# The way to an entry: ladder, list, section.


def finder():
    """Name of a list, such as "An error text" -> its lines."""
    (text,) = (c.source for c in guide() if c.source.startswith("## Find your symptom"))
    _, *parts = re.split(r"^\*\*(.+?)\*\*", text, flags=re.M)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_each_answer_of_the_ladder_is_a_list_and_a_section():
    (source,) = (c.source for c in guide() if c.source.startswith("ladder = {"))
    answers = list(ast.literal_eval(ast.parse(source).body[0].value).values())
    assert list(finder()) == answers
    sections = [c.source.splitlines()[0] for c in guide() if c.source.startswith("## ")]
    assert [name for name in answers if f"## {name}" not in sections] == []


def test_whoever_finds_evaluation_far_worse_is_led_to_all_that_do_this():
    """Also to those whose cause stands in another section."""
    found = set(re.findall(r"\[(P\d+|notebook 07)\]\(", finder()["Evaluation is far worse"]))
    elsewhere = {"P5", "P9", "P20", "P21", "P22", "P24", "P26", "notebook 07"}  # 07: dropout
    assert found == elsewhere | {"P4", "P7", "P11", "P12", "P28"}
    (section,) = (c.source for c in guide() if c.source.startswith("## Evaluation is far worse"))
    assert set(re.findall(r"\[(P\d+)\]\(", section)) == elsewhere - {"notebook 07"}
