"""The running statistics over five batches: whether they follow a rule, and which one."""

import dataclasses
import functools

import numpy as np

from bnlab.conform import reference
from bnlab.conform.adapter import DoesNotApply
from bnlab.conform.comparing import Comparison, agree
from bnlab.conform.probes import batch
from bnlab.conform.promising import promise
from bnlab.conform.report import CONVENTION, KEPT, Row
from bnlab.conform.rules import LEFT_IN, STARTS, Rule, ddof_of, history, rule_of, share_of
from bnlab.conform.shared import shared_with
from bnlab.conform.subject import MOMENTUM
from bnlab.course.lessons.nb05.ex_running_statistics import UPDATE

__all__ = []

MEAN, VAR = "running_mean", "running_var"


@functools.lru_cache(maxsize=1)  # several rows look at the same histories
def _records(subject):
    return [history(subject, ndim) for ndim in subject.dims]


def _rules(subject):
    """History and rule of each number of axes; without a rule, nothing more can be told."""
    pairs = [(record, rule_of(subject, record)) for record in _records(subject)]
    if not all(rule for _, rule in pairs):
        raise DoesNotApply("It cannot be told while the running mean follows no rule.")
    return pairs


def _steps(subject, record, name, rule):
    """Each step by itself, from what the layer had before, so that a mistake can explain it."""
    rule = rule or Rule(MOMENTUM, STARTS[0])
    for t, x in enumerate(record.batches):
        before = record.means[t], record.variances[t]
        arguments = (*before, reference.rows(x), rule.share)
        wanted = UPDATE.reference(*arguments)
        answers = {MEAN: record.means[t + 1], VAR: record.variances[t + 1]}
        yield Comparison(
            name,
            answers,
            dict(zip((MEAN, VAR), wanted, strict=True)),
            {MEAN: before[0], VAR: before[1], "x": x, "momentum": rule.share},
            subject.tolerance,
            {UPDATE: arguments},
        )


@promise("running mean", "running statistics")
def running_mean(subject):
    """A weighted mean of old and new, over five batches."""
    records = _records(subject)
    wrong = [record for record in records if rule_of(subject, record) is None]
    if wrong:
        return agree(_steps(subject, wrong[0], MEAN, None), "")
    return Row("", KEPT, "A weighted mean of old and new, over five batches.")


@promise("running variance", "running statistics")
def running_variance(subject):
    """The same rule, fed the variance of each batch."""
    records = _records(subject)
    rules = [rule_of(subject, record) or Rule(MOMENTUM, STARTS[0]) for record in records]
    for record, rule in zip(records, rules, strict=True):
        if ddof_of(subject, record, rule) is None:
            return _strange_variance(subject, record, rule)
    return Row("", KEPT, "The rule of the running mean, fed the variance of each batch.")


def _strange_variance(subject, record, rule):
    """The row of a running variance that does not follow the rule of the running mean."""
    if ddof_of(subject, record, dataclasses.replace(rule, start=LEFT_IN)) is not None:
        return agree(
            _sequence(subject, record, rule),
            "",
            "It is divided by the share of the batches, as the mean is, while the share of its "
            "start value, 1, stays in: it is too large, most of all after few batches.",
        )
    steps = list(_steps(subject, record, VAR, rule))
    other = dataclasses.replace(rule, share=1 - rule.share)
    if rule.share != MOMENTUM and ddof_of(subject, record, other) is not None:
        unexplained = (dataclasses.replace(c, exercises={}) for c in steps)
        return agree(
            unexplained,
            "",
            "Momentum multiplies the old value in the running mean and the new one in the running "
            "variance.",
        )
    return agree(
        steps,
        "",
        "It does not follow the rule of the running mean, neither with the unbiased variance of "
        "each batch nor with the biased one.",
    )


def _sequence(subject, record, rule):
    """The running variance after each batch, as the rule has it with the biased variance."""
    wanted = rule.follow(record.variances[0], record.fed(ddof=0)[1])
    for t, (got, want) in enumerate(zip(record.variances[1:], wanted, strict=True)):
        shown = {f"batch {k + 1}": x for k, x in enumerate(record.batches[: t + 1])}
        yield Comparison(VAR, {VAR: got}, {VAR: want}, shown, subject.tolerance)


@promise("momentum multiplies", "running statistics")
def direction(subject):
    """Which of the two values has momentum as its weight."""
    if not subject.can_set("momentum"):
        record = _records(subject)[0]
        raise DoesNotApply(f"It cannot be set; the new value has {share_of(subject, record):.3g}.")
    old = _rules(subject)[0][1].share != MOMENTUM
    word = "old" if old else "new"
    told = f"It multiplies the {word} value, as in {shared_with('multiplies', word)}."
    return Row("", CONVENTION if old else KEPT, told, value=word)


@promise("variance that is fed", "running statistics")
def fed_variance(subject):
    """The unbiased variance, as in torch, or the biased one."""
    found = [ddof_of(subject, *pair) for pair in _rules(subject)]
    if None in found:
        raise DoesNotApply("It cannot be told while the running variance follows no rule.")
    if set(found) == {1}:
        same = shared_with("variance", "unbiased")
        return Row("", KEPT, f"Unbiased, divided by m - 1, as in {same}.", value="unbiased")
    if set(found) == {0}:
        same = shared_with("variance", "biased")
        told = f"Biased, as in {same}: the factor m / (m - 1) of PyTorch and the paper is missing."
        return Row("", CONVENTION, told, value="biased")
    pairs = zip(subject.dims, found, strict=True)
    each = ", ".join(f"{ndim}-D {('biased', 'unbiased')[ddof]}" for ndim, ddof in pairs)
    told = f"It depends on the number of axes, as in tf.keras 2: {each}."
    return Row("", CONVENTION, told, value=each)


@promise("start of the averages", "running statistics")
def start(subject):
    """What becomes of the start values."""
    begin = _rules(subject)[0][1].start
    if begin == STARTS[0]:
        return Row("", KEPT, f"They start at 0 and 1, as in {shared_with('start', begin)}.")
    same = shared_with("start", begin)
    said = {"first batch": "They start with the first batch", "debiased": "Of the mean, the share "
            "of the start value is taken away"}[begin]  # fmt: skip
    return Row("", CONVENTION, f"{said}, as in {same}.", value=begin)


@promise("default momentum", "defaults")
def default_momentum(subject):
    """The share of the new value after one step, told in the direction that was found."""
    if not subject.can_set("momentum"):
        raise DoesNotApply("It cannot be set.")
    rule = _rules(subject)[0][1]
    share = _default_share(subject, rule)
    old = rule.share != MOMENTUM
    value = float(f"{1 - share if old else share:.4g}")
    direction = "old" if old else "new"
    same = shared_with("momentum", value, multiplies=direction)
    if not old and value == 0.1:
        return Row("", KEPT, f"0.1 on the new value, as in {same}.", value=value)
    told = f"{value:g} on the {direction} value, as in {same}; in PyTorch 0.1 on the "
    return Row("", CONVENTION, f"{told}new one.", value=value)


def _default_share(subject, rule):
    """From a batch of mean 0, after which the mean is still 0, and another batch."""
    x = batch(subject.shape(4, 3)).x
    x = x - x.mean(axis=0)
    live = subject.plain_layer(3)
    live.train(x)
    live.train(x + 10)
    ratio = float(np.median(live.running()[0])) / 10
    if rule.start == "debiased":  # a over 1 - (1 - a)^2
        return 2 - 1 / ratio
    return ratio
