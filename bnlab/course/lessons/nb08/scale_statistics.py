"""Claims on CIFAR-10 about statistics: how many images they take, noise, and regularization."""

from bnlab.course.experiments.at_scale import Side
from bnlab.course.experiments.rule import Part
from bnlab.course.lessons.nb08.scale_parts import (
    BATCH,
    PLAIN,
    WHOLE,
    alike,
    exceeds,
    minus,
    percent,
)

# N1: statistics of few images.

GHOSTS = {m: Side((0.1,), {"norm": "ghost", "ghost": m}) for m in (2, 4, 8, 32)}
GROUP = Side((0.03, 0.1, 0.3), {"norm": "group"})


def judge_few_images(table):
    """What statistics of two images cost, and group norm beside them."""
    whole, two, group = (table.test(side) for side in (WHOLE, GHOSTS[2], GROUP))
    others = ", ".join(f"{m}: {percent(table.test(side))}" for m, side in GHOSTS.items())
    return [
        Part(
            "statistics of 2 images lose at least a point against those of 128",
            exceeds(whole, two, 1.0),
            f"{others}, 128: {percent(whole)}",
        ),
        Part(
            "group norm is better than batch norm with 2 images",
            exceeds(group, two),
            percent(group, two),
        ),
    ]


# T5: running averages that lag.


def judge_lag(table):
    """What recomputed statistics gain after the first and after the last epoch."""
    early, late = (table.recomputed(when, BATCH) for when in ("early", "late"))  # (S, 2)
    return [
        Part(
            "after one epoch recomputed statistics gain a point",
            exceeds(early[:, 1], early[:, 0], 1.0),
            percent(*early.T),
        ),
        Part(
            "after the last one they gain less than half a point",
            alike(late[:, 1], late[:, 0], 0.5),
            percent(*late.T),
        ),
    ]


# R2: ghosts without other regularization.

BARE = Side((0.1,), {"augment": False})
BARE_GHOSTS = {m: Side((0.1,), {"augment": False, "norm": "ghost", "ghost": m}) for m in (8, 32)}


def judge_ghosts(table):
    """What small ghosts do to training and test images."""
    fit, small_fit = table.fit(BARE), table.fit(BARE_GHOSTS[8])
    whole, small, middle = (table.test(side) for side in (BARE, *BARE_GHOSTS.values()))
    return [
        Part(
            "ghosts of 8 images fit the training images less well than batches of 128",
            exceeds(fit, small_fit),
            percent(small_fit, fit),
        ),
        Part(
            "and the test images better, by half a point",
            exceeds(small, whole, 0.5),
            f"ghosts of 8, 32 and 128: {percent(small, middle, whole)}",
        ),
    ]


# W6: noise behind batch norm.

NOISY = {size: Side((0.03, 0.1), {"norm": "noise", "noise": size}) for size in (0.1, 0.5)}


def judge_noise_behind(table):
    """How much of the gain noise behind batch norm takes."""
    plain, bn = table.test(PLAIN), table.test(BATCH)
    return [
        Part(
            f"noise of {size:g} costs less than half of what batch norm gains",
            exceeds(minus(bn, plain), 2 * minus(bn, table.test(side))),
            f"none, noise, batch norm: {percent(plain, table.test(side), bn)}",
        )
        for size, side in NOISY.items()
    ]


# R3: dropout and weight decay beside batch norm.

LESS_DECAY, DROPOUT = Side((0.1,), {"decay": 1e-4}), Side((0.1,), {"dropout": 0.3})


def judge_less_regularization(table):
    """What is lost without dropout, and with less weight decay."""
    own, less, dropout = (table.test(side) for side in (WHOLE, LESS_DECAY, DROPOUT))
    return [
        Part(
            "without dropout it is not worse by half a point",
            exceeds(own, dropout, -0.5),
            percent(own, dropout),
        ),
        Part(
            "with a fifth of the weight decay it is not worse by half a point",
            exceeds(less, own, -0.5),
            percent(less, own),
        ),
    ]
