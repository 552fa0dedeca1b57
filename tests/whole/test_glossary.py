"""The glossary and the cheat sheet: linked from each notebook, in order, and true."""

import re

import nbformat
import pytest

from bnlab.course.lessons.nb05.conventions import CONVENTIONS
from bnlab.data import course_files

FOLDER = course_files() / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("[0-9][0-9]_*.ipynb"))
PAGES = ("glossary", "cheat_sheet")


def cells(name):
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4).cells


def text_of(name):
    return "\n\n".join(cell.source for cell in cells(name))


def rows(text, head):
    """The rows of the table whose head begins with this word."""
    (table,) = re.findall(rf"^\| {head} .*\n\|[-:|]+\|\n((?:\|.*\n?)+)", text, re.MULTILINE)
    lines = re.sub(r"\\\|", "/", table).strip().splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_each_notebook_links_both(path):
    text = "\n".join(c.source for c in nbformat.read(path, as_version=4).cells)
    for page in PAGES:
        assert f"({page}.ipynb)" in text


@pytest.mark.parametrize("name", PAGES)
def test_pages_have_no_code_and_valid_links(name):
    assert all(cell.cell_type == "markdown" for cell in cells(name))
    for link in re.findall(r"\]\(([^)]+)\)", text_of(name)):
        assert (FOLDER / link).exists()


def test_words_are_in_order_and_say_where_they_are_explained():
    found = rows(text_of("glossary"), "word")
    words = [re.sub(r"\*\*|,.*", "", word).lower() for word, _, _ in found]
    assert words == sorted(words)
    assert len(set(words)) == len(words) > 40
    assert {number for *_, number in found} <= {path.stem[:2] for path in NOTEBOOKS}
    assert all(meaning[0].isupper() and meaning.endswith(".") for _, meaning, _ in found)


def test_defaults_are_those_of_notebook_05():
    found = {row[0]: row[1:] for row in rows(text_of("cheat_sheet"), "library")}
    found["PyTorch"] = found.pop("here and PyTorch")
    for library, told in found.items():
        c = CONVENTIONS[library]
        eps = f"{c.eps:.0e}".replace("e-0", "e-")
        assert told == [f"the {c.multiplies} value", f"{c.momentum:g}", eps, c.variance]


def test_the_cheat_sheet_is_one_page():
    text = text_of("cheat_sheet")
    assert len(text.split()) < 900
    assert len(text.splitlines()) < 100
