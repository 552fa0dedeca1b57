"""What each statement of a source defines, and what it takes from elsewhere."""

import ast
import symtable
import warnings
from dataclasses import dataclass

__all__ = ["Statement", "as_text", "statements", "users"]


@dataclass(frozen=True, eq=False)
class Statement:
    """A statement at the left edge of a cell or a file.

    Parameters
    ----------
    node : ast.stmt
    text : str
        With its comments and decorators.
    line : int
        Where it begins.
    binds, uses : frozenset of str
        Names that it defines, and names that it takes from elsewhere.
    """

    node: ast.stmt
    text: str
    line: int
    binds: frozenset
    uses: frozenset

    @property
    def meaning(self):
        """Equal for two statements that differ in comments and spaces only."""
        return ast.dump(self.node)

    @property
    def is_import(self):
        """Whether it is an import and nothing else."""
        return isinstance(self.node, ast.Import | ast.ImportFrom)


def statements(source):
    """The statements at the left edge of a source, or a SyntaxError.

    >>> [(sorted(s.binds), sorted(s.uses)) for s in statements("def f(x): return k * x")]
    [(['f'], ['k'])]
    """
    lines = source.split("\n")
    try:
        with warnings.catch_warnings(action="ignore"):  # its author has seen them already
            return [_statement(node, lines) for node in ast.parse(source).body]
    except (ValueError, MemoryError, RecursionError) as error:  # a null byte, a thousand brackets
        raise SyntaxError(f"{type(error).__name__}: {error}") from None


def users(names, among):
    """The names with those of all statements that use them, directly or through others."""
    found = set(names)
    while more := {name for s in among if s.uses & found for name in s.binds} - found:
        found |= more
    return found


def as_text(some):
    """Statements of one source as text, with two empty lines above what is longer than a line."""
    texts = {s.line: s.text for s in some}.values()  # once, where two share a line
    return "\n".join("\n\n" * ("\n" in text) + text for text in texts).lstrip("\n")


def _statement(node, lines):
    first = min(n.lineno for n in (node, *getattr(node, "decorator_list", ())))
    text = "\n".join(lines[first - 1 : node.end_lineno]).rstrip()
    table = symtable.symtable(text, "cell", "exec")
    top = table.get_symbols()
    inner = [s for scope in _below(table) for s in scope.get_symbols() if s.is_global()]
    binds = frozenset(s.get_name() for s in top if s.is_assigned() or s.is_imported())
    uses = frozenset(s.get_name() for s in [*top, *inner] if s.is_referenced())
    return Statement(node, text, first, binds, uses - binds)


def _below(table):
    for child in table.get_children():
        yield child
        yield from _below(child)
