"""Claim W3: batch norm makes very deep networks easy to train."""

import math
from dataclasses import dataclass
from functools import partial

import numpy as np

from bnlab.course.experiments import panels
from bnlab.course.experiments.bench import (
    accuracy_at_best,
    both_sides,
    deep_net,
    rate_sweep,
    scores,
    train,
)
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.course.experiments.rule import Part, in_every_seed, larger, told
from bnlab.course.lessons.nb08.drawing import (
    NAMES,
    WITH,
    WITHOUT,
    legend_for_labels,
    magnified,
    row_of_axes,
)
from bnlab.course.lessons.nb08.every_setting import in_every_setting
from bnlab.course.lessons.nb08.residual import KINDS, residual_net
from bnlab.data import load_digits


@dataclass(frozen=True)
class Deep:
    """40 plain layers with three activations, and 100 residual blocks; minutes, hence stored.

    Of the rates 0.003 to 0.3, half a decade apart, these did best on validation images of seed 0.
    """

    activations: tuple[str, ...] = ("sigmoid", "tanh", "relu")
    depth: int = 40
    width: int = 100
    plain_lrs: tuple[float, ...] = (0.003, 0.01, 0.03)
    bn_lrs: tuple[float, ...] = (0.01, 0.1)
    budgets: tuple[int, ...] = (500, 1000, 2000)  # steps
    blocks: int = 100
    block_width: int = 50
    block_lrs: tuple[float, ...] = (0.03, 0.1)
    block_steps: int = 200
    seeds: tuple[int, ...] = (200, 201, 202)


def _at_budgets(config, digits, model, lr, seed):
    """One run: accuracy on validation and test images after each budget, (B, 2)."""
    measure = partial(scores, digits=digits)
    schedule = {"steps": max(config.budgets), "every": math.gcd(*config.budgets)}
    history = train(model, digits, lr, seed, measure=measure, **schedule)
    found = dict(zip(history.steps, history.measured, strict=True))
    return [found.get(steps, measure(model)) for steps in config.budgets]


def _one_seed_w3(config, seed):
    digits = load_digits(seed, np.float32)
    shape = {"depth": config.depth, "width": config.width}
    blocks = {"blocks": config.blocks, "width": config.block_width}

    def without_skips(activation, batchnorm):
        def curve(lr):
            model = deep_net(batchnorm, seed, activation=activation, **shape)
            return _at_budgets(config, digits, model, lr, seed)

        lrs = config.bn_lrs if batchnorm else config.plain_lrs
        return np.stack([curve(lr) for lr in lrs], axis=1)  # (B, R, 2)

    def with_skips(kind):
        make = partial(residual_net, kind, seed, **blocks)
        return rate_sweep(make, digits, config.block_lrs, seed, steps=config.block_steps)

    result = {"budgets": config.budgets}
    for name in config.activations:
        result |= both_sides(partial(without_skips, name), prefix=f"{name}_")
    return result | {f"residual_{kind}": with_skips(kind) for kind in KINDS}  # (R, 2) each


def _points(arrays, name):
    """Test accuracy in points, at the rate that is best on validation: (S, B), of blocks (S,)."""
    return 100 * accuracy_at_best(arrays[name])


def _activations(arrays):
    return [name for name in NAMES if f"{name}_bn" in arrays]


def _better_at_each_budget(arrays, name):
    gain = (_points(arrays, f"{name}_bn") - _points(arrays, f"{name}_plain")).T  # (B, S)
    budgets = np.reshape(arrays["budgets"], (-1, len(gain)))[0]
    return Part(
        f"plain layers of {NAMES[name]}: at least 2 points better with batch norm, at each budget",
        in_every_setting(larger(one, than=2.0) for one in gain),
        ", ".join(f"{told(one)} after {steps:,}" for one, steps in zip(gain, budgets, strict=True)),
    )


def _hard_without(arrays):
    """What "become" says of the ReLU network: without batch norm it is not easy."""
    ends = {side: _points(arrays, f"relu_{side}")[:, -1] for side in ("plain", "bn")}
    return Part(
        "plain layers of ReLU: without batch norm below 90% at the longest budget, in every seed",
        in_every_seed(ends["plain"] < 90),
        f"{ends['plain'].mean():.1f}% without, {ends['bn'].mean():.1f}% with it",
    )


def _residual_parts(arrays):
    none, bn, skipinit = (_points(arrays, f"residual_{kind}") for kind in KINDS)
    return [
        Part(
            "residual blocks: at least 10 points better with batch norm than with nothing",
            larger(bn - none, than=10.0),
            f"{none.mean():.1f} to {bn.mean():.1f}%",
        ),
        Part(
            "residual blocks: at least a point better than with SkipInit, which has no norm",
            larger(bn - skipinit, than=1.0),
            f"{skipinit.mean():.1f}% with SkipInit, {told(bn - skipinit)}",
        ),
    ]


def _judge_w3(arrays):
    names = _activations(arrays)
    hard = [_hard_without(arrays)] if "relu" in names else []
    plain = [_better_at_each_budget(arrays, name) for name in names]
    return [*plain, *hard, *_residual_parts(arrays)]


def _draw_w3(arrays):
    """Accuracy by budget a panel an activation, and the three kinds of residual blocks."""
    names = _activations(arrays)
    titles = [f"plain layers, {NAMES[name]}" for name in names]
    *plain, residual = row_of_axes([*titles, "residual blocks"], width=3.6, sharey=True)
    budgets = np.reshape(arrays["budgets"], (-1, arrays["budgets"].shape[-1]))[0]
    for name, ax in zip(names, plain, strict=True):
        sides = {WITHOUT: f"{name}_plain", WITH: f"{name}_bn"}
        groups = {text: _points(arrays, key) for text, key in sides.items()}
        panels.lines(budgets, groups, "steps of training", "", ax=ax)
        legend_for_labels(ax, loc="lower right", fontsize="small", bbox_to_anchor=(1, 0.12))
        if name == "tanh":  # both lines are near 95%
            magnified(ax, (0.25, 0.42, 0.7, 0.36), 85, 100)
    kinds = ("nothing", "batch norm", "SkipInit")
    groups = {t: _points(arrays, f"residual_{k}") for t, k in zip(kinds, KINDS, strict=True)}
    panels.strip(groups, "", ax=residual)
    plain[0].set(ylabel="test accuracy, %", ylim=(0, 103))
    return plain[0]


W3_DEPTH = Experiment(
    Claim(
        "W3",
        "With batch norm very deep networks become easy to train.",
        "Half true: it rescues deep sigmoid nets. Deep tanh layers train about as well without it, "
        "and deep ReLU layers better, given a rate of their own and enough steps. Residual "
        "networks train with it and not with nothing; SkipInit, which has no norm, does about as "
        "well on the digits, and less well on CIFAR-10.",
        "experiment",
        "08",
        "Yang et al. 2019; De & Smith 2020",
    ),
    Deep(),
    one_seed=_one_seed_w3,
    judge=_judge_w3,
    setting="{depth} plain layers of {width}, {budgets} steps of 60 images, rates {plain_lrs} "
    "without and {bn_lrs} with batch norm; {blocks} residual blocks of {block_width}, "
    "{block_steps} steps, rates {block_lrs}; each side at its best rate on validation images",
    draw=_draw_w3,
)
