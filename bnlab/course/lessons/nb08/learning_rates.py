"""Claim W1: batch norm allows higher learning rates, and more of them."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from bnlab.course.experiments.bench import both_sides, deep_net, rate_sweep
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.course.experiments.rule import Part, in_every_seed
from bnlab.course.experiments.widths import wider_in_every_seed, widths, without_and_with
from bnlab.course.lessons.nb08.drawing import NAMES
from bnlab.course.lessons.nb08.rates_figure import draw_panels
from bnlab.data import load_digits


@dataclass(frozen=True)
class Rates:
    """Networks of 3 layers at rates half a decade apart; 20 seconds for 3 seeds."""

    activations: tuple[str, ...] = ("relu", "sigmoid")
    lrs: tuple[float, ...] = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
    target: float = 0.95
    steps: int = 400
    seeds: tuple[int, ...] = (0, 1, 2)


def _one_seed_w1(config, seed):
    digits = load_digits(seed, np.float32)

    def sweep(activation, batchnorm):
        make = partial(deep_net, batchnorm, seed, activation=activation)
        return rate_sweep(make, digits, config.lrs, seed, steps=config.steps)

    result = {"lrs": config.lrs, "target": config.target}
    for name in config.activations:
        result |= both_sides(partial(sweep, name), prefix=f"{name}_")  # (R, 2) each
    return result


def _rate_parts(arrays, name):
    lrs, target = arrays["lrs"][0], arrays["target"].flat[0]
    sides = [arrays[f"{name}_{side}"][..., 0] for side in ("plain", "bn")]  # (S, R) each
    found = widths(lrs, sides, target)
    tops = np.array([[max(lrs[seed >= target], default=0.0) for seed in side] for side in sides])
    return [
        Part(
            f"{NAMES[name]}: rates that reach {target:.0%} of the validation images span at least "
            "a decade more with batch norm, in every seed",
            wider_in_every_seed(found, by=1),
            without_and_with(found, "{:.1f} decades"),
        ),
        Part(
            f"{NAMES[name]}: the highest of them is higher with batch norm, in every seed",
            in_every_seed(tops[1] > tops[0], tops.max(axis=0) > 0),
            without_and_with(np.where(found < 0, -1, tops), "{:.2g}"),
        ),
    ]


def _judge_w1(arrays):
    return [part for name in NAMES if f"{name}_bn" in arrays for part in _rate_parts(arrays, name)]


def _draw_w1(arrays):
    """Accuracy by rate, a panel an activation."""
    lrs, target = arrays["lrs"][0], arrays["target"].flat[0]
    sides = {
        name: [arrays[f"{name}_{side}"][..., 0] for side in ("plain", "bn")]
        for name in NAMES
        if f"{name}_bn" in arrays
    }
    panels = [(f"{NAMES[n]}, three hidden layers", lrs, *pair, target) for n, pair in sides.items()]
    return draw_panels(*panels)[0]


W1_RATES = Experiment(
    Claim(
        "W1",
        "Batch norm allows higher learning rates, and more of them.",
        "Yes: with it a network trains at rates that are sixty to a hundred times apart, and at "
        "rates at which the network without it diverges.",
        "experiment",
        "08",
        "Ioffe & Szegedy 2015, sections 3.3 and 4.2.2",
        published="yes",
    ),
    Rates(),
    one_seed=_one_seed_w1,
    judge=_judge_w1,
    setting="three hidden layers of 100, {steps} steps of 60 images, rates {lrs}",
    draw=_draw_w1,
)
