"""Claim about untrained networks: how signals go forward, and how gradients come back, by layer."""

import math
from dataclasses import dataclass
from functools import partial

import numpy as np

from bnlab import functional as F
from bnlab.course.experiments import panels
from bnlab.course.experiments.bench import ACTIVATIONS, both_sides
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.course.experiments.rule import Part, in_every_seed
from bnlab.course.lessons.nb08.drawing import NAMES, WITH, WITHOUT, legend_for_labels, row_of_axes
from bnlab.data import load_digits
from bnlab.layers import mlp

SIDES = {"bn": WITH, "plain": WITHOUT}
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


def _parts(arrays, name):
    """Forward and backward, of one activation with batch norm."""
    forward, backward = (arrays[f"{name}_bn"][:, k] for k in (0, 1))  # (S, L) each
    factors = [sizes.max(axis=1) / sizes.min(axis=1) for sizes in (forward, backward)]
    growth = np.mean([growth_per_layer(sizes, int(arrays["skip"][0])) for sizes in backward])
    predicted = f", predicted {PREDICTED_GROWTH:.4f}" if name == "relu" else ""
    return [
        Part(
            f"{NAMES[name]}: outputs keep their size within a factor of 10 over all layers, in "
            "every seed",
            in_every_seed(factors[0] < 10),
            f"within {factors[0].max():.1f}",
        ),
        Part(
            f"{NAMES[name]}: so do gradients on their way back",
            in_every_seed(factors[1] < 10),
            f"within {factors[1].max():,.0f}: {growth:.3f} times as large a layer{predicted}",
        ),
    ]


def _judge_w14(arrays):
    return [part for name in NAMES if f"{name}_bn" in arrays for part in _parts(arrays, name)]


def _draw_w14(arrays):
    """Sizes by layer, forward and backward, with batch norm and without it."""
    names = [name for name in NAMES if f"{name}_bn" in arrays]
    titles = ("forward: outputs", "backward: gradients, top layer = 1")
    axes = row_of_axes(titles, width=5.4)
    layers = np.arange(1, arrays[f"{names[0]}_bn"].shape[-1] + 1)
    for k, ax in enumerate(axes):
        sides = {f"{NAMES[n]}, {t}": f"{n}_{s}" for n in names for s, t in SIDES.items()}
        groups = {text: arrays[key][:, k] for text, key in sides.items()}
        if k == 1:
            groups = {text: sizes / sizes[:, -1:] for text, sizes in groups.items()}
            predicted = PREDICTED_GROWTH ** (layers[-1] - layers)
            ax.plot(layers, predicted, color="0.3", ls=":", label="predicted for ReLU")
        panels.lines(layers, groups, "hidden layer, 1 is at the input", "", ax=ax, yscale="log")
        legend_for_labels(ax, fontsize="small")
    axes[0].set(ylabel="root mean square", ylim=(0.01, 100))
    axes[1].set_ylabel("norm of the gradient")
    return axes[0]


W14_SIGNALS = Experiment(
    Claim(
        "W14",
        "With batch norm signals neither explode nor vanish.",
        "Forward that is so. Backward, at initialisation, each layer with batch norm makes the "
        "gradient larger: with ReLU sqrt(pi / (pi - 1)) = 1.21 times, with tanh less.",
        "experiment",
        "08",
        "Yang et al. 2019 (arXiv:1902.08129)",
    ),
    Untrained(),
    one_seed=_one_seed_w14,
    judge=_judge_w14,
    setting="{depth} hidden layers of {width} at He's initialisation, untrained, {rows} images",
    draw=_draw_w14,
)
