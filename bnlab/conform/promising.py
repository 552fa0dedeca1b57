"""The list of promises: a function for each, in the order in which they are written."""

import dataclasses
from collections.abc import Callable

from bnlab.conform.adapter import DoesNotApply
from bnlab.conform.report import BROKEN, DOES_NOT_APPLY, Row
from bnlab.conform.subject import told

__all__ = ["GRADIENTS", "OUTPUTS", "PROMISES", "Promise", "look_at_all", "promise"]

PROMISES = []

# Rows that others come after.
OUTPUTS = ("output, 2-D", "output, 3-D", "output, 4-D")
GRADIENTS = ("dx", "dgamma", "dbeta")


@dataclasses.dataclass(frozen=True)
class Promise:
    """A row to be.

    Parameters
    ----------
    name : str
    part : str
        What it is about; an adapter can say that this part is missing.
    after : tuple of str
        Names of earlier promises. While one of them is broken, this one says nothing new.
    look : callable
        Takes a `Subject`, returns a `Row`.
    """

    name: str
    part: str
    after: tuple
    look: Callable

    def row(self, subject, broken=()):
        """Look; an error of the layer breaks the promise. `broken` are names of earlier rows."""
        in_the_way = next((name for name in self.after if name in broken), None)
        if self.part in subject.missing:
            row = Row("", DOES_NOT_APPLY, subject.missing[self.part])
        elif in_the_way:
            row = Row("", DOES_NOT_APPLY, f'It cannot be told while "{in_the_way}" is broken.')
        else:
            try:
                row = self.look(subject)
            except DoesNotApply as why:
                row = Row("", DOES_NOT_APPLY, str(why))
            except Exception as error:
                row = Row("", BROKEN, f"It raises {told(error)}")
        return dataclasses.replace(row, name=self.name, part=self.part)


def promise(name, part="", after=()):
    """Put the decorated function into the list."""

    def register(look):
        PROMISES.append(Promise(name, part, after, look))
        return look

    return register


def look_at_all(subject):
    """All rows, in order."""
    rows = []
    for each in PROMISES:
        broken = [row.name for row in rows if row.verdict == BROKEN]
        rows.append(each.row(subject, broken))
    return tuple(rows)
