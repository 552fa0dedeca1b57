"""The sources of the site: what its pages take from the course, before Sphinx sees it."""

import json
import pkgutil
import re
from pathlib import Path

import pytest

import bnlab

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
# Pieces of other modules, which show what is public of them.
INTERNAL = {"arrays", "channels", "idx"}


@pytest.fixture(scope="module")
def pages():
    """The module docs/pages.py, as conf.py imports it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(DOCS))
        import pages

        yield pages


def commands(name):
    """Lines of the shell blocks of a page."""
    text = (DOCS / name).read_text(encoding="utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", text, re.S)
    return "".join(blocks).splitlines()


@pytest.mark.parametrize("name", ["index.md", "ledger.md"])
def test_commands_are_those_of_the_readme(name):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(commands(name)) == 2
    assert [c for c in commands(name) if c not in re.split(r"\n| {2,}#", readme)] == []


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", ".ci/run"])
def test_a_path_that_is_named_is_there(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    paths = re.findall(r"(?<![\w/])(?:bnlab|tests|notebooks|docs|benchmarks)/[\w/.-]*\w", text)
    to_come = re.compile("NN|NAME|_build")  # what the reader fills in, and what is built first
    assert paths
    assert [p for p in paths if not to_come.search(p) and not (ROOT / p).exists()] == []


def test_the_readme_has_the_minutes_of_the_notebooks(pages):
    rows = re.findall(
        r"^\| (\d\d) \| .* \| (\d+) \|$", (ROOT / "README.md").read_text("utf-8"), re.M
    )
    minutes = {path.stem[:2]: sum(pages.opening(c)[1:]) for path, c in pages.notebooks().items()}
    assert {number: int(total) for number, total in rows} == minutes


def test_every_public_module_has_its_place_in_the_api():
    shown = set(re.findall(r"automodule:: bnlab\.(\S+)", (DOCS / "api.md").read_text("utf-8")))
    public = {m.name for m in pkgutil.iter_modules(bnlab.__path__)} - INTERNAL
    assert public - {name.partition(".")[0] for name in shown} == set()


def test_a_notebook_is_shown_with_a_download_and_without_widgets(pages):
    note = {"cell_type": "markdown", "source": ["# T\n", "\n", "text"]}
    slider = {"cell_type": "code", "source": "1", "outputs": [{"data": {pages.WIDGET: {}}}]}
    number = {"cell_type": "code", "source": "1", "outputs": [{"data": {"text/plain": "1"}}]}
    cells = json.loads(pages.shown(json.dumps({"cells": [note, slider, number]}), "09_x"))["cells"]
    assert "".join(cells[0]["source"]).startswith("# T\n\n{download}")
    assert cells[0]["source"].endswith("<09_x.ipynb>`\n\ntext")
    assert list(cells[1]["outputs"][0]["data"]) == ["text/markdown"]
    assert cells[2] == number


def test_claims_are_shown_letter_by_letter(pages):
    markdown = pytest.importorskip("markdown_it").MarkdownIt()
    for text in ["a * b * c", "x_hat_i", "E[x](y)", "a < b > c", "`1`", "$2 and $3", "a|b", "# 1"]:
        (_, inline, _) = markdown.parse(f"says {pages.plain(text)}")
        assert "".join(child.content for child in inline.children) == f"says {text}"


def test_the_wrong_answer_on_the_first_page_is_named_and_not_remembered(pages):
    from bnlab.course.exercises.progress import home

    before = sorted(home().iterdir())
    assert "You add eps to the standard deviation" in pages.taste_answer()
    assert sorted(home().iterdir()) == before
