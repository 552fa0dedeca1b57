"""Runs inside WebAssembly: the cells of one notebook, as a kernel would, for test_wasm.py.

There is no IPython there, so this does what the course needs of it: a cell's last expression is
shown, its figures are closed and named, and what it prints is kept. Prints one line of JSON.
"""

import ast
import contextlib
import io
import json
import linecache
import os
import sys
import traceback

import matplotlib.pyplot as plt

RICH = {"text/html": "_repr_html_", "text/markdown": "_repr_markdown_"}


def shown(value):
    """MIME type -> text, of a value as a notebook shows it."""
    texts = {mime: getattr(value, name)() for mime, name in RICH.items() if hasattr(value, name)}
    return {"text/plain": repr(value), **texts}


def compiled(source, name):
    """The statements of a cell, and its last expression if it ends in one that is shown."""
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    body, last = ast.parse(source, name), None
    if body.body and isinstance(body.body[-1], ast.Expr):
        last = compile(ast.Expression(body.body.pop().value), name, "eval")
    return compile(body, name, "exec"), last


def figures():
    """The figures that a cell has left open, as a kernel names them."""
    named = [repr(plt.figure(number)) for number in plt.get_fignums()]
    plt.close("all")
    return [{"text/plain": f"<{name}>".replace("<<", "<").replace(">>", ">")} for name in named]


def run(source, name, space):
    """What one cell prints and shows, and the traceback if it ends in one."""
    printed, results, error = io.StringIO(), [], None
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            statements, last = compiled(source, name)
            exec(statements, space)
            value = None if last is None else eval(last, space)
            results = [] if value is None else [shown(value)]
        except Exception:  # as in a kernel, the next cell still runs
            error = traceback.format_exc()
        results += figures()
    return {"printed": printed.getvalue(), "shown": results, "error": error}


def furnish():
    """Give the notebooks what they expect of the place where they run."""
    os.getuid = lambda: 0  # WASI has no users; platformdirs asks for one
    plt.switch_backend("Agg")
    plt.show = lambda: None  # figures are shown when their cell ends


def main(path):
    furnish()
    with open(path, encoding="utf-8") as file:
        cells = [c for c in json.load(file)["cells"] if c["cell_type"] == "code"]
    space = {"__name__": "__main__"}
    sources = ["".join(cell["source"]) for cell in cells]
    print(json.dumps([run(s, f"<cell {n}>", space) for n, s in enumerate(sources)]))


if __name__ == "__main__":
    main(sys.argv[1])
