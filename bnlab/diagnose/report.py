"""What `diagnose` gives back: findings, and a list of them that prints as a report."""

from dataclasses import dataclass
from html import escape

from bnlab.diagnose.problems import ADVICE

__all__ = ["Finding", "Report"]

AT_MOST = 8  # names in one line


@dataclass(frozen=True)
class Finding:
    """One problem, and the layers that have it.

    Parameters
    ----------
    problem : str
        A key of the table of advice, such as ``"redundant bias"``.
    layers : tuple of str
        All their names, as in ``model.named_modules()``; printed are at most eight.
    """

    problem: str
    layers: tuple[str, ...]

    @property
    def advice(self):
        """What it means and what to do."""
        return ADVICE[self.problem]

    def __str__(self):
        names = f" ({shortened(self.layers)})" if any(self.layers) else ""
        return f"{self.problem}{names}: {self.advice}"

    __repr__ = __str__


class Report(list):
    """The findings, the worst first; `looked_at` says in a sentence at what was looked.

    Examples
    --------
    >>> Report.of([("1", "eps of 0")], looked_at="1 batch norm layer")
    1 finding in 1 batch norm layer:
    - eps of 0 (1): a constant channel gives 0 / 0, and newer versions of torch refuse to train. Use
    the eps the model was trained with, or 1e-5.
    """

    def __init__(self, findings, looked_at):
        super().__init__(findings)
        self.looked_at = looked_at

    @classmethod
    def of(cls, pairs, looked_at):
        """Group pairs (name of a layer, problem) by problem, the worst first."""
        pairs = dict.fromkeys(pairs)  # each once
        layers = {problem: tuple(n for n, p in pairs if p == problem) for problem in ADVICE}
        return cls(
            [Finding(problem, names) for problem, names in layers.items() if names], looked_at
        )

    def __str__(self):
        return "\n".join([self._title(), *(f"- {finding}" for finding in self)])

    __repr__ = __str__

    def _repr_html_(self):
        rows = "".join(
            f"<li><b>{escape(f.problem)}</b> <code>{escape(shortened(f.layers))}</code><br>"
            f"{escape(f.advice)}</li>"
            for f in self
        )  # no colours of its own: those of the page are right in every theme
        text = f"<p>{escape(self._title())}</p><ol>{rows}</ol>"
        return f'<div style="overflow-wrap: anywhere">{text}</div>'

    def _title(self):
        count = f"{len(self)} finding{'s' * (len(self) > 1)}" if self else "Nothing found"
        return f"{count} in {self.looked_at}{':' if self else ''}"


def shortened(names):
    """At most eight names, and how many there are beyond them."""
    more = len(names) - AT_MOST
    return ", ".join(names[:AT_MOST]) + (f" and {more} more" if more > 0 else "")
