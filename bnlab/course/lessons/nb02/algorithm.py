"""Claims about the statistics of Algorithm 1: which they are, and that they are the batch's own.

Each experiment runs on activations of the digits, ``x @ weight.T`` with random weights: features
with means and variances of their own, as batch norm meets them in the first hidden layer.
"""

from dataclasses import dataclass

import numpy as np

from bnlab.batchnorm import batchnorm_forward
from bnlab.course.experiments.bench import EXACT, digits_activations, plain_batchnorm
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.course.experiments.seeds import over_seeds


@dataclass(frozen=True)
class Batch:
    """A batch of activations: (rows, features), its weights drawn from a seed."""

    rows: int = 64
    features: int = 100
    eps: float = 1e-5
    seed: int = 0


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
    equal = arrays["difference"] <= EXACT
    measured = (
        f"equal to torch: {equal}; with m - 1 in place of m the largest difference is "
        f"{arrays['difference_unbiased']:.3f}"
    )
    return "RIGHT" if equal else "WRONG", measured, f"identity, float64, within {EXACT:g}"


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
)


# A3: the variance about another point than the mean.


def _run_a3(config):
    z, _ = digits_activations(config.rows, config.features, config.seed)
    _, cache = plain_batchnorm(z, config.eps)
    a = np.zeros(config.features)  # where a running mean starts
    return {"said": ((z - a) ** 2).mean(axis=0), "var": cache.var, "square": (cache.mean - a) ** 2}


def _judge_a3(arrays):
    said, var, square = arrays["said"], arrays["var"], arrays["square"]
    inflation = said / var
    explained = np.abs(said - var - square).max() <= EXACT * said.max()
    verdict = "RIGHT" if np.allclose(said, var, rtol=1e-9) else "WRONG"
    measured = (
        f"at the first update (a = 0) {np.median(inflation):.1f} times the variance in the median "
        f"feature, {inflation.max():.0f} times in the worst; "
        f"equal to variance + (mean - a)^2: {explained}"
    )
    return verdict, measured, f"identity, float64, within {EXACT:g}"


A3_OTHER_CENTRE = Experiment(
    Claim(
        "A3",
        "The running variance averages mean((z - a)^2), where a is the running mean.",
        "That is the batch variance plus (mean - a)^2: far too much while a is still far from the "
        "mean. What is averaged is the variance of each batch about its own mean.",
        "identity",
        "02",
        "Ioffe & Szegedy 2015, Algorithms 1 and 2; algebra",
    ),
    Batch(),
    run=_run_a3,
    judge=_judge_a3,
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
        "std": double_centring(z, config.eps).std(axis=0),
        "std_right": y.std(axis=0),
        "predicted": np.sqrt(cache.var / (cache.var + cache.mean**2 + config.eps)),
    }


def _judge_a4(arrays):
    std, right = arrays["std"], arrays["std_right"]
    explained = np.abs(std - arrays["predicted"]).max() <= EXACT
    verdict = "RIGHT" if np.abs(std - right).max() < 1e-3 else "WRONG"
    measured = (
        f"standard deviations of the output from {std.min():.2f} to {std.max():.2f}, "
        f"Algorithm 1 gives {right.min():.2f} to {right.max():.2f}; "
        f"the divisor is sqrt(variance + mean^2): {explained}"
    )
    return verdict, measured, f"identity, float64, within {EXACT:g}"


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
    spread, between = arrays["spread"].mean(axis=0), arrays["spread"].std(axis=0)
    if spread.max() < 1e-9:
        verdict = "RIGHT"
    else:  # an estimate of the training set's statistics that gets better with the batch size
        verdict = "IMPRECISE" if (np.diff(spread) < 0).all() and spread[-1] < 1e-9 else "WRONG"
    listed = ", ".join(
        f"{s:.2f} at m = {m}" for s, m in zip(spread[:-1], arrays["sizes"], strict=True)
    )
    measured = f"spread of one row's output {listed}, {spread[-1]:.2f} for the whole training set"
    count = f"{len(arrays['spread'])} seeds"
    return verdict, measured, f"{count}, standard deviation between them {between.max():.3f}"


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
)
