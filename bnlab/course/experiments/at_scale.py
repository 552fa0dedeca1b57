"""Claims on CIFAR-10: a plan of runs, a table of what they found, and the verdict."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from bnlab.course.discovery import lesson_modules
from bnlab.course.experiments.evidence import Evidence
from bnlab.course.experiments.ledger import ledger
from bnlab.course.experiments.results import folder
from bnlab.course.experiments.scale.runs import NOISE, Run, read

__all__ = [
    "FULL",
    "NO_RUN",
    "SMALL",
    "AtScale",
    "Side",
    "Size",
    "Table",
    "plans",
    "stored_at_scale",
]


@dataclass(frozen=True)
class Side:
    """One side of a comparison: the rates that it may have, and what tells it from others.

    Parameters
    ----------
    lrs : tuple of float
    fields : dict
        Fields of `Run` that are not the default.
    """

    lrs: tuple[float, ...]
    fields: dict


@dataclass(frozen=True)
class Size:
    """How much of a plan is run.

    Parameters
    ----------
    seeds : tuple of int
    rates : int
        At most so many a side; of more every other one is taken, from the second on.
    common : dict
        Fields that all runs have.
    """

    seeds: tuple[int, ...] = (0, 1, 2)
    rates: int = 9
    common: dict = field(default_factory=dict)

    def rates_of(self, side):
        """Those of its rates that are tried."""
        return side.lrs if len(side.lrs) <= self.rates else side.lrs[1::2][: self.rates]

    def runs(self, side, lr):
        """The runs of a side at one rate, a run a seed."""
        return [Run(lr=lr, seed=seed, **self.common | side.fields) for seed in self.seeds]


LOOKS = 2  # at the validation images, an epoch: see `scale.training`

NO_RUN = "no run yet"

FULL = Size()
SMALL = Size((0,), 2, {"width": 16, "images": 5000, "tests": 1000, "epochs": 2})


@dataclass(frozen=True)
class AtScale:
    """How a claim is tested on CIFAR-10.

    Parameters
    ----------
    claim : str
        Its id in the ledger.
    sides : tuple of Side
        Some may be those of other claims: a run is made once.
    judge : callable
        ``judge(table)`` gives the parts of the verdict; one whose runs are missing is left open.
    draw : callable, optional
        ``draw(arrays, table)`` gives the Axes of a figure of both scales, from the arrays of the
        run on the digits and the table.
    """

    claim: str
    sides: tuple[Side, ...]
    judge: Callable
    draw: Callable | None = None

    def runs(self, size=FULL):
        """All that it needs."""
        return [
            run for side in self.sides for lr in size.rates_of(side) for run in size.runs(side, lr)
        ]

    def evidence(self, found, size=FULL):
        """Verdict of the rule, with criteria and numbers."""
        parts = self.judge(Table(found, size))
        done = sum(run in found for run in self.runs(size))
        seeds = f"{len(size.seeds)} seed" + "s" * (len(size.seeds) > 1)
        setting = f"CIFAR-10, {seeds}, {done} of {len(self.runs(size))} runs"
        return Evidence(ledger()[self.claim].claim, tuple(parts), setting)

    def in_short(self, found, size=FULL):
        """The verdict, or "no run yet" as long as runs are missing and no part is decided."""
        parts = self.judge(Table(found, size))
        missing = not found.keys() >= set(self.runs(size))
        waits = missing and all(part.holds is None for part in parts)
        return NO_RUN if waits else self.evidence(found, size).verdict


@dataclass(frozen=True)
class Table:
    """What runs found, by the fields that tell them apart; seeds come first in all arrays.

    An array has no rows as long as one of its runs, at any rate and seed, is missing.

    Parameters
    ----------
    found : dict
        Run -> dict of numbers.
    size : Size
    """

    found: dict
    size: Size

    def by_rate(self, side):
        """Accuracy on validation images in the end, a share (S, R)."""
        rows = self._rows(side)
        return np.array([_final(row) for row in rows]).T if all(rows) else np.empty((0, len(rows)))

    def at_best(self, side):
        """What each seed found, at the rate that is best on the validation images of all."""
        rows = self._rows(side)
        return max(rows, key=lambda row: np.mean(_final(row))) if all(rows) else []

    def noisy(self, side):
        """Accuracy on test images with each size of noise, in points (S, 4)."""
        return 100 * np.reshape([found["test"] for found in self.at_best(side)], (-1, len(NOISE)))

    def test(self, side):
        """Accuracy on test images, in points (S,)."""
        return self.noisy(side)[:, 0]

    def fit(self, side):
        """Accuracy on training images, in points (S,)."""
        return 100 * np.array([found["train"] for found in self.at_best(side)])

    def recomputed(self, when, side):
        """Accuracy in points with running and with recomputed statistics (S, 2)."""
        return 100 * np.reshape([found[when] for found in self.at_best(side)], (-1, 2))

    def final(self, side):
        """Accuracy on validation images in the end, a share (S,)."""
        return _final(self.at_best(side))

    def steps_to(self, goal, side):
        """Steps until each seed is first seen at its goal; inf if never (S,)."""
        run = Run(**self.size.common)
        each = run.images // run.batch // LOOKS  # steps from look to look
        curves = [np.array(found["validation"]) for found in self.at_best(side)]
        there = [curve >= g for curve, g in zip(curves, goal, strict=False)]  # as far as both go
        return each * np.array([1 + t.argmax() if t.any() else np.inf for t in there])

    def _rows(self, side):
        """At each rate, what each seed found; nothing where one of them is missing."""
        rows = [self.size.runs(side, lr) for lr in self.size.rates_of(side)]
        return [
            [self.found[r] for r in row] if self.found.keys() >= set(row) else [] for row in rows
        ]


def plans():
    """Claim id -> `AtScale`, in the order in which a GPU should do them."""
    found = [entry for module in lesson_modules("at_scale") for entry in module.SCALE]
    return {entry.claim: entry for entry in found}


def stored_at_scale():
    """The runs that the course keeps, and what they have in common; both empty before the first."""
    path = folder() / "scale.json"
    return read(path) if path.exists() else ({}, {})


def _final(runs):
    return np.array([found["validation"][-1] for found in runs])
