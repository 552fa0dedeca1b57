"""Layers of Keras 3 on JAX or on PyTorch: `keras.layers.BatchNormalization`."""

import keras
import numpy as np

from bnlab.conform.adapter import DoesNotApply
from bnlab.conform.adapters.made import Made

__all__ = ["Keras"]


class Keras(Made):
    """A Keras layer, differentiated by the backend that Keras runs on."""

    dtypes = ("float32", "float16", "bfloat16")
    keywords = {"eps": "epsilon", "momentum": "momentum"}  # noqa: RUF012 (never changed)

    @classmethod
    def of(cls, make):
        """The adapter; a Keras class learns the number of channels from its input."""
        adapter = super().of(make)
        if isinstance(make, type):
            adapter.make = staticmethod(lambda channels, **settings: make(**settings))
        adapter.channel_axis = getattr(adapter.make(3), "axis", -1)
        return adapter

    def __init__(self, gamma, beta, dtype, **settings):
        self.dtype, self.parameters = dtype, (gamma, beta)
        self.settings_given = self.keyword_arguments(settings)
        self.layer = self._fresh()

    def _fresh(self):
        return self.make(len(self.parameters[0]), dtype=self.dtype, **self.settings_given)

    def train(self, x):
        """As `Adapter.train`."""
        self._build(self.layer, x.shape)
        if keras.backend.backend() == "jax":
            return self._train_with_jax(x)
        if keras.backend.backend() == "torch":
            return self._train_with_torch(x)
        raise DoesNotApply("Gradients are taken where KERAS_BACKEND is jax or torch.")

    def _train_with_jax(self, x):
        from bnlab.conform.adapters.jax_tools import array, with_backward

        held = [v.value for v in self.layer.non_trainable_variables]

        def call(x, gamma, beta):
            return self.layer.stateless_call([gamma, beta], held, x, training=True)

        parameters = [v.value for v in self.layer.trainable_variables]
        y, backward, new = with_backward(call, array(x, self.dtype), *parameters)
        for variable, value in zip(self.layer.non_trainable_variables, new, strict=True):
            variable.assign(value)
        return y, backward

    def _train_with_torch(self, x):
        import torch

        given = keras.ops.convert_to_tensor(x, self.dtype).clone().requires_grad_()
        inputs = (given, *(v.value for v in self.layer.trainable_variables))
        y = self.layer(given, training=True)

        def backward(dy):
            dy = keras.ops.convert_to_tensor(dy, y.dtype)
            gradients = torch.autograd.grad(y, inputs, dy, materialize_grads=True)
            return [_numpy(gradient) for gradient in gradients]

        return _numpy(y), backward

    def eval(self, x):
        """As `Adapter.eval`."""
        self._build(self.layer, x.shape)
        return _numpy(self.layer(keras.ops.convert_to_tensor(x, self.dtype), training=False))

    def running(self):
        """As `Adapter.running`; before its first call a layer has none, but a twin tells them."""
        layer = self.layer if self.layer.built else self._fresh()
        self._build(layer, (1, len(self.parameters[0])))
        return _numpy(layer.moving_mean), _numpy(layer.moving_variance)

    def save(self):
        """Return the weights."""
        return self.layer.get_weights()

    def load(self, state):
        """Load the weights, for an input (N, C)."""
        self._build(self.layer, (1, len(self.parameters[0])))
        self.layer.set_weights(state)

    def names(self):
        """As `Adapter.names`."""
        return "gamma", "beta", "moving_mean", "moving_variance"

    def _build(self, layer, shape):
        """Make the weights, whose number Keras learns from the first input; later ones fit."""
        if not layer.built:
            layer.build((None, *shape[1:]))
            for variable, value in zip(layer.trainable_variables, self.parameters, strict=True):
                variable.assign(value)


def _numpy(tensor):
    return np.array(keras.ops.convert_to_numpy(keras.ops.cast(tensor, "float32")), dtype=np.float64)
