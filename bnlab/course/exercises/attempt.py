"""Has the learner written anything yet? Read from the source, not from the result."""

import ast

from bnlab.course.exercises.reading import tree_of

__all__ = ["is_untouched"]


def is_untouched(function):
    """Whether the body is nothing but a docstring, ``...``, ``pass`` or NotImplementedError.

    A body that returns None is *not* untouched: somebody forgot a ``return``.

    >>> def stub(x):
    ...     "To be written."
    ...     ...
    >>> is_untouched(stub), is_untouched(len)
    (True, False)
    """
    body = _body(function)
    return body is not None and all(_is_placeholder(statement) for statement in body)


def _body(function):
    tree = tree_of(function)
    first = tree.body[0] if tree and tree.body else None
    return first.body if isinstance(first, ast.FunctionDef) else None


def _is_placeholder(statement):
    if isinstance(statement, ast.Pass):
        return True
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return statement.value.value is ... or isinstance(statement.value.value, str)
    return isinstance(statement, ast.Raise) and "NotImplementedError" in ast.dump(statement)
