"""A claim, the experiment that tests it, and the evidence that comes out."""

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass

from bnlab.course.cards import GREY, card, marked
from bnlab.course.experiments.reduced import opened, reductions
from bnlab.course.experiments.rule import verdict
from bnlab.course.experiments.seeds import over_seeds

__all__ = ["VERDICTS", "Claim", "Definition", "Evidence", "Experiment", "described"]

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
    published : {"no", "yes", "both ways"}
        Whether somebody has published a measurement that says it; or others one against it, too.
    """

    id: str
    said: str
    correct: str
    kind: str
    notebook: str
    source: str
    published: str = "no"


@dataclass(frozen=True)
class Evidence:
    """What was found about a claim.

    Parameters
    ----------
    claim : Claim
    parts : sequence of Part
        What was measured; none for a definition.
    setting : str
        What was run: depth, steps, rates, seeds.
    by_source : str
        The verdict on a definition, which its source decides.
    reduced : str
        What this run has less of than the experiment's own, such as "20 of 400 steps".
    """

    claim: Claim
    parts: tuple = ()
    setting: str = ""
    by_source: str = ""
    reduced: str = ""

    def __post_init__(self):
        if self.verdict not in VERDICTS:
            raise ValueError(f"A verdict is one of {', '.join(VERDICTS)}, got {self.verdict!r}")

    @property
    def verdict(self):
        """One of `VERDICTS`, on the claim as it is said."""
        return self.by_source or verdict(self.parts, self.claim.published)

    @property
    def measured(self):
        """The result in a few words, without the criteria."""
        return "; ".join(part.measured for part in self.parts) or "nothing: by source"

    @property
    def open(self):
        """Numbers of the parts that this run cannot tell, the first one is 1."""
        return [k for k, part in enumerate(self.parts, 1) if part.holds is None]

    @property
    def left_open(self):
        """What this run cannot tell, and why, in words; nothing of one that tells all."""
        if not self.open:
            return ""
        which = f"part{'s' * (len(self.open) > 1)} {', '.join(f'({k})' for k in self.open)}"
        if self.reduced:
            return f"cannot tell {which}: it has {self.reduced}"
        return f"is too small, or its spread too large, to tell {which}"

    def lines(self):
        """What a card says: pairs of a word and a text."""
        found = [("claim", self.claim.said)]
        if self.setting:
            found.append(("run", self.setting))
        found += [("part", str(part)) for part in self.parts]
        if self.reduced and self.left_open:
            found.append(("this run", self.left_open))
        how = f"{self.verdict}, by source: {self.claim.source}" if self.by_source else self.verdict
        return [*found, ("verdict", how), ("what is true", self.claim.correct)]

    def __str__(self):
        rows = [f"    {word + ':':13} {text}" for word, text in self.lines()]
        return "\n".join([self.claim.id, *rows])

    __repr__ = __str__

    def _repr_html_(self):
        rows = "<br>".join(f"{word}: {marked(text)}" for word, text in self.lines())
        return card(GREY, f"<b>{self.claim.id}</b><br>{rows}")


@dataclass(frozen=True)
class Experiment:
    """How a claim is tested: a frozen config, a run that gives arrays, a judge that reads them.

    Parameters
    ----------
    claim : Claim
    config : frozen dataclass instance
        Data, sizes, rates and seeds; its defaults are the ones the course shows.
    judge : callable
        ``judge(arrays)`` gives the parts of the verdict, a list of `Part`. Their criteria are
        written before the run; whether they hold follows from the arrays alone.
    draw : callable
        ``draw(arrays)`` gives an Axes of the experiment's figure.
    setting : str
        What is run, for the card, such as ``"{depth} layers, {steps} steps, rates {lrs}"``: names
        in braces are fields of the config; the seeds are added.
    one_seed : callable
        ``one_seed(config, seed)`` gives a dict of arrays and numbers, alike for every seed of the
        config; they are stacked.
    run : callable
        In its place where seeds are not all: ``run(config)`` gives the whole dict.
    on_data : callable, optional
        ``on_data(folder)`` gives the same experiment on other images; without it there are none.
    whole : frozen dataclass instance
        The config that a smaller run is measured against. It stays what it is when `config` is
        replaced; by default `config`.
    """

    claim: Claim
    config: object
    _: KW_ONLY
    judge: Callable
    draw: Callable
    setting: str = ""
    one_seed: Callable | None = None
    run: Callable | None = None
    on_data: Callable | None = None
    whole: object = None

    def __post_init__(self):
        if self.whole is None:
            object.__setattr__(self, "whole", self.config)
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
        smaller = dataclasses.replace(self.config, **changes)
        return self.read(self.run(smaller), dataclasses.asdict(smaller))

    def read(self, arrays, config=None):
        """Evidence from arrays that are already there, of this run or one with another config.

        A smaller run than the experiment's own does not say no: see `reduced`. An identity does,
        which is exact at any size.
        """
        config = dataclasses.asdict(self.config) if config is None else config
        reduced, parts = reductions(config, dataclasses.asdict(self.whole)), self.judge(arrays)
        if self.claim.kind != "identity":
            parts = opened(parts, reduced)
        setting = described(self.setting, config)
        return Evidence(self.claim, tuple(parts), setting, reduced=", ".join(reduced.values()))


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
        return Evidence(self.claim, by_source=self.verdict)


def described(setting, config):
    """A setting with the values of a config, and its seeds.

    >>> described("{depth} layers, rates {lrs}", {"depth": 3, "lrs": [0.1, 0.3], "seeds": [4, 5]})
    '3 layers, rates 0.1 and 0.3; 2 seeds (4 and 5)'
    """
    text = setting.format_map({name: _words(value) for name, value in config.items()})
    seeds = config.get("seeds", ())
    which = _words(seeds) if len(seeds) < 3 else f"{seeds[0]} to {seeds[-1]}"
    told = f"{len(seeds)} seed{'s' * (len(seeds) != 1)} ({which})" if seeds else ""
    return "; ".join(filter(None, (text, told)))


def _words(value):
    """A value of a config as a sentence has it; of more than five numbers the ends."""
    if not isinstance(value, list | tuple):
        return f"{value:,}" if type(value) is int and value >= 10_000 else f"{value}"
    words = [_words(v) for v in value]
    if len(words) > 5:
        return f"{words[0]} to {words[-1]}"
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))
