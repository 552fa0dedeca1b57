"""Layers of Equinox: `equinox.nn.BatchNorm`, which is written for one example and mapped over."""

import io

import equinox
import jax
import jax.numpy as jnp

from bnlab.conform.adapters.jax_tools import array, numpy, with_backward
from bnlab.conform.adapters.made import Made

__all__ = ["Equinox"]


class Equinox(Made):
    """A stateful layer of Equinox, mapped over the batch with the name of its axis."""

    dtypes = ("float32", "float16", "bfloat16")

    @classmethod
    def of(cls, make):
        """The adapter; the class, other than a function, is given a name for the axis."""
        adapter = super().of(make)
        if isinstance(make, type):
            adapter.make = staticmethod(lambda c, **settings: make(c, "batch", **settings))
        return adapter

    def __init__(self, gamma, beta, dtype, **settings):
        self.dtype = dtype
        make = equinox.nn.make_with_state(self.make)
        made = make(len(gamma), **self.keyword_arguments(settings))
        self.layer, self.state = jax.tree.map(self._in_dtype, made)
        self.parameters = array(gamma, dtype), array(beta, dtype)

    def _in_dtype(self, leaf):
        return leaf.astype(self.dtype) if equinox.is_inexact_array(leaf) else leaf

    def train(self, x):
        """As `Adapter.train`, by `jax.vjp`."""
        call = lambda *inputs: self._apply(*inputs, inference=False)  # noqa: E731
        y, backward, self.state = with_backward(call, array(x, self.dtype), *self.parameters)
        return y, backward

    def eval(self, x):
        """As `Adapter.eval`."""
        y, self.state = self._apply(array(x, self.dtype), *self.parameters, inference=True)
        return numpy(y)

    def _apply(self, x, gamma, beta, inference):
        layer = equinox.tree_at(lambda layer: (layer.weight, layer.bias), self.layer, (gamma, beta))
        name = layer.axis_name
        mapped = jax.vmap(
            lambda x, state: layer(x, state, inference=inference),
            axis_name=name, in_axes=(0, None), out_axes=(0, None),
        )  # fmt: skip
        return mapped(x, self.state)

    def running(self):
        """As `Adapter.running`: read off what evaluation does, since the two modes differ.

        Evaluation is an affine map of each channel, so two examples tell it.
        """
        c = len(self.parameters[0])
        one, zero = jnp.ones(c), jnp.zeros(c)
        y, _ = self._apply(jnp.stack([zero, one]), one, zero, inference=True)
        low, high = numpy(y)
        slope = high - low  # 1 / sqrt(var + eps)
        return -low / slope, 1 / slope**2 - self.layer.eps

    def save(self):
        """Return the bytes of the serialised leaves."""
        file = io.BytesIO()
        equinox.tree_serialise_leaves(file, (self.parameters, self.state))
        return file.getvalue()

    def load(self, state):
        """Load such bytes."""
        form = self.parameters, self.state
        self.parameters, self.state = equinox.tree_deserialise_leaves(io.BytesIO(state), form)

    def names(self):
        """As `Adapter.names`; the statistics have no names of their own."""
        return "weight", "bias", "(in the state)", "(in the state)"
