"""Claim A3: a running variance that measures distances from the running mean, early and settled.

The values come from a normal distribution, so that the variance that should come out is known.
"""

from dataclasses import dataclass

import numpy as np

from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.course.experiments.panels import lines
from bnlab.course.experiments.rule import Part, within


@dataclass(frozen=True)
class Stream:
    """Batches of values, many channels at once; a is settled after the first `settling` of them."""

    mean: float = 5.0
    variance: float = 4.0
    sizes: tuple[int, ...] = (2, 4, 8, 32)
    momentum: float = 0.1
    updates: int = 300
    settling: int = 100
    channels: int = 100
    seed: int = 200


def running_means(means, momentum):
    """What a running mean that starts at 0 is before each of the batches with these means, (T, C).

    >>> running_means(np.ones((3, 1)), momentum=0.5).ravel()
    array([0.  , 0.5 , 0.75])
    """
    a = np.zeros_like(means)
    for t, mean in enumerate(means[:-1]):
        a[t + 1] = (1 - momentum) * a[t] + momentum * mean
    return a


def _follow(config, size, rng):
    """Each batch's mean square distance from a, and from its own mean, (T, C) both."""
    shape = config.updates, size, config.channels
    z = rng.normal(config.mean, np.sqrt(config.variance), shape)
    a = running_means(z.mean(axis=1), config.momentum)
    return ((z - a[:, None]) ** 2).mean(axis=1), z.var(axis=1)


def _run_a3(config):
    rng = np.random.default_rng(config.seed)
    found = np.array([_follow(config, size, rng) for size in config.sizes])  # (sizes, 2, T, C)
    settled = found[:, :, config.settling :].mean(axis=2)
    return {
        "variance": config.variance,
        "sizes": np.array(config.sizes),
        "about_a": found[:, 0].mean(axis=-1),  # (sizes, T)
        "about_own": found[:, 1].mean(axis=-1),
        "first": found[:, 0, 0],  # (sizes, C)
        "settled": settled[:, 0],
        "settled_own": settled[:, 1],
    }


def _is_the_variance(values, variance):
    """Whether the channels' mean is the variance up to a twentieth, for every batch size."""
    off = 100 * (values / variance - 1)
    answers = {within(of_size, 5.0, overlap=0.0) for of_size in off}
    return answers.pop() if len(answers) == 1 else False if False in answers else None


def _listed(values):
    """The channels' mean for each batch size."""
    return ", ".join(f"{value:.2f}" for value in values.mean(axis=1))


def _judge_a3(arrays):
    variance, settled, own = (arrays[name] for name in ("variance", "settled", "settled_own"))
    return [
        Part(
            "at the first update, while a is still 0, it is the variance of the data on average, "
            "up to a twentieth, for every batch size",
            _is_the_variance(arrays["first"], variance),
            f"{(arrays['first'] / variance).mean():.1f} times the variance",
        ),
        Part(
            "once a has settled it is, up to a twentieth, for every batch size",
            _is_the_variance(settled, variance),
            f"{_listed(settled)} for batches of {', '.join(map(str, arrays['sizes']))},"
            f" of {variance:g}; about the batch's own mean {_listed(own)}",
        ),
    ]


def _draw_a3(arrays):
    """Early, over the updates, and settled, over the batch size."""
    import matplotlib.pyplot as plt

    _, (left, right) = plt.subplots(1, 2, figsize=(12, 3.6))
    names = "from the running mean", "from the batch's own mean"
    early = [arrays[name][1] for name in ("about_a", "about_own")]
    settled = [arrays[name].mean(axis=1) for name in ("settled", "settled_own")]
    updates = np.arange(1, len(early[0]) + 1)
    for ax, x, values, xlabel, scale in (
        (left, updates, early, f"update, batches of {arrays['sizes'][1]}", "log"),
        (right, arrays["sizes"], settled, "batch size, once a has settled", "linear"),
    ):
        groups = dict(zip(names, values, strict=True))
        groups["variance of the data"] = np.full(len(x), arrays["variance"], float)
        limits = 0, 1.1 * np.max(values)
        lines(x, groups, xlabel, "mean square distance", ax=ax, xscale=scale, ylim=limits)
    right.set_xticks(arrays["sizes"])
    return left


A3_OTHER_CENTRE = Experiment(
    Claim(
        "A3",
        "The running variance averages mean((z - a)^2), where a is the running mean.",
        "That is the batch variance plus (mean - a)^2: far too much while a is still far from the "
        "mean, and once a has settled nearly the variance of the data. What the paper averages is "
        "the variance of each batch about its own mean, times m/(m - 1).",
        "identity",
        "02",
        "Ioffe & Szegedy 2015, Algorithms 1 and 2; algebra",
    ),
    Stream(),
    run=_run_a3,
    judge=_judge_a3,
    setting="values from N({mean}, {variance}), batches of {sizes}, {updates} updates with "
    "momentum {momentum}, settled after {settling}; {channels} channels, seed {seed}",
    draw=_draw_a3,
)
