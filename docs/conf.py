"""The site: the notebooks as they are stored, and the API from the docstrings."""

import shutil
from pathlib import Path

import bnlab

HERE = Path(__file__).parent

project = "bnlab"
author = "the bnlab authors"
copyright = "2026, the bnlab authors. Text CC BY 4.0, code MIT"
release = version = bnlab.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
]
nb_execution_mode = "off"  # the stored outputs are the tested ones
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
suppress_warnings = ["mystnb.unknown_mime_type"]  # sliders have a static figure beside them

autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_rtype = False

html_theme = "furo"
html_title = "bnlab"
html_copy_source = False


def copy_notebooks(app):
    """Sphinx reads only what lies below its source folder."""
    target = HERE / "notebooks"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(HERE.parent / "notebooks", target,
                    ignore=shutil.ignore_patterns(".ipynb_checkpoints"))  # fmt: skip


def setup(app):
    copy_notebooks(app)
