"""What stands in a learner's source, so that a message names no cause that is not there."""

import ast
import inspect
import textwrap

__all__ = ["reduces_along", "reduces_everything", "returns_in_a_loop", "tree_of"]

REDUCTIONS = {"mean", "sum", "var", "std", "max", "min", "median", "percentile", "quantile"}


def tree_of(function):
    """The syntax tree of a function's source, or None where there is none to read."""
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError, ValueError):  # built-ins, lambdas inside a call
        return None


def returns_in_a_loop(function):
    """Whether a loop holds a `return`, which ends it.

    >>> def first(x):
    ...     for row in x:
    ...         return row
    >>> returns_in_a_loop(first), returns_in_a_loop(len)
    (True, False)
    """
    loops = [node for node in _nodes(function) if isinstance(node, ast.For | ast.While)]
    return any(isinstance(node, ast.Return) for loop in loops for node in ast.walk(loop))


def reduces_everything(function):
    """The name of a reduction that is called without an axis, or None.

    >>> def mean_of_all(x):
    ...     return x.mean()
    >>> reduces_everything(mean_of_all)
    'mean'
    """
    return next((name for name, axis in _reductions(function) if not axis), None)


def reduces_along(function):
    """The name of a reduction that is called with an axis, or None."""
    return next((name for name, axis in _reductions(function) if axis), None)


def _reductions(function):
    """Pairs of a reduction's name and whether it is given an axis, by name or by position."""
    for node in _nodes(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            name, of_numpy = node.func.attr, ast.unparse(node.func.value) in ("np", "numpy")
            own = of_numpy * (2 if name in ("percentile", "quantile") else 1)
            axis = len(node.args) > own or any(k.arg == "axis" for k in node.keywords)
            if name in REDUCTIONS:
                yield name, axis


def _nodes(function):
    tree = tree_of(function)
    return ast.walk(tree) if tree else ()
