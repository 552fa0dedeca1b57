"""A batch as a matrix whose columns belong to channels, and the sums that batch norm needs of it.

A batch (N, C, ...) is worked on as (N, C*S): a row for each example, in it S values of the first
channel, then S of the second. S = 1 for (N, C), S = H*W for images. A matrix is what NumPy is
fastest with. Where a function takes `x` as well, x only lends its shape (N, C, ...).
"""

import math

import numpy as np

__all__ = ["count", "dots", "rows", "spread", "sums"]


def rows(x):
    """(N, C, ...) to (N, C*S), a view where that is possible.

    >>> rows(np.zeros((5, 3, 8, 8))).shape
    (5, 192)
    """
    return x.reshape(len(x), math.prod(x.shape[1:]))


def spread(v, x):
    """One number a channel, (C,), to one a column, (C*S,).

    >>> spread(np.array([7, 8]), x=np.zeros((5, 2, 1, 3)))
    array([7, 7, 7, 8, 8, 8])
    """
    if x.ndim == 2:  # a column is a channel; in a small network skipping this saves a tenth
        return v
    return v.repeat(math.prod(x.shape[2:]))


def sums(matrix, x):
    """Sum of each channel, (C,).

    >>> sums(np.array([[1.0, 2, 30, 40], [1, 1, 10, 10]]), x=np.zeros((2, 2, 2)))
    array([ 5., 90.])
    """
    columns = np.ones(len(matrix), matrix.dtype) @ matrix  # much faster than matrix.sum(axis=0)
    return _per_channel(columns, x)


def dots(a, b, x):
    """Sum of a*b of each channel, (C,), without an array for the products.

    >>> dots(np.array([[1.0, 2], [3, 4]]), np.array([[1.0, 1], [1, 10]]), x=np.zeros((2, 2)))
    array([ 4., 42.])
    """
    return _per_channel(np.einsum("nk,nk->k", a, b), x)


def _per_channel(columns, x):
    if x.ndim == 2:  # as in `spread`
        return columns
    return columns.reshape(x.shape[1], math.prod(x.shape[2:])).sum(axis=1)


def count(x):
    """M, the number of values in a channel: N for (N, C), N*H*W for images.

    >>> count(np.zeros((5, 3, 8, 8)))
    320
    """
    return len(x) * math.prod(x.shape[2:])
