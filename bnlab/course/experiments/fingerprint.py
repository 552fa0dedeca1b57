"""Which source code a result depends on: the experiment's own file and what it imports of bnlab."""

import ast
import functools
import hashlib
import importlib.util
import sys
from pathlib import Path

__all__ = ["fingerprint", "fingerprint_of"]

# The engine is how results are kept and shown; what is in these is what makes them.
ENGINE = "bnlab.course.experiments."
COUNTS = (f"{ENGINE}bench", f"{ENGINE}scale")


def fingerprint(experiment):
    """Twelve hexadecimal digits that change with the code that makes the experiment's arrays.

    That is the file of its run, and what this file imports of bnlab, down to the core. Other
    lessons, the engine and the tools may change without making a kept result worthless.
    """
    return fingerprint_of(experiment.one_seed or experiment.run)


def fingerprint_of(function):
    """The same for a function, its file and what it imports."""
    module = function.__module__
    sources = {path: path.read_bytes() for path in _files(sys.modules[module].__file__)}
    return hashlib.sha256(b"".join(sources[path] for path in sorted(sources))).hexdigest()[:12]


@functools.cache
def _files(first):
    """The file and all that it imports of bnlab, directly or not."""
    found, todo = set(), [Path(first)]
    while todo:
        path = todo.pop()
        if path not in found:
            found.add(path)
            todo.extend(_imported(path))
    return found


@functools.cache
def _imported(path):
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return [path for name in names if _counts(name) and (path := _source(name))]


def _counts(name):
    engine = name.startswith(ENGINE) and not name.startswith(COUNTS)
    return name.partition(".")[0] == "bnlab" and not engine


def _source(name):
    """The file of a module, None for what is no module."""
    try:
        spec = importlib.util.find_spec(name)
    except ModuleNotFoundError:  # a name in a module, taken for a module in a package
        return None
    return Path(spec.origin) if spec and spec.origin else None
