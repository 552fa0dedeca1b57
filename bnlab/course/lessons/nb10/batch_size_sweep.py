"""Claim N1: batch norm needs a batch, other normalizations do not."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from bnlab.course.experiments import panels
from bnlab.course.experiments.bench import rate_sweep
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.course.experiments.rule import Part, larger, told
from bnlab.data import load_digits
from bnlab.layers import BatchNorm, GroupNorm, LayerNorm, Linear, ReLU, Sequential

WIDTH = 100
NORMS = {
    "none": lambda: [],
    "batch": lambda: [BatchNorm(WIDTH, dtype=np.float32)],
    "layer": lambda: [LayerNorm(WIDTH, dtype=np.float32)],
    "group": lambda: [GroupNorm(10, WIDTH, dtype=np.float32)],  # ten groups of ten features
}


def normalized_net(norm, seed):
    """64-100-100-100-10 with one kind of normalization before each ReLU, and the same weights.

    >>> [type(layer).__name__ for layer in normalized_net("layer", seed=0)[:3]]
    ['Linear', 'LayerNorm', 'ReLU']
    """
    rng = np.random.default_rng(seed)
    layers = []
    for features in (64, WIDTH, WIDTH):
        layers += [Linear(features, WIDTH, rng=rng, dtype=np.float32), *NORMS[norm](), ReLU()]
    return Sequential(*layers, Linear(WIDTH, 10, rng=rng, dtype=np.float32))


@dataclass(frozen=True)
class BatchSizes:
    """Every norm sees the same examples at every batch size; stored, 5 minutes on a free core."""

    sizes: tuple[int, ...] = (2, 3, 4, 8, 32, 128)
    epochs: int = 8
    lrs: tuple[float, ...] = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
    seeds: tuple[int, ...] = (0, 1, 2, 3)


def _one_seed(config, seed):
    digits, result = load_digits(seed, np.float32), {}
    for norm in NORMS:
        make = partial(normalized_net, norm, seed)
        for size in config.sizes:
            schedule = {"steps": config.epochs * len(digits.x_train) // size, "batch_size": size}
            val, test = rate_sweep(make, digits, config.lrs, seed, **schedule).T  # (R,) each
            result[f"{norm}_{size}"] = 1 - test[val.argmax()]
    return result


def errors_by_size(arrays, norm):
    """Sizes (K,) and test errors (S, K) of one norm.

    >>> arrays = {"batch_2": np.array([0.3]), "batch_8": np.array([0.1]), "none_2": np.array([0.0])}
    >>> errors_by_size(arrays, "batch")
    (array([2, 8]), array([[0.3, 0.1]]))
    """
    sizes = [int(name.removeprefix(f"{norm}_")) for name in arrays if name.startswith(f"{norm}_")]
    return np.array(sizes), np.column_stack([arrays[f"{norm}_{size}"] for size in sizes])


def points_lost(arrays, norm):
    """Error at the smallest batch less the error at the norm's best size, in points (S,)."""
    _, errors = errors_by_size(arrays, norm)
    return 100 * (errors[:, 0] - errors[:, errors.mean(axis=0).argmin()])


def _spared(arrays, norm):
    lost = points_lost(arrays, norm)
    return Part(
        f"{norm} norm loses less than a fifth of what batch norm loses",
        larger(points_lost(arrays, "batch") - 5 * lost),
        told(lost),
    )


def _judge(arrays):
    lost = points_lost(arrays, "batch")
    return [
        Part(
            "at the smallest batch size batch norm loses more than ten points against its best",
            larger(lost, 10.0),
            told(lost),
        ),
        _spared(arrays, "layer"),
        _spared(arrays, "group"),
    ]


def _draw(arrays):
    groups = {
        "no norm" if norm == "none" else f"{norm} norm": 100 * errors_by_size(arrays, norm)[1]
        for norm in NORMS
    }
    sizes, _ = errors_by_size(arrays, "batch")
    scales = {"xscale": "log", "yscale": "log"}
    ax = panels.lines(sizes, groups, "images in a batch", "test error, %", **scales)
    ax.set_xticks(sizes, sizes)
    ax.set_xticks([], minor=True)
    ax.set_yticks([2, 5, 10, 20, 50], [2, 5, 10, 20, 50])
    ax.set_yticks([], minor=True)
    return ax


N1_BATCH_SIZE = Experiment(
    Claim(
        "N1",
        "Batch norm fails when the batch is very small; layer norm and group norm do not mind.",
        "Yes. With two rows a dense batch norm passes no gradient but what eps makes of near ties, "
        "and the running statistics fit badly. What normalizes each example by itself has no such "
        "limit. With images a channel has many values: on CIFAR-10 statistics of two images cost "
        "four points.",
        "experiment",
        "10",
        "Wu & He 2018, figure 1 and table 2",
        published="yes",
    ),
    BatchSizes(),
    one_seed=_one_seed,
    judge=_judge,
    draw=_draw,
    setting="3 hidden layers of 100 with ReLU, {epochs} epochs in batches of {sizes} images, rates "
    "{lrs} chosen on validation images",
)
