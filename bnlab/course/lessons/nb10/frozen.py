"""Fine-tuning with small batches: batch norm with fixed statistics."""

import copy

import numpy as np

from bnlab.batchnorm import batchnorm_inference
from bnlab.course.experiments.bench import replace_batchnorms
from bnlab.layers import BatchNorm


class FrozenBatchNorm(BatchNorm):
    """Batch norm that normalizes by its running statistics in training too, and keeps them.

    In torch this is ``layer.eval()`` inside a model that trains: an affine map per channel, whose
    gradient passes at any batch size.

    >>> layer = FrozenBatchNorm(BatchNorm(1))  # running mean 0, running variance 1
    >>> layer(np.array([[2.0]])).round(3), layer.backward(np.array([[1.0]])).round(3)
    (array([[2.]]), array([[1.]]))
    """

    def __init__(self, layer):
        super().__init__(layer.num_features, layer.eps, dtype=layer.weight.dtype)
        self.load_state_dict(layer.state_dict())

    def _forward(self, x):
        scale = 1 / np.sqrt(self.running_var + self.eps)
        mean, var = self.running_mean, self.running_var
        y = batchnorm_inference(x, self.weight, self.bias, mean, var, self.eps)
        return y, ((x - mean) * scale, scale)

    def _backward(self, dy, cache):
        x_hat, scale = cache
        self.grads = {"weight": (dy * x_hat).sum(axis=0), "bias": dy.sum(axis=0)}
        return self.weight * scale * dy


def freeze(model):
    """Copy of a network whose BatchNorm layers are frozen; everything else trains on.

    >>> from bnlab.layers import mlp
    >>> [type(layer).__name__ for layer in freeze(mlp([2, 3, 1], rng=np.random.default_rng(0)))]
    ['Linear', 'FrozenBatchNorm', 'ReLU', 'Linear']
    """
    return replace_batchnorms(copy.deepcopy(model), FrozenBatchNorm)
