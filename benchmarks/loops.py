"""Batch norm as plain loops, compiled by numba: what few passes over memory are worth.

Rows (N, C) take 4 passes forward and 5 backward, the innermost loop along the channels. Images
(N, C, M), their pixels in one axis, are done channel by channel: what is read again is still in the
cache. Notebook 10 counts the passes of NumPy, 28.
"""

import numpy as np
from numba import njit

SUMS = {"reassoc", "nsz", "contract"}  # the compiler may split a sum, as NumPy does


def training_step(x, dy, gamma, beta, running_mean, running_var, eps=1e-5, momentum=0.1):
    """Forward and backward; moves the running statistics. Returns y, dx, dgamma and dbeta."""
    forward, backward = _rows_forward, _rows_backward
    if x.ndim > 2:
        forward, backward = _images_forward, _images_backward
        x, dy = (array.reshape(*array.shape[:2], -1) for array in (x, dy))  # (N, C, M)
    y, mean, var = forward(x, gamma, beta, eps)
    m = x.size // len(gamma)
    running_mean += momentum * (mean - running_mean)
    running_var += momentum * (var * (m / (m - 1)) - running_var)
    return y, *backward(x, dy, gamma, mean, var, eps)


@njit
def _rows_forward(x, gamma, beta, eps):
    n, c = x.shape
    y, factor = np.empty_like(x), np.empty_like(gamma)
    mean, var = np.zeros_like(gamma), np.zeros_like(gamma)
    for i in range(n):
        for j in range(c):
            mean[j] += x[i, j]
    mean /= n
    for i in range(n):
        for j in range(c):
            distance = x[i, j] - mean[j]
            var[j] += distance * distance  # a power would be computed in double precision
    var /= n
    factor[:] = gamma / np.sqrt(var + eps)
    for i in range(n):
        for j in range(c):
            y[i, j] = factor[j] * (x[i, j] - mean[j]) + beta[j]
    return y, mean, var


@njit
def _rows_backward(x, dy, gamma, mean, var, eps):
    n, c = x.shape
    dx, dgamma, dbeta = np.empty_like(x), np.zeros_like(gamma), np.zeros_like(gamma)
    for i in range(n):
        for j in range(c):
            dbeta[j] += dy[i, j]
            dgamma[j] += dy[i, j] * (x[i, j] - mean[j])
    factor, shift, slope = np.empty_like(gamma), np.empty_like(gamma), np.empty_like(gamma)
    factor[:], shift[:] = gamma / np.sqrt(var + eps), dbeta / n
    slope[:] = dgamma / (var + eps) / n
    for i in range(n):
        for j in range(c):
            dx[i, j] = factor[j] * (dy[i, j] - shift[j] - (x[i, j] - mean[j]) * slope[j])
    dgamma /= np.sqrt(var + eps)
    return dx, dgamma, dbeta


@njit(fastmath=SUMS)
def _images_forward(x, gamma, beta, eps):
    y, mean, var = np.empty_like(x), np.empty_like(gamma), np.empty_like(gamma)
    for j in range(len(gamma)):
        mean[j], var[j] = _moments(x, j)
        factor = np.float32(gamma[j] / np.sqrt(var[j] + eps))
        for i in range(x.shape[0]):
            for k in range(x.shape[2]):
                y[i, j, k] = factor * (x[i, j, k] - mean[j]) + beta[j]
    return y, mean, var


@njit(fastmath=SUMS)
def _moments(x, j):
    n, _, m = x.shape
    total = squares = np.float32(0)
    for i in range(n):
        for k in range(m):
            total += x[i, j, k]
    mean = np.float32(total / (n * m))
    for i in range(n):
        for k in range(m):
            distance = x[i, j, k] - mean
            squares += distance * distance
    return mean, np.float32(squares / (n * m))


@njit(fastmath=SUMS)
def _images_backward(x, dy, gamma, mean, var, eps):
    (n, c, m), dx = x.shape, np.empty_like(x)
    dgamma, dbeta = np.empty_like(gamma), np.empty_like(gamma)
    for j in range(c):
        total, along = _sums(dy, x, mean[j], j)
        std = np.sqrt(var[j] + eps)
        dbeta[j], dgamma[j] = total, along / std
        factor, shift = np.float32(gamma[j] / std), np.float32(total / (n * m))
        slope = np.float32(along / std**2 / (n * m))
        for i in range(n):
            for k in range(m):
                dx[i, j, k] = factor * (dy[i, j, k] - shift - (x[i, j, k] - mean[j]) * slope)
    return dx, dgamma, dbeta


@njit(fastmath=SUMS)
def _sums(dy, x, mean, j):
    total = along = np.float32(0)
    for i in range(dy.shape[0]):
        for k in range(dy.shape[2]):
            total += dy[i, j, k]
            along += dy[i, j, k] * (x[i, j, k] - mean)
    return total, along
