"""How wide a range of values works, in powers of ten: of learning rates, of first weights."""

import numpy as np

from bnlab.course.experiments.bench import decades
from bnlab.course.experiments.rule import in_every_seed

__all__ = ["wider", "wider_in_every_seed", "widths", "without_and_with"]


def widths(values, sides, target):
    """Decades of each seed, (2, S), of accuracies (S, values) without and with batch norm."""
    return np.array([[decades(values[seed >= target]) for seed in side] for side in sides])


def wider(found, by):
    """Whether the second of two rows of widths (2, S) is wider by so many decades, a seed (S,).

    Rates are apart by about half a decade, as 0.1 and 0.3: a twentieth less is enough.
    """
    return found[1] >= np.maximum(found[0], 0) + by - 0.05


def wider_in_every_seed(found, by):
    """The same of all seeds, or None: where no value works for either side, none is wider."""
    return in_every_seed(wider(found, by), found.max(axis=0) >= 0)


def without_and_with(sides, form):
    """Means of rows (2, S) in words, of the seeds that have a value at all: -1 is none.

    >>> without_and_with(np.array([[-1.0, -1.0], [1.0, 2.0]]), "{:.1f} decades")
    'none without, 1.5 decades with it'
    """
    found = [side[side >= 0] for side in np.asarray(sides)]
    plain, bn = (form.format(side.mean()) if len(side) else "none" for side in found)
    return f"{plain} without, {bn} with it"
