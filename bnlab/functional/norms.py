"""Layer norm and group norm: the formula of batch norm, over other axes.

Both put the values that share a mean and a variance into one row, standardize the rows, and undo
the view. No example sees another one, so training and inference are the same thing.
"""

import math

import numpy as np

from bnlab.arrays import check_eps, fitting, float_array, upstream, working_dtype

__all__ = ["groupnorm_backward", "groupnorm_forward", "layernorm_backward", "layernorm_forward"]


def layernorm_forward(x, gamma, beta, eps=1e-5):
    r"""Normalize each example by the mean and biased variance of its own values.

    .. math:: y = \gamma \frac{x - \mu_n}{\sqrt{\sigma_n^2 + \epsilon}} + \beta

    Parameters
    ----------
    x : array_like of float, shape (N, C) or (N, C, ...)
    gamma, beta : array_like, shape x.shape[1:]
    eps : float

    Returns
    -------
    y : ndarray, shape and dtype of x
    cache : tuple
        What `layernorm_backward` needs.

    Raises
    ------
    ValueError
        If gamma or beta does not have the shape of one example, or x is empty.

    References
    ----------
    Ba, Kiros & Hinton 2016, arXiv:1607.06450; ``torch.nn.LayerNorm(x.shape[1:])``.

    Examples
    --------
    >>> y, _ = layernorm_forward([[1.0, 2.0, 3.0], [0.0, 0.0, 9.0]], np.ones(3), np.zeros(3))
    >>> y.round(3)
    array([[-1.225,  0.   ,  1.225],
           [-0.707, -0.707,  1.414]])
    """
    x, eps = _checked("layernorm_forward", x, eps)
    shape, work = x.shape[1:], working_dtype(x)
    gamma = fitting("layernorm_forward", "gamma", gamma, shape, work)
    beta = fitting("layernorm_forward", "beta", beta, shape, work)
    rows, inv_std = _standardize(x.reshape(len(x), -1).astype(work, copy=False), eps)
    x_hat = rows.reshape(x.shape)
    y = gamma * x_hat + beta
    return y.astype(x.dtype, copy=False), (x_hat, inv_std, gamma, x.dtype)


def layernorm_backward(dy, cache):
    """Return dx (shape of x), dgamma and dbeta (shape of gamma)."""
    x_hat, inv_std, gamma, dtype = cache
    dy = upstream("layernorm_backward", dy, x_hat.shape, x_hat.dtype)
    dx = _standardize_backward(dy * gamma, x_hat, inv_std)
    dx = dx.astype(dtype, copy=False)
    return dx, (dy * x_hat).sum(axis=0), dy.sum(axis=0)


def groupnorm_forward(x, gamma, beta, num_groups, eps=1e-5):
    r"""Normalize each group of channels of each example; the formula of `layernorm_forward`.

    One group is layer norm (with one gamma per channel), C groups is instance norm.

    Parameters
    ----------
    x : array_like of float, shape (N, C) or (N, C, ...)
    gamma, beta : array_like, shape (C,)
    num_groups : int
        Must divide C; neighbouring channels share a group.
    eps : float

    Returns
    -------
    y : ndarray, shape and dtype of x
    cache : tuple
        What `groupnorm_backward` needs.

    Raises
    ------
    ValueError
        If num_groups does not divide C, gamma or beta is not of shape (C,), or x is empty.

    References
    ----------
    Wu & He 2018, arXiv:1803.08494; ``torch.nn.GroupNorm``.

    Examples
    --------
    >>> x = [[1.0, 3.0, 10.0, 50.0]]
    >>> groupnorm_forward(x, np.ones(4), np.zeros(4), num_groups=2)[0].round(3)
    array([[-1.,  1., -1.,  1.]])
    """
    x, eps = _checked("groupnorm_forward", x, eps)
    channels = x.shape[1]
    if num_groups < 1 or channels % num_groups:
        raise ValueError(
            f"groupnorm_forward needs num_groups that divides the number of channels, {channels}, "
            f"got num_groups={num_groups}; C groups of one channel and 1 group of C always fit"
        )
    work = working_dtype(x)
    gamma = fitting("groupnorm_forward", "gamma", gamma, (channels,), work)
    beta = fitting("groupnorm_forward", "beta", beta, (channels,), work)
    gamma, beta = (v.reshape(-1, *[1] * (x.ndim - 2)) for v in (gamma, beta))  # (C, 1...)
    rows = x.reshape(len(x) * num_groups, -1).astype(work, copy=False)
    rows, inv_std = _standardize(rows, eps)
    x_hat = rows.reshape(x.shape)
    y = gamma * x_hat + beta
    return y.astype(x.dtype, copy=False), (x_hat, inv_std, gamma, x.dtype)


def groupnorm_backward(dy, cache):
    """Return dx (shape of x), dgamma and dbeta (shape (C,))."""
    x_hat, inv_std, gamma, dtype = cache
    dy = upstream("groupnorm_backward", dy, x_hat.shape, x_hat.dtype)
    dx = _standardize_backward(dy * gamma, x_hat, inv_std)
    dx, not_channels = dx.astype(dtype, copy=False), (0, *range(2, dy.ndim))
    return dx, (dy * x_hat).sum(axis=not_channels), dy.sum(axis=not_channels)


def _standardize(rows, eps):
    """Each row to mean 0 and variance 1: x_hat and 1 / sqrt(var + eps), (rows, 1)."""
    centred = rows - rows.mean(axis=1, keepdims=True)
    inv_std = 1 / np.sqrt((centred * centred).mean(axis=1, keepdims=True) + eps)
    return centred * inv_std, inv_std


def _standardize_backward(dx_hat, x_hat, inv_std):
    """The closed form of `bnlab.batchnorm_backward` with means over rows, in the shape of x_hat."""
    shape, rows = x_hat.shape, (len(inv_std), math.prod(x_hat.shape) // len(inv_std))
    dx_hat, x_hat = dx_hat.reshape(rows), x_hat.reshape(rows)
    along = (dx_hat * x_hat).mean(axis=1, keepdims=True)
    dx = inv_std * (dx_hat - dx_hat.mean(axis=1, keepdims=True) - x_hat * along)
    return dx.reshape(shape)


def _checked(function, x, eps):
    x, eps = float_array(function, "x", x), check_eps(function, eps)
    if x.ndim < 2:
        raise ValueError(
            f"{function} needs x of shape (N, C) or (N, C, *spatial), got x.shape={x.shape}"
        )
    if x.size == 0:
        raise ValueError(f"{function} needs at least one example, got x.shape={x.shape}")
    return x, eps
