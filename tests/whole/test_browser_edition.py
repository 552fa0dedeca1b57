"""The browser edition: it builds, its kernel starts, bnlab is there, and files outlive a reload.

All of it with the network cut. What Pyodide's CDN would send comes from its npm package, which is
fetched first, and from pure packages that are installed here, under the names of its lock file. Its
NumPy is in neither, so `import bnlab` ends there, where the last test expects it to end.
"""

import functools
import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import zipfile
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import nbformat
import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 240_000  # ms: Pyodide starts in 10 s, on a busy machine in a minute
TYPES = {".mjs": "text/javascript", ".wasm": "application/wasm"}
CELLS = (
    """import importlib.metadata, importlib.util, os, sys
where = importlib.util.find_spec("bnlab").origin
print("START", importlib.metadata.version("bnlab"), sys.platform, os.getcwd(), where)""",
    """spec = importlib.util.spec_from_file_location(
    "writing", where.replace("__init__", "course/writing"))
writing = importlib.util.module_from_spec(spec)
spec.loader.exec_module(writing)
progress = writing.Path(os.environ["BNLAB_HOME"], "progress.json")
before = progress.read_text() if progress.exists() else "nothing"
with writing.replacing(progress) as new:
    new.write_text(before + "+")
with open("my_batchnorm.py", "ab", buffering=0) as file:
    file.write(b"+")
print("FOUND", before, "KEPT", progress.read_text(), os.listdir(progress.parent))
print("FILES", sorted(os.listdir()), open("my_batchnorm.py").read())""",
    "import joblib, packaging, platformdirs, rich; print('PURE', joblib.__name__)",
    """try:
    import bnlab
except ModuleNotFoundError as error:
    print("END without", error.name)""",
)


@pytest.fixture(scope="module")
def browser():
    """The module docs/browser.py, as conf.py imports it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "docs"))
        import browser

        if not browser.is_possible():
            pytest.skip("jupyterlite-pyodide-kernel is not installed")
        pytest.importorskip("hatchling")
        yield browser


@pytest.fixture(scope="module")
def edition(browser, tmp_path_factory):
    """The folder that is built, with all our notebooks and one that looks at what is there."""
    notebooks = tmp_path_factory.mktemp("notebooks")
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        shutil.copy(path, notebooks)
    looking = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in CELLS])
    looking.metadata = nbformat.read(notebooks / "00_start_here.ipynb", as_version=4).metadata
    nbformat.write(looking, notebooks / "looking.ipynb")
    target = tmp_path_factory.mktemp("site") / "lite"
    browser.build(target, notebooks)
    return target


def test_it_holds_every_notebook_and_no_output_gives_an_answer_away(edition):
    paths = sorted((ROOT / "notebooks").glob("*.ipynb"))
    assert len(paths) >= 11
    for path in paths:
        ours, there = (
            nbformat.read(p, as_version=4) for p in (path, edition / "files" / path.name)
        )
        assert [c.source for c in there.cells] == [c.source for c in ours.cells]
        assert [c.metadata for c in there.cells] == [c.metadata for c in ours.cells]
        assert not any(c.get("outputs") for c in there.cells)


def test_it_holds_the_wheels_that_its_kernel_installs(edition, browser):
    settings = json.loads((edition / "jupyter-lite.json").read_text("utf-8"))
    (kernel,) = settings["jupyter-config-data"]["litePluginSettings"].values()
    packages = kernel["loadPyodideOptions"]["packages"]
    here = [package for package in packages if package.endswith(".whl")]
    worker = edition / "extensions/@jupyterlite/pyodide-kernel-extension/static"
    assert [zipfile.ZipFile(worker / path).testzip() for path in here] == [None, None]
    assert set(packages) - set(here) == set(browser.FROM_PYODIDE)
    wheel = zipfile.ZipFile(edition / "pypi" / Path(here[0]).name)
    assert "bnlab/_files/data/digits.npz" in wheel.namelist()


def test_what_bnlab_needs_is_there_before_the_first_cell(browser):
    project = importlib.metadata.requires("bnlab")
    needed = {re.match(r"[\w-]+", line)[0] for line in project if "extra ==" not in line}
    assert needed - set(browser.FROM_PYODIDE) == {"typer"}  # the command line; no notebook has it


def test_licences_come_with_it(edition):
    notices = {path.stem: path.read_text("utf-8") for path in (edition / "LICENSES").iterdir()}
    assert set(notices) == {"jupyterlite-core", "jupyterlite-pyodide-kernel", "comm"}
    assert all("Redistribution" in text for text in notices.values())
    assert list((edition / "build").glob("third-party-licenses.json"))


def test_its_pages_and_styles_load_nothing_from_elsewhere(edition):
    files = [path for end in ("*.html", "*.css") for path in edition.rglob(end)]
    wanted = r"""(?:src=|<link[^>]*href=|url\(|@import)\s*["']?((?:https?:)?//[^"')\s]+)"""
    assert len(files) > 2
    assert {a for path in files for a in re.findall(wanted, path.read_text("utf-8"))} == set()


# In a browser


@pytest.fixture(scope="module")
def cdn(browser, tmp_path_factory):
    """A folder with what Pyodide's CDN has, as far as it can be had here."""
    if not (npm := shutil.which("npm")):
        pytest.skip("npm is not installed, and Pyodide comes from its npm package")
    folder = tmp_path_factory.mktemp("cdn")
    version = browser.pyodide_version()
    fetched(folder, npm, "pack", f"pyodide@{version}", "--silent")
    shutil.unpack_archive(folder / f"pyodide-{version}.tgz", folder, "gztar")
    lock = json.loads((folder / "package" / "pyodide-lock.json").read_text("utf-8"))
    packages = {re.sub("[-_.]+", "-", name).lower(): p for name, p in lock["packages"].items()}
    micropip = [f"micropip=={packages['micropip']['version']}", "--ignore-requires-python"]
    fetched(folder, sys.executable, "-m", "pip", "download", "-q", "--no-deps", *micropip)
    put(next(folder.glob("micropip*.whl")), packages["micropip"], folder / "package")
    todo = [
        name for name in browser.FROM_PYODIDE if name not in ("micropip", "numpy", "matplotlib")
    ]
    for name in todo:  # grows as it is gone through
        entry = packages[name]
        todo += [n for d in entry["depends"] if (n := re.sub("[-_.]+", "-", d).lower()) not in todo]
        try:
            put(browser.pack(entry["name"], folder), entry, folder / "package")
        except importlib.metadata.PackageNotFoundError:
            continue  # what the version here does without
    (folder / "package" / "pyodide-lock.json").write_text(json.dumps(lock), encoding="utf-8")
    return folder / "package"


def fetched(folder, *command):
    """Run npm or pip with the network that the tests are otherwise cut off from."""
    connected = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    done = subprocess.run(command, cwd=folder, env=connected, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"{command[-1]} cannot be fetched: {done.stderr[-200:]}")


def put(wheel, entry, folder):
    """Let the lock file name this wheel."""
    content = wheel.read_bytes()
    (folder / wheel.name).write_bytes(content)
    entry |= {"file_name": wheel.name, "sha256": hashlib.sha256(content).hexdigest()}


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def address(edition):
    handler = functools.partial(Quiet, directory=str(edition))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def page(chromium, cdn, browser):
    """A page for which this machine answers in place of the CDN; `outside` lists other hosts."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    page, host = context.new_page(), "https://cdn.jsdelivr.net/"
    page.outside, start = [], f"{host}pyodide/v{browser.pyodide_version()}/full/"

    def answer(route):
        url = route.request.url
        file = cdn / url.removeprefix(start)
        if url.startswith(start) and file.is_file():
            route.fulfill(path=file, headers={"Access-Control-Allow-Origin": "*",
                          "Content-Type": TYPES.get(file.suffix, "application/zip")})  # fmt: skip
        else:
            page.outside.extend([] if url.startswith(start) else [url])
            route.abort()

    context.route(lambda url: not url.startswith(("http://127.0.0.1:", "data:", "blob:")), answer)
    yield page
    context.close()


def run_all(page):
    """Run all cells of the notebook that is open, and return what they have printed."""
    page.locator(".jp-CodeCell").first.wait_for(timeout=PATIENCE)
    page.locator(".lm-MenuBar-itemLabel", has_text="Run").first.click()
    page.get_by_text("Run All Cells", exact=True).click()
    last = page.locator(".jp-OutputArea-output", has_text="END")
    last.wait_for(timeout=PATIENCE)
    return "\n".join(page.locator(".jp-OutputArea-output").all_inner_texts())


def test_a_notebook_that_is_only_opened_is_not_marked_as_changed(page, address):
    page.goto(f"{address}/lab/index.html?path=02_batchnorm_algorithm.ipynb")
    page.locator(".jp-CodeCell").first.wait_for(timeout=PATIENCE)
    page.get_by_text(re.compile(r"^Python .*\| Idle$")).wait_for(timeout=PATIENCE)
    page.wait_for_timeout(3000)  # what would still be noted comes after the kernel
    assert page.locator(".jp-mod-dirty").count() == 0
    assert page.locator(".jp-Dialog, .Toastify__toast").count() == 0
    assert page.outside == []


def test_the_kernel_starts_with_bnlab_and_files_outlive_a_reload(page, address):
    page.goto(f"{address}/lab/index.html?path=looking.ipynb")
    text = run_all(page)
    assert re.search(r"START \d\S+ emscripten /drive /lib/\S+/site-packages/bnlab/__init__", text)
    assert "FOUND nothing KEPT nothing+ ['progress.json']" in text
    assert re.search(r"FILES \[.*'00_start_here.ipynb'.*'my_batchnorm.py'\] \+\n", text)
    assert "Untitled" not in text
    assert "PURE joblib" in text
    assert "END without numpy" in text
    page.reload()
    text = run_all(page)
    assert "FOUND nothing+ KEPT nothing++" in text
    assert re.search(r"'my_batchnorm.py'\] \+\+\n", text)
    assert page.outside == []
