"""Claim about untrained networks: how signals go forward, and how gradients come back, by layer."""

import math
from dataclasses import dataclass
from functools import partial

import numpy as np

from bnlab import functional as F
from bnlab.course.experiments.bench import ACTIVATIONS, both_sides
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.data import load_digits
from bnlab.layers import mlp

PREDICTED_GROWTH = math.sqrt(math.pi / (math.pi - 1))  # Yang et al. 2019, ReLU, wide, large batch


@dataclass(frozen=True)
class Untrained:
    """One forward and one backward pass at He's initialisation; under half a second a seed."""

    depth: int = 40
    width: int = 200
    rows: int = 512
    activations: tuple[str, ...] = ("relu", "tanh")
    skip: int = 5  # layers at either end that are still on their way to the constant rate
    seeds: tuple[int, ...] = (0, 1, 2)


def sizes_by_layer(model, x, y):
    """Root mean square of what each hidden layer puts out, and the norm of its gradient, (2, L)."""
    ends = tuple(ACTIVATIONS.values())
    forward, backward = [], []
    for layer in model.train():
        x = layer(x)
        if isinstance(layer, ends):
            forward.append(np.sqrt(np.mean(x**2)))
    dx = F.cross_entropy_backward(F.cross_entropy_forward(x, y)[1])
    for layer in reversed(model.layers):
        if isinstance(layer, ends):
            backward.append(np.linalg.norm(dx))
        dx = layer.backward(dx)
    return np.array([forward, backward[::-1]])


def growth_per_layer(sizes, skip):
    """Factor from one layer to the one below it, the geometric mean over all but `skip` ends.

    >>> growth_per_layer(np.array([80.0, 40, 20, 10, 5]), skip=1)
    2.0
    """
    inner = np.log(sizes[skip : len(sizes) - skip])
    return float(np.exp((inner[0] - inner[-1]) / (len(inner) - 1)))


def _one_seed_w14(config, seed):
    digits = load_digits(seed)
    x, y = digits.x_train[: config.rows], digits.y_train[: config.rows]
    shape = [64, *[config.width] * config.depth, 10]

    def sizes(activation, batchnorm):
        options = {"activation": ACTIVATIONS[activation], "batchnorm": batchnorm}
        return sizes_by_layer(mlp(shape, rng=np.random.default_rng(seed), **options), x, y)

    result = {"skip": config.skip}
    for name in config.activations:
        result |= both_sides(partial(sizes, name), prefix=f"{name}_")  # (2, L) each
    return result


def _judge_w14(arrays):
    """RIGHT if neither direction changes tenfold over the layers, IMPRECISE if backward does."""
    skip = int(arrays["skip"][0])
    forward, backward = arrays["relu_bn"][:, 0], arrays["relu_bn"][:, 1]  # (S, L)
    steady = (forward.max(axis=1) < 10 * forward.min(axis=1)).all()
    steady_back = (backward.max(axis=1) < 10 * backward.min(axis=1)).all()
    verdict = "WRONG" if not steady else "RIGHT" if steady_back else "IMPRECISE"
    growth = np.array([growth_per_layer(sizes, skip) for sizes in backward])
    measured = (
        f"ReLU, {forward.shape[1]} layers with batch norm: outputs of one size within a factor "
        f"{(forward.max(axis=1) / forward.min(axis=1)).max():.1f}, gradients {growth.mean():.2f} "
        f"times as large with each layer further down, predicted {PREDICTED_GROWTH:.4f}"
    )
    return verdict, measured, f"{len(growth)} seeds, from {growth.min():.3f} to {growth.max():.3f}"


W14_SIGNALS = Experiment(
    Claim(
        "W14",
        "With batch norm signals neither explode nor vanish.",
        "Forward that is so. Backward, at initialisation, each ReLU layer with batch norm makes "
        "the gradient sqrt(pi / (pi - 1)) = 1.21 times as large.",
        "experiment",
        "08",
        "Yang et al. 2019 (arXiv:1902.08129)",
    ),
    Untrained(),
    one_seed=_one_seed_w14,
    judge=_judge_w14,
)
