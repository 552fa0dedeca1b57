"""The claims again on CIFAR-10: which runs each one needs, and what they have to show.

Criteria were written before the runs; those of W8 were put right when W1 had run. Rates are chosen
for each side on validation images, accuracy is that of test images in points, intervals are paired
over seeds (Student's t). All networks see the same images: these are intervals over first weights
and batches, not over data sets.
"""

import numpy as np

from bnlab.course.experiments.at_scale import NO_RUN, AtScale, Side
from bnlab.course.experiments.bench import decades
from bnlab.course.experiments.rule import Part
from bnlab.course.experiments.scale.runs import NOISE
from bnlab.course.lessons.nb08.rates_figure import draw_panels
from bnlab.course.lessons.nb08.scale_parts import (
    BATCH,
    PLAIN,
    SWEEP,
    WHOLE,
    alike,
    exceeds,
    in_every,
    in_steps,
    minus,
    percent,
)
from bnlab.course.lessons.nb08.scale_statistics import (
    BARE,
    BARE_GHOSTS,
    DROPOUT,
    GHOSTS,
    GROUP,
    LESS_DECAY,
    NOISY,
    judge_few_images,
    judge_ghosts,
    judge_lag,
    judge_less_regularization,
    judge_noise_behind,
)

# W1: the range of rates that work.

TARGET = 0.7


def _told(number, works, form):
    """A number of the rates that work, its mean over the seeds that have any, side by side."""
    sides = [[number(seed) for seed in side if len(seed)] for side in works]
    told = (form.format(np.mean(side)) if side else "no rate" for side in sides)
    return " and ".join(told) if all(works) else NO_RUN


def _judge_rates(table):
    lrs = np.array(table.size.rates_of(PLAIN))
    works = [[lrs[a >= TARGET] for a in table.by_rate(side)] for side in (PLAIN, BATCH)]
    width = [np.array([decades(seed) for seed in side]) for side in works]
    top = [np.array([max(seed, default=0.0) for seed in side]) for side in works]
    return [
        Part(
            "rates that reach 70% span at least a decade more with batch norm, in every seed",
            in_every(np.greater_equal, width[1], np.maximum(width[0], 0) + 0.95),
            _told(decades, works, "{:.1f} decades"),
        ),
        Part(
            "the highest of them is higher with batch norm, in every seed",
            in_every(np.greater, top[1], top[0]),
            _told(max, works, "{:.2g}"),
        ),
    ]


def _draw_rates(arrays, table):
    """The digits on the left, CIFAR-10 on the right."""
    none, bn = (arrays[f"relu_{side}"][..., 0] for side in ("plain", "bn"))
    target = arrays["target"].flat[0]
    return draw_panels(
        ("digits, three hidden layers", arrays["lrs"][0], none, bn, target),
        ("CIFAR-10, eight convolutions", SWEEP, table.by_rate(PLAIN), table.by_rate(BATCH), TARGET),
    )


# W11: noise in the input.


def _judge_noise(table):
    plain, bn = table.noisy(PLAIN), table.noisy(BATCH)  # (S, levels)
    return [
        Part(
            f"with noise {noise:g} the accuracy is lower with batch norm",
            exceeds(plain[:, k], bn[:, k]),
            percent(plain[:, k], bn[:, k]),
        )
        for k, noise in enumerate(NOISE)
        if noise
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
                exceeds(bn, none, 10.0),
                percent(none, bn),
            ),
            Part(
                f"with {layers} it is at least a point better than SkipInit, which has no norm",
                exceeds(bn, skipinit, 1.0),
                percent(skipinit, bn),
            ),
        ]
    return [
        *parts,
        Part(
            "with batch norm 56 layers are as good as 20, up to a point",
            exceeds(seen[56, "batch"], seen[20, "batch"], -1.0),
            percent(seen[20, "batch"], seen[56, "batch"]),
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
            exceeds(norm, last),
            percent(norm, last),
        ),
        Part(
            "and further than as many random weights of the convolutions",
            exceeds(norm, random),
            percent(norm, random),
        ),
        Part(
            "they get half as far as everything, counted from chance",
            exceeds(2 * (norm - 10), everything - 10),
            percent(norm, everything),
        ),
    ]


# W8: longer, and no better; sides as in the paper's figure 2, at five and thirty times the rate.

SLOW, X5, X30 = (Side((lr,), {}) for lr in (0.03, 0.15, 0.9))
PLAIN_SLOW = Side((0.03,), {"norm": "none"})
SIGMOID, PLAIN_SIGMOID = (
    Side((0.15,), {"activation": "sigmoid", "norm": norm}) for norm in ("batch", "none")
)


def _judge_longer(table):
    goal = table.final(PLAIN_SLOW)
    alone = table.steps_to(goal, PLAIN_SLOW)

    def needs_more(side, rate):
        steps = table.steps_to(goal, side)
        return Part(
            f"to the accuracy that it ends with, it needs more steps with batch norm, {rate}",
            in_every(np.greater, steps, alone),
            in_steps(alone, steps),
        )

    def ends_alike(what, without, with_bn):
        sides = table.test(without), table.test(with_bn)
        return Part(f"{what} end alike, up to a point", alike(*sides, 1.0), percent(*sides))

    return [
        needs_more(SLOW, "at the same rate"),
        needs_more(X5, "at five times the rate"),
        needs_more(X30, "at thirty times the rate"),
        ends_alike("both, at the same rate,", PLAIN_SLOW, SLOW),
        ends_alike("with sigmoids both", PLAIN_SIGMOID, SIGMOID),
    ]


# W7: faster and better, each side at its best rate.


def _judge_faster_and_better(table):
    goal = table.final(PLAIN)
    steps = [table.steps_to(goal, side) for side in (PLAIN, BATCH)]
    plain, bn = table.test(PLAIN), table.test(BATCH)
    return [
        Part(
            "it needs fewer steps to the accuracy with which the other side ends",
            in_every(np.less, steps[1], steps[0]),
            in_steps(*steps),
        ),
        Part("it ends with a higher test accuracy", exceeds(bn, plain), percent(plain, bn)),
    ]


# A12: the place of batch norm.

AFTER = Side((0.03, 0.1, 0.3), {"place": "after"})


def _judge_place(table):
    before, after = table.test(BATCH), table.test(AFTER)
    return [
        Part(
            "before the nonlinearity is better than behind it by half a point",
            exceeds(before, after, 0.5),
            percent(before, after),
        )
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
        lost = [minus(own[norm], other[norm]) for norm in own]
        return Part(
            f"weights {factor:g} times as large cost at least 5 points more without batch norm",
            exceeds(*lost, 5.0),
            f"{percent(*other.values())} instead of {percent(*own.values())}",
        )

    return [part(factor) for factor in FACTORS]


SCALE = (  # the order in which a GPU does them; residual networks take longest
    AtScale("W1", (PLAIN, BATCH), _judge_rates, _draw_rates),
    AtScale("W11", (PLAIN, BATCH), _judge_noise),
    AtScale("N1", (WHOLE, *GHOSTS.values(), GROUP), judge_few_images),
    AtScale("T5", (BATCH,), judge_lag),
    AtScale("W7", (PLAIN, BATCH), _judge_faster_and_better),
    AtScale("R2", (BARE, *BARE_GHOSTS.values()), judge_ghosts),
    AtScale("W6", (PLAIN, BATCH, *NOISY.values()), judge_noise_behind),
    AtScale("W8", (PLAIN_SLOW, SLOW, X5, X30, SIGMOID, PLAIN_SIGMOID), _judge_longer),
    AtScale("A12", (BATCH, AFTER), _judge_place),
    AtScale("R3", (WHOLE, LESS_DECAY, DROPOUT), judge_less_regularization),
    AtScale("W10", (DEEP[20, "batch"], *ALONE.values()), _judge_only_batchnorm),
    AtScale("W3", tuple(DEEP.values()), _judge_deep),
    AtScale("W2", (PLAIN, BATCH, *SCALED.values()), _judge_first_weights),
)
