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


def commands(name):
    """Lines of the shell blocks of a page."""
    text = (DOCS / name).read_text(encoding="utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", text, re.S)
    return "".join(blocks).splitlines()


@pytest.mark.parametrize(("name", "count"), [("index.md", 4), ("ledger.md", 2)])
def test_commands_are_those_of_the_readme(name, count):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(commands(name)) == count
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
        r"^\| (\d\d) \| \[.*\]\(notebooks/\1_.*\) \| (\d+) \|$",
        (ROOT / "README.md").read_text("utf-8"),
        re.M,
    )
    minutes = {path.stem[:2]: sum(pages.opening(c)[1:]) for path, c in pages.notebooks().items()}
    assert {number: int(total) for number, total in rows} == minutes


def test_every_public_module_has_its_place_in_the_api():
    shown = set(re.findall(r"automodule:: bnlab\.(\S+)", (DOCS / "api.md").read_text("utf-8")))
    public = {m.name for m in pkgutil.iter_modules(bnlab.__path__)} - INTERNAL
    assert public - {name.partition(".")[0] for name in shown} == set()


def test_a_notebook_is_shown_with_a_download_and_without_widgets(pages, monkeypatch):
    monkeypatch.setattr(pages.browser, "is_possible", lambda: False)
    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)
    note = {"cell_type": "markdown", "source": ["# T\n", "\n", "text"]}
    still, live = {"data": {"text/html": "<img>"}}, {"data": {pages.WIDGET: {}}}
    picture = {"cell_type": "code", "source": "1", "outputs": [still, live]}
    number = {"cell_type": "code", "source": "1", "outputs": [{"data": {"text/plain": "1"}}]}
    cells = json.loads(pages.shown(json.dumps({"cells": [note, picture, number]}), "09_x"))["cells"]
    assert "".join(cells[0]["source"]).startswith("# T\n\n{download}")
    assert cells[0]["source"].endswith("<09_x.ipynb>`\n\ntext")
    assert cells[1]["outputs"] == [still]
    assert cells[2] == number


def test_a_site_that_github_builds_knows_its_address_and_no_other_does(pages, monkeypatch):
    note = {"cell_type": "markdown", "source": "# T\n\ntext"}
    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)
    assert pages.clone() == "Clone the repository"
    assert "github" not in pages.shown(json.dumps({"cells": [note]}), "09_x")
    monkeypatch.setenv("GITHUB_REPOSITORY", "some/where")
    assert pages.clone() == "Type `git clone https://github.com/some/where.git`"
    shown = pages.shown(json.dumps({"cells": [note]}), "09_x")
    assert "(https://github.com/some/where/blob/main/notebooks/09_x.ipynb)" in shown
    colab = "(https://colab.research.google.com/github/some/where/blob/main/notebooks/09_x.ipynb)"
    assert colab in shown


def test_a_link_in_an_output_leads_to_a_page(pages):
    link = (
        '<a href="02_batchnorm_algorithm.{}">notebook 02</a>, an <a href="https://x.org/y.ipynb">'
    )
    assert pages.to_pages(link.format("ipynb")) == link.format("html")
    note = {"cell_type": "markdown", "source": "# T"}
    output = {"data": {"text/html": link.format("ipynb")}}
    cell = {"cell_type": "code", "source": "", "outputs": [output]}
    shown = json.loads(pages.shown(json.dumps({"cells": [note, cell]}), "09_x"))
    assert shown["cells"][1]["outputs"][0]["data"]["text/html"] == link.format("html")


def test_a_notebook_with_code_opens_in_the_browser(pages, monkeypatch):
    monkeypatch.setattr(pages.browser, "is_possible", lambda: True)
    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)
    note = {"cell_type": "markdown", "source": "# T\n\ntext"}
    plain = {"cell_type": "code", "source": "1", "outputs": []}
    torch = plain | {"source": 'if available("torch", "a layer"):\n    pass'}

    def first(*cells):
        shown = json.loads(pages.shown(json.dumps({"cells": cells}), "09_x"))
        return "".join(shown["cells"][0]["source"])

    assert "lite" not in first(note)
    link = '<a href="../lite/lab/index.html?path=09_x.ipynb">'
    assert f"<09_x.ipynb>`\n\n{link}" in first(note, plain)
    assert first(note, plain).endswith("was tested.\n\ntext")
    assert "PyTorch" not in first(note, plain)
    assert "PyTorch, 2 here" in first(note, torch, plain, torch)


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


# The first screen


def described(name):
    """What a stored picture says that it shows."""
    image = pytest.importorskip("PIL.Image").open(DOCS / "_static" / f"{name}.png")
    return image.info["Description"]


def cells_of_00():
    notebook = ROOT / "notebooks" / "00_start_here.ipynb"
    return {c["id"]: c for c in json.loads(notebook.read_text(encoding="utf-8"))["cells"]}


def numbers(text):
    return [float(number) for number in re.findall(r"[\d.]+\d(?=%)", text)]


def test_the_curve_has_the_numbers_that_notebook_00_prints(pictures):
    """Every test run compares those with new ones."""
    shown = dict(part.split(": ") for part in described("accuracy").split("; "))
    printed = "".join(cells_of_00()["start-27"]["outputs"][0]["text"]).splitlines()
    for s, line in zip(("s = 0.03", "s = 0.14"), printed, strict=False):
        assert numbers(shown[s]) == numbers(line)
    normed = [numbers(row)[1] for row in shown.values()]
    assert [min(normed), max(normed)] == numbers(printed[2])
    assert len(normed) == 7


@pytest.mark.slow
def test_the_curve_is_what_notebook_00_draws_now(pictures, capsys):
    _, shows = pictures.accuracy()
    assert re.sub(r"[\d.]+%", "", shows) == re.sub(r"[\d.]+%", "", described("accuracy"))
    assert numbers(shows) == pytest.approx(numbers(described("accuracy")), abs=3)


def test_the_picture_is_small():
    assert (DOCS / "_static" / "accuracy.png").stat().st_size < 60_000


def first_screen():
    """README down to the installation."""
    return (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## ")[0]


def test_the_readme_shows_a_wrong_function_and_what_check_says_to_it_now(pages):
    code, quote = re.search(r"```python\n(.*?)```\n\n> ([^\n]*)\n", first_screen(), re.S).groups()
    assert code.split() == pages.taste_code().split("\n", 1)[1].removesuffix("```").split()
    said = re.sub(r"<[^>]*>", "", pages.taste_answer())
    assert quote.replace("*", "") == said


def test_the_first_screen_has_the_curve_its_words_and_every_notebook():
    first = first_screen()
    curve = cells_of_00()["start-28"]["metadata"]["mystnb"]["image"]["alt"]
    for page, folder in ((first, "docs/"), ((DOCS / "index.md").read_text("utf-8"), "")):
        assert f"![{curve}]({folder}_static/accuracy.png)" in page
    linked = re.findall(r"\(notebooks/(\w+\.ipynb)\)", first)
    assert sorted(linked) == sorted(p.name for p in (ROOT / "notebooks").glob("*.ipynb"))
