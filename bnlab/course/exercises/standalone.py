"""The source of somebody's function, with what it needs of its cell, as text that stands alone."""

import ast
import linecache
import sys
from types import FunctionType, ModuleType

from bnlab.course.exercises.statements import as_text, statements

__all__ = ["CannotBeKept", "standalone"]


class CannotBeKept(Exception):
    """Why a function is used and not kept, and what to do: a sentence, to be read after a colon."""


def standalone(function, name):
    """Statements that define a function under this name: its imports, its helpers, itself.

    Parameters
    ----------
    function : callable
    name : str

    Returns
    -------
    list of Statement

    Raises
    ------
    CannotBeKept
        If there is no source, or it needs what its cell does not define.
    """
    cell = _cell(function)
    own = _own(function, cell)
    chosen, imports, todo = [own], set(), set(own.uses)
    while todo:
        needed = todo.pop()
        # All of them: a name may be defined in steps, as by k = 2 and then k *= 3.
        found = [s for s in cell if needed in s.binds]
        todo.update(*(s.uses for s in found if s not in chosen))
        chosen += [s for s in found if s not in chosen]
        if not found:
            imports |= _import_of(needed, function)
    texts = [*sorted(imports), as_text(sorted(chosen, key=lambda s: s.line))]
    if name not in own.binds:
        texts.append(f"{name} = {min(own.binds)}")
    made = statements("\n".join(texts))
    _refuse_other_packages(made)
    return made


def _cell(function):
    """Statements of the cell (or the file) that defines the function."""
    if type(function) is not FunctionType:
        raise CannotBeKept(f"it is of type {type(function).__name__}; define it with def.")
    # IPython puts its own translation of a cell there: lines with % or ! are Python by now.
    source = "".join(linecache.getlines(function.__code__.co_filename))
    try:
        if source:
            return statements(source)
    except SyntaxError:
        pass
    raise CannotBeKept(
        "its source cannot be read; define it in a cell that does not begin with %%, without exec."
    )


def _own(function, cell):
    """The statement that makes the function."""
    for statement in cell:
        if _makes(statement, function.__code__):
            return statement
    raise CannotBeKept(
        "it is made inside something else (a function, a class, a decorator or a call); define it "
        "with def at the left edge of a cell."
    )


def _makes(statement, code):
    node, value = statement.node, getattr(statement.node, "value", None)
    if isinstance(node, ast.FunctionDef):
        return (node.name, statement.line) == (code.co_name, code.co_firstlineno)
    is_named = isinstance(value, ast.Lambda) and statement.binds
    return is_named and value.lineno == code.co_firstlineno


def _import_of(name, function):
    """An import of a module that another cell has imported; nothing else may come from there."""
    if name not in function.__globals__:
        return set()  # of Python itself, or of nobody: then the text does not pass alone
    value = function.__globals__[name]
    if isinstance(value, ModuleType):
        renamed = f" as {name}" if name != value.__name__ else ""
        return {f"import {value.__name__}{renamed}"}
    raise CannotBeKept(
        f"it uses {name}, which its cell does not define; put both in one cell, then check again."
    )


def _refuse_other_packages(made):
    for node in (node for s in made for node in ast.walk(s.node)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or "."]
        else:
            continue
        for package in (name.partition(".")[0] for name in names):
            if package != "numpy" and package not in sys.stdlib_module_names:
                raise CannotBeKept(f"it needs {package}; write it with NumPy alone.")
