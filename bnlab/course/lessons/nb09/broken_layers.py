"""Ten broken batch norms for the bug hunt of notebook 09. Reading on spoils the hunt.

Each differs from `bnlab.layers.BatchNorm` by one mistake. `layer(n)` makes number n; `healthy()`
makes one without a mistake, with the same gamma and beta, to compare with.
"""

import numpy as np

from bnlab import channels
from bnlab.batchnorm import batchnorm_forward, batchnorm_inference
from bnlab.layers import BatchNorm

__all__ = ["MISTAKES", "healthy", "layer"]

MISTAKES = {
    "biased running variance": "the running variance is fed the variance divided by m",
    "detached statistics": "the gradient treats mean and variance as constants",
    "eps missing": "evaluation divides by sqrt(running_var), without eps",
    "eps outside": "eps is added to the standard deviation instead of the variance",
    "eval ignored": "evaluation normalizes by the batch it is given",
    "gamma missing": "dx lacks the factor gamma",
    "mean gradients": "dgamma and dbeta are means over the batch instead of sums",
    "momentum reversed": "momentum multiplies the old value",
    "one pass": "the variance is E[x^2] - E[x]^2",
    "positions apart": "images: each pixel position has statistics of its own",
    "reshape": "images: channels are mixed by a reshape without a transpose",
    "unbiased": "training normalizes by the variance divided by m - 1",
    "updates in eval": "evaluation moves the running statistics",
    "updates twice": "each training batch moves the running statistics two times",
}


def healthy(num_features=3):
    """A batch norm without a mistake; gamma and beta are not 1 and 0, so that they show.

    >>> healthy().weight
    array([2. , 1. , 0.5])
    """
    return _prepared(BatchNorm, num_features)


def layer(number, num_features=3):
    """Make broken layer number 1 to 10, in training mode and new: it has seen no batch.

    It takes what a `BatchNorm` takes, such as (N, C) and images (N, C, H, W).

    >>> layer(1).forward(np.ones((4, 3))).shape
    (4, 3)
    """
    if number not in range(1, len(_LAYERS) + 1):
        raise ValueError(f"The broken layers are numbered 1 to {len(_LAYERS)}, got {number!r}")
    return _prepared(_LAYERS[number - 1], num_features)


def _prepared(kind, num_features):
    made = kind(num_features)
    made.weight[:] = 2.0 ** -(np.arange(num_features) - 1.0)
    made.bias[:] = np.arange(num_features)
    return made


class _MomentumReversed(BatchNorm):
    def _track(self, mean, var, m):
        given, self.momentum = self.momentum, 1 - self.momentum
        super()._track(mean, var, m)
        self.momentum = given


class _EvalIgnored(BatchNorm):
    def _forward(self, x):
        if self.training:
            return super()._forward(x)
        return batchnorm_forward(x, self.weight, self.bias, self.eps)


class _Detached(BatchNorm):
    def _backward(self, dy, cache):
        super()._backward(dy, cache)
        return dy * _column(cache.gamma * cache.inv_std, dy.ndim)


class _UpdatesInEval(BatchNorm):
    def _forward(self, x):
        if not self.training:
            _, cache = batchnorm_forward(x, self.weight, self.bias, self.eps)
            self._track(cache.mean, cache.var, channels.count(x))
        return super()._forward(x)


class _PositionsApart(BatchNorm):
    def _forward(self, x):
        if not self.training:
            return super()._forward(x)
        gamma, beta = channels.spread(self.weight, x), channels.spread(self.bias, x)
        y, cache = batchnorm_forward(channels.rows(x), gamma, beta, self.eps)  # (N, C*H*W)
        mean, var = (v.reshape(self.num_features, -1).mean(axis=1) for v in (cache.mean, cache.var))
        self._track(mean, var, len(x))
        return y.reshape(x.shape), cache

    def _backward(self, dy, cache):
        dx = super()._backward(channels.rows(dy), cache)
        for name, gradient in self.grads.items():
            self.grads[name] = gradient.reshape(self.num_features, -1).sum(axis=1)
        return dx.reshape(dy.shape)


class _BiasedRunningVariance(BatchNorm):
    def _track(self, mean, var, m):
        super()._track(mean, var * (m - 1) / m, m)


class _EpsMissing(BatchNorm):
    def _forward(self, x):
        if self.training:
            return super()._forward(x)
        var = np.maximum(self.running_var, 1e-300)
        return batchnorm_inference(x, self.weight, self.bias, self.running_mean, var, 0.0), None


class _MeanGradients(BatchNorm):
    def _backward(self, dy, cache):
        dx = super()._backward(dy, cache)
        for gradient in self.grads.values():
            gradient /= channels.count(dy)
        return dx


class _OnePass(BatchNorm):
    def _forward(self, x):
        y, cache = super()._forward(x)
        if not self.training:
            return y, cache
        axes = tuple(i for i in range(x.ndim) if i != 1)
        var = (x * x).mean(axis=axes) - x.mean(axis=axes) ** 2
        scale = self.weight / np.sqrt(np.maximum(var, 0) + self.eps)
        return cache.x_centred * _column(scale, x.ndim) + _column(self.bias, x.ndim), cache


class _Unbiased(BatchNorm):
    def _forward(self, x):
        if not self.training:
            return super()._forward(x)
        m = channels.count(x)
        share = (m - 1) / m  # (x - mean) / sqrt(var / share + eps), in the terms of the package
        gamma = self.weight * np.sqrt(share)
        y, cache = batchnorm_forward(x, gamma, self.bias, self.eps * share)
        self._track(cache.mean, cache.var, m)
        return y, cache

    def _backward(self, dy, cache):
        dx, m = super()._backward(dy, cache), channels.count(dy)
        self.grads["weight"] *= np.sqrt((m - 1) / m)
        return dx


def _column(v, ndim):
    """Shape (C,) to (1, C, 1, ...), so that it broadcasts against x."""
    return v.reshape(1, -1, *[1] * (ndim - 2))


# Their numbers are their order here.
_LAYERS = (
    _MomentumReversed,
    _EvalIgnored,
    _Detached,
    _UpdatesInEval,
    _PositionsApart,
    _BiasedRunningVariance,
    _EpsMissing,
    _MeanGradients,
    _OnePass,
    _Unbiased,
)
for _kind in _LAYERS:  # else repr and error messages would name the mistake
    _kind.__name__ = _kind.__qualname__ = "BatchNorm"
