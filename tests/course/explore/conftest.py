"""The modules of the explorations in Chromium: their functions called, their pictures mounted."""

import json

import pytest

from bnlab.course.explore.exploring import HERE, exploration
from bnlab.course.explore.showing import style

HOME = "http://127.0.0.1/explore/"  # nobody listens there: the page is answered from the folder
PAGE = """<!DOCTYPE html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>t</title>
<style>body {{ margin: 8px; background: Canvas; color-scheme: light dark }} {style}</style>
<body></body></html>"""
CALL = """async ([name, f, argument]) => (await import(`./${name}.js`))[f](argument)"""
MOUNT = """async ([name, state]) => {
  const {Model} = await import("./explore.js");
  const {default: module} = await import(`./${name}.js`);
  const el = document.body.appendChild(document.createElement("div"));
  const model = new Model(state);
  const start = performance.now();
  const cleanup = module.render({model, el});
  el.getBoundingClientRect();
  (window.mounted ??= []).push({model, el, cleanup, took: performance.now() - start});
}"""
MODULE = HERE.parents[2] / "docs" / "_static" / "explore.js"


@pytest.fixture
def house(page):
    """A page beside the modules, empty, with the style of the explorations."""

    def answer(route):
        name = route.request.url.removeprefix(HOME)
        if name == "":
            route.fulfill(body=PAGE.format(style=style()), content_type="text/html")
        elif name == "explore.js":
            route.fulfill(path=MODULE, content_type="text/javascript")
        else:
            route.fulfill(path=HERE / name, content_type="text/javascript")

    page.route(f"{HOME}**", answer)
    page.goto(HOME)
    yield page
    assert page.errors == []
    assert page.outside == []


@pytest.fixture
def call(house):
    """call("batch", "batchnorm", {...}): what the module's function answers, as JSON."""
    return lambda name, function, argument: house.evaluate(CALL, [name, function, argument])


@pytest.fixture
def mount(house):
    """mount("batch", gamma=2): put one more live picture on the page; returns the page.

    `state(k)` on the page's `mounted[k].model` is what Python would see.
    """

    def put(name, **changes):
        found = exploration(name)
        house.evaluate(MOUNT, [name, found.with_changes(changes) | found.data()])
        return house

    return put


@pytest.fixture
def state(house):
    """state() or state(k): the state of the k-th picture on the page, as Python would read it."""

    def read(k=0):
        return json.loads(house.evaluate(f"JSON.stringify(mounted[{k}].model.state)"))

    return read
