"""Claims about statistics computed afresh, with the weights left alone.

After few steps of training they are better than running averages (PreciseBN); on shifted inputs
they undo some shifts (AdaBN), and not others.
"""

import copy
import dataclasses
from dataclasses import dataclass

import numpy as np

from bnlab.course.experiments.bench import (
    batches_of,
    batchnorm_layers,
    points_gained,
    trained_net,
)
from bnlab.course.experiments.evidence import Claim, Experiment
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
    """RIGHT if recomputing gains early, more than two standard errors, and less later."""
    early, error = points_gained(arrays["early_recomputed"], arrays["early_running"])
    late, late_error = points_gained(arrays["late_recomputed"], arrays["late_running"])
    mean = {name: 100 * value.mean() for name, value in arrays.items()}
    if early <= error:
        verdict = "NOT REPRODUCED"
    elif late < early / 2:
        verdict = "RIGHT"
    else:
        verdict = "IMPRECISE"
    measured = (
        f"early {mean['early_running']:.1f}% with running averages, of which "
        f"{mean['left']:.0f}% still are the start values, and {mean['early_recomputed']:.1f}% with "
        f"recomputed ones; late {mean['late_running']:.1f}% and {mean['late_recomputed']:.1f}%"
    )
    spread = f"gain {early:.0f} +- {error:.0f} points early, {late:.1f} +- {late_error:.1f} late"
    return verdict, measured, f"{len(arrays['early_running'])} seeds, {spread}"


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
    ),
    Early(),
    one_seed=_one_seed_t5,
    judge=_judge_t5,
)


# S3: inputs of another kind.

SHIFTS = {
    "contrast": lambda x: contrast(x, -0.75),  # a quarter of the contrast
    "brightness": lambda x: brightness(x, -0.5),  # half the range darker, clipped
    "rotation": lambda x: rotate(x, 15),
    "inversion": invert,
}


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


def _recovered(arrays, shift):
    """How much of the accuracy that the shift costs comes back, as a share, over seeds."""
    lost = arrays["clean"] - arrays[f"{shift}_as_it_is"]
    return (arrays[f"{shift}_adapted"] - arrays[f"{shift}_as_it_is"]) / lost


def _judge_s3(arrays):
    """Look for shifts that fresh statistics undo: at least 90% of the loss, in every seed.

    Every shift undone or some: WRONG. None, but some recover a half: IMPRECISE. Else RIGHT.
    """
    shifts = [name.removesuffix("_adapted") for name in arrays if name.endswith("_adapted")]
    shares = [_recovered(arrays, shift).min() for shift in shifts]
    if max(shares) >= 0.9:
        verdict = "WRONG"
    elif max(shares) >= 0.5:
        verdict = "IMPRECISE"
    else:
        verdict = "RIGHT"
    mean = {name: 100 * value.mean() for name, value in arrays.items()}
    parts = [
        f"{shift} {mean[f'{shift}_as_it_is']:.0f}% -> {mean[f'{shift}_adapted']:.0f}% "
        f"(retrained {mean[f'{shift}_retrained']:.0f}%)"
        for shift in shifts
    ]
    measured = f"clean {mean['clean']:.0f}%; " + ", ".join(parts)
    return verdict, measured, f"{len(arrays['clean'])} seeds, 202 unlabelled images"


S3_RETRAIN = Experiment(
    Claim(
        "S3",
        "If the inputs at test time are shifted, the network has to be retrained from scratch.",
        "Not always. Re-estimating only the statistics of batch norm on shifted inputs, without "
        "labels, undoes a change of contrast, helps a little against a rotation, and not at all "
        "against an inversion.",
        "experiment",
        "05",
        "Li et al. 2016; Ioffe & Szegedy 2015, section 5",
    ),
    Shifted(),
    one_seed=_one_seed_s3,
    judge=_judge_s3,
)
