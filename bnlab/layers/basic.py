"""The layers around batch norm: affine map, convolution, pooling, activations, and `mlp`."""

import math
from itertools import pairwise

import numpy as np

from bnlab import functional as F
from bnlab.arrays import upstream
from bnlab.layers.base import Layer, Sequential
from bnlab.layers.norms import BatchNorm

__all__ = [
    "AvgPool2d",
    "Conv2d",
    "Dropout",
    "Flatten",
    "Linear",
    "MaxPool2d",
    "ReLU",
    "Sigmoid",
    "Tanh",
    "mlp",
]


class Linear(Layer):
    """Affine map of each row, y = x @ weight.T + bias; see `functional.linear_forward`.

    Parameters
    ----------
    in_features, out_features : int
    bias : bool
        False before a BatchNorm, which would subtract it again.
    rng : numpy.random.Generator
        Draws the weight from a normal distribution; the bias starts at 0.
    std : float, optional
        Standard deviation of the weight, by default sqrt(2 / in_features) (He et al. 2015,
        arXiv:1502.01852: keeps the size of activations under ReLU).
    dtype : dtype

    Examples
    --------
    >>> Linear(3, 2, rng=np.random.default_rng(0)).forward(np.ones((5, 3))).shape
    (5, 2)
    """

    parameter_names = ("weight", "bias")

    def __init__(self, in_features, out_features, bias=True, *, rng, std=None, dtype=np.float64):
        super().__init__()
        self.weight = _normal_weight("Linear", rng, (out_features, in_features), std, dtype)
        self.bias = np.zeros(out_features, dtype) if bias else None

    def _forward(self, x):
        return F.linear_forward(x, self.weight, self.bias)

    def _backward(self, dy, cache):
        dx, dweight, dbias = F.linear_backward(dy, cache)
        self.grads = _without_none(weight=dweight, bias=dbias)
        return dx


class Conv2d(Layer):
    """Cross-correlation with learned kernels; see `functional.conv2d_forward`.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size : int or (int, int)
    bias : bool
    stride, padding : int
    rng, std, dtype
        As for `Linear`; the default std is sqrt(2 / (in_channels * kh * kw)).

    Examples
    --------
    >>> layer = Conv2d(1, 4, 3, padding=1, rng=np.random.default_rng(0))
    >>> layer.forward(np.ones((5, 1, 8, 8))).shape
    (5, 4, 8, 8)
    """

    parameter_names = ("weight", "bias")

    def __init__(self, in_channels, out_channels, kernel_size, bias=True, *, stride=1, padding=0,
                 rng, std=None, dtype=np.float64):  # fmt: skip
        super().__init__()
        self.stride, self.padding = stride, padding
        shape = (out_channels, in_channels, *np.broadcast_to(kernel_size, 2).tolist())
        self.weight = _normal_weight("Conv2d", rng, shape, std, dtype)
        self.bias = np.zeros(out_channels, dtype) if bias else None

    def _forward(self, x):
        return F.conv2d_forward(x, self.weight, self.bias, self.stride, self.padding)

    def _backward(self, dy, cache):
        dx, dweight, dbias = F.conv2d_backward(dy, cache)
        self.grads = _without_none(weight=dweight, bias=dbias)
        return dx


class ReLU(Layer):
    """max(x, 0)."""

    def _forward(self, x):
        return F.relu_forward(x)

    def _backward(self, dy, cache):
        return F.relu_backward(dy, cache)


class Sigmoid(Layer):
    """1 / (1 + exp(-x))."""

    def _forward(self, x):
        return F.sigmoid_forward(x)

    def _backward(self, dy, cache):
        return F.sigmoid_backward(dy, cache)


class Tanh(Layer):
    """Hyperbolic tangent."""

    def _forward(self, x):
        return F.tanh_forward(x)

    def _backward(self, dy, cache):
        return F.tanh_backward(dy, cache)


class Dropout(Layer):
    """Zeroes with probability `p` in training mode, nothing in evaluation mode.

    Parameters
    ----------
    p : float
        Probability of a zero, 0 <= p < 1.
    rng : numpy.random.Generator

    Examples
    --------
    >>> layer = Dropout(0.5, rng=np.random.default_rng(0))
    >>> layer(np.ones(6)), layer.eval()(np.ones(6))
    (array([2., 0., 0., 0., 2., 2.]), array([1., 1., 1., 1., 1., 1.]))
    """

    def __init__(self, p=0.5, *, rng):
        super().__init__()
        self.p, self.rng = p, rng

    def _forward(self, x):
        if not self.training:
            return x, None
        return F.dropout_forward(x, self.p, self.rng)

    def _backward(self, dy, cache):
        return F.dropout_backward(dy, cache)


class Flatten(Layer):
    """(N, C, ...) to (N, everything else)."""

    def _forward(self, x):
        return x.reshape(len(x), math.prod(x.shape[1:])), x.shape

    def _backward(self, dy, cache):
        shape = (cache[0], math.prod(cache[1:]))
        return upstream("Flatten.backward", dy, shape, None).reshape(cache)


class MaxPool2d(Layer):
    """Largest value of each window; windows of `kernel_size` (int or pair) do not overlap."""

    def __init__(self, kernel_size):
        super().__init__()
        self.kernel_size = kernel_size

    def _forward(self, x):
        return F.max_pool2d_forward(x, self.kernel_size)

    def _backward(self, dy, cache):
        return F.max_pool2d_backward(dy, cache)


class AvgPool2d(Layer):
    """Mean of each window; windows of `kernel_size` (int or pair) do not overlap."""

    def __init__(self, kernel_size):
        super().__init__()
        self.kernel_size = kernel_size

    def _forward(self, x):
        return F.avg_pool2d_forward(x, self.kernel_size)

    def _backward(self, dy, cache):
        return F.avg_pool2d_backward(dy, cache)


def mlp(sizes, *, activation=ReLU, batchnorm=True, rng, std=None, dtype=np.float64):
    """Fully connected network: Linear, [BatchNorm], activation for each hidden layer, then Linear.

    Only the linear layers draw from `rng`: the same seed gives the same weights with and without
    batch norm. A Linear before a BatchNorm has no bias; the output layer has a bias and no
    BatchNorm.

    Parameters
    ----------
    sizes : sequence of int
        Features from the input to the output, for example [64, 100, 100, 100, 10].
    activation : callable
        Makes a layer, for example ReLU or Sigmoid.
    batchnorm : bool
    rng, std, dtype
        As for `Linear`.

    Returns
    -------
    Sequential

    Raises
    ------
    ValueError
        If there are fewer than two sizes.

    Examples
    --------
    >>> model = mlp([64, 100, 10], rng=np.random.default_rng(0))
    >>> [type(layer).__name__ for layer in model]
    ['Linear', 'BatchNorm', 'ReLU', 'Linear']
    """
    if len(sizes) < 2:
        raise ValueError(f"mlp needs at least an input and an output size, got sizes={sizes}")
    options = {"rng": rng, "std": std, "dtype": dtype}
    layers = []
    for fan_in, fan_out in pairwise(sizes[:-1]):
        layers.append(Linear(fan_in, fan_out, bias=not batchnorm, **options))
        if batchnorm:
            layers.append(BatchNorm(fan_out, dtype=dtype))
        layers.append(activation())
    return Sequential(*layers, Linear(*sizes[-2:], **options))


def _normal_weight(name, rng, shape, std, dtype):
    """Weights of shape (out, in, ...) from a normal distribution; std defaults to He's."""
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"{name} needs rng=np.random.default_rng(seed), got rng={rng!r}")
    std = math.sqrt(2 / math.prod(shape[1:])) if std is None else std
    return rng.normal(0, std, shape).astype(dtype)


def _without_none(**arrays):
    return {name: array for name, array in arrays.items() if array is not None}
