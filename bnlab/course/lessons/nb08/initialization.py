"""Claims about initialisation: the size of the first weights, at many rates and two depths."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from bnlab.course.experiments import panels
from bnlab.course.experiments.bench import accuracy_at_best, both_sides, deep_net, rate_sweep
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.course.experiments.rule import Part
from bnlab.course.experiments.widths import wider_in_every_seed, widths, without_and_with
from bnlab.course.lessons.nb08.drawing import WITH, WITHOUT, legend_for_labels, row_of_axes
from bnlab.data import load_digits


@dataclass(frozen=True)
class Scales:
    """Rate by size of the weights by depth, with and without batch norm; 15 seconds a seed."""

    scales: tuple[float, ...] = (0.001, 0.01, 0.1, 1.0, 3.0)
    lrs: tuple[float, ...] = (0.01, 0.1, 1.0)
    depths: tuple[int, ...] = (3, 8)
    steps: int = 300
    target: float = 0.95
    seeds: tuple[int, ...] = (200, 201, 202, 203)


def _one_seed_w2(config, seed):
    digits = load_digits(seed, np.float32)

    def sweep(batchnorm, depth, scale):
        make = partial(deep_net, batchnorm, seed, depth=depth, scale=scale)
        return rate_sweep(make, digits, config.lrs, seed, steps=config.steps)

    def side(batchnorm):
        return [[sweep(batchnorm, d, scale) for scale in config.scales] for d in config.depths]

    names = ("scales", "lrs", "depths", "target")
    fixed = {name: getattr(config, name) for name in names}
    return fixed | both_sides(side)  # (D, scales, R, 2)


def _by_size(arrays, place):
    """Test accuracy (S, scales) without and with batch norm at one depth, each size at its rate."""
    return [accuracy_at_best(arrays[side])[:, place] for side in ("plain", "bn")]


def _part(arrays, place, depth):
    sides, target = _by_size(arrays, place), arrays["target"].flat[0]
    found = widths(arrays["scales"][0], sides, target)
    plain, bn = (100 * side.mean(axis=0).min() for side in sides)
    return Part(
        f"{depth:.0f} hidden layers: sizes of the first weights that reach {target:.0%} of the "
        "test images span at least a decade more with batch norm, in every seed",
        wider_in_every_seed(found, by=1),
        f"{without_and_with(found, '{:.1f} decades')}, at the worst size {plain:.0f} and {bn:.0f}%",
    )


def _judge_w2(arrays):
    return [_part(arrays, place, depth) for place, depth in enumerate(arrays["depths"][0])]


def _draw_w2(arrays):
    """Accuracy by size of the first weights, a panel a depth."""
    scales, target = arrays["scales"][0], 100 * arrays["target"].flat[0]
    axes = row_of_axes([f"{d:.0f} hidden layers" for d in arrays["depths"][0]], sharey=True)
    for place, ax in enumerate(axes):
        sides = (100 * side for side in _by_size(arrays, place))
        groups = dict(zip((WITHOUT, WITH), sides, strict=True))
        panels.lines(
            scales, groups, "size of the first weights, times He's", "", ax=ax, xscale="log"
        )
        ax.axhline(target, color="0.4", lw=1, ls=":", label=f"{target:g}%")
        legend_for_labels(ax, loc="lower left", bbox_to_anchor=(0, 0.1))
    axes[0].set(ylabel="test accuracy, %", ylim=(0, 103))
    return axes[0]


W2_INITIALIZATION = Experiment(
    Claim(
        "W2",
        "With batch norm the initialisation needs less care.",
        "Yes, by far, though it needs some: in front of batch norm the size of the first weights "
        "changes their effective learning rate, and the function only where their outputs' "
        "variance comes near eps, as it does in eight layers of tiny weights.",
        "experiment",
        "08",
        "Ioffe & Szegedy 2015, abstract and section 3.3",
    ),
    Scales(),
    one_seed=_one_seed_w2,
    judge=_judge_w2,
    setting="{depths} hidden layers of 100, first weights {scales} times He's, {steps} steps of 60 "
    "images; each size at the best of the rates {lrs} on validation images",
    draw=_draw_w2,
)
