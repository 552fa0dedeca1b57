"""Where batch norms differ that agree elsewhere: eps, signs, constants, single values, inputs."""

import dataclasses
from contextlib import suppress

import numpy as np

from bnlab.conform import reference
from bnlab.conform.adapter import DoesNotApply
from bnlab.conform.comparing import agree, as_text, differ
from bnlab.conform.probes import batch, batches
from bnlab.conform.promises.evaluation import compare_evaluation, trained
from bnlab.conform.promises.gradients import compare_gradients
from bnlab.conform.promises.training import compare_output
from bnlab.conform.promising import GRADIENTS, OUTPUTS, promise
from bnlab.conform.report import BROKEN, CONVENTION, KEPT, Row
from bnlab.conform.shared import shared_with
from bnlab.conform.subject import VISIBLE_EPS, told

__all__ = []


def _all(subject, b, eps, std=2.0):
    """Output, gradients and evaluation of one batch, as far as the layer has them."""
    live = subject.layer(b.gamma, b.beta, eps=eps)
    y, backward = live.train(b.x)
    yield compare_output(subject, b, y, subject.eps(eps))
    with suppress(DoesNotApply):
        yield from compare_gradients(subject, b, backward(b.dy), subject.eps(eps))
    with suppress(DoesNotApply):
        live = trained(subject, b, std, eps=eps)
        yield compare_evaluation(subject, b, live, subject.eps(eps))


def _with_constant(b):
    """The batch with 0.25 in all of the first channel."""
    x = b.x.copy()
    x[:, 0] = 0.25
    return dataclasses.replace(b, x=x)


def _where_eps_counts(subject, change=lambda b: b):
    """Batches with variances around eps, above it and below."""
    eps = subject.eps(VISIBLE_EPS)
    std = max(eps, 1e-12) ** 0.5
    for ndim in subject.dims:
        for b in batches(ndim, std):
            yield from _all(subject, change(b), eps, std)


EVERYTHING = (*OUTPUTS, *GRADIENTS, "running mean", "evaluation")


@promise("eps and its place", after=EVERYTHING)
def place_of_eps(subject):
    """Added to the variance, inside the root: in y, in the gradients and in evaluation."""
    return agree(
        _where_eps_counts(subject),
        "It is added to the variance, inside the root.",
        more=_where_eps_counts(subject, _with_constant),  # tells some mistakes from each other
    )


@promise("default eps", "defaults", after=("eps and its place", *OUTPUTS))
def default_eps(subject):
    """The framework's own."""
    eps = subject.own_eps
    same = shared_with("eps", eps)
    if eps == 1e-5:
        return Row("", KEPT, f"1e-5, as in {same}.", value=eps)
    return Row("", CONVENTION, f"{eps:g}, as in {same}; PyTorch's is 1e-5.", value=eps)


@promise("negative and zero gamma", after=(*EVERYTHING, "eps and its place"))
def signs(subject):
    """A gamma may be of any sign, or 0, in both directions."""
    found = (b for ndim in subject.dims for b in batches(ndim) if len(b.gamma) == 3)
    signed = (dataclasses.replace(b, gamma=np.array([-1.5, 0.0, 2.0])) for b in found)
    return agree(
        (comparison for b in signed for comparison in _all(subject, b, 1e-3)),
        "A gamma may be negative, and 0.",
    )


@promise("constant channel", after=(*OUTPUTS, "eps and its place"))
def constant(subject):
    """Its variance is 0, so y = beta, and all gradients are finite."""
    b = _with_constant(batch(subject.shape(4, 3)))
    y, backward = subject.layer(b.gamma, b.beta, eps=1e-5).train(b.x)
    row = agree([compare_output(subject, b, y, subject.eps(1e-5))], "There y is beta.")
    if row.verdict == KEPT and (wrong := _not_finite(backward, b)):
        told = f"y is beta, but not finite is {' and '.join(wrong)}."
        return Row("", BROKEN, told, smallest=as_text(b.inputs("x", "dy")))
    return row


def _not_finite(backward, b):
    """Names of gradients with NaN or inf in them."""
    with suppress(DoesNotApply):
        found = backward(b.dy)
        return [name for name in GRADIENTS if not np.isfinite(found[name]).all()]
    return []


@promise("one value per channel", "training", after=(*OUTPUTS, "eps and its place"))
def one_value(subject):
    """A variance of one value is 0, and unbiased 0 / 0: refuse it, or return beta."""
    b = batch(subject.shape(2, 2))
    b = dataclasses.replace(b, x=b.x[:1])
    live = subject.layer(b.gamma, b.beta, eps=1e-3)
    try:
        y, _ = live.train(b.x)
    except DoesNotApply:
        raise
    except Exception as error:
        return Row("", KEPT, f"It is refused, as in PyTorch: {told(error)}")
    if not np.isfinite(y).all() or differ(y, reference.forward(b.x, b.gamma, b.beta, 1.0), 1e-6):
        words = "It is not refused, and y is not beta."
        return Row("", BROKEN, words, smallest=as_text(b.inputs("x")))
    if "state" not in subject.missing and not _stays_finite(live):
        words = "It is not refused, and the running statistics are not finite from then on."
        return Row("", BROKEN, words, smallest=as_text(b.inputs("x")))
    return Row("", CONVENTION, "It is not refused, y is beta; PyTorch and MLX refuse it.")


def _stays_finite(live):
    with suppress(DoesNotApply):
        return all(np.isfinite(average).all() for average in live.running())
    return True


@promise("inputs unmodified", after=("running mean",))
def unmodified(subject):
    """Both x and dy belong to the caller."""
    b = batch(subject.shape(4, 3))
    live = subject.layer(b.gamma, b.beta)
    _, backward = live.train(b.x)
    for call, given in ((backward, b.dy), (live.eval, b.x)):
        with suppress(DoesNotApply):
            call(given)
    if live.changed:
        names = " and ".join(sorted(live.changed))
        return Row("", BROKEN, f"It writes into {names}, which belongs to the caller.",
                   smallest=as_text(b.inputs("x", "dy")))  # fmt: skip
    return Row("", KEPT, "x and dy are as they were.")
