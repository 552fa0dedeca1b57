r"""Notebook text with its formulas as HTML that any browser shows: no script, no network.

Browsers draw MathML by themselves. nbconvert reads the markdown, with the rules of a notebook for
what is a formula; only the last step is ours: a formula becomes MathML, where nbconvert would leave
LaTeX for MathJax to find.
"""

import functools
import html
import importlib
import re

from bnlab.tools.doctor import MissingPackage

__all__ = ["load", "mathml", "missing", "render_markdown"]

# What latex2mathml writes, and what browsers understand instead.
REPAIRS = {
    'mathvariant="bold"': 'style="font-weight: bold"',
    'mathvariant="monospace"': 'style="font-family: monospace"',
    'columnalign="right"': 'style="text-align: right; padding-right: 0"',
    'columnalign="left"': 'style="text-align: left; padding-left: 0"',
    r"\_": "_",
}


def load(module):
    """Import a module by name; if it is not installed, say in a sentence what to install."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise missing(module.partition(".")[0]) from error


def missing(package):
    """Make the exception for a package of the workshop extra."""
    return MissingPackage(
        f"{package} is not installed, and the pages of a workshop need it; "
        'in the folder of the course: python -m pip install -e ".[workshop]"'
    )


def mathml(latex, display=False):
    r"""Translate a formula from LaTeX to MathML, which carries the LaTeX too, for a screen reader.

    >>> print(mathml(r"\gamma").partition(" xmlns")[0])
    <math alttext="\gamma"
    """
    # The environment aligned is called split there, and \mathrm is lost on a single letter.
    known = re.sub(r"\\mathrm\{(\w)\}", r"\\text{\1}", latex.replace("{aligned}", "{split}"))
    place = "block" if display else "inline"
    element = load("latex2mathml.converter").convert(known, display=place)
    for written, meant in REPAIRS.items():
        element = element.replace(written, meant)
    if "\\" in element:
        raise ValueError(
            f"a formula on a workshop's page may use commands that MathML has, got {latex!r}; "
            "please write it in another way"
        )
    return element.replace("<math", f'<math alttext="{html.escape(latex.strip())}"', 1)


def render_markdown(text):
    """Translate the markdown of a notebook cell to HTML in which every formula is MathML.

    >>> render_markdown("## Two *numbers*").strip()
    '<h2>Two <em>numbers</em></h2>'
    """
    return _reader().render(text)


@functools.cache
def _reader():
    markdown = load("nbconvert.filters.markdown_mistune")
    renderer = markdown.IPythonRenderer(escape=False, exclude_anchor_links=True)
    renderer.inline_math = mathml
    renderer.block_math = functools.partial(mathml, display=True)
    renderer.latex_environment = lambda name, body: mathml(
        rf"\begin{{{name}}}{body}\end{{{name}}}", display=True
    )
    return markdown.MarkdownWithMath(renderer=renderer)
