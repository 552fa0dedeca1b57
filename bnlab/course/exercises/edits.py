"""A mistake as a small edit of the reference: another expression for one of its names."""

import ast
import functools
import inspect
import textwrap

import numpy as np

__all__ = ["edited", "edited_twice", "source_of"]


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
    return _compiled(_tree(function, changes), function)


def edited_twice(function, first, second):
    """The function with both edits, or None if the first leaves the second nothing to change.

    Where both change the same expression, the second one does there what it does to the reference:
    the smallest part that it replaces is replaced wherever it still stands.

    >>> def scaled(x, eps):
    ...     return x / np.sqrt(x.var() + eps)
    >>> both = edited_twice(scaled, {"return": "-x / np.sqrt(x.var() + eps)"},
    ...                     {"return": "x / np.sqrt(x.var())"})
    >>> both(np.array([-1.0, 1.0]), 3.0)
    array([ 1., -1.])
    """
    tree, reference = _tree(function, tuple(first.items())), _tree(function, ())
    for name, expression in second.items():
        place, new = _place(tree, name, function), ast.parse(expression, mode="eval").body
        if name in first:
            swap = _Swap(*_difference(_place(reference, name, function).value, new))
            place.value = swap.visit(place.value)
            if not swap.done:
                return None
        else:
            place.value = new
    return _compiled(tree, function)


def source_of(function, changes):
    """Source of the function with an edit, as somebody with this mistake would write it."""
    return ast.unparse(_tree(function, tuple(changes.items())))


def _tree(function, changes):
    tree = ast.parse(_source(function))
    for name, expression in changes:
        _place(tree, name, function).value = ast.parse(expression, mode="eval").body
    return tree


@functools.cache
def _source(function):
    return textwrap.dedent(inspect.getsource(function))


def _compiled(tree, function):
    code = compile(ast.fix_missing_locations(tree), f"<mistake in {function.__name__}>", "exec")
    exec(code, {"np": np, **function.__globals__}, made := {})
    return made[function.__name__]


def _place(tree, name, function):
    """The one statement that assigns to this name."""
    places = [node for node in _statements(tree) if _assigned(node) == name]
    if len(places) != 1:
        raise ValueError(
            f"an edit changes a name that {function.__name__} assigns once, or its return; "
            f"{name!r} stands there {len(places)} times"
        )
    return places[0]


def _statements(node):
    """All statements below a node; expressions hold none."""
    for statement in getattr(node, "body", []) + getattr(node, "orelse", []):
        yield statement
        yield from _statements(statement)


def _assigned(node):
    """The name to which a statement assigns, "return" for a return."""
    if isinstance(node, ast.Return):
        return "return"
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id
    return None


def _difference(old, new):
    """The smallest pair of expressions in which two expressions differ."""
    pairs = list(zip(ast.iter_child_nodes(old), ast.iter_child_nodes(new), strict=False))
    apart = [pair for pair in pairs if ast.dump(pair[0]) != ast.dump(pair[1])]
    if len(apart) == 1 and _alike_but_for(old, new, len(pairs)):
        smaller = _difference(*apart[0])
        if isinstance(smaller[0], ast.expr) and isinstance(smaller[1], ast.expr):
            return smaller
    return old, new


def _alike_but_for(old, new, children):
    """Whether two nodes are of one kind, with as many children, and have all words in common."""
    words = [
        {f: v for f, v in ast.iter_fields(node) if not isinstance(v, ast.AST | list)}
        for node in (old, new)
    ]
    counts = {len(list(ast.iter_child_nodes(node))) for node in (old, new)}
    return type(old) is type(new) and words[0] == words[1] and counts == {children}


class _Swap(ast.NodeTransformer):
    """Replace each occurrence of one expression by another."""

    def __init__(self, old, new):
        self.old, self.new, self.done = ast.dump(old), new, False

    def visit(self, node):
        if ast.dump(node) != self.old:
            return self.generic_visit(node)
        self.done = True
        return self.new
