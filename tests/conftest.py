"""A browser for the slow tests: Chromium, in which no request leaves the machine."""

import shutil
from pathlib import Path

import pytest

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = [
    "--no-sandbox",  # in a container everybody is root
    "--disable-dev-shm-usage",  # where /dev/shm is small
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
]


@pytest.fixture(scope="module")
def chromium():
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        programs = [*map(shutil.which, PROGRAMS), driver.chromium.executable_path]
        program = next((p for p in programs if p and Path(p).exists()), None)
        if program is None:
            pytest.skip(f"none of {', '.join(PROGRAMS)} is installed, and none by playwright")
        yield driver.chromium.launch(executable_path=program, args=OPTIONS)


@pytest.fixture
def page(chromium):
    """A page of 1280 x 720; `page.outside` lists what it asked of other machines, in vain."""
    context = chromium.new_context(viewport={"width": 1280, "height": 720}, has_touch=True)
    page = context.new_page()
    page.outside, page.errors = [], []

    def refuse(route):
        page.outside.append(route.request.url)
        route.abort()

    page.route(
        lambda url: not url.startswith(("file:", "data:", "blob:", "http://127.0.0.1:")), refuse
    )
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    yield page
    context.close()
