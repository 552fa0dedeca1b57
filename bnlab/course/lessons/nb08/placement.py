"""Claim A12: batch norm belongs in front of the nonlinearity."""

from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np

from bnlab.course.experiments.bench import ACTIVATIONS, SPLITS, paired_interval, rate_sweep
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.course.experiments.rule import Part, in_every_seed, larger, told
from bnlab.course.lessons.nb08.drawing import NAMES
from bnlab.data import load_digits
from bnlab.layers import BatchNorm, Linear, Sequential

WORTH = 0.5  # points for which one would choose a place


@dataclass(frozen=True)
class Places:
    """Before and after the activation, three activations, two rates; a minute."""

    activations: tuple[str, ...] = ("relu", "tanh", "sigmoid")
    lrs: tuple[float, ...] = (0.1, 0.5)
    steps: int = 400
    seeds: tuple[int, ...] = tuple(range(200, 216))


def placed_net(before, activation, seed):
    """64-100-100-100-10 with batch norm before or after each activation, the same weights.

    >>> [type(layer).__name__ for layer in placed_net(False, "relu", seed=0)[:3]]
    ['Linear', 'ReLU', 'BatchNorm']
    """
    rng = np.random.default_rng(seed)
    sizes, layers = [64, 100, 100, 100], []
    for fan_in, fan_out in pairwise(sizes):
        norm, act = BatchNorm(fan_out, dtype=np.float32), ACTIVATIONS[activation]()
        # A bias that batch norm does not subtract again is kept.
        layers.append(Linear(fan_in, fan_out, bias=not before, rng=rng, dtype=np.float32))
        layers += [norm, act] if before else [act, norm]
    return Sequential(*layers, Linear(100, 10, rng=rng, dtype=np.float32))


def _one_seed_a12(config, seed):
    digits = load_digits(seed, np.float32)

    def tested(before, activation):
        make = partial(placed_net, before, activation, seed)
        return rate_sweep(make, digits, config.lrs, seed, steps=config.steps)[:, 1]

    result = {"lrs": config.lrs}
    for name in config.activations:
        result |= {f"{name}_before": tested(True, name), f"{name}_after": tested(False, name)}
    return result


def _gaps(arrays, name):
    """Test accuracy before minus after, in points, (S, R)."""
    return 100 * (arrays[f"{name}_before"] - arrays[f"{name}_after"])


def _activations(arrays):
    return [name for name in NAMES if f"{name}_before" in arrays]


def intervals(arrays):
    """Test accuracy before minus after, in points: label, mean and half of the 95% interval."""
    lrs = arrays["lrs"][0]
    return [
        (f"{NAMES[name]}, rate {lr:g}", *paired_interval(gap, SPLITS))
        for name in _activations(arrays)
        for lr, gap in zip(lrs, _gaps(arrays, name).T, strict=True)
    ]


def _fails_behind(arrays, name):
    before, after = arrays[f"{name}_before"], arrays[f"{name}_after"]  # (S, R)
    trained = np.maximum(before, after).max(axis=1) >= 0.5  # (S,)
    return Part(
        f"with {NAMES[name]} and batch norm behind it training fails at each rate: under half of "
        "the test images are right",
        in_every_seed((after < 0.5).all(axis=1), trained),
        f"{100 * after.min():.1f} to {100 * after.max():.1f}%",
    )


def _better_before(arrays, name):
    gaps = zip(arrays["lrs"][0], _gaps(arrays, name).T, strict=True)
    return [
        Part(
            f"with {NAMES[name]} at rate {lr:g} before it is better by at least half a point",
            larger(gap, WORTH),
            told(gap),
        )
        for lr, gap in gaps
    ]


def _judge_a12(arrays):
    names = _activations(arrays)
    fails = [_fails_behind(arrays, name) for name in names]
    return fails + [part for name in names for part in _better_before(arrays, name)]


def _draw_a12(arrays):
    from bnlab.plots import dot_intervals

    labels, means, halves = zip(*intervals(arrays), strict=True)
    means, halves = np.array(means), np.array(halves)
    ax = dot_intervals(labels, means, means - halves, means + halves)
    ax.axvline(WORTH, color="0.4", lw=1, ls=":")
    ax.annotate("half a point", (WORTH, 1), xycoords=("data", "axes fraction"), xytext=(0, 3),
                textcoords="offset points", ha="center", color="0.3")  # fmt: skip
    ax.set_xlabel("accuracy before minus behind, points")
    ax.figure.set_layout_engine("constrained")
    return ax


A12_PLACE = Experiment(
    Claim(
        "A12",
        "Batch norm must stand between the linear layer and its nonlinearity.",
        "The paper argues for it, and it is usual; others report the opposite. Both places train. "
        "On the digits they are less than two points apart with each activation and rate, and none "
        "is ahead for certain.",
        "experiment",
        "08",
        "Ioffe & Szegedy 2015, section 3.2",
        published="both ways",
    ),
    Places(),
    one_seed=_one_seed_a12,
    judge=_judge_a12,
    draw=_draw_a12,
    setting="3 hidden layers of 100, {steps} steps of 60 images, each of the rates {lrs}",
)
