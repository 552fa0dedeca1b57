"""Claims about initialisation: the size of the first weights, at many rates and two depths."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from bnlab.course.experiments.bench import accuracy_at_best, both_sides, deep_net, rate_sweep
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.data import load_digits


@dataclass(frozen=True)
class Scales:
    """Rate by size of the weights by depth, with and without batch norm; 60 seconds, 3 seeds."""

    scales: tuple[float, ...] = (0.001, 0.01, 0.1, 1.0, 3.0)
    lrs: tuple[float, ...] = (0.01, 0.1, 1.0)
    depths: tuple[int, ...] = (3, 8)
    steps: int = 300
    seeds: tuple[int, ...] = (0, 1, 2)


def _one_seed_w2(config, seed):
    digits = load_digits(seed, np.float32)

    def sweep(batchnorm, depth, scale):
        make = partial(deep_net, batchnorm, seed, depth=depth, scale=scale)
        return rate_sweep(make, digits, config.lrs, seed, steps=config.steps)

    def side(batchnorm):
        return [[sweep(batchnorm, d, scale) for scale in config.scales] for d in config.depths]

    fixed = {"scales": config.scales, "lrs": config.lrs, "depths": config.depths}
    return fixed | both_sides(side)  # (D, scales, R, 2)


def _judge_w2(arrays):
    """RIGHT if accuracy varies ten times less over the sizes up to 1, IMPRECISE if just less."""
    small = arrays["scales"][0] <= 1
    at_best = [100 * accuracy_at_best(arrays[side])[:, 0, small] for side in ("plain", "bn")]
    by_scale = [accuracy.mean(axis=0) for accuracy in at_best]  # each size at its own best rate
    plain, bn = map(np.ptp, by_scale)
    verdict = "RIGHT" if bn < plain / 10 else "IMPRECISE" if bn < plain else "WRONG"
    sizes = arrays["scales"][0][small]
    ranges = [f"{accuracy.min():.0f} to {accuracy.max():.0f}%" for accuracy in by_scale]
    measured = (
        f"first weights x{sizes[0]:g} to x{sizes[-1]:g} of He's, each at its best rate: "
        f"{ranges[0]} without, {ranges[1]} with batch norm"
    )
    spread = f"{len(arrays['scales'])} seeds, {arrays['depths'][0, 0]:.0f} hidden layers"
    return verdict, measured, spread


W2_INITIALIZATION = Experiment(
    Claim(
        "W2",
        "With batch norm the initialisation needs less care.",
        "Yes: in front of batch norm the size of the first weights changes their effective "
        "learning rate, and the function only where their outputs' variance comes near eps.",
        "experiment",
        "08",
        "Ioffe & Szegedy 2015, abstract and section 3.3",
    ),
    Scales(),
    one_seed=_one_seed_w2,
    judge=_judge_w2,
)
