"""Batch normalization: forward, backward, inference and folding.

The subject of the course, in NumPy and nothing else. Formulas use the symbols of the paper,
Ioffe & Szegedy 2015 (arXiv:1502.03167), and these shape letters:

N batch, C channels (or features), M values per channel: M = N for `x` of shape (N, C) and
M = N*H*W for images (N, C, H, W). The statistics always run over everything but axis 1.
"""

from dataclasses import dataclass

import numpy as np

from bnlab import arrays, channels

__all__ = ["BatchNormCache", "batchnorm_backward", "batchnorm_forward", "batchnorm_inference",
           "fold_batchnorm"]  # fmt: skip


@dataclass(frozen=True, eq=False)  # arrays have no single answer to ==
class BatchNormCache:
    """What the backward pass needs to know about a forward pass.

    Parameters
    ----------
    x_centred : ndarray, shape of x
        ``x`` minus the batch mean of its channel.
    inv_std : ndarray, shape (C,)
        ``1 / sqrt(var + eps)``.
    mean, var : ndarray, shape (C,)
        Batch mean and *biased* batch variance (divided by M).
    gamma : ndarray, shape (C,)
    eps : float
    dtype : numpy.dtype of x, and so of dx
    """

    x_centred: np.ndarray
    inv_std: np.ndarray
    mean: np.ndarray
    var: np.ndarray
    gamma: np.ndarray
    eps: float
    dtype: np.dtype

    @property
    def x_hat(self):
        """The normalized input, ``(x - mean) / sqrt(var + eps)``, in the shape of x."""
        x_hat = channels.rows(self.x_centred) * channels.spread(self.inv_std, self.x_centred)
        return x_hat.reshape(self.x_centred.shape)


def batchnorm_forward(x, gamma, beta, eps=1e-5):
    r"""Normalize each channel by its own batch statistics, then scale and shift.

    .. math::
        \mu = \frac{1}{M} \sum x, \quad
        \sigma^2 = \frac{1}{M} \sum (x - \mu)^2, \quad
        \hat{x} = \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}}, \quad
        y = \gamma \hat{x} + \beta

    The variance is *biased*: the sum of squares is divided by M, not by M - 1.

    Parameters
    ----------
    x : array_like of float, shape (N, C) or (N, C, ...)
        The batch. It is not modified. An inf or NaN in it makes its whole channel NaN, as in torch.
    gamma, beta : array_like, shape (C,)
        Scale and shift of each channel.
    eps : float
        Added to the variance, inside the square root.

    Returns
    -------
    y : ndarray, shape and dtype of x
    cache : BatchNormCache
        What `batchnorm_backward` needs.

    Raises
    ------
    ValueError, TypeError
        If a channel has fewer than two values, a shape does not fit, or x holds no floats.

    References
    ----------
    Ioffe & Szegedy 2015, Algorithm 1; section 3.2 for images.

    Examples
    --------
    >>> x = np.array([[1.0, 50.0], [2.0, 50.0], [6.0, 80.0]])
    >>> y, cache = batchnorm_forward(x, gamma=np.ones(2), beta=np.zeros(2))
    >>> y.round(3)
    array([[-0.926, -0.707],
           [-0.463, -0.707],
           [ 1.389,  1.414]])
    >>> cache.mean, cache.var.round(3)
    (array([ 3., 60.]), array([  4.667, 200.   ]))
    """
    x, gamma, beta = arrays.batch_and_vectors("batchnorm_forward", x, gamma=gamma, beta=beta)
    eps = arrays.check_eps("batchnorm_forward", eps)
    m = channels.count(x)
    if m < 2:
        raise ValueError(
            "batchnorm_forward needs more than one value per channel, "
            f"got x.shape={x.shape}; use batchnorm_inference for a single example"
        )
    rows = channels.rows(x.astype(arrays.working_dtype(x), copy=False))  # (N, C*H*W)
    # Any value will do as a first guess of the mean, so take the first of each channel: none is
    # further off than sqrt(M - 1) standard deviations. The rounded mean of numbers near 1e4 can be.
    guess = rows[0, :: m // len(x)]  # (C,)
    x_centred = rows - channels.spread(guess, x)
    rest = channels.sums(x_centred, x) / m  # (C,)
    x_centred -= channels.spread(rest, x)
    var = channels.dots(x_centred, x_centred, x) / m
    inv_std = 1 / np.sqrt(var + eps)
    y = x_centred * channels.spread(gamma * inv_std, x)
    y += channels.spread(beta, x)
    x_centred = x_centred.reshape(x.shape)
    cache = BatchNormCache(x_centred, inv_std, guess + rest, var, gamma.copy(), eps, x.dtype)
    return y.reshape(x.shape).astype(x.dtype, copy=False), cache


def batchnorm_backward(dy, cache):
    r"""Gradients of the loss with respect to `x`, `gamma` and `beta`.

    The mean and the variance depend on every `x` of the channel, so `dx` is the scaled
    upstream gradient with its mean and its component along `x_hat` removed:

    .. math:: dx = \frac{\gamma}{\sqrt{\sigma^2 + \epsilon}}
              \left( dy - \mathrm{mean}(dy) - \hat{x}\,\mathrm{mean}(dy\,\hat{x}) \right)

    .. math:: d\gamma = \sum dy\,\hat{x}, \quad d\beta = \sum dy

    Parameters
    ----------
    dy : array_like, shape of x
        Gradient of the loss with respect to y. Neither it nor the cache is modified.
    cache : BatchNormCache
        From `batchnorm_forward`.

    Returns
    -------
    dx : ndarray, shape and dtype of x
    dgamma, dbeta : ndarray, shape (C,)

    Raises
    ------
    ValueError
        If dy does not have the shape of x.

    References
    ----------
    Ioffe & Szegedy 2015, section 3 (six staged gradients); notebook 03 derives this form.

    Examples
    --------
    >>> x = np.array([[1.0, 50.0], [2.0, 50.0], [6.0, 80.0]])
    >>> _, cache = batchnorm_forward(x, gamma=np.ones(2), beta=np.zeros(2))
    >>> dx, dgamma, dbeta = batchnorm_backward(np.array([[1.0, 0], [0, 2], [0, 0]]), cache)
    >>> dx.round(3)
    array([[ 0.176, -0.071],
           [-0.22 ,  0.071],
           [ 0.044, -0.   ]])
    >>> dgamma.round(3), dbeta
    (array([-0.926, -1.414]), array([1., 2.]))
    """
    dy = np.asarray(dy, dtype=cache.x_centred.dtype)
    if dy.shape != cache.x_centred.shape:
        raise ValueError(
            f"batchnorm_backward needs dy in the shape of x, {cache.x_centred.shape}, "
            f"got dy.shape={dy.shape}; pass the gradient of the loss with respect to y"
        )
    m = channels.count(dy)
    rows, x_centred = channels.rows(dy), channels.rows(cache.x_centred)  # (N, C*S)
    dbeta = channels.sums(rows, dy)  # (C,)
    dgamma = channels.dots(rows, x_centred, dy) * cache.inv_std  # (C,)
    # The closed form above in four passes over one array; x_hat = x_centred * inv_std.
    dx = x_centred * channels.spread(-cache.inv_std * dgamma / m, dy)
    dx += rows
    dx -= channels.spread(dbeta / m, dy)
    dx *= channels.spread(cache.gamma * cache.inv_std, dy)
    return dx.reshape(dy.shape).astype(cache.dtype, copy=False), dgamma, dbeta


def batchnorm_inference(x, gamma, beta, running_mean, running_var, eps=1e-5):
    r"""Normalize with given statistics: one fixed affine map per channel.

    .. math:: y = \gamma \frac{x - \mathrm{running\_mean}}
                              {\sqrt{\mathrm{running\_var} + \epsilon}} + \beta

    No example sees another one, so a batch of one is welcome, and an inf or NaN stays in its
    place. `running_var` is used as given; torch and this course feed it the *unbiased* variance
    during training.

    Parameters
    ----------
    x : array_like of float, shape (N, C) or (N, C, ...)
    gamma, beta, running_mean, running_var : array_like, shape (C,)
    eps : float

    Returns
    -------
    y : ndarray, shape and dtype of x

    Raises
    ------
    ValueError, TypeError
        If a shape does not fit, a running variance is negative, or x holds no floats.

    References
    ----------
    Ioffe & Szegedy 2015, Algorithm 2, step 11.

    Examples
    --------
    >>> x = np.array([[3.0]])
    >>> batchnorm_inference(x, [2.0], [1.0], running_mean=[1.0], running_var=[4.0]).round(4)
    array([[3.]])
    """
    x, gamma, beta, running_mean, running_var = arrays.batch_and_vectors(
        "batchnorm_inference", x, gamma=gamma, beta=beta,
        running_mean=running_mean, running_var=running_var,
    )  # fmt: skip
    eps = arrays.check_eps("batchnorm_inference", eps)
    arrays.refuse_negative("batchnorm_inference", running_var)
    # Centre first: x * scale - mean * scale loses its digits where the mean is large.
    y = channels.rows(x) - channels.spread(running_mean, x)
    y *= channels.spread(gamma / np.sqrt(running_var + eps), x)
    y += channels.spread(beta, x)
    return y.reshape(x.shape).astype(x.dtype, copy=False)


def fold_batchnorm(weight, bias, gamma, beta, running_mean, running_var, eps=1e-5):
    r"""Merge an inference-mode batch norm into the linear or convolution layer before it.

    .. math:: s = \frac{\gamma}{\sqrt{\mathrm{running\_var} + \epsilon}}, \quad
              W' = s\,W, \quad b' = \beta + (b - \mathrm{running\_mean})\, s

    Parameters
    ----------
    weight : array_like, shape (out, in) or (out, in, kh, kw), as in torch
    bias : array_like of shape (out,), or None
        None stands for a layer without a bias.
    gamma, beta, running_mean, running_var : array_like, shape (out,)
    eps : float
        The eps of the batch norm; leaving it out changes the answer.

    Returns
    -------
    weight : ndarray, shape and dtype of weight
    bias : ndarray, shape (out,)

    Raises
    ------
    ValueError, TypeError
        If a shape does not fit, a running variance is negative, or weight holds no floats.

    Examples
    --------
    >>> fold_batchnorm([[1.0, 2.0]], None, [3.0], [0.5], [1.0], [9.0], eps=0.0)
    (array([[1., 2.]]), array([-0.5]))
    """
    weight = arrays.float_array("fold_batchnorm", "weight", weight)
    if weight.ndim not in (2, 4):
        raise ValueError(
            "fold_batchnorm needs a weight of shape (out, in) or (out, in, kh, kw), "
            f"got weight.shape={weight.shape}"
        )
    eps = arrays.check_eps("fold_batchnorm", eps)
    out, work = weight.shape[0], arrays.working_dtype(weight)
    bias = np.zeros(out) if bias is None else bias
    bias, gamma, beta, running_mean, running_var = arrays.vectors(
        "fold_batchnorm", out, work, bias=bias, gamma=gamma, beta=beta,
        running_mean=running_mean, running_var=running_var,
    )  # fmt: skip
    arrays.refuse_negative("fold_batchnorm", running_var)
    scale = gamma / np.sqrt(running_var + eps)  # (out,)
    folded = weight * scale.reshape(-1, *[1] * (weight.ndim - 1))
    bias = beta + (bias - running_mean) * scale
    return folded.astype(weight.dtype, copy=False), bias.astype(weight.dtype, copy=False)
