"""Layers of PyTorch: `torch.nn.BatchNorm1d`, or a module of your own."""

import io
from contextlib import suppress

import torch

from bnlab.conform.adapter import DoesNotApply
from bnlab.conform.adapters.made import Made

__all__ = ["Torch"]

# What people call them; the first is torch's own name.
GAMMA = ("weight", "gamma", "scale")
BETA = ("bias", "beta", "shift", "offset")
MEAN = ("running_mean", "moving_mean", "mean")
VAR = ("running_var", "moving_var", "moving_variance", "var")


class Torch(Made):
    """A `torch.nn.Module` that normalizes axis 1, as its autograd and its modes have it."""

    dtypes = ("float64", "float32", "float16", "bfloat16")
    keeps_memory_order = True

    def __init__(self, gamma, beta, dtype, **settings):
        self.dtype = getattr(torch, dtype)
        self.layer = self.make(len(gamma), **self.keyword_arguments(settings)).to(self.dtype)
        self.gamma, self.beta = self._named(GAMMA), self._named(BETA)
        with torch.no_grad():
            for parameter, value in ((self.gamma, gamma), (self.beta, beta)):
                parameter.copy_(torch.from_numpy(value).reshape(parameter.shape))

    def train(self, x):
        """As `Adapter.train`, by autograd."""
        given = torch.from_numpy(x).to(self.dtype).requires_grad_()
        inner = given.clone()  # not a leaf, so a layer is free to write into it
        y = self.layer.train()(inner)
        if not torch.equal(inner, given):
            x[...] = _numpy(inner)

        def backward(dy):
            loss = (y * torch.from_numpy(dy).to(y.dtype)).sum()
            inputs = (given, self.gamma, self.beta)
            gradients = torch.autograd.grad(loss, inputs, materialize_grads=True)
            return [_numpy(gradient) for gradient in gradients]

        return _numpy(y), backward

    def eval(self, x):
        """As `Adapter.eval`."""
        given = torch.from_numpy(x).to(self.dtype).clone()
        before = given.clone()
        with torch.no_grad():
            y = self.layer.eval()(given)
        if not torch.equal(given, before):
            x[...] = _numpy(given)
        return _numpy(y)

    def running(self):
        """As `Adapter.running`."""
        return [_numpy(self._named(names)).ravel() for names in (MEAN, VAR)]

    def save(self):
        """Return the bytes of a saved `state_dict`."""
        file = io.BytesIO()
        torch.save(self.layer.state_dict(), file)
        return file.getvalue()

    def load(self, state):
        """Load such bytes."""
        self.layer.load_state_dict(torch.load(io.BytesIO(state), weights_only=True))

    def names(self):
        """As `Adapter.names`."""
        return [self._name(names) for names in (GAMMA, BETA, MEAN, VAR)]

    def _named(self, names):
        return getattr(self.layer, self._name(names))

    def _name(self, names):
        for name in names:
            with suppress(AttributeError):
                if isinstance(getattr(self.layer, name), torch.Tensor):
                    return name
        raise DoesNotApply(f"The layer has no tensor named {' or '.join(names)}.")


def _numpy(tensor):
    return tensor.detach().double().numpy().copy()
