"""Claim C6: batch norm between convolution and ReLU, in a small network on the digits.

Both sides have the same first weights, mini-batches and rates. The images are standardized, or the
side without batch norm would pay for the grey paper too. In double precision, so that rounding does
not decide when a curve crosses 95%.
"""

import time
from dataclasses import dataclass

import numpy as np

from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.course.experiments.seeds import over_seeds
from bnlab.data import load_digits
from bnlab.layers import AvgPool2d, BatchNorm, Conv2d, Flatten, Linear, ReLU, Sequential
from bnlab.optim import SGD
from bnlab.training import evaluate, fit

GOAL = 0.95  # accuracy on the validation images


def conv_block(c_in, c_out, *, batchnorm, rng):
    """Convolution, which has no bias before a batch norm, [batch norm], ReLU: a list of layers.

    >>> block = conv_block(1, 8, batchnorm=True, rng=np.random.default_rng(0))
    >>> [type(layer).__name__ for layer in block]
    ['Conv2d', 'BatchNorm', 'ReLU']
    """
    convolution = Conv2d(c_in, c_out, 3, bias=not batchnorm, padding=1, rng=rng)
    return [convolution, *([BatchNorm(c_out)] if batchnorm else []), ReLU()]


def small_cnn(batchnorm, seed):
    """Three blocks of 8, 16 and 16 channels, two poolings, one linear layer; 4,208 weights.

    >>> small_cnn(batchnorm=True, seed=0)(np.ones((2, 1, 8, 8))).shape
    (2, 10)
    """
    rng = np.random.default_rng(seed)  # norms draw nothing: both sides get the same weights
    options = {"batchnorm": batchnorm, "rng": rng}
    return Sequential(
        *conv_block(1, 8, **options),
        AvgPool2d(2),
        *conv_block(8, 16, **options),
        *conv_block(16, 16, **options),
        AvgPool2d(2),
        Flatten(),
        Linear(64, 10, rng=rng),
    )


def standardized(digits, split):
    """Images of a split, by the mean and the standard deviation of all training pixels.

    >>> standardized(load_digits(), "train").std().round(6)
    np.float64(1.0)
    """
    return (digits.images(split) - digits.x_train.mean()) / digits.x_train.std()


@dataclass(frozen=True)
class Race:
    """Both sides at each rate; 25 seconds of one core."""

    lrs: tuple[float, ...] = (0.03, 0.1, 0.3, 1.0, 3.0)
    steps: int = 400
    every: int = 20
    batch_size: int = 32
    seeds: tuple[int, ...] = (0, 1, 2, 3)


@np.errstate(over="ignore", invalid="ignore")  # some runs leave the range of numbers
def train(config, batchnorm, lr, seed):
    """One run: the trained network and its `History` of validation accuracies."""
    digits, model = load_digits(), small_cnn(batchnorm, seed)
    x, x_val = standardized(digits, "train"), standardized(digits, "val")
    schedule = {"steps": config.steps, "batch_size": config.batch_size, "every": config.every}
    schedule["rng"] = np.random.default_rng(seed)
    schedule["measure"] = lambda model: evaluate(model, x_val, digits.y_val)
    return model, fit(model, x, digits.y_train, SGD(model, lr), **schedule)


def _one_run(config, batchnorm, lr, seed):
    """Accuracies (T,), nan after a run that diverged, and seconds per step."""
    start = time.process_time()
    _, history = train(config, batchnorm, lr, seed)
    seconds = (time.process_time() - start) / np.isfinite(history.loss).sum()
    curve = np.full(config.steps // config.every + 1, np.nan)
    curve[: len(history.measured)] = history.measured
    return curve, seconds


def _one_seed_c6(config, seed):
    runs = [[_one_run(config, side, lr, seed) for lr in config.lrs] for side in (False, True)]
    return {
        "accuracy": np.array([[curve for curve, _ in side] for side in runs]),
        "seconds": np.array([np.median([seconds for _, seconds in side]) for side in runs]),
    }


def _run_c6(config):
    steps = np.arange(0, config.steps + 1, config.every)
    return {"lrs": np.array(config.lrs), "steps": steps, **over_seeds(_one_seed_c6, config)}


def steps_to(goal, steps, accuracy):
    """First measured step at which the accuracy (..., T) is at least the goal; inf for never.

    >>> steps_to(0.95, np.array([0, 20, 40]), np.array([[0.1, 0.96, 0.94], [0.1, 0.2, 0.3]]))
    array([20., inf])
    """
    reached = accuracy >= goal  # nan does not reach anything
    return np.where(reached.any(axis=-1), steps[reached.argmax(axis=-1)], np.inf)


def best_rates(accuracy):
    """Number of each side's best rate in accuracy (S, sides, R, T), by the mean over S and T."""
    return np.nan_to_num(accuracy).mean(axis=(0, 3)).argmax(axis=1)


def _judge_c6(arrays):
    """RIGHT if more rates reach 95%, and at the best rates every seed does so in fewer steps."""
    accuracy, lrs = arrays["accuracy"], arrays["lrs"]
    first = steps_to(GOAL, arrays["steps"], accuracy)  # (seeds, sides, rates)
    plain, normalized = (np.isfinite(first).mean(axis=0) > 0.5).sum(axis=1)  # rates
    best = best_rates(accuracy)
    at_best = first[:, [0, 1], best]  # (seeds, sides)
    faster = (at_best[:, 1] < at_best[:, 0]).sum()
    wins = normalized > plain and faster == len(first)
    measured = (
        f"95% in most seeds at {plain} of {len(lrs)} rates without batch norm, at {normalized} "
        f"with it; each at its best rate ({lrs[best[0]]:g} and {lrs[best[1]]:g}), sooner with it "
        f"in {faster} of {len(first)} seeds ({_median_steps(at_best[:, 1])} against "
        f"{_median_steps(at_best[:, 0])})"
    )
    return "RIGHT" if wins else "NOT REPRODUCED", measured, f"{len(first)} seeds"


def _median_steps(first):
    median = np.median(first)
    return f"about {median:.0f} steps" if np.isfinite(median) else "not within the run"


C6_SMALL_CNN = Experiment(
    Claim(
        "C6",
        "Batch norm between convolution and activation lets a network train at more learning "
        "rates and in fewer steps.",
        "Yes for this small network, in steps. Each step costs somewhat more: count seconds too.",
        "experiment",
        "06",
        "Ioffe & Szegedy 2015, sections 3.2 and 4.2",
    ),
    Race(),
    run=_run_c6,
    judge=_judge_c6,
)
