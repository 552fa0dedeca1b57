"""What comes out in training: y, for any number of axes."""

from bnlab.conform import reference
from bnlab.conform.comparing import Comparison, agree
from bnlab.conform.probes import LETTERS, batch, batches
from bnlab.conform.promising import promise
from bnlab.conform.report import CONVENTION, KEPT, Row
from bnlab.conform.shared import shared_with
from bnlab.conform.subject import EPS, VISIBLE_EPS
from bnlab.course.lessons.nb02.ex_batchnorm_algorithm import FORWARD
from bnlab.course.lessons.nb06.ex_spatial_batchnorm import SPATIAL

__all__ = ["compare_output"]


def compare_output(subject, b, y, eps):
    """The comparison of one output in training."""
    rest = b.gamma, b.beta, eps
    exercises = {FORWARD: (reference.rows(b.x), *rest)}
    if b.x.ndim == 4:  # its sentences speak of images
        exercises = {SPATIAL: (b.x, *rest), **exercises}
    shown = b.inputs("x", "gamma", "beta") | {"eps": eps}
    want = reference.forward(b.x, *rest)
    return Comparison("y", {"y": y}, {"y": want}, shown, subject.tolerance, exercises, b.x.shape)


def _outputs(subject, ndim, eps=EPS):
    subject.need(ndim)
    for b in batches(ndim):
        y, _ = subject.layer(b.gamma, b.beta, eps=eps).train(b.x)
        yield compare_output(subject, b, y, subject.eps(eps))


def _row(subject, ndim, kept):
    return agree(_outputs(subject, ndim), kept, more=_outputs(subject, ndim, VISIBLE_EPS))


@promise("output, 2-D", "training")
def output_2d(subject):
    """Algorithm 1 for (N, C)."""
    return _row(subject, 2, f"Algorithm 1 for {LETTERS[2]}.")


@promise("output, 3-D", "training")
def output_3d(subject):
    """The same with one more axis."""
    return _row(subject, 3, f"One mean and variance a channel for {LETTERS[3]}.")


@promise("output, 4-D", "training")
def output_4d(subject):
    """The same for images."""
    return _row(subject, 4, f"One mean and variance a channel for {LETTERS[4]}.")


@promise("channel axis", "training")
def channel_axis(subject):
    """Where the channels are, which the adapter knows."""
    axis = subject.adapter.channel_axis
    same = shared_with("channel_axis", axis)
    if axis == 1:
        return Row("", KEPT, f"Axis 1, as in {same}.", value=1)
    return Row("", CONVENTION, f"The last axis, as in {same}; in PyTorch it is axis 1.", value=axis)


@promise("training ignores the running statistics", "training")
def batch_statistics(subject):
    """The same batch gives the same output, whatever came before."""
    b = batch(subject.shape(4, 3))
    fresh, old = subject.layer(b.gamma, b.beta), subject.layer(b.gamma, b.beta)
    for _ in range(3):
        old.train(3 * b.x + 5)
    (y, _), (later, _) = fresh.train(b.x), old.train(b.x)
    return agree(
        [Comparison("y", {"y": later}, {"y": y}, b.inputs("x"), subject.tolerance)],
        "The output is that of the batch, whatever came before.",
        "The output depends on the batches before. The training output is to be that of the batch "
        "alone, normalized by its own mean and variance.",
    )
