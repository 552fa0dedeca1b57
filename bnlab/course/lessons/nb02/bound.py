"""Claim A18: what batch norm keeps within bounds, and what not."""

from dataclasses import dataclass

import numpy as np

from bnlab.course.experiments.bench import EXACT, plain_batchnorm
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.course.experiments.rule import Part


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
    bound = arrays["bound"] * (1 + EXACT)  # rounding is allowed
    largest = np.max([arrays[name] for name in ("outlier", "heavy", "normal")], axis=0)
    return [
        Part(
            "no x_hat is further from 0 than sqrt(m - 1), in any batch of any size",
            bool((largest <= bound).all()),
            f"at most {(largest / arrays['bound']).max():.2f} times as far",
        ),
        Part(
            "no y is further from 0 than that, whatever gamma is",
            bool((arrays["scaled"] <= bound).all()),
            f"up to {(arrays['scaled'] / arrays['bound']).max():.1f} times as far",
        ),
    ]


def _draw_a18(arrays):
    import matplotlib.pyplot as plt

    _, ax = plt.subplots(figsize=(5.8, 3.8))
    m, bound = arrays["bound"] ** 2 + 1, arrays["bound"]
    gamma = (arrays["scaled"] / arrays["outlier"]).max()
    ax.loglog(m, bound, "-", color="0.6", label="sqrt(m - 1)")
    shown = (
        ("scaled", "s", f"y of one outlier, gamma {gamma:g}"),
        ("outlier", "o", "x_hat of one outlier"),
        ("heavy", "x", "x_hat, heavy-tailed batches"),
        ("normal", "^", "x_hat, normal batches"),
    )
    for k, (name, marker, label) in enumerate(shown):
        ax.plot(m, arrays[name], marker, color=f"C{k}", label=label)
    ax.set(xlabel="batch size m", ylabel="largest distance from 0")
    ax.legend(fontsize="small")
    return ax


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
    setting="batches of {sizes} values: one outlier, {batches} normal and {batches} heavy-tailed "
    "ones of each size; gamma {gamma}",
    draw=_draw_a18,
)
