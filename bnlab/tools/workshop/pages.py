"""What the printed pages have in common: tables, escaped text, one file with everything in it."""

import html

__all__ = ["page", "scrolling", "table"]

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font-family: system-ui, "Segoe UI", "DejaVu Sans", sans-serif; color: #1f2328; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ border-bottom: 1px solid #c9d1d9; padding: .25em .5em; }}
th, td {{ text-align: left; vertical-align: top; }}
th {{ border-bottom: 2px solid #57606a; }}
.scrolls {{ overflow-x: auto; }}
@media print {{ .scrolls {{ overflow: visible; }} }}
{style}
</style>
</head>
<body>
<h1>{title}</h1>
{body}
</body>
</html>
"""


def page(title, body, style):
    """One self-contained page from a title in plain text, HTML, and CSS of its own."""
    return PAGE.format(title=html.escape(title), body=body, style=style)


def scrolling(name, content):
    """HTML in a box that scrolls where the window is narrow; a keyboard can reach it by its name.

    >>> scrolling("Sizes", "2")
    '<div class="scrolls" role="region" aria-label="Sizes" tabindex="0">2</div>'
    """
    label = html.escape(name)
    return f'<div class="scrolls" role="region" aria-label="{label}" tabindex="0">{content}</div>'


def table(columns, rows):
    """HTML table of plain texts, which are escaped here.

    >>> table(["m"], [[2], ["< 2"]])
    '<table><thead><tr><th>m</th></tr></thead><tr><td>2</td></tr><tr><td>&lt; 2</td></tr></table>'
    """
    head = "".join(f"<th>{html.escape(column)}</th>" for column in columns)
    return f"<table><thead><tr>{head}</tr></thead>{''.join(map(_row, rows))}</table>"


def _row(cells):
    return f"<tr>{''.join(f'<td>{html.escape(str(cell))}</td>' for cell in cells)}</tr>"
