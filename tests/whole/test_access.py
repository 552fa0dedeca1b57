"""Every reader: figures in words, pages for a keyboard and a screen reader, cards in any theme.

axe looks for what WCAG 2.2 asks for at levels A and AA, as far as a program can see it.
"""

import re
from html.parser import HTMLParser

import nbformat
import pytest

from bnlab.course import check, claim, hint, progress, record
from bnlab.course.cards import GREEN, GREY, ORANGE, RED
from bnlab.course.exercises.report import Report
from bnlab.data import course_files

NOTEBOOKS = sorted((course_files() / "notebooks").glob("*.ipynb"))
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
WINDOWS = [(1280, "light"), (1280, "dark"), (390, "light")]
SAID = 40  # characters: "figure", or a title, says nothing of what is seen

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


# Figures in words


class Images(HTMLParser):
    """The alternative texts of the images in an HTML text, without those of the theme."""

    def __init__(self, text):
        super().__init__()
        self.texts = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        if tag == "img" and found.get("class") != "toggler":
            self.texts.append(found.get("alt", ""))


def said(path):
    """What a notebook says of its figures: in a cell's metadata, or in the output's own HTML."""
    texts = []
    for cell in nbformat.read(path, as_version=4).cells:
        for data in (output.get("data", {}) for output in cell.get("outputs", [])):
            if "image/png" in data:
                texts.append(cell.metadata.get("mystnb", {}).get("image", {}).get("alt", ""))
            texts += Images(data.get("text/html", "")).texts
    return texts


def stubs(texts):
    """Texts that are too short, or that another figure has too."""
    return [text for text in texts if len(text) < SAID or texts.count(text) > 1]


def test_a_text_that_says_nothing_is_found():
    good = "Accuracy against s: flat with batch norm."
    assert stubs([good, "figure", "", good[::-1]]) == ["figure", ""]
    assert stubs([good, good]) == [good, good]


def test_every_figure_is_said_in_words():
    texts = [text for path in NOTEBOOKS for text in said(path)]
    assert len(texts) > 50
    assert stubs(texts) == []


@every_notebook
def test_slides_say_the_same(path):
    cut = pytest.importorskip("bnlab.tools.workshop.slides").cut
    pytest.importorskip("latex2mathml")
    slides = "".join(slide for stack in cut(nbformat.read(path, as_version=4)) for slide in stack)
    assert Images(slides).texts == said(path)


@pytest.mark.slow
def test_the_site_says_the_same(own_pages, site):
    pages = {page.stem: Images(page.read_text(encoding="utf-8")).texts for page in own_pages}
    assert {path.stem: pages[path.stem] for path in NOTEBOOKS} == {
        p.stem: said(p) for p in NOTEBOOKS
    }
    assert {name: found for name, texts in pages.items() if (found := stubs(texts))} == {}
    assert len(pages["ledger"]) > 80


# The pages, seen by axe


def offences(page, context=None, **options):
    """What axe finds, on the page or in a part of it, with the first place of each."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    options = {"runOnly": WCAG, "resultTypes": ["violations"]} | options
    found = axe.run(page, context, options).response["violations"]
    return [f"{v['id']} {len(v['nodes'])} times: {v['nodes'][0]['html'][:200]}" for v in found]


def open_page(page, url):
    page.goto(url)
    page.wait_for_function("() => !document.querySelector('[data-explore]')")
    page.evaluate("window.MathJax?.startup?.promise")


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), WINDOWS)
def test_axe_finds_nothing(width, scheme, page, own_pages, site, address):
    page.set_viewport_size({"width": width, "height": 844})
    page.emulate_media(color_scheme=scheme)
    problems = {}
    for path in own_pages:
        open_page(page, f"{address}/{path.relative_to(site).as_posix()}")
        problems |= {path.name: found} if (found := offences(page)) else {}
    assert problems == {}


@pytest.mark.slow
def test_axe_sees_what_is_wrong(page):
    page.set_content(
        "<title>t</title><img src=''><p style='color: #aaa; background: #fff'>pale</p>"
    )
    assert {offence.split()[0] for offence in offences(page)} == {
        "color-contrast", "html-has-lang", "image-alt"}  # fmt: skip


# By keyboard

WAITING = """() => [...document.querySelectorAll(
  "a[href], button, input, select, summary, [tabindex='0']")].filter(node => node.tabIndex >= 0 &&
  !node.disabled && node.checkVisibility({visibilityProperty: true})).length"""
# Where the focus goes and whether one sees it; the check boxes of the drawers show it at an icon.
FOLLOW = """() => {
  const icons = {__navigation: ".nav-overlay-icon", __toc: ".toc-overlay-icon"};
  window.stops = new Map();
  document.addEventListener("focusin", ({target: node}) => {
    const shown = node.id in icons ? document.querySelector(icons[node.id]) : node;
    const style = getComputedStyle(shown);
    stops.set(node, style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2);
  });
}"""
STOPS = "() => [...stops].map(([node, seen]) => [node.outerHTML.slice(0, 100), seen])"


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", ["index", "ledger", "notebooks/03_backpropagation"])
def test_tab_reaches_everything_and_one_sees_where_one_is(page, address, name, width):
    page.set_viewport_size({"width": width, "height": 844})
    open_page(page, f"{address}/{name}.html")
    page.evaluate(FOLLOW)
    for _ in range(count := page.evaluate(WAITING)):
        page.keyboard.press("Tab")
    stops = page.evaluate(STOPS)
    assert [html for html, seen in stops if not seen] == []
    assert len(stops) == count > 10


@pytest.mark.slow
def test_on_a_narrow_page_the_keyboard_opens_the_side_bar(page, address):
    page.set_viewport_size({"width": 390, "height": 844})
    open_page(page, f"{address}/index.html")
    first = page.locator(".sidebar-tree a").first
    assert not first.is_visible()
    page.locator("#__navigation").focus()
    page.keyboard.press("Space")
    first.wait_for()
    first.focus()
    assert page.evaluate("document.activeElement.matches('.sidebar-tree a')")


# Cards, in a notebook and on the site


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("colour", [GREEN, ORANGE, RED, GREY])
@pytest.mark.parametrize("paper", ["#ffffff", "#111111", "#131416"])  # JupyterLab's, Furo's
def test_the_line_of_a_card_is_seen_on_any_paper(colour, paper):
    dark, light = sorted(map(luminance, (colour, paper)))
    assert (light + 0.05) / (dark + 0.05) >= 3


def cards():
    """One of everything that shows itself as HTML or Markdown, with names as long as they get."""
    torch = pytest.importorskip("torch")
    from bnlab.conform import conform
    from bnlab.diagnose import diagnose
    from bnlab.layers import BatchNorm

    long = "a_name_that_somebody_made_up_and_that_does_not_fit_on_any_telephone" * 2
    model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.BatchNorm1d(3))
    return [
        *(Report("batchnorm_forward", outcome, f"Your `{long}` is {long}. " + 30 * "word ")
          for outcome in ("correct", "incorrect", "error", "not attempted")),
        check("batchnorm_forward", lambda x, gamma, beta, eps: x),
        claim("W1").card(),
        hint("batchnorm_forward", 3),
        progress(),
        record("02"),
        conform(BatchNorm),
        diagnose(model),
    ]  # fmt: skip


def as_notebook(shown):
    """A notebook that shows them, as one that was run."""
    cells = []
    for value in shown:
        data = {"text/plain": repr(value)}
        for kind, method in (("text/html", "_repr_html_"), ("text/markdown", "_repr_markdown_")):
            if hasattr(value, method):
                data[kind] = getattr(value, method)()
        output = nbformat.v4.new_output("execute_result", data, execution_count=1)
        cells.append(nbformat.v4.new_code_cell("card", outputs=[output], execution_count=1))
    return nbformat.v4.new_notebook(cells=cells)


OVERFLOW = """() => [...document.querySelectorAll(".jp-OutputArea-output")]
  .filter(box => box.scrollWidth > box.clientWidth).map(box => box.innerText.slice(0, 80))"""


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_cards_can_be_read_in_the_themes_of_jupyterlab(page, tmp_path, theme):
    """nbconvert's page has JupyterLab's own styles."""
    exporter = pytest.importorskip("nbconvert").HTMLExporter(theme=theme)
    text, _ = exporter.from_notebook_node(as_notebook(cards()))
    (tmp_path / "cards.html").write_text(text, encoding="utf-8")
    page.goto((tmp_path / "cards.html").as_uri())
    assert page.locator(".bnlab-card").count() == 6
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(17, 17, 17)"
    assert dark == (theme == "dark")
    assert offences(page, ".jp-OutputArea-output", runOnly=["color-contrast"]) == []
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate(OVERFLOW) == []


def test_backticks_are_code_in_html_and_backticks_in_a_terminal():
    report = Report("f", "incorrect", "Did you forget `return`, or `x < 0`?")
    assert "<code>return</code>, or <code>x &lt; 0</code>?" in report._repr_html_()
    assert "`return`" in str(report)


def test_a_card_without_its_styles_still_says_what_it_is():
    """GitHub takes styles and classes away."""
    text = re.sub(r' (style|class)="[^"]*"', "", Report("f", "error", "Why.")._repr_html_())
    assert text == "<div><b>! f: error.</b> Why.</div>"
