"""How wide a range of values works, in powers of ten: of learning rates, of first weights."""

import numpy as np

from bnlab.course.experiments.bench import decades
from bnlab.course.experiments.rule import in_every_seed


def widths(values, sides, target):
    """Decades of each seed, (2, S), of accuracies (S, values) without and with batch norm."""
    return np.array([[decades(values[seed >= target]) for seed in side] for side in sides])


def a_decade_more(found):
    """Whether the second of two rows of widths (2, S) is a decade wider, in every seed, or None."""
    return in_every_seed(found[1] >= np.maximum(found[0], 0) + 0.95)


def without_and_with(sides, form):
    """Means of rows (2, S) in words, of the seeds that have a value at all: -1 is none.

    >>> without_and_with(np.array([[-1.0, -1.0], [1.0, 2.0]]), "{:.1f} decades")
    'none without, 1.5 decades with it'
    """
    found = [side[side >= 0] for side in np.asarray(sides)]
    plain, bn = (form.format(side.mean()) if len(side) else "none" for side in found)
    return f"{plain} without, {bn} with it"
