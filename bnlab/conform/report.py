"""What `conform` says: rows, in a terminal, in a notebook, as Markdown and as JSON."""

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from math import isfinite

from bnlab import __version__
from bnlab.course.cards import BREAK, marked

__all__ = ["BROKEN", "CONVENTION", "DOES_NOT_APPLY", "KEPT", "Report", "Row"]

KEPT, CONVENTION, BROKEN, DOES_NOT_APPLY = "kept", "convention", "broken", "does not apply"
SIGNS = {KEPT: "✓", CONVENTION: "≈", BROKEN: "✗", DOES_NOT_APPLY: "–"}
STYLES = {KEPT: "green", CONVENTION: "cyan", BROKEN: "bold red", DOES_NOT_APPLY: "dim"}
# White on these has a contrast of 5 and more, on light paper and on dark.
FILLS = {KEPT: "#1a7f37", CONVENTION: "#0969da", BROKEN: "#a40e26", DOES_NOT_APPLY: "#57606a"}


@dataclass(frozen=True)
class Row:
    """One promise and whether it is kept.

    Parameters
    ----------
    name : str
        Such as ``"running variance"``.
    verdict : {"kept", "convention", "broken", "does not apply"}
    sentence : str
    difference : float or None
        The largest one between what came out and what should, as far as the row compares numbers.
    smallest : str
        The smallest input that shows what is broken.
    mistake : str or None
        Name of the mistake of the course that does the same.
    value : object
        What was measured, in the row of a convention.
    part : str
        Heading under which it stands.
    """

    name: str
    verdict: str
    sentence: str
    difference: float | None = None
    smallest: str = ""
    mistake: str | None = None
    value: object = None
    part: str = ""

    @property
    def text(self):
        """The sentence, and for a broken promise how far off and where it shows."""
        words = [self.sentence]
        if self.verdict == BROKEN and self.difference is not None and isfinite(self.difference):
            words.append(f"Largest difference: {self.difference:.2g}.")
        if self.smallest:
            words.append(f"It shows with {self.smallest}.")
        return " ".join(words)

    def __str__(self):
        return f"{SIGNS[self.verdict]} {self.name}: {self.verdict}. {self.text}"

    __repr__ = __str__


@dataclass(frozen=True, repr=False)
class Report:
    """The promises of one batch norm.

    Parameters
    ----------
    target : str
        What was looked at.
    rows : tuple of Row
    parts : dict
        For functions: name -> "yours", "the course's" or "missing".
    """

    target: str
    rows: tuple[Row, ...]
    parts: dict = field(default_factory=dict)

    @property
    def ok(self):
        """Whether no promise is broken."""
        return not self.count[BROKEN]

    @property
    def count(self):
        """Verdict -> number of rows."""
        return Counter(row.verdict for row in self.rows)

    @property
    def conventions(self):
        """What was measured of the conventions, name -> value."""
        return {row.name: row.value for row in self.rows if row.value is not None}

    @property
    def summary(self):
        """The verdicts counted, in one line."""
        count = self.count
        choices = f"{count[CONVENTION]} convention{'s' * (count[CONVENTION] != 1)}"
        return f"{count[KEPT]} kept, {choices}, {count[BROKEN]} broken"

    @property
    def badge(self):
        """One line of Markdown, for the README of a project."""
        sign = SIGNS[KEPT if self.ok else BROKEN]
        return (
            f"**batch norm {sign}** `{self.target}`: {self.summary} (bnlab conform {__version__})"
        )

    def __getitem__(self, name):
        """Return the row of this name."""
        found = {row.name: row for row in self.rows}
        if name not in found:
            raise KeyError(f"the report has no row {name!r}; its rows are {', '.join(found)}")
        return found[name]

    def to_json(self):
        """All of it as JSON; a difference that is not finite is null."""
        told = {
            "target": self.target,
            "ok": self.ok,
            "bnlab": __version__,
            "rows": [_as_dict(row) for row in self.rows],
            "conventions": self.conventions,
            "parts": self.parts,
        }
        return json.dumps(told, indent=1, default=str)

    def whose(self):
        """For functions: one line each on whose they are; otherwise nothing."""
        kinds = ("yours", "the course's", "missing")
        lists = {kind: [n for n, k in self.parts.items() if k == kind] for kind in kinds}
        return [f"{kind}: {', '.join(names)}" for kind, names in lists.items() if names]

    def lines(self):
        """The rows for a table: those that do not apply at the end, one line for each reason."""
        reasons = {}
        for row in self.rows:
            if row.verdict == DOES_NOT_APPLY:
                reasons.setdefault(row.text, []).append(row.name)
        return [row for row in self.rows if row.verdict != DOES_NOT_APPLY] + [
            Row("\n".join(names), DOES_NOT_APPLY, text) for text, names in reasons.items()
        ]

    def __repr__(self):
        rows = "\n".join(str(row) for row in self.rows)
        return "\n".join([f"{self.target}: {self.summary}", *self.whose(), rows])

    def __rich__(self):
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 2))
        for row in self.lines():
            verdict = Text(f"{SIGNS[row.verdict]} {row.verdict}", STYLES[row.verdict])
            quiet = STYLES[DOES_NOT_APPLY] if row.verdict == DOES_NOT_APPLY else ""
            table.add_row(verdict, Text(row.name), Text(row.text, quiet))
        return table

    def _repr_html_(self):
        rows = "".join(
            f'<tr><td style="{_CELL}">{_label(row.verdict)}</td>'
            f'<td style="{_CELL}">{marked(row.name).replace(chr(10), "<br>")}</td>'
            f'<td style="{_CELL}; {BREAK}">{marked(row.text)}</td></tr>'
            for row in self.lines()
        )
        head = "<br>".join(map(marked, [f"{self.target}: {self.summary}", *self.whose()]))
        return f"<table><caption style='text-align: left; {BREAK}'>{head}</caption>{rows}</table>"


def _as_dict(row):
    found = asdict(row)
    if found["difference"] is not None and not isfinite(found["difference"]):
        found["difference"] = None
    return found


_CELL = "text-align: left; vertical-align: top"


def _label(verdict):
    style = f"background: {FILLS[verdict]}; color: #ffffff; padding: 0.1em 0.4em"
    return f'<span style="{style}; white-space: nowrap">{SIGNS[verdict]} {verdict}</span>'
