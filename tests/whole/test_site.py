"""The built site: whole, at home on any machine, readable on a desk and on a phone."""

import functools
import http.server
import json
import pkgutil
import re
import subprocess
import sys
import threading
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


@pytest.fixture(scope="module")
def pages():
    """The module docs/pages.py, as conf.py imports it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(DOCS))
        import pages

        yield pages


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
def site(tmp_path_factory):
    """Build it as README says; a warning fails."""
    pytest.importorskip("myst_nb")
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", DOCS, folder / "html",
             "-d", folder / "doctrees"]  # fmt: skip
    done = subprocess.run(build, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "html"


@pytest.fixture(scope="module")
def crawled(site):
    """Path -> page, of every page. MathJax brings pages of its own."""
    paths = [path for path in sorted(site.rglob("*.html")) if "_static" not in path.parts]
    return {path: Page(path.read_text(encoding="utf-8")) for path in paths}


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

# Texts of reports, outputs and claims that are too pale: a contrast below 4.5 (WCAG).
PALE = """() => {
  const light = c => { c /= 255; return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4 };
  const numbers = text => text.match(/[0-9.]+/g).map(Number);
  const luminance = ([r, g, b]) => 0.2126 * light(r) + 0.7152 * light(g) + 0.0722 * light(b);
  const clear = node => (numbers(getComputedStyle(node).backgroundColor)[3] ?? 1) < 1;
  const behind = node => clear(node) && node.parentElement ? behind(node.parentElement) : node;
  const texts = document.querySelectorAll(".text_html, .text_html *, .cell_output pre, dl.myst *");
  return [...texts].filter(node => {
    const pair = [getComputedStyle(node).color, getComputedStyle(behind(node)).backgroundColor]
      .map(colour => luminance(numbers(colour))).sort((a, b) => b - a);
    return (pair[0] + 0.05) / (pair[1] + 0.05) < 4.5;
  }).map(node => node.outerHTML.slice(0, 200));
}"""
FLAT = """() => [...document.querySelectorAll("article .math")].filter(node => {
  const drawn = node.querySelector("mjx-container, math");
  return !drawn || !drawn.offsetHeight || node.querySelector("mjx-merror");
}).map(node => node.textContent)"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def address(site):
    handler = functools.partial(Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


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
        found = window.evaluate(FLAT) + window.evaluate(PALE) + ["wide"] * (over > 0)
        problems |= {path.name: found} if found else {}
    assert problems == {}
    assert complaints == []
