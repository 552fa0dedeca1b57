"""Layers of Flax: `flax.linen.BatchNorm` and `flax.nnx.BatchNorm`."""

import jax.numpy as jnp
from flax import nnx, serialization

from bnlab.conform.adapters.jax_tools import array, numpy, with_backward
from bnlab.conform.adapters.made import Made

__all__ = ["Linen", "Nnx", "adapter_for"]


def adapter_for(kind):
    """The adapter for layers of this class."""
    return Nnx if issubclass(kind, nnx.Module) else Linen


class _Flax(Made):
    dtypes = ("float32", "float16", "bfloat16")
    channel_axis = -1
    keywords = {"eps": "epsilon", "momentum": "momentum"}  # noqa: RUF012 (never changed)

    def names(self):
        """As `Adapter.names`."""
        return "scale", "bias", "mean", "var"


class Linen(_Flax):
    """A `flax.linen` module; its variables are kept here, as a training loop would."""

    @classmethod
    def of(cls, make):
        """The adapter; a linen class learns the number of channels from its input."""
        if isinstance(make, type):
            kind = make
            adapter = super().of(kind)
            adapter.make = staticmethod(lambda channels, **settings: kind(**settings))
            return adapter
        return super().of(make)

    def __init__(self, gamma, beta, dtype, **settings):
        self.dtype = dtype
        self.layer = self.make(len(gamma), **self.keyword_arguments(settings))
        self.parameters = array(gamma, "float32"), array(beta, "float32")
        self.state = {"mean": jnp.zeros(len(gamma)), "var": jnp.ones(len(gamma))}

    def train(self, x):
        """As `Adapter.train`, by `jax.vjp`."""

        def call(x, gamma, beta):
            return self._apply(x, gamma, beta, use_running_average=False)

        y, backward, new = with_backward(call, array(x, self.dtype), *self.parameters)
        self.state = new["batch_stats"]
        return y, backward

    def eval(self, x):
        """As `Adapter.eval`."""
        given = array(x, self.dtype)
        y, new = self._apply(given, *self.parameters, use_running_average=True)
        self.state = new["batch_stats"]
        return numpy(y)

    def _apply(self, x, gamma, beta, **mode):
        variables = {"params": {"scale": gamma, "bias": beta}, "batch_stats": self.state}
        return self.layer.apply(variables, x, mutable=["batch_stats"], **mode)

    def running(self):
        """As `Adapter.running`."""
        return numpy(self.state["mean"]), numpy(self.state["var"])

    def save(self):
        """Return parameters and statistics as bytes."""
        return serialization.to_bytes([self.parameters, self.state])

    def load(self, state):
        """Load such bytes."""
        form = [self.parameters, self.state]
        self.parameters, self.state = serialization.from_bytes(form, state)


class Nnx(_Flax):
    """A `flax.nnx` module, which keeps its own statistics."""

    def __init__(self, gamma, beta, dtype, **settings):
        self.dtype = dtype
        settings = self.keyword_arguments(settings)
        self.layer = self.make(len(gamma), rngs=nnx.Rngs(0), **settings)
        self.parameters = array(gamma, "float32"), array(beta, "float32")

    def train(self, x):
        """As `Adapter.train`, by `jax.vjp` of a pure function of the module's state."""
        graph, before = nnx.split(self.layer)

        def call(x, gamma, beta):
            layer = nnx.merge(graph, before, copy=True)
            layer.scale[...], layer.bias[...] = gamma, beta
            y = layer(x, use_running_average=False)
            return y, (layer.mean[...], layer.var[...])

        y, backward, new = with_backward(call, array(x, self.dtype), *self.parameters)
        self.layer.mean[...], self.layer.var[...] = new
        return y, backward

    def eval(self, x):
        """As `Adapter.eval`."""
        self.layer.scale[...], self.layer.bias[...] = self.parameters
        return numpy(self.layer(array(x, self.dtype), use_running_average=True))

    def running(self):
        """As `Adapter.running`."""
        return numpy(self.layer.mean[...]), numpy(self.layer.var[...])

    def save(self):
        """Return parameters and statistics as a pure dict."""
        self.layer.scale[...], self.layer.bias[...] = self.parameters
        return nnx.to_pure_dict(nnx.state(self.layer))

    def load(self, state):
        """Load such a dict."""
        held = nnx.state(self.layer)
        nnx.replace_by_pure_dict(held, state)
        nnx.update(self.layer, held)
        self.parameters = self.layer.scale[...], self.layer.bias[...]
