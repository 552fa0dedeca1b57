"""The built site, once for all tests that look at it, and an address under which it is served."""

import functools
import http.server
import importlib
import subprocess
import sys
import threading
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"


def of_docs(name):
    """A module of docs/, as conf.py imports it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(DOCS))
        return importlib.import_module(name)


@pytest.fixture(scope="session")
def pages():
    return of_docs("pages")


@pytest.fixture(scope="session")
def pictures():
    return of_docs("pictures")


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """Build it as README says; a warning fails."""
    pytest.importorskip("myst_nb")
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", DOCS, folder / "html",
             "-d", folder / "doctrees"]  # fmt: skip
    done = subprocess.run(build, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "html"


@pytest.fixture(scope="session")
def own_pages(site):
    """Paths of every page. MathJax and the browser edition bring pages of their own."""
    foreign = {site / "_static", site / "lite"}
    return [path for path in sorted(site.rglob("*.html")) if not foreign & set(path.parents)]


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="session")
def address(site):
    handler = functools.partial(Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
