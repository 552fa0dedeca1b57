"""Claims about statistics computed afresh, with the weights left alone.

After few steps of training they are better than running averages (PreciseBN); on shifted inputs
they undo some shifts (AdaBN), and not others.
"""

import copy
import dataclasses
from dataclasses import dataclass

import numpy as np

from bnlab.course.experiments import panels
from bnlab.course.experiments.bench import batches_of, batchnorm_layers, trained_net
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.course.experiments.rule import Part, larger, told, within
from bnlab.data import brightness, contrast, invert, load_digits, rotate
from bnlab.training import evaluate


def with_statistics_of(model, x, batch_size):
    """Copy of a model whose running statistics are means over the full batches of x, (N, ...).

    Everything else stays as it is. Sources: Wu & Johnson 2021 (arXiv:2105.07576), section 3, on
    training inputs; Li et al. 2016 (arXiv:1603.04779) on inputs of another kind.

    >>> from bnlab.layers import BatchNorm, Sequential
    >>> model = with_statistics_of(Sequential(BatchNorm(1)), np.array([[2.0], [6.0]]), batch_size=2)
    >>> model[0].running_mean, model[0].running_var, model[0].momentum
    (array([4.]), array([8.]), 0.1)
    """
    fresh = copy.deepcopy(model).train()
    layers = batchnorm_layers(fresh)
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = None  # the first batch overwrites what was there
        layer.num_batches_tracked[...] = 0
    for rows in batches_of(np.arange(len(x)), batch_size):
        fresh(x[rows])
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    return fresh.eval()


# T5: running averages lag early in training.


@dataclass(frozen=True)
class Early:
    """Few steps with slow averages, and many steps with torch's default; 8 seconds."""

    early_steps: int = 20
    early_momentum: float = 0.01
    late_steps: int = 1000
    late_momentum: float = 0.1
    lr: float = 0.5
    batch_size: int = 60
    seeds: tuple[int, ...] = tuple(range(8))


def _one_seed_t5(config, seed):
    digits = load_digits(seed, np.float32)
    result = {}
    for when in ("early", "late"):
        steps, momentum = (getattr(config, f"{when}_{name}") for name in ("steps", "momentum"))
        model = trained_net(digits, seed, steps=steps, lr=config.lr, momentum=momentum)
        recomputed = with_statistics_of(model, digits.x_train, config.batch_size)
        result[f"{when}_running"] = evaluate(model, digits.x_test, digits.y_test)
        result[f"{when}_recomputed"] = evaluate(recomputed, digits.x_test, digits.y_test)
    return {**result, "left": (1 - config.early_momentum) ** config.early_steps}


def _judge_t5(arrays):
    early, late = (_gains(arrays, when) for when in ("early", "late"))
    left = 100 * np.mean(arrays["left"])
    return [
        Part(
            "early in training recomputed statistics gain a point or more",
            larger(early, 1.0),
            f"{told(early)}, while {left:.0f}% of the start values are left in the averages",
        ),
        Part(
            "late in training they change less than a point",
            within(late, 1.0),
            f"{told(late)}",
        ),
    ]


def _gains(arrays, when):
    """Points that recomputed statistics gain over running averages, (S,)."""
    return 100 * (arrays[f"{when}_recomputed"] - arrays[f"{when}_running"])


def _draw_t5(arrays):
    groups = {
        f"{when},\n{how}": 100 * arrays[f"{when}_{name}"]
        for when in ("early", "late")
        for how, name in (("averages", "running"), ("recomputed", "recomputed"))
    }
    return panels.strip(groups, "test accuracy, %")


T5_LAG = Experiment(
    Claim(
        "T5",
        "Early in training the running averages lag behind the network; statistics recomputed "
        "from training data do better.",
        "Yes, while the weights move fast: the averages describe the network of some steps ago, "
        "even when nothing of the start values is left. Once training has converged there is "
        "nothing to gain.",
        "experiment",
        "05",
        "Wu & Johnson 2021, section 3",
        published="yes",
    ),
    Early(),
    one_seed=_one_seed_t5,
    judge=_judge_t5,
    draw=_draw_t5,
    setting="64-100-100-100-10 with ReLU at rate {lr}; early: {early_steps} steps of {batch_size} "
    "images, momentum {early_momentum}; late: {late_steps} steps, momentum {late_momentum}",
)


# S3: inputs of another kind.

SHIFTS = {
    "contrast": lambda x: contrast(x, -0.75),  # a quarter of the contrast
    "brightness": lambda x: brightness(x, -0.5),  # half the range darker, clipped
    "rotation": lambda x: rotate(x, 15),
    "inversion": invert,
}


WAYS = {"as it is": "as_it_is", "new\nstatistics": "adapted", "trained\nfrom scratch": "retrained"}


@dataclass(frozen=True)
class Shifted:
    """Trained on clean digits, tested on shifted ones; 20 seconds with retraining."""

    shifts: tuple[str, ...] = tuple(SHIFTS)
    steps: int = 1000
    lr: float = 0.1
    seeds: tuple[int, ...] = (0, 1, 2, 3)


def _one_seed_s3(config, seed):
    digits = load_digits(seed, np.float32)
    model = trained_net(digits, seed, steps=config.steps, lr=config.lr)
    result = {"clean": evaluate(model, digits.x_test, digits.y_test)}
    for name in config.shifts:
        x = {part: SHIFTS[name](getattr(digits, part)) for part in ("x_train", "x_val", "x_test")}
        moved = dataclasses.replace(digits, **x)
        adapted = with_statistics_of(model, moved.x_val, len(moved.x_val))  # 202 images, no labels
        retrained = trained_net(moved, seed, steps=config.steps, lr=config.lr)
        models = {"as_it_is": model, "adapted": adapted, "retrained": retrained}
        for how, tested in models.items():
            result[f"{name}_{how}"] = evaluate(tested, moved.x_test, moved.y_test)
    return result


def _judge_s3(arrays):
    """A part for each shift: nine tenths of what retraining brings back count as enough."""
    return [_falls_short(*_three_ways(arrays, s).values(), s) for s in _shifts(arrays)]


def _three_ways(arrays, shift):
    """Accuracy in percent, (S,), by what is done about a shift."""
    return {how: 100 * arrays[f"{shift}_{key}"] for how, key in WAYS.items()}


def _falls_short(as_it_is, adapted, retrained, shift):
    missing = 0.9 * (retrained - as_it_is) - (adapted - as_it_is)
    accuracies = ", ".join(f"{a.mean():.1f}" for a in (as_it_is, adapted, retrained))
    return Part(
        f"{shift}: new statistics alone bring back less than nine tenths of what training from "
        "scratch does",
        larger(missing),
        f"{accuracies}% as it is, with new statistics, from scratch; {told(missing)} missing",
    )


def _draw_s3(arrays):
    import matplotlib.pyplot as plt

    shifts = _shifts(arrays)
    clean = 100 * np.mean(arrays["clean"]), "without a shift"
    size = 4.2 * len(shifts), 3.6
    _, axes = plt.subplots(1, len(shifts), figsize=size, sharey=True, squeeze=False)
    for ax, shift in zip(axes[0], shifts, strict=True):
        panels.strip(_three_ways(arrays, shift), "", limit=clean, ax=ax).set_title(shift)
    axes[0, 0].set(ylabel="test accuracy, %", ylim=(0, 106))
    return axes[0, 0]


def _shifts(arrays):
    return [name.removesuffix("_adapted") for name in arrays if name.endswith("_adapted")]


S3_RETRAIN = Experiment(
    Claim(
        "S3",
        "If the inputs at test time are shifted, the network has to be retrained from scratch.",
        "Not always. Re-estimating only the statistics of batch norm on shifted inputs, without "
        "labels, undoes a change of contrast and nearly one of brightness, helps a little against "
        "a rotation, and not at all against an inversion.",
        "experiment",
        "05",
        "Li et al. 2016; Ioffe & Szegedy 2015, section 5",
    ),
    Shifted(),
    one_seed=_one_seed_s3,
    judge=_judge_s3,
    draw=_draw_s3,
    setting="64-100-100-100-10 with ReLU, {steps} steps of 60 images at rate {lr}; new statistics "
    "from 202 shifted images without labels",
)
