"""Claim A12: batch norm belongs in front of the nonlinearity."""

from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np

from bnlab.course.experiments.bench import ACTIVATIONS, paired_interval, rate_sweep
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.data import load_digits
from bnlab.layers import BatchNorm, Linear, Sequential


@dataclass(frozen=True)
class Places:
    """Before and after the activation, three activations, two rates; 60 seconds for 8 seeds."""

    activations: tuple[str, ...] = ("relu", "tanh", "sigmoid")
    lrs: tuple[float, ...] = (0.1, 0.5)
    steps: int = 400
    seeds: tuple[int, ...] = tuple(range(8))


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


def intervals(arrays):
    """Test accuracy before minus after, in points: label, mean and half of the 95% interval."""
    names = [key.removesuffix("_before") for key in arrays if key.endswith("_before")]
    found = []
    for name in names:
        gaps = 100 * (arrays[f"{name}_before"] - arrays[f"{name}_after"])  # (S, R)
        for lr, gap in zip(arrays["lrs"][0], gaps.T, strict=True):
            found.append((f"{name}, rate {lr:g}", *paired_interval(gap)))
    return found


def _judge_a12(arrays):
    """RIGHT if every interval of (before - after) is above 0, WRONG if below, else CONTESTED."""
    found = intervals(arrays)
    if all(mean - half > 0 for _, mean, half in found):
        verdict = "RIGHT"
    else:
        verdict = "WRONG" if all(mean + half < 0 for _, mean, half in found) else "CONTESTED"
    measured = "before minus after, points: " + "; ".join(
        f"{label}: {mean:+.1f} +- {half:.1f}" for label, mean, half in found
    )
    return verdict, measured, f"{len(arrays['lrs'])} paired seeds, 95% intervals"


A12_PLACE = Experiment(
    Claim(
        "A12",
        "Batch norm must stand between the linear layer and its nonlinearity.",
        "The paper argues for it, and it is usual. Both places train; which one is better depends "
        "on the activation and the rate, and the differences are small.",
        "experiment",
        "08",
        "Ioffe & Szegedy 2015, section 3.2",
    ),
    Places(),
    one_seed=_one_seed_a12,
    judge=_judge_a12,
)
