"""The built site: whole, at home on any machine, readable on a desk and on a phone."""

import json
import pkgutil
import re
from collections import defaultdict
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from bnlab.course.experiments.ledger import ids, ledger
from bnlab.course.experiments.results import evidence_of

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
LOADS = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src",
         "audio": "src", "embed": "src", "object": "data", "link": "href"}  # fmt: skip

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


class Page(HTMLParser):
    """What a page loads, where it links to, and the ids it has."""

    def __init__(self, text):
        super().__init__()
        self.loads, self.links, self.ids, self.downloads = [], [], set(), []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.ids.update(found[name] for name in ("id", "name") if found.get(name))
        address = found.get(LOADS.get(tag), "")
        if address:
            self.loads.append(address)
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
            if "download" in found:
                self.downloads.append(found["href"])


@pytest.fixture(scope="module")
def crawled(own_pages):
    """Path -> page, of every page."""
    return {path: Page(path.read_text(encoding="utf-8")) for path in own_pages}


def outside(address):
    return address.startswith("//") or urlsplit(address).scheme in ("http", "https", "ftp")


@pytest.mark.slow
def test_nothing_is_loaded_from_outside(crawled):
    assert len(crawled) > len(NOTEBOOKS)
    assert sum(len(page.loads) for page in crawled.values()) > 5 * len(crawled)
    assert {a for page in crawled.values() for a in page.loads if outside(a)} == set()


@pytest.mark.slow
def test_no_style_loads_from_outside(site, crawled):
    sheets = [*site.rglob("*.css"), *crawled]
    assert any(sheet.name == "custom.css" for sheet in sheets)
    wanted = r"""(?:url\(|@import)\s*["']?([^"')\s]+)"""
    found = {a for sheet in sheets for a in re.findall(wanted, sheet.read_text("utf-8"))}
    assert {address for address in found if outside(address)} == set()


@pytest.mark.slow
def test_every_address_inside_leads_somewhere(crawled):
    broken, seen = defaultdict(list), 0
    for path, page in crawled.items():
        for address in (a for a in page.loads + page.links if not urlsplit(a).scheme):
            parts = urlsplit(address)
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchors = crawled[target].ids if target in crawled else set()
            if not target.is_file() or (parts.fragment and unquote(parts.fragment) not in anchors):
                broken[path.name].append(address)
            seen += 1
    assert dict(broken) == {}
    assert seen > 1000


@pytest.mark.slow
@every_notebook
def test_a_notebook_has_its_page_and_its_download(crawled, site, path):
    place = site / "notebooks" / f"{path.stem}.html"
    (download,) = crawled[place].downloads
    assert (place.parent / download).read_bytes() == path.read_bytes()
    assert Path(download).name == path.name


@pytest.mark.slow
@every_notebook
def test_a_page_holds_the_formulas_and_no_leftovers(site, path):
    page = (site / "notebooks" / f"{path.stem}.html").read_text(encoding="utf-8")
    page, _, _ = page.partition("</article>")  # behind it headings come once more
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    text = "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    prose = re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.S)
    formulas = re.findall(r"\$\$.+?\$\$|\$[^$]+\$", prose, re.S)
    assert len(re.findall(r'class="math notranslate', page)) == len(formulas)
    leftovers = ("Could not find display", "jupyter.widget", "interactive(", "&lt;Figure", "|---")
    assert [leftover for leftover in leftovers if leftover in page] == []


@pytest.mark.slow
def test_the_first_page_lists_the_notebooks_with_their_minutes(site, pages):
    index = (site / "index.html").read_text(encoding="utf-8")
    for path, cells in pages.notebooks().items():
        _, reading, exercises = pages.opening(cells)
        row = (
            rf'<td><p>{path.stem[:2]}</p></td>\s*<td><p><a [^>]*href="notebooks/{path.stem}.html">'
        )
        assert re.search(rf"{row}.*?{reading} min.*?{exercises} min", index, re.S)
    assert "You add eps to the standard deviation" in index


@pytest.mark.slow
def test_the_ledger_has_every_claim_with_its_verdict(site):
    text = (site / "ledger.html").read_text(encoding="utf-8")
    shown = re.findall(
        r'id="\w+"><strong>(\w+)</strong>.*?<dd><p><strong>([A-Z ]+)\.</strong>', text, re.S
    )
    assert len(shown) == len(ids())
    assert dict(shown) == {name: evidence_of(ledger()[name])[0].verdict for name in ids()}
    counts = re.findall(r"<td><p>([A-Z ]+)</p></td>\s*<td[^>]*><p>(\d+)</p></td>", text)
    assert sum(int(count) for _, count in counts) == len(ids())


@pytest.mark.slow
def test_the_api_shows_every_public_name(crawled, site):
    modules = re.findall(r"automodule:: (\S+)", (DOCS / "api.md").read_text("utf-8"))
    public = {f"{m}.{n}": pkgutil.resolve_name(f"{m}:{n}")
              for m in modules for n in pkgutil.resolve_name(m).__all__}  # fmt: skip
    names = [name for name, value in public.items() if callable(value)]
    assert len(names) > 100
    assert [name for name in names if name not in crawled[site / "api.html"].ids] == []


# In a browser

# Formulas that are not drawn.
FLAT = """() => [...document.querySelectorAll("article .math")].filter(node => {
  const drawn = node.querySelector("mjx-container, math");
  return !drawn || !drawn.offsetHeight || node.querySelector("mjx-merror");
}).map(node => node.textContent)"""


@pytest.fixture(params=[(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")],
                ids=lambda p: f"{p[0]}-{p[1]}")  # fmt: skip
def window(request, chromium, address):
    """A window of a desk or a phone, cut off from everything but the site, and its complaints."""
    width, scheme = request.param
    context = chromium.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)
    window, complaints = context.new_page(), []

    def let_in(route):
        inside = route.request.url.startswith((address, "data:"))
        complaints.extend([] if inside else [route.request.url])
        route.continue_() if inside else route.abort()

    context.route("**/*", let_in)
    window.on("console", lambda m: complaints.extend([m.text] if m.type == "error" else []))
    window.on("pageerror", lambda error: complaints.append(str(error)))
    yield window, complaints
    context.close()


@pytest.mark.slow
def test_every_page_is_readable_without_a_network(window, crawled, site, address):
    window, complaints = window
    problems = {}
    for path in crawled:
        window.goto(f"{address}/{path.relative_to(site).as_posix()}")
        window.evaluate("window.MathJax?.startup.promise")
        over = window.evaluate("document.documentElement.scrollWidth - innerWidth")
        found = window.evaluate(FLAT) + ["wide"] * (over > 0)
        problems |= {path.name: found} if found else {}
    assert problems == {}
    assert complaints == []


@pytest.fixture(scope="module")
def with_explorations(crawled, site):
    """The addresses of the pages that have pictures to move."""
    pages = [path for path in crawled if "data-explore" in path.read_text(encoding="utf-8")]
    assert site / "index.html" in pages
    return [path.relative_to(site).as_posix() for path in pages]


@pytest.mark.slow
def test_explorations_take_the_place_of_their_stills(window, with_explorations, address):
    window, complaints = window
    for page in with_explorations:
        window.goto(f"{address}/{page}")
        window.wait_for_function("() => !document.querySelector('[data-explore]')")
        assert window.locator(".bnlab-explore svg").count() > 0
        assert window.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert complaints == []


@pytest.mark.slow
def test_on_paper_the_stills_stand_in_the_place_of_the_live_pictures(window, address):
    window, complaints = window
    window.goto(f"{address}/index.html")
    window.locator(".bnlab-explore svg").wait_for()
    still, live = (window.locator(f".bnlab-explore{end}").first for end in ("-still img", ""))
    assert (still.is_visible(), live.is_visible()) == (False, True)
    window.emulate_media(media="print")
    assert (still.is_visible(), live.is_visible()) == (True, False)
    window.emulate_media(media="screen")
    assert complaints == []


@pytest.mark.slow
def test_the_batch_on_the_first_page_can_be_moved(window, address):
    window, complaints = window
    window.goto(f"{address}/index.html")
    handle = window.get_by_role("slider", name="value 5 of 5")
    handle.focus()
    window.keyboard.press("End")
    assert handle.get_attribute("aria-valuetext") == "x 10.00, x_hat 1.97, y 1.97"
    assert complaints == []


@pytest.mark.slow
def test_without_javascript_the_stills_stay(chromium, with_explorations, address):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    for name in with_explorations:
        page.goto(f"{address}/{name}")
        still = page.locator("[data-explore] img").first
        assert still.is_visible()
        assert len(still.get_attribute("alt")) > 20
    context.close()
