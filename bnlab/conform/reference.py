"""The right answers in float64: the textbook forms of the course, for any number of axes.

They are the references of the exercises, short and in two passes, and not the code of
`bnlab.batchnorm`, which is looked at here like any other.
"""

import numpy as np

from bnlab.course.lessons.nb02.ex_batchnorm_algorithm import FORWARD
from bnlab.course.lessons.nb03.ex_backpropagation import STAGED
from bnlab.course.lessons.nb05.ex_inference import INFERENCE

__all__ = ["forward", "gradients", "inference", "rows", "unrows"]


def rows(x):
    """(N, C, ...) to (M, C): one value of each channel in a row.

    >>> rows(np.zeros((5, 3, 8, 8))).shape
    (320, 3)
    """
    return np.moveaxis(x, 1, -1).reshape(-1, x.shape[1])


def unrows(values, shape):
    """Turn (M, C) back into this shape (N, C, ...)."""
    return np.moveaxis(np.reshape(values, (shape[0], *shape[2:], shape[1])), -1, 1)


def forward(x, gamma, beta, eps):
    """Algorithm 1."""
    return unrows(FORWARD.reference(rows(x), gamma, beta, eps), x.shape)


def gradients(dy, x, gamma, beta, eps):
    """The six gradients of section 3, a dict by name."""
    found = STAGED.reference(rows(dy), rows(x), gamma, beta, eps)
    return found | {name: unrows(found[name], x.shape) for name in ("dx", "dx_hat")}


def inference(x, gamma, beta, running_mean, running_var, eps):
    """Algorithm 2, step 11."""
    return unrows(
        INFERENCE.reference(rows(x), gamma, beta, running_mean, running_var, eps), x.shape
    )
