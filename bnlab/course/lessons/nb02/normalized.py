"""Claims about normalized values: what two fixed moments say about a distribution, and what not.

The distributions are drawn as quantiles, evenly spaced in probability, so that no seed is needed
and a number is as exact as the grid is fine.
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from bnlab import functional as F
from bnlab.batchnorm import batchnorm_forward
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.course.experiments.panels import lines
from bnlab.course.experiments.rule import Part


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
    r_squared = [np.corrcoef(row, F.sigmoid_forward(row)[0])[0, 1] ** 2 for row in y]
    return {"gammas": np.array(config.gammas), "r_squared": np.array(r_squared)}


def _judge_a9(arrays):
    gammas, r_squared = arrays["gammas"], arrays["r_squared"]
    listed = ", ".join(f"{r:.3f} at {g:g}" for g, r in zip(gammas, r_squared, strict=True))
    return [
        Part(
            "on the normalized input itself, gamma 1, a straight line explains at least 95% of the "
            "sigmoid's variance",
            bool(r_squared[0] >= 0.95),
            f"R^2 by gamma: {listed}",
        )
    ]


def _draw_a9(arrays):
    limit = 0.95, "95%, nearly linear"
    gammas, groups = arrays["gammas"], {"normal\ninput": arrays["r_squared"]}
    xlabel, ylabel = "gamma, the scale of the sigmoid's input", "R^2 of the best straight line"
    limits = {"xlim": (0, 1.05 * gammas.max()), "ylim": (0.7, 1)}
    ax = lines(gammas, groups, xlabel, ylabel, limit=limit, **limits)
    ax.set_xticks(gammas)
    return ax


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
    setting="{count} quantiles of a normal input, gamma {gammas}",
    draw=_draw_a9,
)


# A10: what the next layer receives.


@dataclass(frozen=True)
class Nonlinear:
    """What the normalized values go through."""

    activations: tuple[str, ...] = ("ReLU", "sigmoid", "tanh")
    count: int = 100_000


def _run_a10(config):
    x_hat = _normalized(3 + 2 * normal_quantiles(config.count))
    after = [getattr(F, f"{name.lower()}_forward")(x_hat)[0] for name in config.activations]
    return {
        "activations": list(config.activations),
        "mean": np.mean([x_hat, *after], axis=1),  # before, then after each of them
        "var": np.var([x_hat, *after], axis=1),
    }


def _judge_a10(arrays):
    def part(name, mean, var):
        return Part(
            f"after {name} the mean is 0 and the variance 1, up to a hundredth",
            bool(abs(mean) < 0.01 and abs(var - 1) < 0.01),
            f"{abs(mean):.3f} and {var:.3f}",
        )

    moments = zip(arrays["activations"], arrays["mean"][1:], arrays["var"][1:], strict=True)
    return [part(*row) for row in moments]


def _draw_a10(arrays):
    import matplotlib.pyplot as plt

    _, ax = plt.subplots(figsize=(5.6, 3.6))
    mean, std = arrays["mean"], np.sqrt(arrays["var"])
    names = ["normalized", *(f"after {name}" for name in arrays["activations"])]
    for k, (name, x, y) in enumerate(zip(names, mean, std, strict=True)):
        ax.plot(x, y, "*osD"[k], color=f"C{k}", ms=9)
        ax.annotate(name, (x, y), xytext=(9, 0), textcoords="offset points", va="center")
    ax.set(xlabel="mean of the values", ylabel="their standard deviation", ylim=(0, 1.1))
    ax.set_xlim(-0.1, 0.7)
    return ax


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
    Nonlinear(),
    run=_run_a10,
    judge=_judge_a10,
    setting="{count} quantiles of a normal input",
    draw=_draw_a10,
)


# A11: mean and variance are two numbers, not a distribution.


def _run_a11(config):
    x_hat, normal = _normalized(two_humps(config.count)), normal_quantiles(config.count)
    near = {"near_zero": (abs(x_hat) < 0.5).mean(), "near_zero_normal": (abs(normal) < 0.5).mean()}
    edges = np.linspace(-3, 3, 61)
    shapes = [np.histogram(values, edges, density=True)[0] for values in (x_hat, normal)]
    drawn = {"edges": edges, "density": shapes[0], "density_normal": shapes[1]}
    return {"mean": x_hat.mean(), "var": x_hat.var(), **near, **drawn}


def _judge_a11(arrays):
    mean, var = arrays["mean"], arrays["var"]
    near, normal = arrays["near_zero"], arrays["near_zero_normal"]
    return [
        Part(
            "the mean is 0 and the variance 1, up to a thousandth",
            bool(abs(mean) < 1e-3 and abs(var - 1) < 1e-3),
            f"{abs(mean):.3f} and {var:.3f}",
        ),
        Part(
            "as many values as of a normal distribution lie within half a standard deviation of 0, "
            "up to 5 points",
            bool(abs(near - normal) < 0.05),
            f"{near:.0%}, of a normal distribution {normal:.0%}",
        ),
    ]


def _draw_a11(arrays):
    import matplotlib.pyplot as plt

    _, ax = plt.subplots(figsize=(5.6, 3.6))
    edges = arrays["edges"]
    ax.stairs(
        arrays["density"], edges, fill=True, color="C0", alpha=0.5, label="two humps, normalized"
    )
    ax.stairs(arrays["density_normal"], edges, color="C1", ls="--", lw=2, label="N(0, 1)")
    ax.set(xlabel="normalized value", ylabel="density", ylim=(0, 1.6))
    ax.legend()
    return ax


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
    setting="{count} values with two humps, at 7 and 13",
    draw=_draw_a11,
)
