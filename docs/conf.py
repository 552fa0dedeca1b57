"""The site: the notebooks as they are stored, the ledger, and the API from the docstrings."""

import shutil
import sys
from pathlib import Path

import bnlab

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import browser  # noqa: E402
import pages  # noqa: E402  (Sphinx does not look for modules beside conf.py)

project = "bnlab"
author = "the bnlab authors"
copyright = "2026, the bnlab authors. Text CC BY 4.0, code MIT"
release = version = bnlab.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",  # formulas without a request to another machine
]
nb_execution_mode = "off"  # the stored outputs are the tested ones
nb_merge_streams = True
nb_render_markdown_format = "myst"  # the ledger of notebook 08 is a table
myst_enable_extensions = ["amsmath", "attrs_block", "attrs_inline", "deflist", "dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]

autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_rtype = False

html_theme = "furo"
html_title = "bnlab"
html_copy_source = False
html_static_path = ["_static"]
html_favicon = "_static/favicon.svg"
html_css_files = ["custom.css", "explore/explore.css"]
html_js_files = [("access.js", {"type": "module"}), ("explore.js", {"type": "module"})]


def copy_notebooks(app):
    """Sphinx reads only what lies below its source folder."""
    target = HERE / "notebooks"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(HERE.parent / "notebooks", target,
                    ignore=shutil.ignore_patterns(".ipynb_checkpoints"))  # fmt: skip


def draw_claims(app):
    """The figures of the ledger are drawn from what is kept, never stored."""
    pages.draw_claims(HERE / "figures")


def write_explorations(app):
    """The pictures to move: the same modules as in the notebooks."""
    pages.write_explorations(Path(app.outdir) / "_static" / "explore")


def fill_in(app, name, source):
    """What a page takes from the course's code: lists are made here, never typed twice."""
    if name.startswith("notebooks/"):
        source[0] = pages.shown(source[0], name.removeprefix("notebooks/"))
    for place, make in pages.PLACES.items():
        if place in source[0]:
            source[0] = source[0].replace(place, make())


def level_captions(app, name, template, context, doctree):
    """Sphinx makes headings of the captions in the side bar, and does not say of which level."""
    tree, heading = context.get("furo_navigation_tree", ""), 'role="heading"'
    context["furo_navigation_tree"] = tree.replace(heading, f'{heading} aria-level="2"')


def build_browser_edition(app, exception):
    """JupyterLite beside the pages, where it is installed."""
    if exception is None and app.builder.name == "html" and browser.is_possible():
        browser.build(Path(app.outdir) / browser.FOLDER, HERE.parent / "notebooks")


def setup(app):
    app.connect("builder-inited", copy_notebooks)
    app.connect("builder-inited", draw_claims)
    app.connect("builder-inited", write_explorations)
    app.connect("source-read", fill_in)
    app.connect("html-page-context", level_captions, priority=900)  # behind Furo
    app.connect("build-finished", build_browser_edition)
    # These pages change when the code does, not only when their own text does.
    app.connect("env-get-outdated", lambda *_: ["index", "ledger"])
