"""Claims about speed: which learning rates work, and how soon a network is trained."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from bnlab.course.experiments.bench import (
    both_sides,
    deep_net,
    rate_sweep,
    scores,
    seconds_per_step,
    train,
)
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.course.experiments.seeds import over_seeds
from bnlab.data import load_digits

# W1: the range of rates that work.


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


def decades(lrs, accuracy, target):
    """Width of the range of rising rates that reach the target, in powers of ten; -1 for none.

    >>> decades(np.array([0.01, 0.1, 1, 10]), np.array([0.5, 0.97, 0.96, 0.1]), target=0.95)
    1.0
    """
    works = lrs[accuracy >= target]
    return float(np.log10(works[-1] / works[0])) if len(works) else -1.0


def _judge_w1(arrays):
    """RIGHT if the range is a decade wider and reaches higher for each activation, by the means."""
    lrs, target = arrays["lrs"][0], arrays["target"].flat[0]
    texts, wider, higher = [], [], []
    for name in [key.removesuffix("_bn") for key in arrays if key.endswith("_bn")]:
        mean = {s: arrays[f"{name}_{s}"][..., 0].mean(axis=0) for s in ("plain", "bn")}
        width = {side: decades(lrs, mean[side], target) for side in mean}
        top = {side: max(lrs[mean[side] >= target], default=0) for side in mean}
        wider.append(width["bn"] >= max(width["plain"], 0) + 0.95)
        higher.append(top["bn"] > top["plain"])
        without, with_bn = (f"{w:.1f} decades" if w >= 0 else "no rate" for w in width.values())
        texts.append(f"{name} {without} without, {with_bn} with batch norm")
    holds = all(wider) + all(higher)
    verdict = {2: "RIGHT", 1: "IMPRECISE"}.get(holds, "NOT REPRODUCED")
    measured = f"rates that reach {100 * target:.0f}%: {'; '.join(texts)}"
    return verdict, measured, f"{len(arrays['lrs'])} seeds, rates half a decade apart"


W1_RATES = Experiment(
    Claim(
        "W1",
        "Batch norm allows higher learning rates, and more of them.",
        "Yes: with it a network trains at rates that are a hundred times apart, and at rates at "
        "which the network without it diverges.",
        "experiment",
        "08",
        "Ioffe & Szegedy 2015, sections 3.3 and 4.2.2",
    ),
    Rates(),
    one_seed=_one_seed_w1,
    judge=_judge_w1,
)


# W8: fewer steps, and each one costs more.


@dataclass(frozen=True)
class Times:
    """Steps to a validation accuracy, each side at the rate that gets there first; 15 seconds."""

    plain_lrs: tuple[float, ...] = (0.03, 0.1, 0.2, 0.3)
    bn_lrs: tuple[float, ...] = (0.1, 0.3, 0.5, 1.0)
    target: float = 0.95
    steps: int = 600
    every: int = 10
    seeds: tuple[int, ...] = (0, 1, 2, 3)


def _steps_to_target(config, digits, batchnorm, lr, seed):
    """Updates until the target is reached, the whole run if never, and the final test accuracy."""
    model = deep_net(batchnorm, seed)
    schedule = {"steps": config.steps, "every": config.every}
    history = train(model, digits, lr, seed, measure=partial(scores, digits=digits), **schedule)
    reached = np.array(history.measured)[:, 0] >= config.target
    steps = history.steps[reached.argmax()] if reached.any() else config.steps
    return steps, scores(model, digits)[1]


def _one_seed_w8(config, seed):
    digits = load_digits(seed, np.float32)

    def side(batchnorm):
        lrs = config.bn_lrs if batchnorm else config.plain_lrs
        return [_steps_to_target(config, digits, batchnorm, lr, seed) for lr in lrs]

    return both_sides(side)  # (R, 2) each: steps, test accuracy at the end


def _run_w8(config):
    return over_seeds(_one_seed_w8, config) | {
        "seconds": seconds_per_step(load_digits(dtype=np.float32)),
        "target": config.target,
    }


def _judge_w8(arrays):
    """WRONG if batch norm needs fewer steps in every seed; RIGHT if it needs more."""
    fastest = {s: arrays[s][:, arrays[s][..., 0].mean(axis=0).argmin(), 0] for s in ("plain", "bn")}
    plain, bn = fastest["plain"], fastest["bn"]
    verdict = "WRONG" if (bn < plain).all() else "RIGHT" if (bn > plain).all() else "IMPRECISE"
    without, with_bn = arrays["seconds"]
    measured = (
        f"{plain.mean():.0f} steps to {100 * arrays['target']:.0f}% without, {bn.mean():.0f} with; "
        f"a step costs {with_bn / without:.1f} times as much, so the time is "
        f"{bn.mean() * with_bn / (plain.mean() * without):.1f} times as long"
    )
    return verdict, measured, f"{len(plain)} seeds, each side at its fastest rate"


W8_TIME = Experiment(
    Claim(
        "W8",
        "Batch norm makes training take longer; it does not change the performance.",
        "It needs fewer steps, and each step costs more: say both. Which side is done first by the "
        "clock depends on the network and the library.",
        "experiment",
        "08",
        "Ioffe & Szegedy 2015, section 4.2",
    ),
    Times(),
    run=_run_w8,
    judge=_judge_w8,
)
