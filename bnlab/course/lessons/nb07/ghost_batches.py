"""Claim R2: a smaller batch normalizes with more noise, and this noise regularizes.

The gradient's batch stays as it is and only the rows that normalize each other change: ghost
batches (Hoffer, Hubara & Soudry 2017). They change two things. The statistics are noisier, and
their standard deviation is too small, so that what they divide is too large: a gain, which
evaluation mode does not have. A network with the gain alone, without noise, tells them apart.
"""

import functools
from dataclasses import dataclass

import numpy as np

from bnlab.batchnorm import batchnorm_backward, batchnorm_forward
from bnlab.course.experiments.bench import (
    SPLITS,
    paired_interval,
    rate_sweep,
    replace_batchnorms,
)
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.course.experiments.rule import Part, larger, told
from bnlab.data import load_digits
from bnlab.layers import BatchNorm, mlp


def split_in_ghosts(x, ghost_size):
    """Rows (N, C) as (ghost_size, ghosts * C): the features of a ghost are channels of their own.

    >>> split_in_ghosts(np.array([[1, 5], [2, 6], [3, 7], [4, 8]]), 2)
    array([[1, 5, 3, 7],
           [2, 6, 4, 8]])
    """
    n, c = x.shape
    if n % ghost_size:
        raise ValueError(
            f"split_in_ghosts needs a ghost_size that divides the {n} rows, got {ghost_size}; "
            "choose another one, or drop the rows that are left over"
        )
    return x.reshape(-1, ghost_size, c).swapaxes(0, 1).reshape(ghost_size, -1)


def from_ghosts(y, features):
    """Undo `split_in_ghosts`: the rows in their old order, shape (N, features).

    >>> from_ghosts(np.array([[1, 5, 3, 7], [2, 6, 4, 8]]), features=2)
    array([[1, 5],
           [2, 6],
           [3, 7],
           [4, 8]])
    """
    return y.reshape(len(y), -1, features).swapaxes(0, 1).reshape(-1, features)


class GhostBatchNorm(BatchNorm):
    """Batch norm of (N, C) in which each ghost, `ghost_size` consecutive rows, normalizes itself.

    One gamma and one beta serve all; the running statistics are fed the averages over the ghosts
    (Hoffer, Hubara & Soudry 2017, arXiv:1705.08741, section 4).

    >>> layer = GhostBatchNorm(1, ghost_size=3)
    >>> layer.forward(np.array([[1.0], [2.0], [6.0], [10.0], [20.0], [60.0]])).ravel().round(2)
    array([-0.93, -0.46,  1.39, -0.93, -0.46,  1.39])
    """

    def __init__(self, num_features, ghost_size, *, dtype=np.float64):
        super().__init__(num_features, dtype=dtype)
        self.ghost_size = ghost_size

    def _forward(self, x):
        if not self.training:
            return super()._forward(x)
        parts = split_in_ghosts(x, self.ghost_size)  # (ghost_size, ghosts * C)
        ghosts = len(x) // self.ghost_size
        gamma, beta = np.tile(self.weight, ghosts), np.tile(self.bias, ghosts)
        y, cache = batchnorm_forward(parts, gamma, beta, self.eps)
        mean, var = (s.reshape(ghosts, -1).mean(axis=0) for s in (cache.mean, cache.var))
        self._track(mean, var, m=self.ghost_size)
        return from_ghosts(y, self.num_features), cache

    def _backward(self, dy, cache):
        dx, dweight, dbias = batchnorm_backward(split_in_ghosts(dy, self.ghost_size), cache)
        # gamma and beta were used once by each ghost: their gradients add up.
        self.grads = {
            "weight": dweight.reshape(-1, self.num_features).sum(axis=0),
            "bias": dbias.reshape(-1, self.num_features).sum(axis=0),
        }
        return from_ghosts(dx, self.num_features)


class GainBatchNorm(BatchNorm):
    """Batch norm of the whole batch whose x_hat is too large in training, as that of a ghost is.

    >>> layer = GainBatchNorm(1, gain=2.0)
    >>> layer(np.array([[1.0], [3.0]])).ravel().round(3), layer.eval().weight
    (array([-2.,  2.]), array([1.]))
    """

    def __init__(self, num_features, gain, *, dtype=np.float64):
        super().__init__(num_features, dtype=dtype)
        self.gain = np.dtype(dtype).type(gain)

    def _forward(self, x):
        if not self.training:
            return super()._forward(x)
        y, cache = super()._forward(x)
        return self.bias + self.gain * (y - self.bias), cache

    def _backward(self, dy, cache):
        dx = super()._backward(self.gain * dy, cache)
        self.grads["bias"] = dy.sum(axis=0)  # the shift has no gain
        return dx


def norm_net(make, seed, dtype=np.float32):
    """64-100-100-100-10 with ReLU and ``make(features)`` as norm; the weights depend on the seed.

    >>> net = norm_net(lambda features: GhostBatchNorm(features, 8), seed=0)
    >>> [type(layer).__name__ for layer in net[:3]]
    ['Linear', 'GhostBatchNorm', 'ReLU']
    """
    model = mlp([64, 100, 100, 100, 10], rng=np.random.default_rng(seed), dtype=dtype)
    return replace_batchnorms(model, lambda layer: make(layer.num_features))


def ghost_net(ghost_size, seed, dtype=np.float32):
    """A network with ghosts of this size."""
    return norm_net(lambda n: GhostBatchNorm(n, ghost_size, dtype=dtype), seed, dtype)


def gain_net(gain, seed, dtype=np.float32):
    """A network with the gain of ghosts, and without their noise."""
    return norm_net(lambda n: GainBatchNorm(n, gain, dtype=dtype), seed, dtype)


@dataclass(frozen=True)
class GhostSweep:
    """Ghosts of several sizes in SGD batches of 128, at several rates; 10 minutes on one core.

    The first size is the whole batch. `gain` is the median of sigma / sigma_B, over features of a
    first layer, for ghosts of `gain_of` rows.
    """

    ghost_sizes: tuple[int, ...] = (128, 8, 4)
    gain_of: int = 8
    gain: float = 1.2
    batch_size: int = 128
    lrs: tuple[float, ...] = (0.1, 0.5, 1.0)
    steps: int = 1000
    dtype: str = "float32"
    seeds: tuple[int, ...] = tuple(range(200, 212))


def _one_seed_r2(config, seed):
    """Errors in percent; the images, weights and mini-batches are the same for all sizes."""
    digits = load_digits(seed, config.dtype)
    schedule = {"steps": config.steps, "batch_size": config.batch_size}
    nets = {size: functools.partial(ghost_net, size) for size in config.ghost_sizes}
    nets["gain"] = functools.partial(gain_net, config.gain)
    found = {"lrs": np.array(config.lrs), "gain_of": config.gain_of}
    for name, net in nets.items():
        make = functools.partial(net, seed, config.dtype)
        accuracy = rate_sweep(make, digits, config.lrs, seed, **schedule)
        found[f"val_error_{name}"], found[f"error_{name}"] = 100 * (1 - accuracy.T)  # (R,) each
    return found


def ghost_sizes(arrays):
    """Sizes of a sweep, the whole batch first.

    >>> ghost_sizes({"lrs": 0, "error_128": 0, "error_8": 0, "error_gain": 0})
    [128, 8]
    """
    names = [n.removeprefix("error_") for n in arrays if n.startswith("error_")]
    return [int(name) for name in names if name.isdecimal()]


def chosen_ghosts(arrays):
    """Size of ghosts with the lowest error on the validation images, at each rate, (R,)."""
    ghosts = np.array(ghost_sizes(arrays)[1:])
    on_val = np.array([arrays[f"val_error_{size}"].mean(axis=0) for size in ghosts])
    return ghosts[on_val.argmin(axis=0)]


def _judge_r2(arrays):
    whole, lrs = ghost_sizes(arrays)[0], arrays["lrs"][0]
    parts = []
    for k, (lr, size) in enumerate(zip(lrs, chosen_ghosts(arrays), strict=True)):
        gained = (arrays[f"error_{whole}"] - arrays[f"error_{size}"])[:, k]
        parts.append(
            Part(
                f"at rate {lr:g} ghosts, their size chosen on validation images, have a lower test "
                "error than the whole batch",
                larger(gained),
                f"with {size} {told(-gained)}",
            )
        )
    return [*parts, _noise_not_gain(arrays)]


def _noise_not_gain(arrays):
    """The same gain without noise does less, at the whole batch's best rate."""
    best = int(arrays[f"val_error_{ghost_sizes(arrays)[0]}"].mean(axis=0).argmin())
    size = np.ravel(arrays["gain_of"])[0]
    gained = (arrays["error_gain"] - arrays[f"error_{size}"])[:, best]
    return Part(
        "it is the noise: ghosts have a lower error than the whole batch with their gain alone",
        larger(gained),
        f"ghosts of {size} at rate {arrays['lrs'][0][best]:g} {told(-gained)}",
    )


def _draw_r2(arrays):
    """Paired differences with their intervals, a row for each size and rate."""
    from bnlab.plots import dot_intervals

    whole, *ghosts = ghost_sizes(arrays)
    size = np.ravel(arrays["gain_of"])[0]
    names = {**{g: f"ghosts of {g}" for g in ghosts}, "gain": f"gain of {size}, no noise"}
    rows = {}
    for name, words in names.items():
        changes = arrays[f"error_{name}"] - arrays[f"error_{whole}"]  # (S, R)
        for lr, change in zip(arrays["lrs"][0], changes.T, strict=True):
            rows[f"{words}, rate {lr:g}"] = paired_interval(change, SPLITS)
    mean, half = np.transpose(list(rows.values()))
    ax = dot_intervals(list(rows), mean, mean - half, mean + half)
    ax.set_xlabel("change of the test error,\npoints against the whole batch")
    return ax


R2_GHOST_BATCHES = Experiment(
    Claim(
        "R2",
        "A larger batch makes batch norm less noisy, so it regularizes less.",
        "Where there is something that should not be learned: with wrong labels small ghosts help "
        "much (notebook 07). With right labels and the gradient's batch kept they gain about half "
        "a point on these digits, less than their splits can decide; ghosts too small do harm.",
        "experiment",
        "07",
        "Hoffer, Hubara & Soudry 2017; Summers & Dinneen 2020",
        published="yes",
    ),
    GhostSweep(),
    one_seed=_one_seed_r2,
    judge=_judge_r2,
    setting="64-100-100-100-10 with ReLU, {steps} steps of {batch_size} digits, ghosts of "
    "{ghost_sizes} rows, rates {lrs}",
    draw=_draw_r2,
)
