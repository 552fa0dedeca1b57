"""A notebook as slides: one file that opens from a disk, in any browser, with the network cut.

Arrow keys, space, a swipe or a click on an arrow move; Escape shows all slides; the browser prints
them, one below the other.

The parts come from packages that are kept well: reveal.js moves the slides (sphinx-revealjs carries
its files), latex2mathml and nbconvert make the text, Pygments colours the code. Here they are put
into one page. How tall a paragraph is, only the browser knows, so what does not fit on a slide is
moved to the next one there, by `slides.js`.
"""

import importlib.util
import re
from html import escape
from pathlib import Path

from bnlab.tools.workshop.formulas import load, missing, render_markdown

__all__ = ["cut", "write_slides"]

HERE = Path(__file__).parent
# Of the forms that an output comes in, the first of these is shown.
SHOWN = ("text/html", "image/svg+xml", "image/png", "image/jpeg", "text/markdown", "text/plain")
WIDGET = "application/vnd.jupyter.widget-view+json"

PAGE = """<!DOCTYPE html>
<html lang="en" class="print-pdf">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{styles}</style>
</head>
<body>
<div class="reveal"><div class="slides">
{slides}
</div></div>
<script>{reveal}</script>
<script>{script}</script>
</body>
</html>
"""


def write_slides(notebook, path):
    """Write the slides of a notebook, with its outputs, as one HTML file."""
    stacks = [
        "\n".join(f"<section>{slide}</section>" for slide in stack) for stack in cut(notebook)
    ]
    reveal = _reveal_files()
    pygments = load("pygments.formatters").HtmlFormatter().get_style_defs(".highlight")
    styles = [_read(reveal / "reset.css"), _read(reveal / "reveal.css"), pygments]
    page = PAGE.format(
        title=escape(_title(notebook)),
        styles="\n".join([*styles, _read(HERE / "slides.css")]),
        slides="\n".join(f"<section>{stack}</section>" for stack in stacks),
        reveal=_read(reveal / "reveal.js"),
        script=_read(HERE / "slides.js"),
    )
    Path(path).write_text(page, encoding="utf-8")


def cut(notebook):
    """Cut a notebook into stacks of slides, which are HTML.

    A heading of the first or second level begins a stack; below it, each cell and each heading of
    the third level begins a slide. An exercise stands below its question.
    """
    stacks = [[]]
    for cell in notebook.cells:
        for piece in _pieces(cell):
            if piece.startswith(("<h1", "<h2")) and stacks[-1]:
                stacks.append([])
            if stacks[-1] and {"exercise", "check"} & set(cell.metadata.get("bnlab", {})):
                stacks[-1][-1] += piece
            else:
                stacks[-1].append(piece)
    return stacks


def _pieces(cell):
    """The HTML of a cell, cut before each heading that does not follow a heading."""
    if cell.cell_type == "markdown":
        pieces = re.split(r"(?<!</h[123]>\n)(?=<h[123]>)", render_markdown(cell.source))
        return [piece for piece in pieces if piece.strip()]
    if cell.cell_type == "code" and cell.source.strip():
        return [_code(cell.source) + "".join(map(_output, cell.outputs))]
    return []


def _code(source):
    lexer = load("pygments.lexers").PythonLexer()
    return load("pygments").highlight(source, lexer, load("pygments.formatters").HtmlFormatter())


def _output(output):
    """One output of a cell as HTML; a slider needs a kernel, so it leaves nothing."""
    if output.output_type == "stream":
        return _text(output.text)
    if output.output_type == "error":
        return _text("\n".join(output.traceback))
    if WIDGET in output.data:
        return ""
    kind = next((kind for kind in SHOWN if kind in output.data), None)
    return f'<div class="output">{_shown(kind, output.data[kind])}</div>' if kind else ""


def _shown(kind, content):
    if kind == "text/plain":
        return _text(content)
    if kind == "text/markdown":
        return render_markdown(content)
    if kind in ("image/png", "image/jpeg"):
        return f'<img alt="figure" src="data:{kind};base64,{"".join(content.split())}">'
    return content


def _text(text):
    return f'<pre class="output">{load("nbconvert.filters").ansi2html(text)}</pre>'


def _title(notebook):
    """The first heading of the notebook, as plain text."""
    sources = (cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    heading = re.search(r"^# (.+)", "\n".join(sources), re.MULTILINE)
    return heading[1] if heading else "Slides"


def _reveal_files():
    """The folder with reveal.js: inside sphinx-revealjs, which itself need not be imported."""
    package = importlib.util.find_spec("sphinx_revealjs")
    if package is None:
        raise missing("sphinx-revealjs")
    return Path(package.submodule_search_locations[0], "_static", "revealjs", "dist")


def _read(file):
    return file.read_text(encoding="utf-8")
