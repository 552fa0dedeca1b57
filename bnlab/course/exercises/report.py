"""What `check` says, in a notebook and in a terminal."""

import textwrap
from dataclasses import dataclass

from bnlab.course.cards import GREEN, GREY, ORANGE, RED, card, marked

__all__ = ["CheckFailed", "Report", "a_kind_of"]

WIDTH = 88  # of a line of feedback, which a grader's page does not wrap
_COLOURS = {"correct": GREEN, "incorrect": ORANGE, "error": RED, "not attempted": GREY}
_SIGNS = {"correct": "✓", "incorrect": "✗", "error": "!", "not attempted": "…"}


class CheckFailed(AssertionError):
    """Raised by `check` under a grader when the answer is not correct.

    A notebook shows its sentence and no traceback: to whom it is shown, our code says nothing.
    """

    def _render_traceback_(self):  # IPython asks for it
        return textwrap.wrap(str(self), WIDTH)


@dataclass(frozen=True)
class Report:
    """The result of one `check`.

    Parameters
    ----------
    name : str
        The exercise.
    outcome : {"correct", "incorrect", "error", "not attempted"}
    message : str
        One or a few sentences that help.
    mistakes : tuple of str
        Names of the mistakes that were recognised; `mistake` is the first, or None.
    """

    name: str
    outcome: str
    message: str
    mistakes: tuple[str, ...] = ()

    @property
    def mistake(self):
        """Name of the first mistake that was recognised, or None."""
        return next(iter(self.mistakes), None)

    def __str__(self):
        return f"{_SIGNS[self.outcome]} {self.name}: {self.outcome}. {self.message}"

    __repr__ = __str__

    def _repr_html_(self):
        head = f"<b>{_SIGNS[self.outcome]} {marked(self.name)}: {self.outcome}.</b>"
        return card(_COLOURS[self.outcome], f"{head} {marked(self.message)}")


def a_kind_of(value):
    """The type of a value with its article.

    >>> a_kind_of([]), a_kind_of(3)
    ('a list', 'an int')
    """
    name = type(value).__name__
    return f"a{'n' * (name[0].lower() in 'aeio')} {name}"
