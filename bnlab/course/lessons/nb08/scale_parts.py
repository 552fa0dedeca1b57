"""Sides that several claims on CIFAR-10 compare, and how their parts are put into words."""

from functools import partial

from bnlab.course.experiments.at_scale import NO_RUN, Side
from bnlab.course.experiments.rule import in_every_seed, larger, within

SWEEP = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
PLAIN, BATCH = Side(SWEEP, {"norm": "none"}), Side(SWEEP, {})
WHOLE = Side((0.1,), {})


def means(*arrays, unit="", digits=0):
    """Means over seeds in words, such as "76.8 and 85.0%"."""
    if not all(len(array) for array in arrays):
        return NO_RUN
    return " and ".join(f"{array.mean():,.{digits}f}" for array in arrays) + unit


percent = partial(means, unit="%", digits=1)
in_steps = partial(means, unit=" steps")


def minus(a, b):
    """The difference, paired by seed; nothing if one of them has no run yet."""
    return a - b if len(a) == len(b) else a[:0]


def exceeds(a, b, than=0.0):
    """Whether a exceeds b; None if one of them has no run yet."""
    return larger(minus(a, b), than, overlap=0.0)


def alike(a, b, worth):
    """Whether a and b are alike; None if one of them has no run yet."""
    return within(minus(a, b), worth, overlap=0.0)


def in_every(compare, a, b):
    """Whether it is so in every seed; None if one of them has no run yet."""
    return in_every_seed(compare(a, b)) if len(a) == len(b) else None
