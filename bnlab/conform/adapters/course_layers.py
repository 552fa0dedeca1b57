"""Layers of this course, `bnlab.layers.BatchNorm` and what is derived from it."""

from bnlab.conform.adapter import DoesNotApply
from bnlab.conform.adapters.made import Made

__all__ = ["Course"]


class Course(Made):
    """A layer with torch's names and a `backward` for its last call."""

    dtypes = ("float64", "float32", "float16")
    keeps_memory_order = True

    def __init__(self, gamma, beta, dtype, **settings):
        self.layer = self.make(len(gamma), **settings)
        self.layer.weight = gamma.astype(dtype)
        self.layer.bias = beta.astype(dtype)
        self.calls = 0

    def train(self, x):
        """As `Adapter.train`."""
        self.calls = call = self.calls + 1
        y = self.layer.train().forward(x)

        def backward(dy):
            if self.calls > call:
                raise DoesNotApply("A layer of bnlab remembers its last forward pass only.")
            return self.layer.backward(dy), self.layer.grads["weight"], self.layer.grads["bias"]

        return y, backward

    def eval(self, x):
        """As `Adapter.eval`."""
        return self.layer.eval().forward(x)

    def running(self):
        """As `Adapter.running`."""
        return self.layer.running_mean.copy(), self.layer.running_var.copy()

    def save(self):
        """Return the `state_dict`."""
        return self.layer.state_dict()

    def load(self, state):
        """Load a `state_dict`."""
        self.layer.load_state_dict(state)

    def names(self):
        """As `Adapter.names`."""
        return "weight", "bias", "running_mean", "running_var"
