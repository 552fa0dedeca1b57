"""Folding: for inference, batch norm disappears into the layer before it."""

import copy
from dataclasses import dataclass

import numpy as np

from bnlab.batchnorm import fold_batchnorm
from bnlab.course.experiments import panels
from bnlab.course.experiments.bench import trained_net
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.course.experiments.rule import Part, in_every_seed
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


SINGLE = 5e-6  # of the largest logit: float32 through four layers


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
    folded, without_eps = (np.array(arrays[name]) for name in ("folded", "without_eps"))  # (S,)
    before, after = np.array(arrays["layers"])[0]
    return [
        Part(
            "without its batch norms the network gives the same logits, to 5e-6 of the largest "
            "one, in every seed",
            in_every_seed((folded <= SINGLE) & (after < before)),
            f"{before} layers become {after}; logits change by {folded.max():.0e}, "
            f"by {without_eps.max():.0e} if eps is forgotten",
        )
    ]


def _draw_t6(arrays):
    names = {"folded": "folded", "folded, eps forgotten": "without_eps"}
    xlabel = "largest change of a logit, of the largest logit"
    changes = {name: arrays[key] for name, key in names.items()}
    return panels.errors(changes, tolerance=SINGLE, xlabel=xlabel)


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
    draw=_draw_t6,
    setting="float32, 64-100-100-100-10 with ReLU, {steps} steps of 60 images at rate {lr}; "
    "all test images",
)
