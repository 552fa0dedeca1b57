"""How a notebook speaks to the claims: ``claim("W1").card()`` and ``record("02")``."""

from dataclasses import dataclass

from bnlab.course.experiments.at_scale import FULL, NO_RUN, Table, plans, stored_at_scale
from bnlab.course.experiments.evidence import Definition
from bnlab.course.experiments.ledger import LETTERS, ledger
from bnlab.course.experiments.results import evidence_of, is_stored, stored
from bnlab.course.experiments.selection import find
from bnlab.data import course_files

__all__ = ["AtBothScales", "Record", "Told", "as_markdown", "at_both_scales", "claim", "group",
           "record"]  # fmt: skip


@dataclass(frozen=True)
class Told:
    """A claim as a notebook tells it; made by `claim`.

    Parameters
    ----------
    entry : Experiment or Definition
    """

    entry: object

    @property
    def arrays(self):
        """What the kept run found, a dict of arrays; of an identity without one, computed now."""
        if self.entry.claim.kind == "identity" and not is_stored(self.entry):
            return self.entry.run(self.entry.config)
        return stored(self.entry.claim.id)[0]

    def card(self):
        """What is said, what was measured and the verdict, from the kept run.

        Returns
        -------
        Evidence
            Of an identity, computed now; of a definition, its source.

        Raises
        ------
        FileNotFoundError
            If no run is kept; `run` makes one here.
        """
        evidence, _ = evidence_of(self.entry)
        if evidence is None:
            stored(self.entry.claim.id)  # says what is missing and how to get it
        return evidence

    def at_scale(self):
        """What is measured on CIFAR-10 with convolutions, from the runs that are kept.

        Returns
        -------
        Evidence

        Raises
        ------
        ValueError
            If the claim has no plan for CIFAR-10.
        """
        return self._plan().evidence(stored_at_scale()[0])

    def draw_at_scale(self):
        """The figure of both scales, digits beside CIFAR-10, from the runs that are kept.

        Returns
        -------
        ndarray of matplotlib.axes.Axes

        Raises
        ------
        ValueError
            If the claim has no such figure.
        """
        plan = self._plan()
        if plan.draw is None:
            drawn = ", ".join(name for name, other in plans().items() if other.draw)
            raise ValueError(f"{plan.claim} has no figure of both scales; there is one of {drawn}")
        return plan.draw(self.arrays, Table(stored_at_scale()[0], FULL))

    def _plan(self):
        name = self.entry.claim.id
        if name not in plans():
            known = ", ".join(plans())
            raise ValueError(f"{name} has no plan for CIFAR-10; there is one for {known}")
        return plans()[name]

    def run(self, **smaller):
        """Run it here and now, and judge.

        Parameters
        ----------
        **smaller
            Fields of the experiment's config to replace, such as ``seeds=(0, 1)``.

        Returns
        -------
        Evidence
        """
        return self.entry.evidence(**smaller)

    def draw(self):
        """The experiment's figure, from the kept run.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ValueError
            Of a definition, which has nothing to draw.
        """
        if isinstance(self.entry, Definition):
            name = self.entry.claim.id
            raise ValueError(f"draw needs an experiment; {name} is decided by its source alone")
        return self.entry.draw(self.arrays)

    def side_by_side(self, **smaller):
        """What the kept run found, and which verdict a smaller run gives here and now."""
        kept, here = self.card(), self.run(**smaller)
        return f"{kept}\n    here, smaller: {here.verdict} ({here.setting})"


def claim(name):
    """A claim of the ledger, to be shown in a notebook.

    Parameters
    ----------
    name : str
        Its id, such as ``"W1"``, or "figure1".

    Returns
    -------
    Told
        With ``.card()``, ``.run(**smaller)``, ``.draw()`` and ``.arrays``; at scale with
        ``.at_scale()`` and ``.draw_at_scale()``.

    Raises
    ------
    ValueError
        If there is no such claim.

    Examples
    --------
    >>> claim("A1").card().verdict
    'RIGHT'
    >>> claim("W1").arrays["relu_bn"].shape  # seeds, rates, (validation, test)
    (3, 9, 2)
    """
    return Told(find(name))


@dataclass(frozen=True)
class Record:
    """The claims of a notebook with their verdicts; made by `record`."""

    found: dict

    def __str__(self):
        return "\n".join(
            f"{name:4} {evidence.verdict:14} {evidence.claim.said}"
            for name, evidence in self.found.items()
        )

    __repr__ = __str__

    def _repr_markdown_(self):
        rows = [
            (name, evidence.claim.said, evidence.verdict, evidence.claim.correct)
            for name, evidence in self.found.items()
        ]
        return _table(("id", "you may have read", "verdict", "what is true"), rows)


def record(notebook):
    """The claims that a notebook teaches, each with its verdict: the table that ends it.

    Parameters
    ----------
    notebook : str
        Two digits, such as ``"02"``.

    Returns
    -------
    Record
        Prints as lines in a terminal and as a table in a notebook.

    Raises
    ------
    ValueError
        If no claim is taught there.

    Examples
    --------
    >>> print(str(record("10"))[:60])
    N1   RIGHT          Batch norm fails when the batch is very
    """
    entries = [e for e in ledger().values() if e.claim.notebook == notebook]
    if not entries:
        known = sorted({e.claim.notebook for e in ledger().values()})
        raise ValueError(
            f"record needs a notebook that teaches claims, got {notebook!r}; choose one of "
            f"{', '.join(known)}"
        )
    return Record({entry.claim.id: claim(entry.claim.id).card() for entry in entries})


@dataclass(frozen=True)
class AtBothScales:
    """The claims that have a plan for CIFAR-10, with both verdicts; made by `at_both_scales`.

    Parameters
    ----------
    rows : list of tuple
        Id, what is said, verdict on the digits, verdict on CIFAR-10, what was measured there.
    """

    rows: list

    def __str__(self):
        lines = [("", "on the digits", "on CIFAR-10", "claim")]
        lines += [(name, digits, cifar, said) for name, said, digits, cifar, _ in self.rows]
        return "\n".join(f"{a:4} {b:14} {c:12} {d}" for a, b, c, d in lines)

    __repr__ = __str__

    def _repr_markdown_(self):
        head = ("id", "you may have read", "on the digits", "on CIFAR-10", "measured on CIFAR-10")
        return _table(head, self.rows)


def at_both_scales():
    """Claims on the digits and on CIFAR-10 with convolutions, from the runs that are kept.

    Returns
    -------
    AtBothScales
        Prints as lines in a terminal and as a table in a notebook.

    Examples
    --------
    >>> [row[:1] + row[2:4] for row in at_both_scales().rows][:2]
    [('W1', 'RIGHT', 'RIGHT'), ('W11', 'CANNOT TELL', 'CANNOT TELL')]
    """
    kept, rows = stored_at_scale()[0], []
    for name, plan in plans().items():
        digits, short = claim(name).card(), plan.in_short(kept)
        measured = "" if short == NO_RUN else "; ".join(map(str, plan.evidence(kept).parts))
        rows.append((name, digits.claim.said, digits.verdict, short, measured))
    return AtBothScales(rows)


class Group(dict):
    """Id -> (Evidence, how it was found), of the claims with one letter; made by `group`."""

    def __repr__(self):
        return str(Record({name: evidence for name, (evidence, _) in self.items()}))

    def _repr_markdown_(self):
        return as_markdown(self)


def group(letter):
    """The claims of the ledger whose ids have this letter: a table, digits beside CIFAR-10.

    >>> print(str(group("N"))[:60])
    N1   RIGHT          Batch norm fails when the batch is very
    """
    if letter not in set(LETTERS):
        raise ValueError(f"group needs a letter of an id, one of {LETTERS}, got {letter!r}")
    return Group({name: evidence_of(e) for name, e in ledger().items() if name[0] == letter})


def as_markdown(found):
    """Table of claims in Markdown, one line a claim, with links to the notebooks."""
    kept = stored_at_scale()[0]
    at_scale = {name: plan.in_short(kept) for name, plan in plans().items()}
    links = {path.stem[:2]: path.name for path in (course_files() / "notebooks").glob("*.ipynb")}
    rows = []
    for name, (evidence, how) in found.items():
        claim, number = evidence.claim, evidence.claim.notebook
        taught = f"[{number}]({links[number]})" if number in links else number
        measured = claim.source if how == "source" else f"{evidence.measured} ({how})"
        verdicts = evidence.verdict, at_scale.get(name, "")
        rows.append((name, claim.said, taught, measured, *verdicts))
    return _table(("id", "claim", "taught in", "measured", "verdict", "on CIFAR-10"), rows)


def _table(head, rows):
    """A table in Markdown."""
    escaped = [[cell.replace("|", r"\|") for cell in row] for row in rows]
    lines = [f"| {' | '.join(line)} |" for line in (head, *escaped)]
    lines.insert(1, "|" + "---|" * len(head))
    return "\n".join(lines)
