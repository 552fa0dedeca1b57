"""Claim C5: for inference, a convolution and the batch norm after it are one convolution."""

from dataclasses import dataclass

import numpy as np

from bnlab import functional as F
from bnlab.batchnorm import batchnorm_inference, fold_batchnorm
from bnlab.course.experiments import panels
from bnlab.course.experiments.bench import EXACT
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.course.experiments.rule import exact
from bnlab.course.lessons.nb06.images import feature_maps, kernel_weights
from bnlab.data import load_digits


@dataclass(frozen=True)
class ConvLayer:
    """Convolution and batch norm with the statistics of `n` images; milliseconds."""

    n: int = 500
    channels: int = 6
    eps: float = 1e-5
    seed: int = 0


def settled_layer(config):
    """A convolution with padding, and gamma, beta, mean and variance of a settled batch norm.

    >>> weight, (gamma, beta, running_mean, running_var) = settled_layer(ConvLayer(channels=6))
    >>> weight.shape, running_var.shape
    ((6, 4, 3, 3), (6,))
    """
    rng = np.random.default_rng(config.seed)
    weight = rng.normal(0, np.sqrt(2 / 36), (config.channels, 4, 3, 3))
    weight[0] /= 1000  # channel 0 is nearly dead: its variance is near eps
    gamma, beta = rng.uniform(0.5, 2, config.channels), rng.normal(size=config.channels)
    z, _ = F.conv2d_forward(feature_maps(config.n), weight, padding=1)
    return weight, (gamma, beta, z.mean(axis=(0, 2, 3)), z.var(axis=(0, 2, 3), ddof=1))


def _run_c5(config):
    import torch

    x = load_digits().images("test")[:50]
    x, _ = F.conv2d_forward(x, kernel_weights(), padding=1)
    weight, norm = settled_layer(config)
    z, _ = F.conv2d_forward(x, weight, padding=1)
    y = batchnorm_inference(z, *norm, config.eps)

    def folded(eps):
        return F.conv2d_forward(x, *fold_batchnorm(weight, None, *norm, eps), padding=1)[0]

    gamma, beta, mean, var = map(torch.from_numpy, norm)
    theirs = torch.nn.functional.conv2d(torch.from_numpy(x), torch.from_numpy(weight), padding=1)
    theirs = torch.nn.functional.batch_norm(theirs, mean, var, gamma, beta, eps=config.eps)
    return {
        "difference": np.abs(folded(config.eps) - y).max(),
        "difference_torch": np.abs(folded(config.eps) - theirs.numpy()).max(),
        "without_eps": np.abs(folded(0.0) - y).max(axis=(0, 2, 3)),
    }


def _judge_c5(arrays):
    largest = max(arrays["difference"], arrays["difference_torch"])
    return [exact("one convolution gives what the two give here and in torch, border too", largest)]


def _draw_c5(arrays):
    dead, *live = arrays["without_eps"]
    compared = {
        "folded, against both here": arrays["difference"],
        "folded, against both in torch": arrays["difference_torch"],
        "folded without eps, ordinary channels": max(live),
        "folded without eps, a nearly dead channel": dead,
    }
    return panels.errors(compared, tolerance=EXACT)


C5_FOLDING = Experiment(
    Claim(
        "C5",
        "For inference, a convolution and the batch norm after it are one convolution.",
        "Yes: each kernel is multiplied by gamma / sqrt(var + eps) of its output channel, and the "
        "rest becomes the bias.",
        "identity",
        "06",
        "algebra; Ioffe & Szegedy 2015, Algorithm 2",
    ),
    ConvLayer(),
    run=_run_c5,
    judge=_judge_c5,
    setting="float64, {channels} channels with the statistics of {n} images",
    draw=_draw_c5,
)
