"""Networks that differ in batch norm and in nothing else, and a fair way to choose their rates.

For one seed both sides get the same split of the digits, the same weights and the same
mini-batches. Each side may have the learning rate that does best on the validation images; the
test images are looked at once, at that rate.
"""

import time

import numpy as np

from bnlab.layers import Linear, ReLU, Sigmoid, Tanh, mlp
from bnlab.optim import SGD
from bnlab.training import evaluate, fit

__all__ = ["ACTIVATIONS", "accuracy_at_best", "both_sides", "deep_net", "rate_sweep", "scores",
           "seconds_per_step", "train"]  # fmt: skip

ACTIVATIONS = {"relu": ReLU, "sigmoid": Sigmoid, "tanh": Tanh}


def deep_net(batchnorm, seed, *, activation="relu", depth=3, width=100, scale=1.0):
    """64 pixels, `depth` hidden layers, 10 logits; the same weights for the same seed.

    Parameters
    ----------
    batchnorm : bool
    seed : int
    activation : {"relu", "sigmoid", "tanh"}
    depth, width : int
    scale : float
        Factor of all weights of the linear layers, whose standard deviation is He's otherwise.

    Returns
    -------
    Sequential
        In float32.

    Examples
    --------
    >>> [type(layer).__name__ for layer in deep_net(True, seed=0, depth=1)]
    ['Linear', 'BatchNorm', 'ReLU', 'Linear']
    """
    sizes = [64, *[width] * depth, 10]
    rng = np.random.default_rng(seed)
    model = mlp(sizes, activation=ACTIVATIONS[activation], batchnorm=batchnorm, rng=rng,
                dtype=np.float32)  # fmt: skip
    for layer in model:
        if isinstance(layer, Linear):
            layer.weight *= scale
    return model


def train(model, digits, lr, seed, *, steps, batch_size=60, **options):
    """Train with plain SGD on mini-batches that the seed decides; return the history."""
    return fit(model, digits.x_train, digits.y_train, SGD(model, lr), steps=steps,
               batch_size=batch_size, rng=np.random.default_rng(seed), **options)  # fmt: skip


@np.errstate(over="ignore", invalid="ignore")  # a network that diverged has weights out of range
def scores(model, digits):
    """Accuracy on the validation and on the test images, (2,)."""
    return np.array([evaluate(model, digits.x_val, digits.y_val),
                     evaluate(model, digits.x_test, digits.y_test)])  # fmt: skip


def rate_sweep(make, digits, lrs, seed, **options):
    """Train ``make()`` anew at each rate.

    Parameters
    ----------
    make : callable
        Builds the same untrained model each time.
    digits : Digits
    lrs : sequence of float, R of them
    seed : int
    **options
        ``steps`` and ``batch_size``.

    Returns
    -------
    ndarray, shape (R, 2)
        Accuracy on validation and test images.
    """
    results = []
    for lr in lrs:
        model = make()
        train(model, digits, lr, seed, **options)
        results.append(scores(model, digits))
    return np.array(results)


def accuracy_at_best(accuracy):
    """Test accuracy at the rate that is best on the validation images, averaged over the seeds.

    Parameters
    ----------
    accuracy : ndarray, shape (S, ..., R, 2)
        Seeds first, rates and (validation, test) last.

    Returns
    -------
    ndarray, shape (S, ...)

    Examples
    --------
    >>> accuracy = np.array([[[0.8, 0.7], [0.9, 0.6]]])  # one seed, two rates
    >>> accuracy_at_best(accuracy)
    array([0.6])
    """
    best = accuracy[..., 0].mean(axis=0).argmax(axis=-1)  # (...)
    chosen = np.broadcast_to(best[None, ..., None], (*accuracy.shape[:-2], 1))
    return np.take_along_axis(accuracy[..., 1], chosen, axis=-1)[..., 0]


def seconds_per_step(digits, repeats=3, steps=60):
    """What one step costs without and with batch norm: the fastest of some repeats, (2,).

    The two networks take turns, so that a busy machine slows down both.
    """
    seconds = [[_seconds(batchnorm, digits, steps) for batchnorm in (False, True)]
               for _ in range(repeats)]  # fmt: skip
    return np.min(seconds, axis=0)


def _seconds(batchnorm, digits, steps):
    model = deep_net(batchnorm, seed=0)
    start = time.perf_counter()
    train(model, digits, 0.01, 0, steps=steps)
    return (time.perf_counter() - start) / steps


def both_sides(one_side):
    """The same without and with batch norm, ``{"plain": ..., "bn": one_side(True)}``."""
    return {"plain": one_side(False), "bn": one_side(True)}
