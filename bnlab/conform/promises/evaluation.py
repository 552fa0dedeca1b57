"""Evaluation: the running statistics normalize, and nothing else matters or moves."""

import numpy as np

from bnlab.conform import reference
from bnlab.conform.comparing import Comparison, agree, differ
from bnlab.conform.probes import batch, batches
from bnlab.conform.promising import promise
from bnlab.conform.report import BROKEN, KEPT, Row
from bnlab.conform.subject import EPS, VISIBLE_EPS
from bnlab.course.lessons.nb05.ex_inference import INFERENCE

__all__ = ["compare_evaluation", "trained"]


def trained(subject, b, std=2.0, **settings):
    """A layer with the parameters of this batch, after three batches of other statistics."""
    live = subject.layer(b.gamma, b.beta, **settings)
    for k in range(1, 4):
        live.train(std * batch(b.x.shape, seed=k).x + k)
    return live


def compare_evaluation(subject, b, live, eps):
    """The comparison of what a layer answers to a batch in evaluation mode."""
    running = live.running()
    rest = b.gamma, b.beta, *running, eps
    names = ("gamma", "beta", "running_mean", "running_var", "eps")
    return Comparison(
        "y",
        {"y": live.eval(b.x)},
        {"y": reference.inference(b.x, *rest)},
        {"x": b.x, **dict(zip(names, rest, strict=True))},
        subject.tolerance,
        {INFERENCE: (reference.rows(b.x), *rest)},
        b.x.shape,
    )


def _evaluations(subject, eps=EPS):
    for ndim in subject.dims:
        for b in batches(ndim):
            yield compare_evaluation(subject, b, trained(subject, b, eps=eps), subject.eps(eps))


@promise("evaluation", "evaluation")
def evaluation(subject):
    """Algorithm 2, step 11, with the statistics that the layer says it has."""
    return agree(
        _evaluations(subject),
        "The running mean and variance normalize.",
        more=_evaluations(subject, VISIBLE_EPS),
    )


@promise("evaluation ignores the batch", "evaluation")
def independence(subject):
    """An example gets the same answer alone and among others."""
    b = batch(subject.shape(4, 3))
    live = trained(subject, b)
    together, alone = live.eval(b.x)[:1], live.eval(b.x[:1])
    return agree(
        [Comparison("y", {"y": together}, {"y": alone}, b.inputs("x"), subject.tolerance)],
        "An example gets the same answer alone and among others.",
        "The answer for one example changes with the others in its batch.",
    )


@promise("evaluation leaves the state alone", "evaluation")
def state_alone(subject):
    """The running statistics are the same before and after."""
    b = batch(subject.shape(4, 3))
    live = trained(subject, b)
    before = live.running()
    live.eval(b.x)
    after = live.running()
    names = ("running_mean", "running_var")
    before, after = (dict(zip(names, pair, strict=True)) for pair in (before, after))
    return agree(
        [Comparison(name, after, before, b.inputs("x"), subject.tolerance) for name in names],
        "The running statistics do not move.",
        "Evaluation moves the running statistics: what is asked changes the answers that follow.",
    )


@promise("state saved and loaded", "state")
def saved(subject):
    """A new layer that loads the state answers alike, and goes on alike in training."""
    b = batch(subject.shape(4, 3))
    old, new = trained(subject, b), subject.layer(np.ones(3), np.zeros(3))
    new.load(old.save())
    if differ(new.eval(b.x), old.eval(b.x), subject.tolerance):
        return Row("", BROKEN, "A layer that has loaded the state gives other answers.")
    for live in (old, new):
        live.train(b.x)
    if any(map(lambda a, b: differ(a, b, subject.tolerance), new.running(), old.running())):
        return Row("", BROKEN, "A layer that has loaded the state goes on in another way: "
                   "something that counts in training is not saved.")  # fmt: skip
    return Row("", KEPT, "A new layer that loads it answers alike, and goes on alike.")
