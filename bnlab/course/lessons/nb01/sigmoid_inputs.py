"""Claim S4: where the inputs of sigmoids shift, from layer to layer or over the steps of training.

Networks of 100 sigmoids a layer on the digits, with and without batch norm: the same weights, the
same mini-batches, the same learning rate. The first and the last layer are followed.
"""

from dataclasses import dataclass

import numpy as np

from bnlab.course.experiments.bench import input_of_last, sigmoid_net, train
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.course.experiments.rule import Part, in_every_seed
from bnlab.data import load_digits
from bnlab.layers import Sequential


@dataclass(frozen=True)
class Trace:
    """Follow the first and the last sigmoids of a network of 3 layers; 6 seconds for 3 seeds."""

    depth: int = 3
    # Of 0.1, 0.5, 1, 2 and 4, on validation images: the best with batch norm, second without.
    lr: float = 2.0
    steps: int = 1000
    batch_size: int = 60
    every: int = 20
    seeds: tuple[int, ...] = (0, 1, 2)


def received(model, x, batchnorm):
    """What the first and the last sigmoids get in training when x is the batch, (2, N, 100)."""
    first = Sequential(*model.layers[: 3 + batchnorm])  # with one layer above, as the last ones
    return np.array([input_of_last(part, x) for part in (first, model)])


def _percentiles(config, digits, batchnorm, seed):
    """15th, 50th and 85th percentile of each sigmoid's input on validation images, (T, 2, 3, C)."""
    model = sigmoid_net(config.depth, batchnorm, seed)
    schedule = {"steps": config.steps, "batch_size": config.batch_size, "every": config.every}

    def percentiles(model):
        inputs = received(model, digits.x_val, batchnorm)
        return np.percentile(inputs, (15, 50, 85), axis=1).swapaxes(0, 1)

    history = train(model, digits, config.lr, seed, measure=percentiles, **schedule)
    return np.array(history.steps), np.array(history.measured, float)


def _one_side_s4(config, digits, batchnorm, seed):
    """How far each median moves (2, C), the first width (2,), a typical sigmoid (2, T, 3)."""
    steps, found = _percentiles(config, digits, batchnorm, seed)
    moves = np.ptp(found[:, :, 1], axis=0)
    width = np.median(found[0, :, 2] - found[0, :, 0], axis=-1)
    typical = np.argsort(moves, axis=-1)[:, moves.shape[-1] // 2]  # half of the others move further
    lines = np.array([found[:, k, :, unit] for k, unit in enumerate(typical)])
    side = "bn" if batchnorm else "plain"
    found = {f"moves_{side}": moves, f"width_{side}": width, f"typical_{side}": lines}
    return {"steps": steps} | {name: array.round(3) for name, array in found.items()}


def _one_seed_s4(config, seed):
    digits = load_digits(seed, np.float32)
    sides = [_one_side_s4(config, digits, batchnorm, seed) for batchnorm in (False, True)]
    return sides[0] | sides[1]


def _judge_s4(arrays):
    width = arrays["width_plain"]  # (S, 2): first and last layer
    first, last = width.T
    plain, bn = (np.median(arrays[f"moves_{side}"], axis=-1) for side in ("plain", "bn"))
    return [
        Part(
            "over depth: before training, a typical sigmoid's inputs (15th to 85th percentile) are "
            "spread at least twice as widely in one layer as in another",
            in_every_seed(np.maximum(first, last) >= 2 * np.minimum(first, last)),
            f"first layer {first.mean():.2f}, last {last.mean():.2f}",
        ),
        Part(
            "over depth alone: during training, the median of a typical sigmoid's input, in the "
            "last layer, moves by less than the inputs were spread before",
            in_every_seed(plain[:, 1] < last),
            f"by {plain[:, 1].mean():.1f}, in the first layer by {plain[:, 0].mean():.1f}; with "
            f"batch norm by {bn[:, 1].mean():.1f} and {bn[:, 0].mean():.1f}",
        ),
    ]


def _draw_s4(arrays):
    """Percentiles over training of a typical sigmoid of the first seed, as in the paper."""
    import matplotlib.pyplot as plt

    from bnlab.plots import percentile_lines

    places = (("plain", 0), ("plain", 1), ("bn", 1))
    titles = (
        "first layer, without batch norm",
        "last layer, without batch norm",
        "last layer, with batch norm",
    )
    _, axes = plt.subplots(1, 3, figsize=(12, 3.2), sharey=True)
    for ax, title, (side, layer) in zip(axes, titles, places, strict=True):
        percentile_lines(arrays["steps"][0], arrays[f"typical_{side}"][0, layer].T, ax)
        ax.set(title=title, xlabel="step of training")
    axes[0].set_ylabel("input of a typical sigmoid")
    return axes[0]


S4_OVER_TIME = Experiment(
    Claim(
        "S4",
        "The distribution of activations shifts from layer to layer, after every few layers.",
        "What shifts, shifts over training time: the same sigmoid, on the same images, gets "
        "other inputs after every update, in the first layer as well as in the last.",
        "experiment",
        "01",
        "Ioffe & Szegedy 2015, figure 1 (b, c)",
    ),
    Trace(),
    one_seed=_one_seed_s4,
    judge=_judge_s4,
    setting="{depth} layers of 100 sigmoids, He's weights, {steps} steps of {batch_size} images at "
    "rate {lr}",
    draw=_draw_s4,
)
