"""The claims again on CIFAR-10: which runs each one needs, and what they have to show.

Criteria were written before the runs. Rates are chosen for each side on validation images, accuracy
is that of test images in points, intervals are paired over seeds (Student's t). All networks see
the same images: these are intervals over first weights and batches, not over data sets.
"""

from functools import partial

import numpy as np

from bnlab.course.experiments.at_scale import AtScale, Side
from bnlab.course.experiments.rule import Part, in_every_seed, larger, within
from bnlab.course.experiments.scale.runs import NOISE

SWEEP = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
PLAIN, BATCH = Side(SWEEP, {"norm": "none"}), Side(SWEEP, {})


def _means(*arrays, unit="", digits=0):
    """Means over seeds in words, such as "76.8 and 85.0%"."""
    if not all(len(array) for array in arrays):
        return "no run yet"
    return " and ".join(f"{array.mean():,.{digits}f}" for array in arrays) + unit


_percent = partial(_means, unit="%", digits=1)
_steps = partial(_means, unit=" steps")


def _larger(a, b, than=0.0):
    """Whether a exceeds b, paired by seed; None if one of them has no run yet."""
    return larger(a - b, than) if len(a) == len(b) else None


def _in_every_seed(compare, a, b):
    return in_every_seed(compare(a, b)) if len(a) == len(b) else None


# W1: the range of rates that work.

TARGET = 0.7


def _decades(reached):
    """From the lowest to the highest rate that reaches the target, in powers of ten; -1: none."""
    works = np.array(SWEEP)[: len(reached)][reached]
    return float(np.log10(works.max() / works.min())) if len(works) else -1.0


def _judge_rates(table):
    reached = [table.by_rate(side) >= TARGET for side in (PLAIN, BATCH)]  # (S, R)
    width = [np.array([_decades(row) for row in side]) for side in reached]
    top = [np.array([max(np.array(SWEEP)[: len(r)][r], default=0) for r in s]) for s in reached]
    return [
        Part(
            "rates that reach 70% span at least a decade more with batch norm, in every seed",
            _in_every_seed(np.greater_equal, width[1], np.maximum(width[0], 0) + 0.95),
            _means(*width, unit=" decades", digits=1),
        ),
        Part(
            "the highest of them is higher with batch norm, in every seed",
            _in_every_seed(np.greater, top[1], top[0]),
            _means(*top, digits=2),
        ),
    ]


# W11: noise in the input.


def _judge_noise(table):
    plain, bn = table.noisy(PLAIN), table.noisy(BATCH)  # (S, levels)
    return [
        Part(
            f"with noise {noise:g} the accuracy is lower with batch norm",
            _larger(plain[:, k], bn[:, k]),
            _percent(plain[:, k], bn[:, k]),
        )
        for k, noise in enumerate(NOISE)
        if noise
    ]


# N1: statistics of few images.

WHOLE = Side((0.1,), {})
GHOSTS = {m: Side((0.1,), {"norm": "ghost", "ghost": m}) for m in (2, 4, 8, 32)}
GROUP = Side((0.03, 0.1, 0.3), {"norm": "group"})


def _judge_few_images(table):
    whole, two, group = (table.test(side) for side in (WHOLE, GHOSTS[2], GROUP))
    others = ", ".join(f"{m}: {_percent(table.test(side))}" for m, side in GHOSTS.items())
    return [
        Part(
            "statistics of 2 images lose at least a point against those of 128",
            _larger(whole, two, 1.0),
            f"{others}, 128: {_percent(whole)}",
        ),
        Part(
            "group norm is better than batch norm with 2 images",
            _larger(group, two),
            _percent(group, two),
        ),
    ]


# W3: deep networks, here residual ones.

DEEP = {
    (layers, norm): Side(lrs, {"net": f"resnet{layers}", "norm": norm})
    for layers in (20, 56)
    for norm, lrs in (("batch", (0.03, 0.1)), ("skipinit", (0.03, 0.1)), ("none", (0.01, 0.03)))
}


def _judge_deep(table):
    seen = {key: table.test(side) for key, side in DEEP.items()}
    parts = []
    for layers in (20, 56):
        none, skipinit, bn = (seen[layers, norm] for norm in ("none", "skipinit", "batch"))
        parts += [
            Part(
                f"with {layers} layers batch norm is at least 10 points better than nothing",
                _larger(bn, none, 10.0),
                _percent(none, bn),
            ),
            Part(
                f"with {layers} it is at least a point better than SkipInit, which has no norm",
                _larger(bn, skipinit, 1.0),
                _percent(skipinit, bn),
            ),
        ]
    return [
        *parts,
        Part(
            "with batch norm 56 layers are as good as 20, up to a point",
            _larger(seen[56, "batch"], seen[20, "batch"], -1.0),
            _percent(seen[20, "batch"], seen[56, "batch"]),
        ),
    ]


# W10: gamma and beta alone.

ALONE = {
    name: Side((0.1, 0.3), {"net": "resnet20", "trained": name, "decay": 0.0})
    for name in ("norm", "random", "last")
}


def _judge_only_batchnorm(table):
    norm, random, last = (table.test(side) for side in ALONE.values())
    everything = table.test(DEEP[20, "batch"])
    return [
        Part(
            "gamma and beta alone get further than the last layer alone",
            _larger(norm, last),
            _percent(norm, last),
        ),
        Part(
            "and further than as many random weights of the convolutions",
            _larger(norm, random),
            _percent(norm, random),
        ),
        Part(
            "they get half as far as everything, counted from chance",
            _larger(2 * (norm - 10), everything - 10),
            _percent(norm, everything),
        ),
    ]


# T5: running averages that lag.


def _judge_lag(table):
    early, late = (table.recomputed(when, BATCH) for when in ("early", "late"))  # (S, 2)
    return [
        Part(
            "after one epoch recomputed statistics gain a point",
            _larger(early[:, 1], early[:, 0], 1.0),
            _percent(*early.T),
        ),
        Part(
            "after the last one they gain less than half a point",
            within(late[:, 1] - late[:, 0], 0.5),
            _percent(*late.T),
        ),
    ]


# R2: ghosts without other regularization.

BARE = Side((0.1,), {"augment": False})
BARE_GHOSTS = {m: Side((0.1,), {"augment": False, "norm": "ghost", "ghost": m}) for m in (8, 32)}


def _judge_ghosts(table):
    fit, small_fit = table.fit(BARE), table.fit(BARE_GHOSTS[8])
    whole, small, middle = (table.test(side) for side in (BARE, *BARE_GHOSTS.values()))
    return [
        Part(
            "ghosts of 8 images fit the training images less well than batches of 128",
            _larger(fit, small_fit),
            _percent(small_fit, fit),
        ),
        Part(
            "and the test images better, by half a point",
            _larger(small, whole, 0.5),
            f"ghosts of 8, 32 and 128: {_percent(small, middle, whole)}",
        ),
    ]


# W6: noise behind batch norm.

NOISY = {size: Side((0.03, 0.1), {"norm": "noise", "noise": size}) for size in (0.1, 0.5)}


def _judge_noise_behind(table):
    plain, bn = table.test(PLAIN), table.test(BATCH)
    return [
        Part(
            f"noise of {size:g} costs less than half of what batch norm gains",
            _larger(2 * table.test(side), plain + bn),
            f"none, noise and batch norm {_percent(plain, table.test(side), bn)}",
        )
        for size, side in NOISY.items()
    ]


# W8: steps, in the manner of the paper's figure 2: five and thirty times the rate.

SLOW, X5, X30 = (Side((lr,), {}) for lr in (0.03, 0.15, 0.9))
PLAIN_SLOW = Side((0.03,), {"norm": "none"})
SIGMOID = Side((0.15,), {"activation": "sigmoid"})


def _judge_paper_rates(table):
    goal = table.final(PLAIN_SLOW)
    alone, x1, x5, x30 = (table.steps_to(goal, side) for side in (PLAIN_SLOW, SLOW, X5, X30))
    sigmoid = table.test(SIGMOID)
    return [
        Part(
            "to the accuracy that it ends with, the network needs fewer steps with batch norm",
            _in_every_seed(np.less, x1, alone),
            _steps(alone, x1),
        ),
        Part("fewer still at five times its rate", _in_every_seed(np.less, x5, x1), _steps(x1, x5)),
        Part("at thirty times it gets there", in_every_seed(np.isfinite(x30)), _steps(x30)),
        Part("with batch norm sigmoids reach 60%", larger(sigmoid, 60.0), _percent(sigmoid)),
    ]


# W7: faster and better, each side at its best rate.


def _judge_faster_and_better(table):
    goal = table.final(PLAIN)
    steps = [table.steps_to(goal, side) for side in (PLAIN, BATCH)]
    plain, bn = table.test(PLAIN), table.test(BATCH)
    return [
        Part(
            "it needs fewer steps to the accuracy with which the other side ends",
            _in_every_seed(np.less, steps[1], steps[0]),
            _steps(*steps),
        ),
        Part("it ends with a higher test accuracy", _larger(bn, plain), _percent(plain, bn)),
    ]


# A12: the place of batch norm.

AFTER = Side((0.03, 0.1, 0.3), {"place": "after"})


def _judge_place(table):
    before, after = table.test(BATCH), table.test(AFTER)
    return [
        Part(
            "before the nonlinearity is better than behind it by half a point",
            _larger(before, after, 0.5),
            _percent(before, after),
        )
    ]


# R3: dropout and weight decay beside batch norm.

LESS_DECAY, DROPOUT = Side((0.1,), {"decay": 1e-4}), Side((0.1,), {"dropout": 0.3})


def _judge_less_regularization(table):
    own, less, dropout = (table.test(side) for side in (WHOLE, LESS_DECAY, DROPOUT))
    return [
        Part(
            "without dropout it is not worse by half a point",
            _larger(own, dropout, -0.5),
            _percent(own, dropout),
        ),
        Part(
            "with a fifth of the weight decay it is not worse by half a point",
            _larger(less, own, -0.5),
            _percent(less, own),
        ),
    ]


# W2: the size of the first weights.

FACTORS = (0.3, 2.0)
SCALED = {
    (norm, factor): Side((0.03, 0.1), {"norm": norm, "init": factor})
    for norm in ("none", "batch")
    for factor in FACTORS
}


def _judge_first_weights(table):
    own = {"none": table.test(PLAIN), "batch": table.test(BATCH)}

    def part(factor):
        other = {norm: table.test(SCALED[norm, factor]) for norm in own}
        lost = [own[n] - other[n] if len(own[n]) == len(other[n]) else own[n][:0] for n in own]
        return Part(
            f"weights {factor:g} times as large cost at least 5 points more without batch norm",
            _larger(*lost, 5.0),
            f"{_percent(*other.values())} instead of {_percent(*own.values())}",
        )

    return [part(factor) for factor in FACTORS]


SCALE = (  # the order in which a GPU does them; residual networks take longest
    AtScale("W1", (PLAIN, BATCH), _judge_rates),
    AtScale("W11", (PLAIN, BATCH), _judge_noise),
    AtScale("N1", (WHOLE, *GHOSTS.values(), GROUP), _judge_few_images),
    AtScale("T5", (BATCH,), _judge_lag),
    AtScale("W7", (PLAIN, BATCH), _judge_faster_and_better),
    AtScale("R2", (BARE, *BARE_GHOSTS.values()), _judge_ghosts),
    AtScale("W6", (PLAIN, BATCH, *NOISY.values()), _judge_noise_behind),
    AtScale("W8", (PLAIN_SLOW, SLOW, X5, X30, SIGMOID), _judge_paper_rates),
    AtScale("A12", (BATCH, AFTER), _judge_place),
    AtScale("R3", (WHOLE, LESS_DECAY, DROPOUT), _judge_less_regularization),
    AtScale("W10", (DEEP[20, "batch"], *ALONE.values()), _judge_only_batchnorm),
    AtScale("W3", tuple(DEEP.values()), _judge_deep),
    AtScale("W2", (PLAIN, BATCH, *SCALED.values()), _judge_first_weights),
)
