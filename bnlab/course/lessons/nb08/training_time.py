"""Claim W8: batch norm makes training take longer. Fewer steps, and each one costs more."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from bnlab.course.experiments import panels
from bnlab.course.experiments.bench import (
    accuracy_at_best,
    both_sides,
    deep_net,
    scores,
    seconds_per_step,
    train,
)
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.course.experiments.rule import Part, in_every_seed, told, within
from bnlab.course.lessons.nb08.drawing import NAMES, row_of_axes
from bnlab.data import load_digits
from bnlab.training import evaluate

TARGET = 0.95  # of the validation images
ACTIVATIONS = ("relu", "sigmoid")


@dataclass(frozen=True)
class Times:
    """Steps to a validation accuracy and accuracy at the end, at rates of each side's own."""

    plain_lrs: tuple[float, ...] = (0.03, 0.1, 0.3, 1.0, 3.0)
    bn_lrs: tuple[float, ...] = (0.1, 0.3, 1.0, 3.0)
    depth: int = 3
    steps: int = 600
    every: int = 10
    seeds: tuple[int, ...] = tuple(range(200, 212))


def _steps_and_scores(config, digits, model, lr, seed):
    """Updates until the target is reached, inf if never, and both accuracies at the end, (3,)."""
    look = partial(evaluate, x=digits.x_val, y=digits.y_val)
    schedule = {"steps": config.steps, "every": config.every}
    with np.errstate(over="ignore", invalid="ignore"):  # at the highest rates some diverge
        history = train(model, digits, lr, seed, measure=look, **schedule)
    reached = np.array(history.measured) >= TARGET
    steps = history.steps[reached.argmax()] if reached.any() else np.inf
    return [steps, *scores(model, digits)]


def _one_seed_w8(config, seed):
    digits = load_digits(seed, np.float32)

    def side(activation, batchnorm):
        def run(lr):
            model = deep_net(batchnorm, seed, activation=activation, depth=config.depth)
            return _steps_and_scores(config, digits, model, lr, seed)

        return [run(lr) for lr in (config.bn_lrs if batchnorm else config.plain_lrs)]

    result = {"seconds": seconds_per_step(digits)}  # of three layers with ReLU, (2,)
    for name in ACTIVATIONS:
        result |= both_sides(partial(side, name), prefix=f"{name}_")  # (R, 3) each
    return result


def times(arrays):
    """Steps to the target without and with batch norm (2, S), and the cost of one in ms (2,).

    Three layers with ReLU, at the rate that gets each side there first, by the mean over seeds.
    """
    steps = [arrays[f"relu_{side}"][..., 0] for side in ("plain", "bn")]  # (S, R) each
    fastest = [side[:, side.mean(axis=0).argmin()] for side in steps]
    return np.array(fastest), 1000 * np.median(arrays["seconds"], axis=0)


def _told(steps, cost):
    mean = steps.mean()
    return f"{mean:.0f} steps of {cost:.2f} ms" if np.isfinite(mean) else "never in some seed"


def _longer(arrays):
    steps, cost = times(arrays)
    plain, bn = steps * cost[:, None]
    return Part(
        "with ReLU the time to 95% of the validation images right, the steps times what a step "
        "costs, is longer with batch norm in every seed",
        in_every_seed(bn > plain, np.isfinite(np.minimum(plain, bn))),
        f"{_told(steps[0], cost[0])} without, {_told(steps[1], cost[1])} with batch norm",
    )


def _ends(arrays, name):
    """Test accuracy at the end in points, without and with batch norm, each at its best rate."""
    sides = (arrays[f"{name}_{side}"][..., 1:] for side in ("plain", "bn"))
    return [100 * accuracy_at_best(side) for side in sides]


def _alike(arrays, name):
    plain, bn = _ends(arrays, name)
    return Part(
        f"with {NAMES[name]} both end with the same test accuracy, up to a point",
        within(bn - plain, 1.0),
        f"{plain.mean():.1f} and {bn.mean():.1f}%, {told(bn - plain)}",
    )


def _judge(arrays):
    return [_longer(arrays), *(_alike(arrays, name) for name in ACTIVATIONS)]


def _draw(arrays):
    steps, cost = times(arrays)
    left, *right = row_of_axes(["ReLU", "ReLU", "sigmoid"])
    spent = dict(zip(("without", "with"), steps * cost[:, None], strict=True))
    panels.strip(spent, "ms until 95% are right", ax=left)
    for ax, name in zip(right, ACTIVATIONS, strict=True):
        ends = dict(zip(("without", "with"), _ends(arrays, name), strict=True))
        panels.strip(ends, "test accuracy at the end, %", ax=ax)
    for ax in (left, *right):
        ax.set_xlabel("batch norm")
    return left


W8_TIME = Experiment(
    Claim(
        "W8",
        "Batch norm makes training take longer; it does not change the performance.",
        "It needs fewer steps, and each step costs more: say both. Which side is done first by the "
        "clock depends on the network and the library; whether the final accuracy differs, on how "
        "well the network trains without it.",
        "experiment",
        "08",
        "Ioffe & Szegedy 2015, section 4.2",
    ),
    Times(),
    one_seed=_one_seed_w8,
    judge=_judge,
    draw=_draw,
    setting="{depth} hidden layers of 100, {steps} steps of 60 images, rates {plain_lrs} without "
    "and {bn_lrs} with batch norm, chosen on validation images",
)
