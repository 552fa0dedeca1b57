"""Claims about the noise of the mini-batch: how large it is, where it acts, what it is good for.

The mean and the variance of a mini-batch miss those of the training set by a random amount.
Whether this noise regularizes is tested in `ghost_batches`.
"""

from dataclasses import dataclass

import numpy as np

from bnlab.course.experiments import panels
from bnlab.course.experiments.bench import digits_activations
from bnlab.course.experiments.evidence import Claim, Definition, Experiment
from bnlab.course.experiments.rule import Part, in_every_seed
from bnlab.course.experiments.seeds import over_seeds
from bnlab.layers import BatchNorm

# R1: the size of the noise.


@dataclass(frozen=True)
class ManyBatches:
    """Random batches of each size, drawn from the training images; under 2 seconds."""

    sizes: tuple[int, ...] = (2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
    batches: int = 200
    features: int = 100
    company: int = 32  # rows of the batches in which one image is looked at
    seeds: tuple[int, ...] = (200, 201, 202)


def without_replacement(m, n):
    """Predict the noise of a mean of m values drawn from n, in standard deviations.

    >>> float(without_replacement(1, 100)), float(without_replacement(100, 100))
    (1.0, 0.0)
    """
    return np.sqrt((n - m) / ((n - 1) * m))


def noise_of_batches(z, m, batches, rng):
    """How far mean and variance of random batches of m rows of z (N, C) are from those of z.

    Rms of (batch mean - mean) / standard deviation, and standard deviation of batch variance /
    variance, rms over features.

    >>> z = np.random.default_rng(0).normal(size=(500, 4))
    >>> noise_of_batches(z, 500, batches=2, rng=np.random.default_rng(0))
    (0.0, 0.0)
    """
    z_hat = (z - z.mean(axis=0)) / z.std(axis=0)
    # Sums by a matrix of 0 and 1: which rows are in which batch.
    chosen = np.zeros((batches, len(z)))
    for row in chosen:
        row[rng.permutation(len(z))[:m]] = 1
    mean = chosen @ z_hat / m  # (batches, C)
    var = chosen @ z_hat**2 / m - mean**2  # z_hat is of order 1, so no digits are lost
    of_mean, of_variance = np.sqrt((mean**2).mean()), np.sqrt(var.var(axis=0).mean())
    return round(float(of_mean), 12), round(float(of_variance), 12)


def spread_in_company(z, m, batches, rng):
    """How much the output of row 0 of z (N, C) varies with its batch, in training and evaluation.

    Standard deviation over batches of m rows, rms over features; evaluation uses the running
    averages that the training batches left.
    """
    layer = BatchNorm(z.shape[1])
    rows = [np.r_[0, 1 + rng.permutation(len(z) - 1)[: m - 1]] for _ in range(batches)]
    training = np.array([layer(z[r])[0] for r in rows])  # (batches, C)
    layer.eval()
    evaluation = np.array([layer(z[r])[0] for r in rows])
    return [float(np.sqrt(y.var(axis=0).mean())) for y in (training, evaluation)]


def _one_seed_r1(config, seed):
    z, _ = digits_activations(None, config.features, seed)
    rng = np.random.default_rng(seed)
    noise = [noise_of_batches(z, m, config.batches, rng) for m in config.sizes]
    of_mean, of_variance = np.array(noise).T
    spread = spread_in_company(z, config.company, config.batches, rng)
    return {"mean": of_mean, "variance": of_variance, "n": len(z), "spread": spread}


def _run_r1(config):
    found = over_seeds(_one_seed_r1, config)
    sizes = np.array(config.sizes)
    predicted = without_replacement(sizes, found["n"][0])
    return {"sizes": sizes, "predicted": predicted, **found}


def _judge_r1(arrays):
    noise = arrays["mean"]  # (S, sizes)
    off = np.abs(noise / arrays["predicted"] - 1).max(axis=1)
    training, evaluation = np.array(arrays["spread"]).T
    typical = noise.mean(axis=0)
    listed = ", ".join(f"{typical[i]:.3f} at m = {arrays['sizes'][i]}" for i in (0, 4, -1))
    return [
        Part(
            "the mean of a batch is the noisier the smaller the batch, in every seed",
            in_every_seed((np.diff(noise, axis=1) < 0).all(axis=1)),
            f"in standard deviations {listed}",
        ),
        Part(
            "by as much as sampling without replacement predicts, within 5%, in every seed",
            in_every_seed(off < 0.05),
            f"at most {off.max():.0%} off",
        ),
        Part(
            "as with dropout, an output is random in training and fixed in evaluation mode, in "
            "every seed",
            in_every_seed((training > 0.01) & (evaluation < 1e-9)),
            f"in batches of 32 it varies by {training.mean():.2f} in training, "
            f"{evaluation.mean():.2f} after",
        ),
    ]


def _draw_r1(arrays):
    noise = {"measured": arrays["mean"], "predicted": arrays["predicted"]}
    axes = {"xscale": "log", "yscale": "log"}
    unit = "error of a batch's mean,\nstandard deviations"
    return panels.lines(arrays["sizes"], noise, "rows of a batch, m", unit, **axes)


R1_NOISE = Experiment(
    Claim(
        "R1",
        "Mini-batch statistics are noisy, and this noise acts as dropout does.",
        "The size of the noise follows from sampling without replacement. It resembles dropout in "
        "kind: random in training, absent at test time. Whether it regularizes is claim R2.",
        "experiment",
        "07",
        "Ioffe & Szegedy 2015, section 3.4; Luo et al. 2019",
    ),
    ManyBatches(),
    run=_run_r1,
    judge=_judge_r1,
    setting="{features} features of a first layer on the digits, {batches} batches of each size",
    draw=_draw_r1,
)


# R4 and R6: what the noise is for, and what it acts on.

R4_DELIBERATE = Definition(
    Claim(
        "R4",
        "Batch norm should never be used as a regularizer.",
        "It is used as one on purpose: ghost batches keep its noise in large-batch training. As "
        "the only regularizer it is hard to control, because its strength hangs on the batch "
        "size.",
        "definition",
        "07",
        "Hoffer, Hubara & Soudry 2017; Summers & Dinneen 2020",
    ),
    "CONTESTED",
)

R6_PARAMETERS = Definition(
    Claim(
        "R6",
        "The noise of batch norm makes gamma and beta generalize.",
        "The noise is in the mean and the variance, so it moves every activation of the layer, "
        "and with it the gradients of all weights below and above, not of gamma and beta alone.",
        "definition",
        "07",
        "Ioffe & Szegedy 2015, Algorithm 1 and section 3.4",
    ),
    "WRONG",
)
