"""Normalization layers: state around `bnlab.batchnorm` and `bnlab.functional.norms`."""

import numpy as np

from bnlab import functional as F
from bnlab.batchnorm import batchnorm_backward, batchnorm_forward, batchnorm_inference
from bnlab.layers.base import Layer

__all__ = ["BatchNorm", "GroupNorm", "LayerNorm"]


class BatchNorm(Layer):
    r"""Batch normalization with running statistics; torch's BatchNorm1d, 2d and 3d in one.

    In training mode the batch normalizes itself and the running statistics move:

    .. math:: \mathrm{running} \leftarrow (1 - \mathrm{momentum})\,\mathrm{running}
              + \mathrm{momentum}\,\mathrm{batch}

    The running variance is fed the *unbiased* variance, the normalization uses the biased one. In
    evaluation mode the running statistics normalize.

    Parameters
    ----------
    num_features : int
        C of an input (N, C) or (N, C, ...).
    eps : float
    momentum : float or None
        Weight of the new value; None averages all batches since the start.
    affine : bool
        False: no weight and bias (gamma = 1, beta = 0).
    track_running_stats : bool
        False: no running statistics; batches normalize themselves in evaluation mode too.
    dtype : dtype

    References
    ----------
    Ioffe & Szegedy 2015, Algorithms 1 and 2; ``torch.nn.BatchNorm1d``.

    Examples
    --------
    >>> layer = BatchNorm(1)
    >>> layer.forward(np.array([[0.0], [2.0]])).round(3)
    array([[-1.],
           [ 1.]])
    >>> layer.running_mean, layer.running_var  # 0.9 * 0 + 0.1 * 1, 0.9 * 1 + 0.1 * 2
    (array([0.1]), array([1.1]))
    """

    parameter_names = ("weight", "bias")
    buffer_names = ("running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1, affine=True,
                 track_running_stats=True, *, dtype=np.float64):  # fmt: skip
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self.weight = np.ones(num_features, dtype) if affine else None
        self.bias = np.zeros(num_features, dtype) if affine else None
        self.running_mean = np.zeros(num_features, dtype) if track_running_stats else None
        self.running_var = np.ones(num_features, dtype) if track_running_stats else None
        self.num_batches_tracked = np.array(0) if track_running_stats else None

    def _forward(self, x):
        gamma = self.weight if self.affine else np.ones(self.num_features)
        beta = self.bias if self.affine else np.zeros(self.num_features)
        if self.track_running_stats and not self.training:
            mean, var = self.running_mean, self.running_var
            return batchnorm_inference(x, gamma, beta, mean, var, self.eps), None
        y, cache = batchnorm_forward(x, gamma, beta, self.eps)
        if self.track_running_stats:
            self._track(cache.mean, cache.var, m=y.size // self.num_features)
        return y, cache

    def _track(self, mean, var, m):
        """Move the running statistics towards those of a batch with m values per channel."""
        self.num_batches_tracked += 1
        new = 1 / int(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean *= 1 - new
        self.running_mean += new * mean
        self.running_var *= 1 - new
        self.running_var += new * (var * (m / (m - 1)))  # unbiased

    def _backward(self, dy, cache):
        dx, dweight, dbias = batchnorm_backward(dy, cache)
        self.grads = {"weight": dweight, "bias": dbias} if self.affine else {}
        return dx


class LayerNorm(Layer):
    """Layer normalization over all axes but the first; see `functional.layernorm_forward`.

    Parameters
    ----------
    normalized_shape : int or tuple of int
        Shape of one example, x.shape[1:].
    eps : float
    dtype : dtype

    Examples
    --------
    >>> LayerNorm(3).forward(np.array([[1.0, 2.0, 3.0]])).round(3)
    array([[-1.225,  0.   ,  1.225]])
    """

    parameter_names = ("weight", "bias")

    def __init__(self, normalized_shape, eps=1e-5, *, dtype=np.float64):
        super().__init__()
        self.eps = eps
        self.weight = np.ones(normalized_shape, dtype)
        self.bias = np.zeros(normalized_shape, dtype)

    def _forward(self, x):
        return F.layernorm_forward(x, self.weight, self.bias, self.eps)

    def _backward(self, dy, cache):
        dx, dweight, dbias = F.layernorm_backward(dy, cache)
        self.grads = {"weight": dweight, "bias": dbias}
        return dx


class GroupNorm(Layer):
    """Group normalization; see `functional.groupnorm_forward`.

    Parameters
    ----------
    num_groups, num_channels : int
        The first must divide the second.
    eps : float
    dtype : dtype

    Examples
    --------
    >>> GroupNorm(2, 4).forward(np.array([[1.0, 3.0, 10.0, 50.0]])).round(3)
    array([[-1.,  1., -1.,  1.]])
    """

    parameter_names = ("weight", "bias")

    def __init__(self, num_groups, num_channels, eps=1e-5, *, dtype=np.float64):
        super().__init__()
        self.num_groups, self.eps = num_groups, eps
        self.weight = np.ones(num_channels, dtype)
        self.bias = np.zeros(num_channels, dtype)

    def _forward(self, x):
        return F.groupnorm_forward(x, self.weight, self.bias, self.num_groups, self.eps)

    def _backward(self, dy, cache):
        dx, dweight, dbias = F.groupnorm_backward(dy, cache)
        self.grads = {"weight": dweight, "bias": dbias}
        return dx
