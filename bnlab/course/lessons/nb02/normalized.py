"""Claims about normalized values: what two fixed moments say about a distribution, and what not.

The distributions are drawn as quantiles, evenly spaced in probability, so that no seed is needed
and a number is as exact as the grid is fine.
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from bnlab.batchnorm import batchnorm_forward
from bnlab.course.experiments.bench import plain_batchnorm
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.functional import relu_forward, sigmoid_forward


def normal_quantiles(count):
    """Make values that stand for N(0, 1): the quantiles in the middle of `count` equal parts.

    >>> normal_quantiles(4).round(2)
    array([-1.15, -0.32,  0.32,  1.15])
    """
    inverse = NormalDist().inv_cdf
    return np.array([inverse((i + 0.5) / count) for i in range(count)])


def two_humps(count):
    """Make values with two humps, at 7 and 13, each with a standard deviation of 0.5."""
    hump = 0.5 * normal_quantiles(count // 2)
    return np.concatenate([7 + hump, 13 + hump])


def _normalized(x, gamma=1.0, beta=0.0, eps=1e-5):
    """Batch norm of one feature, (M,) to (M,)."""
    return batchnorm_forward(x[:, None], [gamma], [beta], eps)[0][:, 0]


@dataclass(frozen=True)
class Quantiles:
    """How many values stand for a distribution; a fifth of a second."""

    count: int = 100_000


# A9: the linear part of the sigmoid.


@dataclass(frozen=True)
class Sigmoid:
    """Scales gamma that the sigmoid's input is given."""

    gammas: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0)
    count: int = 20_000


def _run_a9(config):
    x = 3 + 2 * normal_quantiles(config.count)  # batch norm does not care where it starts
    y = np.array([_normalized(x, gamma) for gamma in config.gammas])
    r_squared = [np.corrcoef(row, sigmoid_forward(row)[0])[0, 1] ** 2 for row in y]
    return {"gammas": np.array(config.gammas), "r_squared": np.array(r_squared)}


def _judge_a9(arrays):
    r_squared = arrays["r_squared"]
    confined, released = r_squared[0] > 0.95, r_squared[-1] < 0.9
    listed = ", ".join(
        f"{r:.2f} at gamma = {g:g}" for g, r in zip(arrays["gammas"], r_squared, strict=True)
    )
    verdict = "RIGHT" if confined and released else "IMPRECISE" if confined else "WRONG"
    return verdict, f"R^2 of the best straight line: {listed}", "quantiles of a normal input"


A9_LINEAR_PART = Experiment(
    Claim(
        "A9",
        "A normalized input keeps a sigmoid in its nearly linear part.",
        "For gamma = 1 a straight line fits almost perfectly; a larger gamma, which the network "
        "can learn, leaves the linear part.",
        "identity",
        "02",
        "Ioffe & Szegedy 2015, section 3",
    ),
    Sigmoid(),
    run=_run_a9,
    judge=_judge_a9,
)


# A10: what the next layer receives.


def _run_a10(config):
    x_hat = _normalized(3 + 2 * normal_quantiles(config.count))
    after, _ = relu_forward(x_hat)
    moments = {"mean": after.mean(), "var": after.var(), "zeros": (after == 0).mean()}
    return {"mean_before": x_hat.mean(), "var_before": x_hat.var(), **moments}


def _judge_a10(arrays):
    kept = abs(arrays["mean"]) < 0.01 and abs(arrays["var"] - 1) < 0.01
    measured = (
        f"before ReLU mean {abs(arrays['mean_before']):.2f}, variance {arrays['var_before']:.2f}; "
        f"after it mean {arrays['mean']:.4f}, variance {arrays['var']:.4f}, "
        f"{arrays['zeros']:.0%} zeros"
    )
    return "RIGHT" if kept else "WRONG", measured, "quantiles of a normal input"


A10_AFTER_RELU = Experiment(
    Claim(
        "A10",
        "Because z is normalized, the next layer receives activations that are normalized too.",
        "Only x_hat has mean 0 and variance 1. ReLU of a normal x_hat has mean 1/sqrt(2 pi) and "
        "variance 1/2 - 1/(2 pi), and half of it is zero.",
        "identity",
        "02",
        "moments of max(x, 0), computed exactly",
    ),
    Quantiles(),
    run=_run_a10,
    judge=_judge_a10,
)


# A11: mean and variance are two numbers, not a distribution.


def _run_a11(config):
    x_hat, normal = _normalized(two_humps(config.count)), normal_quantiles(config.count)
    near = {"near_zero": (abs(x_hat) < 0.5).mean(), "near_zero_normal": (abs(normal) < 0.5).mean()}
    return {"mean": x_hat.mean(), "var": x_hat.var(), **near}


def _judge_a11(arrays):
    moments = abs(arrays["mean"]) < 1e-6 and abs(arrays["var"] - 1) < 1e-4
    normal = abs(arrays["near_zero"] - arrays["near_zero_normal"]) < 0.05
    verdict = "WRONG" if not moments else "RIGHT" if normal else "IMPRECISE"
    measured = (
        f"two humps in, two humps out: mean 0 and variance 1: {moments}, but "
        f"{arrays['near_zero']:.0%} within half a standard deviation of 0, "
        f"a normal distribution has {arrays['near_zero_normal']:.0%}"
    )
    return verdict, measured, "one input with two humps, as quantiles"


A11_TWO_MOMENTS = Experiment(
    Claim(
        "A11",
        "After normalization the values follow the normal distribution N(0, 1).",
        "Two moments are fixed, the shape is not: x_hat is x, shifted and stretched.",
        "identity",
        "02",
        "Ioffe & Szegedy 2015, Algorithm 1",
    ),
    Quantiles(),
    run=_run_a11,
    judge=_judge_a11,
)


# A18: what is bounded, and what is not.


@dataclass(frozen=True)
class Outliers:
    """Batch sizes, and how many random batches of each size are drawn."""

    sizes: tuple[int, ...] = (2, 5, 50, 1000)
    batches: int = 200
    gamma: float = 10.0
    seed: int = 0


def _run_a18(config):
    rng = np.random.default_rng(config.seed)
    bound = np.sqrt(np.array(config.sizes) - 1.0)
    outlier = np.array([_furthest(np.eye(m)[:, :1]) for m in config.sizes])
    normal = [_furthest(rng.normal(size=(m, config.batches))) for m in config.sizes]
    heavy = [_furthest(rng.standard_cauchy((m, config.batches))) for m in config.sizes]
    drawn = {"normal": np.array(normal), "heavy": np.array(heavy)}
    return {"bound": bound, "outlier": outlier, "scaled": config.gamma * outlier, **drawn}


def _furthest(x):
    """Largest |x_hat| of all columns, without an eps that would soften it."""
    return np.abs(plain_batchnorm(x, eps=0.0)[0]).max()


def _judge_a18(arrays):
    bound = arrays["bound"]
    largest = np.maximum(arrays["heavy"], arrays["normal"])
    held = (np.maximum(largest, arrays["outlier"]) <= bound * (1 + 1e-12)).all()
    met = np.allclose(arrays["outlier"], bound, rtol=1e-9, atol=0)
    beyond = (arrays["scaled"] > bound * (1 + 1e-12)).all()
    verdict = "WRONG" if not (held and met) else "IMPRECISE" if beyond else "RIGHT"
    measured = (
        f"|x_hat| <= sqrt(m - 1) in every batch: {held}, met by one outlier: {met}; "
        f"y goes beyond it as soon as gamma is large: {beyond}"
    )
    return verdict, measured, f"{len(bound)} batch sizes, normal and heavy-tailed draws"


A18_BOUND = Experiment(
    Claim(
        "A18",
        "Batch norm limits the range of the activations.",
        "gamma and beta are free, so y has no limit. What is bounded is x_hat: never further than "
        "sqrt(m - 1) from 0.",
        "identity",
        "02",
        "Samuelson 1968, JASA 63, 1522-1525 (the bound)",
    ),
    Outliers(),
    run=_run_a18,
    judge=_judge_a18,
)
