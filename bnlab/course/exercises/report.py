"""What `check` says, in a notebook and in a terminal."""

import html
from dataclasses import dataclass

__all__ = ["CheckFailed", "Report"]

_COLOURS = {
    "correct": "#1a7f37",
    "incorrect": "#b35900",
    "error": "#a40e26",
    "not attempted": "#57606a",
}
_SIGNS = {"correct": "✓", "incorrect": "✗", "error": "!", "not attempted": "…"}


class CheckFailed(AssertionError):
    """Raised by `check` under a grader when the answer is not correct."""


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
        colour = _COLOURS[self.outcome]
        return (
            f'<div style="border-left: 4px solid {colour}; padding: 0.3em 0.8em">'
            f'<b style="color: {colour}">{_SIGNS[self.outcome]} {html.escape(self.name)}: '
            f"{self.outcome}.</b> {html.escape(self.message)}</div>"
        )
