"""A notebook as slides: one file that opens from a disk, in any browser, with the network cut.

Arrow keys, space, a swipe or a click on an arrow move; Escape shows all slides; the browser prints
them, one below the other.

The parts come from packages that are kept well: reveal.js moves the slides (sphinx-revealjs carries
its files), latex2mathml and nbconvert make the text, Pygments colours the code. Here they are put
into one page. How tall a paragraph is, only the browser knows, so what does not fit on a slide is
moved to the next one there, by `slides.js`.
"""

import ast
import importlib.util
import re
from html import escape
from pathlib import Path

from bnlab.tools.workshop.formulas import load, missing, render_markdown
from bnlab.tools.workshop.plans import mark, title_of

__all__ = ["cut", "write_slides"]

HERE = Path(__file__).parent
# Of the forms that an output comes in, the first of these is shown.
SHOWN = ("text/html", "image/svg+xml", "image/png", "image/jpeg", "text/markdown", "text/plain")
NOTE = re.compile(r" *# (?:noqa|fmt: (?:skip|off|on))\b.*")  # for a linter or a formatter
# Beside the slides lies no notebook that a link could open.
LINK = re.compile(r"\[([^][]+)\]\([^()]*\.ipynb[^()]*\)")
HTML_LINK = re.compile(r'<a\b[^>]*\bhref="[^"]*\.ipynb[^"]*"[^>]*>(.*?)</a>', re.DOTALL)
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
        title=escape(title_of(notebook)),
        styles="\n".join([*styles, _read(HERE / "slides.css")]),
        slides="\n".join(f"<section>{stack}</section>" for stack in stacks),
        reveal=_read(reveal / "reveal.js"),
        script=_read(HERE / "slides.js"),
    )
    Path(path).write_text(page, encoding="utf-8")


def cut(notebook):
    """Cut a notebook into stacks of slides, which are HTML.

    A heading of the first or second level begins a stack; below it, each cell and each heading of
    the third level begins a slide. An exercise stands below its question, and text below the output
    that it explains; a question before code stays apart, so that the room can think first.
    """
    stacks, before = [[]], None
    for cell in notebook.cells:
        for piece in _pieces(cell):
            if piece.startswith(("<h1", "<h2")) and stacks[-1]:
                stacks.append([])
            if stacks[-1] and (_is_answer(cell) or _explains(piece, cell, before)):
                stacks[-1][-1] += piece
            else:
                stacks[-1].append(piece)
        before = cell
    return stacks


def _is_answer(cell):
    return bool(mark(cell, "exercise") or mark(cell, "check"))


def _explains(piece, cell, before):
    """Whether a piece of text goes on below what the cell before it has put out."""
    text_after_code = (before and before.cell_type, cell.cell_type) == ("code", "markdown")
    return text_after_code and bool(before.outputs) and not piece.startswith("<h")


def _pieces(cell):
    """The HTML of a cell, cut before each heading that does not follow a heading."""
    if cell.cell_type == "markdown":
        words = LINK.sub(r"\1", cell.source)
        pieces = re.split(r"(?<!</h[123]>\n)(?=<h[123]>)", render_markdown(words))
        return [piece for piece in pieces if piece.strip()]
    if cell.cell_type == "code":
        slide = _code(_to_show(cell)) + "".join(_output(output, cell) for output in cell.outputs)
        return [slide] if slide else []
    return []


def _to_show(cell):
    """What a room needs to see of a cell: neither its imports, nor notes for linters.

    A cell that begins with imports and puts nothing out makes the tools ready: it is no slide.
    """
    lines = NOTE.sub("", cell.source).splitlines()
    tree = ast.parse(cell.source)
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    if mark(cell, "guard") or (tree.body[:1] == imports[:1] != [] and not cell.outputs):
        return ""
    hidden = {n for node in imports for n in range(node.lineno, node.end_lineno + 1)}
    return "\n".join(line for n, line in enumerate(lines, start=1) if n not in hidden).strip("\n")


def _code(source):
    if not source.strip():
        return ""
    lexer = load("pygments.lexers").PythonLexer()
    return load("pygments").highlight(source, lexer, load("pygments.formatters").HtmlFormatter())


def _output(output, cell):
    """One output of a cell as HTML; what needs a kernel is not on the slide."""
    if output.output_type == "stream":
        return _text(output.text)
    if output.output_type == "error":
        return _text("\n".join(output.traceback))
    if WIDGET in output.data:
        return ""
    kind = next((kind for kind in SHOWN if kind in output.data), None)
    return f'<div class="output">{_shown(kind, output.data[kind], cell)}</div>' if kind else ""


def _shown(kind, content, cell):
    if kind == "text/plain":
        return _text(content)
    if kind == "text/markdown":
        return render_markdown(LINK.sub(r"\1", content))
    if kind == "text/html":
        return HTML_LINK.sub(r"\1", content)
    if kind in ("image/png", "image/jpeg"):
        return _image(kind, content, cell)
    return content


def _image(kind, content, cell):
    """A figure; what it shows, in words, stands where the site takes it from, too."""
    alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
    return f'<img alt="{escape(alt)}" src="data:{kind};base64,{"".join(content.split())}">'


def _text(text):
    return f'<pre class="output">{load("nbconvert.filters").ansi2html(text)}</pre>'


def _reveal_files():
    """The folder with reveal.js: inside sphinx-revealjs, which itself need not be imported."""
    package = importlib.util.find_spec("sphinx_revealjs")
    if package is None:
        raise missing("sphinx-revealjs")
    return Path(package.submodule_search_locations[0], "_static", "revealjs", "dist")


def _read(file):
    return file.read_text(encoding="utf-8")
