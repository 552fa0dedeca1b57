"""Folding: for inference, batch norm disappears into the layer before it."""

import copy
from dataclasses import dataclass

import numpy as np

from bnlab.batchnorm import fold_batchnorm
from bnlab.course.experiments.bench import trained_net
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.data import load_digits
from bnlab.layers import BatchNorm, Sequential


def fold_network(model, eps=None):
    """Copy of a network with each BatchNorm folded into the Linear or Conv2d before it.

    `eps` is by default each layer's own; 0 is the mistake of forgetting it.

    >>> from bnlab.layers import mlp
    >>> model = mlp([2, 3, 1], rng=np.random.default_rng(0))
    >>> [type(layer).__name__ for layer in fold_network(model)]
    ['Linear', 'ReLU', 'Linear']
    """
    layers = []
    for layer in copy.deepcopy(model):
        if isinstance(layer, BatchNorm):
            below = layers[-1]
            affine = layer.weight, layer.bias, layer.running_mean, layer.running_var
            used = layer.eps if eps is None else eps
            below.weight, below.bias = fold_batchnorm(below.weight, below.bias, *affine, used)
        else:
            layers.append(layer)
    return Sequential(*layers).eval()


@dataclass(frozen=True)
class Fold:
    """Logits of a trained network, before and after folding; 2 seconds."""

    steps: int = 1000
    lr: float = 0.1
    seeds: tuple[int, ...] = (0, 1, 2, 3)


def _one_seed_t6(config, seed):
    digits = load_digits(seed, np.float32)
    model = trained_net(digits, seed, steps=config.steps, lr=config.lr)
    y, x = model(digits.x_test), digits.x_test
    folded, without_eps = fold_network(model), fold_network(model, eps=0.0)
    return {
        "folded": np.abs(folded(x) - y).max() / np.abs(y).max(),
        "without_eps": np.abs(without_eps(x) - y).max() / np.abs(y).max(),
        "layers": (len(model), len(folded)),
    }


def _judge_t6(arrays):
    """RIGHT if the logits agree to single precision, and would not without eps."""
    folded, without_eps = arrays["folded"].max(), arrays["without_eps"].min()
    before, after = arrays["layers"][0]
    verdict = "RIGHT" if folded < 5e-6 and after < before else "WRONG"
    measured = (
        f"{before} layers become {after}; logits change by {folded:.0e} of the largest one, "
        f"by {without_eps:.0e} and more if eps is forgotten"
    )
    return verdict, measured, f"{len(arrays['folded'])} seeds, float32, largest of all images"


T6_FOLDING = Experiment(
    Claim(
        "T6",
        "For inference, batch norm can be folded into the linear layer before it.",
        "Yes: W' = s W and b' = beta + (b - mean) s with s = gamma / sqrt(var + eps). eps is part "
        "of s.",
        "identity",
        "05",
        "algebra; Ioffe & Szegedy 2015, Algorithm 2",
    ),
    Fold(),
    one_seed=_one_seed_t6,
    judge=_judge_t6,
)
