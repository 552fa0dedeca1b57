"""The batches on which promises are tried, the smallest first, so that the first failure is small.

Small ones hold rounded numbers, which can be typed again. Each is drawn from its own seed. There
are few different shapes, because some frameworks compile anew for each.
"""

import functools
from dataclasses import dataclass

import numpy as np

__all__ = ["LETTERS", "SHAPES", "Batch", "batch", "batches", "stream"]

LETTERS = {2: "(N, C)", 3: "(N, C, L)", 4: "(N, C, H, W)"}
SHAPES = {
    2: [(2, 1), (3, 1), (4, 3), (8, 5)],
    3: [(2, 1, 2), (2, 2, 3), (4, 3, 5)],
    4: [(2, 1, 1, 2), (2, 2, 2, 3), (4, 3, 3, 3), (3, 3, 5, 6)],
}


@dataclass(frozen=True)
class Batch:
    """A batch with its parameters and an upstream gradient."""

    x: np.ndarray
    gamma: np.ndarray
    beta: np.ndarray
    dy: np.ndarray

    def inputs(self, *names):
        """Those of the arrays that are named, a dict."""
        return {name: getattr(self, name) for name in names}


@functools.lru_cache(maxsize=128)  # nobody writes into them
def batch(shape, seed=0, std=1.0):
    """Draw a batch of this shape; each channel has a mean, a std, a gamma and a beta of its own.

    In an array with further axes each example and each position has a level of its own too, so
    that statistics over the wrong axes differ from the right ones.

    >>> batch((2, 1)).x
    array([[-0.1],
           [-1.5]])
    """
    rng = np.random.default_rng([seed, *shape])
    c, ones = shape[1], (1,) * (len(shape) - 2)
    noise = rng.normal(size=shape)
    if ones:
        noise += rng.normal(size=(*shape[:2], *ones)) + rng.normal(size=(1, *shape[1:]))
    axes = (0, *range(2, len(shape)))
    noise -= noise.mean(axis=axes, keepdims=True)
    noise /= noise.std(axis=axes, keepdims=True)
    column = (1, c, *ones)
    x = std * (rng.normal(0, 1, column) + rng.uniform(0.5, 2, column) * noise)
    dy = rng.normal(size=shape) + rng.normal(size=column)
    step = 10.0 ** np.floor(np.log10(std) - 1)  # two digits
    return Batch(
        np.round(x / step) * step,
        rng.uniform(0.5, 2, c).round(1),
        rng.normal(size=c).round(1),
        dy.round(1),
    )


def batches(ndim, std=1.0):
    """Batches with so many axes."""
    return [batch(shape, std=std) for shape in SHAPES[ndim]]


def stream(ndim, steps=5, channels=2):
    """Five batches of two sizes, for running statistics; m / (m - 1) differs between them."""
    tails = {2: (), 3: (2,), 4: (2, 1)}
    return [batch((2 + t % 2, channels, *tails[ndim]), seed=t).x for t in range(steps)]
