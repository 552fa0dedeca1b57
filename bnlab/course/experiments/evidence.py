"""A claim, the experiment that tests it, and the evidence that comes out."""

import dataclasses
import functools
import html
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass

from bnlab.course.experiments import panels
from bnlab.course.experiments.seeds import over_seeds

__all__ = ["VERDICTS", "Claim", "Definition", "Evidence", "Experiment"]

VERDICTS = ("RIGHT", "IMPRECISE", "WRONG", "CONTESTED", "NOT REPRODUCED", "CANNOT TELL")


@dataclass(frozen=True)
class Claim:
    """Something people say about batch norm, in our words.

    Parameters
    ----------
    id : str
        Row of the ledger, such as ``"S9"``.
    said : str
        The claim as learners arrive with it.
    correct : str
        What is true, in one sentence.
    kind : {"definition", "identity", "experiment", "figure"}
        A figure of the paper, drawn again, is no row of the ledger.
    notebook : str
        Where it is taught, two digits.
    source : str
        Paper and section.
    """

    id: str
    said: str
    correct: str
    kind: str
    notebook: str
    source: str


@dataclass(frozen=True)
class Evidence:
    """What was found about a claim.

    Parameters
    ----------
    claim : Claim
    measured : str
        The result in a few words, rounded to what the data support.
    verdict : str
        One of `VERDICTS`, on the claim as it is said.
    uncertainty : str
        Seeds and spread, or the tolerance of an identity; empty for a definition.
    """

    claim: Claim
    measured: str
    verdict: str
    uncertainty: str = ""

    def __post_init__(self):
        if self.verdict not in VERDICTS:
            raise ValueError(f"A verdict is one of {', '.join(VERDICTS)}, got {self.verdict!r}")

    def __str__(self):
        spread = f" ({self.uncertainty})" if self.uncertainty else ""
        return (
            f"{self.claim.id}, claim: {self.claim.said}\n"
            f"    measured: {self.measured}{spread}\n"
            f"    verdict:  {self.verdict}. {self.claim.correct}"
        )

    __repr__ = __str__

    def _repr_html_(self):
        spread = f" ({self.uncertainty})" if self.uncertainty else ""
        return (
            '<div style="border-left: 4px solid #57606a; padding: 0.3em 0.8em">'
            f"<b>{self.claim.id}</b> claim: {html.escape(self.claim.said)}<br>"
            f"measured: {html.escape(self.measured + spread)}<br>"
            f"verdict: <b>{self.verdict}.</b> {html.escape(self.claim.correct)}</div>"
        )


@dataclass(frozen=True)
class Experiment:
    """How a claim is tested: a frozen config, a run that gives arrays, a judge that reads them.

    Parameters
    ----------
    claim : Claim
    config : frozen dataclass instance
        Data, sizes, rates and seeds; its defaults are the ones the course shows.
    judge : callable
        ``judge(arrays)`` gives ``(verdict, measured, uncertainty)``; the verdict follows from the
        arrays by a stated criterion, so that another result gives another verdict.
    one_seed : callable
        ``one_seed(config, seed)`` gives a dict of arrays and numbers, alike for every seed of the
        config; they are stacked.
    run : callable
        In its place where seeds are not all: ``run(config)`` gives the whole dict.
    draw : callable, optional
        ``draw(arrays)`` gives the Axes of the experiment's figure; a panel an array without it.
    on_data : callable, optional
        ``on_data(folder)`` gives the same experiment on other images; without it there are none.
    """

    claim: Claim
    config: object
    _: KW_ONLY
    judge: Callable
    one_seed: Callable | None = None
    run: Callable | None = None
    draw: Callable = panels.draw
    on_data: Callable | None = None

    def __post_init__(self):
        if self.one_seed is not None:
            object.__setattr__(self, "run", functools.partial(over_seeds, self.one_seed))

    def evidence(self, **changes):
        """Run with the config, changed where asked, and judge.

        Parameters
        ----------
        **changes
            Fields of the config to replace.

        Returns
        -------
        Evidence
        """
        return self.read(self.run(dataclasses.replace(self.config, **changes)))

    def read(self, arrays):
        """Evidence from arrays that are already there, of this run or a stored one."""
        verdict, measured, uncertainty = self.judge(arrays)
        return Evidence(self.claim, measured, verdict, uncertainty)


@dataclass(frozen=True)
class Definition:
    """A claim about a term or a text: its source decides, nothing is measured.

    Parameters
    ----------
    claim : Claim
    verdict : str
        One of `VERDICTS`.
    """

    claim: Claim
    verdict: str

    def evidence(self):
        """Evidence whose measurement is the source itself."""
        return Evidence(self.claim, "nothing to measure, see the source", self.verdict)
