"""Numbers that a careless formula cannot hold: a large mean, half precision, another layout."""

import numpy as np

from bnlab.conform import reference
from bnlab.conform.adapter import DoesNotApply
from bnlab.conform.comparing import Comparison, agree
from bnlab.conform.probes import batch
from bnlab.conform.promises.training import compare_output
from bnlab.conform.promising import OUTPUTS, promise
from bnlab.conform.subject import stored
from bnlab.course.lessons.nb02.ex_batchnorm_algorithm import ONE_PASS

__all__ = []

LOST = "It loses its digits where the mean is large against the spread."
AFTER = (*OUTPUTS, "eps and its place")
SIZES = (4, 32, 256)


def _far_from_zero(subject, dtype, mean, std, tolerance):
    """Outputs of a plain layer for batches of this mean and spread, gamma 1 and beta 0."""
    subject.need_dtype(dtype)
    for n in SIZES:
        shape = subject.shape(n, 1)
        noise = np.random.default_rng(n).normal(size=shape)
        noise -= noise.mean(axis=0)
        noise /= noise.std(axis=0)
        x = stored(mean + std * noise, dtype).astype(float)
        y, _ = subject.layer(np.ones(1), np.zeros(1), dtype, eps=1e-5).train(x)
        want = reference.forward(x, np.ones(1), np.zeros(1), subject.eps(1e-5))
        yield Comparison("y", {"y": y}, {"y": want}, {"x": x}, tolerance / np.abs(want).max())


@promise("float32 at mean 1e4", "training", after=AFTER)
def large_mean(subject):
    """For N up to 256, where a sum in any order is still good enough."""
    return agree(
        _far_from_zero(subject, "float32", 1e4, 1.0, tolerance=0.01),
        f"For N = {SIZES[-1]} within 0.01 standard deviations (larger N cost more).",
        f"{LOST} A one-pass variance does this: {ONE_PASS} (N up to {SIZES[-1]}, tolerance 0.01 "
        "standard deviations.)",
    )


def _half(subject, dtype, spacing):
    """Mean 5, spread .1: storing x costs half a spacing, and a layer may cost as much again."""
    storage = spacing / 2 / 0.1
    return agree(
        _far_from_zero(subject, dtype, 5.0, 0.1, tolerance=2 * storage),
        f"Within twice what storing x costs, {storage:.3g} standard deviations.",
        f"{LOST} A one-pass variance does this, and so do sums that are kept in {dtype}; compute "
        "the statistics in float32 and in two passes. (Tolerance: twice what storing x costs, "
        f"{storage:.3g} standard deviations.)",
    )


@promise("float16 at mean 5", "training", after=AFTER)
def float16(subject):
    """Between 4 and 8 float16 numbers are 2^-8 apart."""
    return _half(subject, "float16", 2.0**-8)


@promise("bfloat16 at mean 5", "training", after=AFTER)
def bfloat16(subject):
    """Between 4 and 8 bfloat16 numbers are 2^-5 apart."""
    return _half(subject, "bfloat16", 2.0**-5)


@promise("memory order", "training", after=AFTER)
def memory(subject):
    """The same numbers with the channels elsewhere in memory, as torch's channels_last."""
    if not subject.adapter.keeps_memory_order:
        raise DoesNotApply("The framework chooses itself how arrays lie in memory.")
    subject.need(4)
    b = batch((2, 3, 2, 2))
    y, _ = subject.layer(b.gamma, b.beta).train_in_other_memory(b.x)
    comparison = compare_output(subject, b, y, subject.eps())
    wrong = "The output changes with the order in which the numbers of x lie in memory."
    return agree([comparison], "Channels last in memory gives the same.", wrong)
