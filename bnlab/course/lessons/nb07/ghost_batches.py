"""Claim R2: a smaller batch normalizes with more noise, and this noise regularizes.

To change the noise of batch norm and nothing else, the gradient's batch stays as it is and only
the rows that normalize each other change: ghost batches (Hoffer, Hubara & Soudry 2017).
"""

import functools
from dataclasses import dataclass

import numpy as np

from bnlab.batchnorm import batchnorm_backward, batchnorm_forward
from bnlab.course.experiments.bench import paired_interval, rate_sweep, replace_batchnorms
from bnlab.course.experiments.evidence import Claim, Experiment
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


def ghost_net(ghost_size, seed, dtype=np.float32):
    """64-100-100-100-10 with ReLU and ghost batch norm; the same weights for the same seed.

    >>> [type(layer).__name__ for layer in ghost_net(8, seed=0)[:3]]
    ['Linear', 'GhostBatchNorm', 'ReLU']
    """
    model = mlp([64, 100, 100, 100, 10], rng=np.random.default_rng(seed), dtype=dtype)
    return replace_batchnorms(
        model, lambda layer: GhostBatchNorm(layer.num_features, ghost_size, dtype=dtype)
    )


@dataclass(frozen=True)
class GhostSweep:
    """Ghosts of several sizes in SGD batches of 128, at several rates; 8 minutes on one core.

    The first size is the whole batch. The seeds took no part in finding sizes or rates.
    """

    ghost_sizes: tuple[int, ...] = (128, 32, 16, 8, 4)
    batch_size: int = 128
    lrs: tuple[float, ...] = (0.1, 0.5, 1.0)
    steps: int = 1000
    dtype: str = "float32"
    seeds: tuple[int, ...] = tuple(range(28, 60))


def _one_seed_r2(config, seed):
    """Errors in percent; the images, weights and mini-batches are the same for all sizes."""
    digits = load_digits(seed, config.dtype)
    found = {"lrs": np.array(config.lrs)}
    schedule = {"steps": config.steps, "batch_size": config.batch_size}
    for size in config.ghost_sizes:
        make = functools.partial(ghost_net, size, seed, config.dtype)
        accuracy = rate_sweep(make, digits, config.lrs, seed, **schedule)
        found[f"val_error_{size}"], found[f"error_{size}"] = 100 * (1 - accuracy.T)  # (R,) each
    return found


def ghost_sizes(arrays):
    """Sizes of a sweep, the whole batch first.

    >>> ghost_sizes({"lrs": 0, "val_error_128": 0, "error_128": 0, "val_error_8": 0, "error_8": 0})
    [128, 8]
    """
    return [int(n.removeprefix("error_")) for n in arrays if n.startswith("error_")]


def change_of_error(arrays, size):
    """Test error with ghosts of this size minus that of the whole batch: points +- half, (R, 2)."""
    difference = arrays[f"error_{size}"] - arrays[f"error_{ghost_sizes(arrays)[0]}"]  # (S, R)
    return np.array([paired_interval(d) for d in difference.T])


def chosen_ghosts(arrays):
    """Size of ghosts with the lowest error on the validation images, at each rate, (R,)."""
    ghosts = np.array(ghost_sizes(arrays)[1:])
    on_val = np.array([arrays[f"val_error_{size}"].mean(axis=0) for size in ghosts])
    return ghosts[on_val.argmin(axis=0)]


def _judge_r2(arrays):
    """RIGHT if the interval of the chosen ghosts' change is below 0 at the whole batch's best rate.

    IMPRECISE if it is so at another rate only, WRONG if it is above 0 at the best rate.
    """
    whole, *ghosts = ghost_sizes(arrays)
    lrs, chosen = arrays["lrs"][0], chosen_ghosts(arrays)
    best = int(arrays[f"val_error_{whole}"].mean(axis=0).argmin())
    changes = np.array([change_of_error(arrays, size)[k] for k, size in enumerate(chosen)])
    lower = changes.sum(axis=1) < 0  # mean + half
    if lower[best]:
        verdict = "RIGHT"
    elif changes[best] @ (1, -1) > 0:
        verdict = "WRONG"
    else:
        verdict = "IMPRECISE" if lower.any() else "NOT REPRODUCED"
    errors = np.array([arrays[f"error_{size}"].mean(axis=0) for size in (whole, *ghosts)])
    listed = "; ".join(
        f"rate {lr:g}: {', '.join(f'{e:.1f}%' for e in column)}"
        for lr, column in zip(lrs, errors.T, strict=True)
    )
    measured = f"test error with ghosts of {', '.join(map(str, (whole, *ghosts)))}: {listed}"
    intervals = ", ".join(
        f"{mean:+.2f} +- {half:.2f} with {size}"
        for size, (mean, half) in zip(chosen, changes, strict=True)
    )
    spread = (
        f"{len(arrays['lrs'])} paired seeds; points against {whole}, ghosts chosen on validation "
        f"images: {intervals}; best rate of {whole} there: {lrs[best]:g}"
    )
    return verdict, measured, spread


R2_GHOST_BATCHES = Experiment(
    Claim(
        "R2",
        "A larger batch makes batch norm less noisy, so it regularizes less.",
        "Yes, up to a point: with the gradient's batch kept, smaller ghosts give a lower test "
        "error, until they are so small that the noise does harm.",
        "experiment",
        "07",
        "Hoffer, Hubara & Soudry 2017; Summers & Dinneen 2020",
    ),
    GhostSweep(),
    one_seed=_one_seed_r2,
    judge=_judge_r2,
)
