"""Residual networks of dense layers, in three kinds: plain, with batch norm, with SkipInit."""

import numpy as np

from bnlab.layers import BatchNorm, Layer, Linear, ReLU, Sequential

KINDS = ("plain", "bn", "skipinit")


class Residual(Layer):
    """y = x + f(x), or, with `skipinit`, x + alpha f(x) with one learned alpha that starts at 0.

    De & Smith 2020 (arXiv:2002.10444), section 4.

    >>> layer = Residual(ReLU(), skipinit=True)
    >>> layer(np.array([[-1.0, 2.0]])), list(layer.parameters())
    (array([[-1.,  2.]]), ['alpha'])
    """

    def __init__(self, branch, skipinit=False):
        super().__init__()
        self.branch = branch
        self.alpha = np.zeros(1, np.float32) if skipinit else None

    def forward(self, x):
        """Pass x through the branch and add it to the result."""
        self._branch_y = self.branch(x)
        return x + self._branch_y if self.alpha is None else x + self.alpha * self._branch_y

    def backward(self, dy):
        """Add up what comes back through the branch and past it."""
        if self.alpha is None:
            return dy + self.branch.backward(dy)
        self._dalpha = np.sum(dy * self._branch_y).reshape(1)
        return dy + self.branch.backward(self.alpha * dy)

    @property
    def grads(self):
        """Gradients of the branch, and of alpha."""
        own = {} if self.alpha is None else {"alpha": self._dalpha}
        return own | {f"branch.{name}": grad for name, grad in self.branch.grads.items()}

    @grads.setter
    def grads(self, value):
        pass  # the base class starts with an empty dict; here they are a view

    def train(self, mode=True):
        """Switch the mode of the branch too; return the layer."""
        self.branch.train(mode)
        return super().train(mode)

    def parameters(self):
        """Those of the branch, and alpha."""
        own = {} if self.alpha is None else {"alpha": self.alpha}
        return own | {f"branch.{name}": array for name, array in self.branch.parameters().items()}

    def buffers(self):
        """Return those of the branch."""
        return {f"branch.{name}": array for name, array in self.branch.buffers().items()}


def residual_net(kind, seed, *, blocks, width):
    """A linear layer, residual blocks of [batch norm], ReLU and a linear layer, and 10 logits.

    >>> model = residual_net("bn", seed=0, blocks=2, width=8)
    >>> [type(layer).__name__ for layer in model[1].branch]
    ['BatchNorm', 'ReLU', 'Linear']
    """
    options = {"rng": np.random.default_rng(seed), "dtype": np.float32}
    layers = [Linear(64, width, **options)]
    for _ in range(blocks):
        norm = [BatchNorm(width, dtype=np.float32)] if kind == "bn" else []
        branch = Sequential(*norm, ReLU(), Linear(width, width, **options))
        layers.append(Residual(branch, skipinit=kind == "skipinit"))
    return Sequential(*layers, Linear(width, 10, **options))
