"""Affine map, activations, dropout and cross-entropy, each with its gradients below it."""

import numpy as np

from bnlab.arrays import fitting, float_array, upstream

__all__ = [
    "cross_entropy_backward",
    "cross_entropy_forward",
    "dropout_backward",
    "dropout_forward",
    "linear_backward",
    "linear_forward",
    "relu_backward",
    "relu_forward",
    "sigmoid_backward",
    "sigmoid_forward",
    "tanh_backward",
    "tanh_forward",
]


def linear_forward(x, weight, bias=None):
    r"""Affine map of each row, :math:`y = x W^\top + b`.

    Parameters
    ----------
    x : array_like of float, shape (N, in)
    weight : ndarray, shape (out, in)
        As torch lays it out.
    bias : ndarray of shape (out,), or None

    Returns
    -------
    y : ndarray, shape (N, out)
    cache : tuple
        What `linear_backward` needs.

    Raises
    ------
    ValueError
        If a shape does not fit.

    Examples
    --------
    >>> linear_forward([[1.0, 2.0]], np.array([[3.0, 4.0], [0.0, 1.0]]), np.array([0.5, 0.0]))[0]
    array([[11.5,  2. ]])
    """
    x, weight = float_array("linear_forward", "x", x), np.asarray(weight)
    if x.ndim != 2 or weight.ndim != 2 or x.shape[1] != weight.shape[1]:
        raise ValueError(
            "linear_forward needs x of shape (N, in) and weight of shape (out, in), "
            f"got x.shape={x.shape} and weight.shape={weight.shape}"
        )
    y = x @ weight.T
    if bias is not None:
        y += fitting("linear_forward", "bias", bias, (len(weight),), y.dtype)
    return y, (x, weight, bias is not None)


def linear_backward(dy, cache):
    r"""Return :math:`dx = dy\,W`, :math:`dW = dy^\top x` and :math:`db = \sum_n dy_n` (or None)."""
    x, weight, has_bias = cache
    shape = (len(x), len(weight))
    dy = upstream("linear_backward", dy, shape, np.result_type(x, weight))
    # A product with ones is several times faster than dy.sum(axis=0).
    dbias = np.ones(len(dy), dy.dtype) @ dy if has_bias else None
    return dy @ weight, dy.T @ x, dbias


def relu_forward(x):
    """Set what is negative to zero, y = max(x, 0).

    Parameters
    ----------
    x : array_like of float, any shape

    Returns
    -------
    y : ndarray, shape and dtype of x
    cache : ndarray of bool, where x is positive

    Examples
    --------
    >>> relu_forward([-1.0, 0.0, 2.0])[0]
    array([0., 0., 2.])
    """
    x = float_array("relu_forward", "x", x)
    return np.maximum(x, 0), (x > 0).astype(x.dtype)


def relu_backward(dy, cache):
    """Return dx = dy * slope; the slope is 1 where x > 0, else 0 (at 0 too, as in torch)."""
    slope = cache
    return upstream("relu_backward", dy, slope.shape, slope.dtype) * slope


def sigmoid_forward(x):
    r"""Logistic function, :math:`y = 1 / (1 + e^{-x})`.

    The exponential is only taken of negative numbers, so that no x overflows.

    Parameters
    ----------
    x : array_like of float, any shape

    Returns
    -------
    y : ndarray, shape and dtype of x
    cache : ndarray, a copy of y

    Examples
    --------
    >>> sigmoid_forward([-1000.0, 0.0, 1000.0])[0]
    array([0. , 0.5, 1. ])
    """
    x = float_array("sigmoid_forward", "x", x)
    small = np.exp(-np.abs(x))
    y = np.where(x >= 0, 1, small) / (1 + small)
    return y, y.copy()


def sigmoid_backward(dy, cache):
    """Return dx = dy * y * (1 - y)."""
    y = cache
    return upstream("sigmoid_backward", dy, y.shape, y.dtype) * (y * (1 - y))


def tanh_forward(x):
    """Hyperbolic tangent, y = tanh(x).

    Parameters
    ----------
    x : array_like of float, any shape

    Returns
    -------
    y : ndarray, shape and dtype of x
    cache : ndarray, a copy of y

    Examples
    --------
    >>> tanh_forward([-100.0, 0.0, 100.0])[0]
    array([-1.,  0.,  1.])
    """
    y = np.tanh(float_array("tanh_forward", "x", x))
    return y, y.copy()


def tanh_backward(dy, cache):
    """Return dx = dy * (1 - y**2)."""
    y = cache
    return upstream("tanh_backward", dy, y.shape, y.dtype) * (1 - y * y)


def dropout_forward(x, p, rng):
    """Set each value to 0 with probability `p` and divide the others by 1 - p.

    The division keeps the mean, so that nothing is left to do at test time ("inverted" dropout).

    Parameters
    ----------
    x : array_like of float, any shape
    p : float
        Probability of a zero, 0 <= p < 1, as in torch (the first papers call this 1 - p).
    rng : numpy.random.Generator

    Returns
    -------
    y : ndarray, shape and dtype of x
    cache : ndarray
        The mask, for `dropout_backward`.

    Raises
    ------
    ValueError
        If p is not in [0, 1).

    References
    ----------
    Srivastava et al. 2014, JMLR 15, section 10.

    Examples
    --------
    >>> dropout_forward(np.ones(6), p=0.5, rng=np.random.default_rng(0))[0]
    array([2., 0., 0., 0., 2., 2.])
    """
    x = float_array("dropout_forward", "x", x)
    if not 0 <= p < 1:
        raise ValueError(
            f"dropout_forward needs 0 <= p < 1, got p={p}; p is the probability of a zero"
        )
    mask = (rng.random(x.shape) >= p) * x.dtype.type(1 / (1 - p))
    return x * mask, mask


def dropout_backward(dy, cache):
    """Return dx = dy * mask."""
    mask = cache
    return upstream("dropout_backward", dy, mask.shape, mask.dtype) * mask


def cross_entropy_forward(logits, labels):
    r"""Mean cross-entropy of softmax(logits), in nats.

    .. math:: L = -\frac{1}{N} \sum_n \log \frac{e^{z_{n,t_n}}}{\sum_k e^{z_{n,k}}}

    Parameters
    ----------
    logits : array_like of float, shape (N, K)
    labels : array_like of int, shape (N,)
        The right class of each row, 0 to K - 1.

    Returns
    -------
    loss : float
    cache : tuple
        What `cross_entropy_backward` needs.

    Raises
    ------
    ValueError
        If a shape does not fit or a label is not one of the K classes.
    TypeError
        If the labels are not integers.

    Examples
    --------
    >>> loss, cache = cross_entropy_forward([[0.0, 0.0], [0.0, 1000.0]], [0, 1])
    >>> round(loss, 4)  # log(2) / 2: a coin toss, and a sure and right answer
    0.3466
    >>> cross_entropy_backward(cache)
    array([[-0.25,  0.25],
           [ 0.  ,  0.  ]])
    """
    logits = float_array("cross_entropy_forward", "logits", logits)
    labels = _checked_labels(labels, logits)
    shifted = logits - logits.max(axis=1, keepdims=True)  # e^shifted <= 1 cannot overflow
    exp = np.exp(shifted)
    total = exp.sum(axis=1, keepdims=True)  # (N, 1)
    right = shifted[np.arange(len(labels)), labels]  # (N,)
    loss = (np.log(total[:, 0]) - right).mean()
    return float(loss), (exp / total, labels)


def cross_entropy_backward(cache):
    """Return dlogits = (softmax(logits) - onehot(labels)) / N."""
    probabilities, labels = cache
    dlogits = probabilities.copy()
    dlogits[np.arange(len(labels)), labels] -= 1
    return dlogits / len(labels)


def _checked_labels(labels, logits):
    labels = np.asarray(labels)
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or labels.size == 0:
        raise ValueError(
            "cross_entropy_forward needs logits of shape (N, K) and labels of shape (N,), N >= 1, "
            f"got logits.shape={logits.shape} and labels.shape={labels.shape}"
        )
    if labels.dtype.kind not in "iu":
        raise TypeError(
            "cross_entropy_forward needs whole numbers as labels, "
            f"got labels.dtype={labels.dtype}; convert with labels.astype(int)"
        )
    if labels.min() < 0 or labels.max() >= logits.shape[1]:
        raise ValueError(
            f"cross_entropy_forward needs labels from 0 to {logits.shape[1] - 1}, one for each "
            f"column of logits, got {labels.min()} to {labels.max()}"
        )
    return labels
