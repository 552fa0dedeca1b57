"""Helpers of notebook 10: what one output depends on, and what accumulated gradients miss."""

import numpy as np

from bnlab import functional as F
from bnlab.course.lessons.nb10.shards import cut

NOTICED = 1e-9  # a change of the output that is no rounding


def inputs_that_matter(forward, x, place):
    """Which inputs move the output ``forward(x)[place]``, in the shape of x: each one is moved.

    >>> x = np.array([[1.0, 2.0], [3.0, 5.0]])
    >>> inputs_that_matter(lambda x: x - x.mean(axis=0), x, place=(0, 1))
    array([[False,  True],
           [False,  True]])
    """
    before, matters = forward(x)[place], np.zeros(x.shape, bool)
    for index in np.ndindex(x.shape):
        moved = x.copy()
        moved[index] += 0.1
        matters[index] = abs(forward(moved)[place] - before) > NOTICED
    return matters


def image_tiles(values):
    """Lay images (N, C, H, W) out in one picture: a row for each example, a column a channel.

    >>> image_tiles(np.array([[[[1.0]], [[2.0]]], [[[3.0]], [[4.0]]]]))
    array([[ 1., nan,  2.],
           [nan, nan, nan],
           [ 3., nan,  4.]])
    """
    n, c, h, w = values.shape
    tiles = np.full((n, h + 1, c, w + 1), np.nan)
    tiles[:, :h, :, :w] = values.transpose(0, 2, 1, 3)
    return tiles.reshape(n * (h + 1), c * (w + 1))[:-1, :-1]


def gradients(model, x, labels):
    """Gradient of the mean cross-entropy, all parameters in one vector."""
    _, cache = F.cross_entropy_forward(model(x), labels)
    model.backward(F.cross_entropy_backward(cache))
    return np.concatenate([gradient.ravel() for gradient in model.grads.values()])


def accumulation_error(model, x, labels, size):
    """Relative distance of the gradient accumulated over micro-batches from that of the batch.

    >>> from bnlab.layers import mlp
    >>> rng = np.random.default_rng(0)
    >>> x, labels = rng.normal(size=(8, 2)), rng.integers(2, size=8)
    >>> accumulation_error(mlp([2, 3, 2], batchnorm=False, rng=rng), x, labels, size=4) < 1e-14
    True
    """
    counts = [size] * (len(x) // size)  # size divides N
    whole = gradients(model, x, labels)
    parts = zip(cut(x, counts), cut(labels, counts), strict=True)
    accumulated = sum(gradients(model, *part) for part in parts) / len(counts)
    return float(np.linalg.norm(accumulated - whole) / np.linalg.norm(whole))
