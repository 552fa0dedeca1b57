"""Claim W3: batch norm makes very deep networks easy to train."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from bnlab.course.experiments.bench import accuracy_at_best, both_sides, deep_net, rate_sweep
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.course.lessons.nb08.residual import KINDS, residual_net
from bnlab.data import load_digits


@dataclass(frozen=True)
class Deep:
    """40 plain layers with three activations, and 100 residual blocks; minutes, hence stored."""

    activations: tuple[str, ...] = ("sigmoid", "tanh", "relu")
    depth: int = 40
    width: int = 100
    lrs: tuple[float, ...] = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
    steps: int = 300
    blocks: int = 100
    block_width: int = 50
    block_lrs: tuple[float, ...] = (0.003, 0.01, 0.03, 0.1, 0.3)
    block_steps: int = 200
    seeds: tuple[int, ...] = (0, 1, 2)


def _one_seed_w3(config, seed):
    digits = load_digits(seed, np.float32)
    shape = {"depth": config.depth, "width": config.width}
    blocks = {"blocks": config.blocks, "width": config.block_width}

    def without_skips(activation, batchnorm):
        make = partial(deep_net, batchnorm, seed, activation=activation, **shape)
        return rate_sweep(make, digits, config.lrs, seed, steps=config.steps)  # (R, 2)

    def with_skips(kind):
        make = partial(residual_net, kind, seed, **blocks)
        return rate_sweep(make, digits, config.block_lrs, seed, steps=config.block_steps)

    result = {"depth": config.depth, "blocks": config.blocks}
    for name in config.activations:
        result |= both_sides(partial(without_skips, name), prefix=f"{name}_")
    return result | {f"residual_{kind}": with_skips(kind) for kind in KINDS}


def _judge_w3(arrays):
    """RIGHT if it gains 2 points with every activation and no other way does better with skips.

    Otherwise IMPRECISE if it gains more than 10 points with some activation, else WRONG.
    """
    swept = {name: array for name, array in arrays.items() if name not in ("depth", "blocks")}
    mean = {name: 100 * accuracy_at_best(accuracy).mean() for name, accuracy in swept.items()}
    names = [n.removesuffix("_bn") for n in mean if n.endswith("_bn") and n != "residual_bn"]
    gains = [mean[f"{n}_bn"] - mean[f"{n}_plain"] for n in names]
    only_way = mean["residual_bn"] >= mean["residual_skipinit"]
    if min(gains) >= 2 and only_way:
        verdict = "RIGHT"
    else:
        verdict = "IMPRECISE" if max(gains) > 10 else "WRONG"
    texts = [f"{n} {mean[f'{n}_plain']:.0f} to {mean[f'{n}_bn']:.0f}%" for n in names]
    residual = ", ".join(
        f"{text} {mean[f'residual_{kind}']:.0f}%"
        for kind, text in zip(KINDS, ("nothing", "batch norm", "SkipInit"), strict=True)
    )
    measured = (
        f"{arrays['depth'][0]:.0f} layers, without and with batch norm: {', '.join(texts)}; "
        f"{arrays['blocks'][0]:.0f} residual blocks with {residual}"
    )
    return verdict, measured, f"{len(arrays['depth'])} seeds, each at its best rate"


W3_DEPTH = Experiment(
    Claim(
        "W3",
        "With batch norm very deep networks become easy to train.",
        "Half true: it rescues deep sigmoid nets, and gains nothing with tanh and ReLU. With skip "
        "connections and batch norm 100 layers train; SkipInit makes them do so without.",
        "experiment",
        "08",
        "Yang et al. 2019; De & Smith 2020",
    ),
    Deep(),
    one_seed=_one_seed_w3,
    judge=_judge_w3,
)
