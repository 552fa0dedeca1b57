"""Claims about the statistics of Algorithm 1: which they are, and that they are the batch's own.

Each experiment runs on activations of the digits, ``x @ weight.T`` with random weights: features
with means and variances of their own, as batch norm meets them in the first hidden layer.
"""

from dataclasses import dataclass

import numpy as np

from bnlab.batchnorm import batchnorm_forward
from bnlab.course.experiments.bench import EXACT, digits_activations, plain_batchnorm
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.course.experiments.panels import errors, strip
from bnlab.course.experiments.rule import Part, exact, in_every_seed
from bnlab.course.experiments.seeds import over_seeds


@dataclass(frozen=True)
class Batch:
    """A batch of activations: (rows, features), its weights drawn from a seed."""

    rows: int = 64
    features: int = 100
    eps: float = 1e-5
    seed: int = 0


SETTING = "{rows} images of the digits, {features} random features, float64"


# A1: what the paper writes is what a library computes.


def _run_a1(config):
    import torch

    z, _ = digits_activations(config.rows, config.features, config.seed)
    rng = np.random.default_rng(config.seed)
    gamma, beta = rng.normal(size=(2, config.features))
    arguments = map(torch.from_numpy, (z, np.zeros_like(beta), np.ones_like(beta), gamma, beta))
    theirs = torch.nn.functional.batch_norm(*arguments, training=True, eps=config.eps).numpy()
    ours, cache = batchnorm_forward(z, gamma, beta, config.eps)
    unbiased = cache.var * config.rows / (config.rows - 1)
    with_unbiased = gamma * cache.x_centred / np.sqrt(unbiased + config.eps) + beta
    return {
        "difference": np.abs(ours - theirs).max(),
        "difference_unbiased": np.abs(with_unbiased - theirs).max(),
    }


def _judge_a1(arrays):
    return [exact("the output is that of torch's batch norm in training", arrays["difference"])]


def _draw_a1(arrays):
    off = {
        "variance divided by m": arrays["difference"],
        "divided by m - 1": arrays["difference_unbiased"],
    }
    return errors(off, tolerance=EXACT, xlabel="largest difference from torch's output")


A1_ALGORITHM = Experiment(
    Claim(
        "A1",
        "While training, batch norm does Algorithm 1: normalize by the mean and the variance of "
        "the mini-batch, then scale and shift.",
        "Yes, and the variance is the biased one, divided by m.",
        "identity",
        "02",
        "Ioffe & Szegedy 2015, Algorithm 1",
    ),
    Batch(),
    run=_run_a1,
    judge=_judge_a1,
    setting=SETTING,
    draw=_draw_a1,
)


# A4: the mean subtracted twice.


def double_centring(z, eps):
    """The mistake: centre z, then subtract the mean again inside the variance."""
    mean = z.mean(axis=0)
    z = z - mean
    return z / np.sqrt(((z - mean) ** 2).mean(axis=0) + eps)


def _run_a4(config):
    z, _ = digits_activations(config.rows, config.features, config.seed)
    y, cache = plain_batchnorm(z, config.eps)
    return {
        "offset": np.abs(cache.mean) / np.sqrt(cache.var),
        "std": double_centring(z, config.eps).std(axis=0),
        "std_right": y.std(axis=0),
        "predicted": np.sqrt(cache.var / (cache.var + cache.mean**2 + config.eps)),
    }


def _judge_a4(arrays):
    std, right = arrays["std"], arrays["std_right"]
    return [
        Part(
            "each feature comes out with the standard deviation that Algorithm 1 gives it, up to a "
            "thousandth",
            bool(np.abs(std - right).max() < 1e-3),
            f"{std.min():.2f} to {std.max():.2f}, Algorithm 1 {right.min():.2f} to "
            f"{right.max():.2f}",
        )
    ]


def _draw_a4(arrays):
    import matplotlib.pyplot as plt

    _, ax = plt.subplots(figsize=(5.6, 3.6))
    offset, order = arrays["offset"], np.argsort(arrays["offset"])
    predicted, std, right = (arrays[name] for name in ("predicted", "std", "std_right"))
    ax.plot(
        offset[order], predicted[order], "-", color="0.6", label="std / sqrt(variance + mean^2)"
    )
    ax.plot(offset, right, "^", color="C0", ms=4, label="Algorithm 1")
    ax.plot(offset, std, "o", color="C1", ms=4, label="centred twice")
    xlabel = "|mean| of a feature before, in standard deviations"
    ax.set(xlabel=xlabel, ylabel="standard deviation after", ylim=0)
    ax.legend()
    return ax


A4_DOUBLE_CENTRING = Experiment(
    Claim(
        "A4",
        "Subtract the mean from z, then compute the variance as mean((z - mean)^2).",
        "If z has been overwritten, the mean comes off twice and the divisor is "
        "sqrt(variance + mean^2): a feature with a large mean is shrunk.",
        "identity",
        "02",
        "Ioffe & Szegedy 2015, Algorithm 1; algebra",
    ),
    Batch(),
    run=_run_a4,
    judge=_judge_a4,
    setting=SETTING,
    draw=_draw_a4,
)


# A17: one row in many batches.


@dataclass(frozen=True)
class ManyBatches:
    """One image in `batches` random batches of each size; under half a second."""

    sizes: tuple[int, ...] = (8, 32, 128)
    batches: int = 100
    features: int = 100
    eps: float = 1e-5
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4, 5)


def _one_seed_a17(config, seed):
    z, _ = digits_activations(None, config.features, seed)
    rng = np.random.default_rng(seed)
    spread = [_spread(z, size, config.batches, config.eps, rng) for size in config.sizes]
    whole = _spread(z, len(z), 2, config.eps, rng)  # the training set in two orders
    return {"spread": np.array([*spread, whole])}


def _spread(z, size, batches, eps, rng):
    """Standard deviation of the first row's output over batches, rms over its features."""
    others = np.arange(1, len(z))
    outputs = []
    for _ in range(batches):
        rows = [0, *rng.permutation(others)[: size - 1]]
        y, _ = plain_batchnorm(z[rows], eps)
        outputs.append(y[0])
    return np.sqrt(np.var(outputs, axis=0).mean())


def _run_a17(config):
    return {"sizes": np.array(config.sizes), **over_seeds(_one_seed_a17, config)}


def _judge_a17(arrays):
    same = arrays["spread"] < 1e-9  # (S, sizes and the whole training set)
    spread = arrays["spread"].mean(axis=0)
    listed = (f"{s:.2f} at m = {m}" for s, m in zip(spread[:-1], arrays["sizes"], strict=True))
    return [
        Part(
            "of a mini-batch: at each batch size, an image's output is the same in whatever batch "
            "it comes",
            in_every_seed(same[:, :-1].all(axis=1)),
            f"its standard deviation over batches is {', '.join(listed)}",
        ),
        Part(
            "of a batch that is the whole training set: it is the same in whatever order",
            in_every_seed(same[:, -1]),
            f"standard deviation {spread[-1]:.2f}",
        ),
    ]


def _draw_a17(arrays):
    names = [f"{size} images" for size in arrays["sizes"]] + ["the whole\ntraining set"]
    groups = dict(zip(names, arrays["spread"].T, strict=True))
    ax = strip(groups, "spread of an image's output\nover batches, standard deviations")
    ax.set_xlabel("batch")
    return ax


A17_ONE_ROW = Experiment(
    Claim(
        "A17",
        "The mean and the variance are those of the training set.",
        "While training they are estimates from the mini-batch, so one example's output depends "
        "on the other examples of its batch.",
        "experiment",
        "02",
        "Ioffe & Szegedy 2015, section 3",
    ),
    ManyBatches(),
    run=_run_a17,
    judge=_judge_a17,
    setting="one image in {batches} random batches of each size, {sizes} images, and in the "
    "training set in two orders",
    draw=_draw_a17,
)
