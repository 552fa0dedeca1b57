"""The backward pass under a random upstream gradient, and what it may not be confused by."""

from bnlab.batchnorm import batchnorm_forward
from bnlab.conform import reference
from bnlab.conform.adapter import DoesNotApply
from bnlab.conform.comparing import Comparison, agree
from bnlab.conform.probes import batch, batches
from bnlab.conform.promising import GRADIENTS, promise
from bnlab.conform.subject import EPS, VISIBLE_EPS
from bnlab.course.lessons.nb03.ex_backpropagation import STAGED
from bnlab.course.lessons.nb03.ex_closed_form import CLOSED_FORM

__all__ = ["compare_gradients"]

INNER = ("dx_hat", "dvar", "dmean")


def compare_gradients(subject, b, found, eps, names=GRADIENTS, form=""):
    """Comparisons of the named gradients; `form` is what stands behind their names in `found`."""
    answers = {name: found[name + form] for name in (*GRADIENTS, *INNER) if name + form in found}
    dy, x = reference.rows(b.dy), reference.rows(b.x)
    rest = b.gamma, b.beta, eps
    exercises = {
        STAGED: (dy, x, *rest),
        CLOSED_FORM: (dy, batchnorm_forward(x, *rest)[1]),
    }
    if form:
        del exercises[STAGED]
    shown = b.inputs("x", "dy", "gamma", "beta") | {"eps": eps}
    want = reference.gradients(b.dy, b.x, *rest)
    for name in names:
        yield Comparison(name, answers, want, shown, subject.tolerance, exercises, b.x.shape)


def _all_batches(subject, eps):
    for ndim in subject.dims:
        for b in batches(ndim):
            _, backward = subject.layer(b.gamma, b.beta, eps=eps).train(b.x)
            yield b, backward(b.dy)


def _row(subject, kept, *names, form=""):
    more = _gradients(subject, VISIBLE_EPS, names, form)
    return agree(_gradients(subject, EPS, names, form), kept, more=more)


def _gradients(subject, eps, names, form):
    for b, found in _all_batches(subject, eps):
        if names[0] + form not in found:
            raise DoesNotApply(
                "Only functions of the course return more than one set of gradients."
            )
        yield from compare_gradients(subject, b, found, subject.eps(eps), names, form)


@promise("dx", "gradients")
def dx(subject):
    """Three ways lead from x to y, two of them through the statistics."""
    return _row(subject, "All three ways from x to y.", "dx")


@promise("dgamma", "gradients")
def dgamma(subject):
    """A sum over the batch."""
    return _row(subject, "The sum of dy * x_hat.", "dgamma")


@promise("dbeta", "gradients")
def dbeta(subject):
    """A sum over the batch."""
    return _row(subject, "The sum of dy.", "dbeta")


@promise("dx_hat, dvar, dmean", "gradients")
def inner_gradients(subject):
    """The gradients on the way, which only a learner's staged function returns."""
    return _row(subject, "The inner gradients of the paper.", *INNER)


@promise("closed form", "gradients")
def closed_form(subject):
    """A second backward of a learner."""
    return _row(subject, "dx, dgamma and dbeta.", *GRADIENTS, form=", closed form")


@promise(
    "two calls before one backward",
    "gradients",
    after=(*GRADIENTS, "training ignores the running statistics"),
)
def two_calls(subject):
    """What the first call remembers is not overwritten by the second."""
    first, second = (batch(subject.shape(3, 1), seed) for seed in (0, 1))
    second = type(second)(second.x, first.gamma, first.beta, second.dy)
    live = subject.layer(first.gamma, first.beta)
    pairs = [(b, live.train(b.x)[1]) for b in (first, second)]
    return agree(
        (
            comparison
            for b, backward in pairs
            for comparison in compare_gradients(subject, b, backward(b.dy), subject.eps())
        ),
        "Each call keeps what its backward needs.",
        "After a second call the backward of the first one goes wrong: it uses what the last call "
        "has left. A layer that is called twice in one network needs both.",
    )
