"""The training loop of the course, and nothing else: no plots, no printing, no schedule."""

from dataclasses import dataclass, field

import numpy as np

from bnlab import functional as F
from bnlab.data import minibatches

__all__ = ["History", "evaluate", "fit"]


@dataclass
class History:
    """What `fit` saw.

    Parameters
    ----------
    loss : ndarray, shape (steps,)
        Loss of each mini-batch before its update; nan where none was computed.
    steps : list of int
        Number of updates made at each measurement.
    measured : list
        What ``measure(model)`` returned at these.
    diverged : bool
        True if the loss stopped being a finite number and training with it.
    """

    loss: np.ndarray
    steps: list = field(default_factory=list)
    measured: list = field(default_factory=list)
    diverged: bool = False


def fit(model, x, y, optimizer, *, steps, batch_size, rng, every=None, measure=None):
    """Train a classifier in place on the mean cross-entropy, for a number of updates.

    Mini-batches are drawn without replacement and shuffled anew each epoch; the last incomplete
    batch of an epoch is dropped. After a loss that is not finite nothing more is updated or
    measured. NumPy's warnings about overflow are silenced, because the history says it.

    Parameters
    ----------
    model : Layer
        Left in training mode.
    x : ndarray, shape (N, ...)
    y : ndarray of int, shape (N,)
    optimizer : SGD
        Made for this model.
    steps, batch_size : int
    rng : numpy.random.Generator
        Draws the batches.
    every : int, optional
        Call `measure` after 0, every, 2 * every, ... updates, and after the last.
    measure : callable, optional
        Takes the model, returns what to keep; it may switch the mode.

    Returns
    -------
    History

    Raises
    ------
    ValueError
        If only one of every and measure is given, or `bnlab.data.minibatches` refuses the data.

    Examples
    --------
    >>> from bnlab.layers import mlp
    >>> from bnlab.optim import SGD
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(100, 2))
    >>> y = (x[:, 0] > x[:, 1]).astype(int)
    >>> model = mlp([2, 8, 2], rng=rng)
    >>> history = fit(model, x, y, SGD(model, lr=0.5), steps=40, batch_size=20, rng=rng,
    ...               every=20, measure=lambda model: evaluate(model, x, y) > 0.9)
    >>> history.steps, history.measured[-1]
    ([0, 20, 40], True)
    """
    if (every is None) != (measure is None):
        raise ValueError(
            f"fit needs both every and measure, or neither, got every={every}, measure={measure}"
        )
    if every is not None and every < 1:
        raise ValueError(f"fit needs every >= 1, in steps, got every={every}")
    history = History(loss=np.full(steps, np.nan))
    batches = _endless_minibatches(x, y, batch_size, rng)
    for step in range(steps):
        if every and step % every == 0:
            _measure(model, measure, step, history)
        model.train()
        history.loss[step] = _update(model, optimizer, *next(batches))
        if not np.isfinite(history.loss[step]):
            history.diverged = True
            return history
    if every:
        _measure(model, measure, steps, history)
    model.train()
    return history


def evaluate(model, x, y, batch_size=1000):
    """Accuracy in evaluation mode; the mode is restored afterwards.

    Parameters
    ----------
    model : Layer
    x : ndarray, shape (N, ...)
    y : ndarray of int, shape (N,)
    batch_size : int
        Examples per forward pass; it changes the memory used, not the answer.

    Returns
    -------
    float
        Share of rows whose largest logit is at the label, 0 to 1.

    Raises
    ------
    ValueError
        If there are no rows, or not one label for each, or batch_size is less than 1.

    Examples
    --------
    >>> from bnlab.layers import Sequential
    >>> evaluate(Sequential(), x=np.array([[2.0, 1.0], [0.0, 3.0]]), y=np.array([0, 0]))
    0.5
    """
    if len(x) == 0 or np.shape(y) != (len(x),) or batch_size < 1:
        raise ValueError(
            "evaluate needs one label for each row, y of shape (N,), N >= 1 and batch_size >= 1, "
            f"got len(x)={len(x)}, y.shape={np.shape(y)}, batch_size={batch_size}"
        )
    modes = [(layer, layer.training) for layer in model.modules()]
    model.eval()
    try:
        starts = range(0, len(x), batch_size)
        guesses = [model(x[i : i + batch_size]).argmax(axis=1) for i in starts]
    finally:
        for layer, mode in modes:  # a whole before its parts, some of which may be frozen
            layer.train(mode)
    return float(np.mean(np.concatenate(guesses) == y))


def _endless_minibatches(x, y, batch_size, rng):
    while True:
        yield from minibatches(x, y, batch_size, rng)


@np.errstate(over="ignore", invalid="ignore", divide="ignore")
def _update(model, optimizer, x, y):
    """One step on one batch; the loss before it. A loss that is not finite changes no parameter."""
    loss, cache = F.cross_entropy_forward(model(x), y)
    if np.isfinite(loss):
        model.backward(F.cross_entropy_backward(cache))
        optimizer.step()
    return loss


def _measure(model, measure, step, history):
    history.steps.append(step)
    history.measured.append(measure(model))
