"""A mistake as a small edit of the reference: another expression for one of its names."""

import ast
import functools
import inspect
import textwrap

import numpy as np

__all__ = ["edited"]


def edited(function, changes):
    """The function with other expressions assigned to some of its names, or returned.

    `changes` maps a name that the function assigns once, or "return", to the new expression, which
    may use what the old one could, and NumPy as ``np``. It is compiled at the first call.

    >>> def centred(x):
    ...     mean = x.mean(axis=0)
    ...     return x - mean
    >>> edited(centred, {"mean": "x.mean()"})(np.array([[1.0, 2.0], [3.0, 6.0]]))
    array([[-2., -1.],
           [ 0.,  3.]])
    """

    @functools.wraps(function)
    def mistake(*arguments):
        return _build(function, tuple(changes.items()))(*arguments)

    return mistake


@functools.cache
def _build(function, changes):
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    for name, expression in changes:
        places = [node for node in ast.walk(tree) if _assigned(node) == name]
        if len(places) != 1:
            raise ValueError(
                f"an edit changes a name that {function.__name__} assigns once, or its return; "
                f"{name!r} stands there {len(places)} times"
            )
        places[0].value = ast.parse(expression, mode="eval").body
    code = compile(ast.fix_missing_locations(tree), f"<mistake in {function.__name__}>", "exec")
    exec(code, {"np": np, **function.__globals__}, made := {})
    return made[function.__name__]


def _assigned(node):
    """The name to which a statement assigns, "return" for a return."""
    if isinstance(node, ast.Return):
        return "return"
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id
    return None
