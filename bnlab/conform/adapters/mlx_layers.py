"""Layers of MLX: `mlx.nn.BatchNorm`."""

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten, tree_unflatten

from bnlab.conform.adapters.made import Made

__all__ = ["Mlx"]


class Mlx(Made):
    """An `mlx.nn` module, differentiated by `mx.vjp`."""

    dtypes = ("float32", "float16", "bfloat16")
    channel_axis = -1

    def __init__(self, gamma, beta, dtype, **settings):
        self.dtype = getattr(mx, dtype)
        self.layer = self.make(len(gamma), **self.keyword_arguments(settings))
        self.layer.weight, self.layer.bias = mx.array(gamma), mx.array(beta)
        self.layer.set_dtype(self.dtype)

    def train(self, x):
        """As `Adapter.train`; a backward runs the layer again, and puts its state back."""
        given = mx.array(x).astype(self.dtype)
        inputs = [given, self.layer.weight, self.layer.bias]
        before = self._averages()
        self.layer.train()
        y = self.layer(given)
        mx.eval(y, self.layer.parameters())

        def backward(dy):
            now = self._averages()
            self._set(before)
            self.layer.train()
            _, gradients = mx.vjp(self._call, inputs, [mx.array(dy).astype(y.dtype)])
            self._set(now)
            self.layer.weight, self.layer.bias = inputs[1:]
            return [_numpy(gradient) for gradient in gradients]

        return _numpy(y), backward

    def _call(self, x, gamma, beta):
        self.layer.weight, self.layer.bias = gamma, beta
        return [self.layer(x)]

    def _averages(self):
        return self.layer.running_mean, self.layer.running_var

    def _set(self, averages):
        self.layer.running_mean, self.layer.running_var = averages

    def eval(self, x):
        """As `Adapter.eval`."""
        self.layer.eval()
        return _numpy(self.layer(mx.array(x).astype(self.dtype)))

    def running(self):
        """As `Adapter.running`."""
        return [_numpy(average) for average in self._averages()]

    def save(self):
        """Return all parameters, the running statistics among them."""
        return [(name, np.array(value)) for name, value in tree_flatten(self.layer.parameters())]

    def load(self, state):
        """Load them."""
        self.layer.update(tree_unflatten([(name, mx.array(value)) for name, value in state]))

    def names(self):
        """As `Adapter.names`."""
        return "weight", "bias", "running_mean", "running_var"


def _numpy(array):
    return np.array(array.astype(mx.float32), dtype=np.float64)
