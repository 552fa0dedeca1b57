"""Claim W11: a network with batch norm loses more accuracy on noisy inputs."""

from dataclasses import dataclass

import numpy as np

from bnlab.course.experiments import panels
from bnlab.course.experiments.bench import accuracy_at_best, both_sides, deep_net, train
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.course.experiments.rule import Part, larger, told
from bnlab.course.lessons.nb08.drawing import WITH, WITHOUT, row_of_axes
from bnlab.data import load_digits
from bnlab.training import evaluate


@dataclass(frozen=True)
class NoisyInputs:
    """Trained on clean digits, tested on digits with normal noise; a minute."""

    noises: tuple[float, ...] = (0.0, 0.1, 0.2, 0.4)
    lrs: tuple[float, ...] = (0.03, 0.1, 0.3, 1.0)
    depth: int = 3
    steps: int = 1000
    seeds: tuple[int, ...] = tuple(range(200, 216))


@np.errstate(over="ignore", invalid="ignore")  # at the highest rates some diverge
def _scores(config, digits, noisy, batchnorm, lr, seed):
    """Accuracy on validation images, which are clean, and on test images of each noise, (K, 2)."""
    model = deep_net(batchnorm, seed, depth=config.depth)
    train(model, digits, lr, seed, steps=config.steps)
    chosen_by = evaluate(model, digits.x_val, digits.y_val)
    return [(chosen_by, evaluate(model, x, digits.y_test)) for x in noisy]


def _one_seed_w11(config, seed):
    digits = load_digits(seed, np.float32)
    noise = np.random.default_rng(seed + 1000).normal(size=digits.x_test.shape).astype(np.float32)
    noisy = [digits.x_test + np.float32(size) * noise for size in config.noises]

    def side(batchnorm):
        runs = [_scores(config, digits, noisy, batchnorm, lr, seed) for lr in config.lrs]
        return np.stack(runs, axis=1)  # (K, R, 2)

    return {"noises": config.noises} | both_sides(side)


def _points(arrays):
    """Test accuracy in points at each noise, each side at its best rate, (K, S) twice."""
    return [100 * accuracy_at_best(arrays[side]).T for side in ("plain", "bn")]


def _judge_w11(arrays):
    found = zip(arrays["noises"][0], *_points(arrays), strict=True)
    return [
        Part(
            f"with noise {size:g} the accuracy is lower with batch norm",
            larger(plain - bn),
            f"{plain.mean():.1f} and {bn.mean():.1f}%, {told(bn - plain)}",
        )
        for size, plain, bn in found
        if size  # without noise it is not robustness
    ]


def _draw_w11(arrays):
    sizes, (plain, bn) = arrays["noises"][0], _points(arrays)
    left, right = row_of_axes(["accuracy", "the difference"])
    noise = "noise in a pixel, std"
    panels.lines(sizes, {WITHOUT: plain.T, WITH: bn.T}, noise, "test accuracy, %", ax=left)
    gains = {f"{size:g}": row for size, row in zip(sizes, bn - plain, strict=True)}
    panels.strip(gains, "with minus without, points", limit=(0, "equal"), ax=right)
    right.set_xlabel(noise)
    return left


W11_ROBUSTNESS = Experiment(
    Claim(
        "W11",
        "Batch norm makes a network less robust to noise in its inputs.",
        "On the digits it is at most two points apart on clean images and under mild noise, and "
        "seven points worse at the strongest; on CIFAR-10, with convolutions, nine points ahead "
        "at mild and medium noise. It depends on network and data.",
        "experiment",
        "08",
        "Galloway et al. 2019 (arXiv:1905.02161)",
        published="yes",
    ),
    NoisyInputs(),
    one_seed=_one_seed_w11,
    judge=_judge_w11,
    draw=_draw_w11,
    setting="{depth} hidden layers of 100 with ReLU, {steps} steps of 60 clean images, rates {lrs} "
    "chosen on clean validation images",
)
