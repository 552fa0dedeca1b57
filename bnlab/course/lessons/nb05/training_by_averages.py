"""Claim A2: train with the running averages in the place of the batch statistics.

The averages then normalize, and the batch takes part in them with a small weight only. Whether
the gradient goes through that small part or is stopped, the network learns worse, and the biases
that batch norm makes redundant start to drift (notebook 04).
"""

from dataclasses import dataclass

import numpy as np

from bnlab.batchnorm import batchnorm_forward, batchnorm_inference
from bnlab.course.experiments.bench import points_gained, scores, train
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.course.experiments.seeds import over_seeds
from bnlab.data import load_digits
from bnlab.layers import BatchNorm, Linear, ReLU, Sequential


class BatchNormByAverages(BatchNorm):
    """Batch norm whose training batches are normalized by the running averages, which move first.

    `gradient` is the weight of the batch in them on the way back: `momentum` for the true gradient,
    0 to stop it at the averages. Batch norm proper has 1, and the batch in the place of averages.
    """

    def __init__(self, num_features, momentum, gradient, *, dtype=np.float64):
        super().__init__(num_features, momentum=momentum, dtype=dtype)
        self.gradient = gradient

    def _forward(self, x):
        mean, var = self.running_mean, self.running_var
        if not self.training:
            return batchnorm_inference(x, self.weight, self.bias, mean, var, self.eps), None
        _, batch = batchnorm_forward(x, self.weight, self.bias, self.eps)
        mean += self.momentum * (batch.mean - mean)
        var += self.momentum * (batch.var - var)  # biased: it stands for the batch's own variance
        y = batchnorm_inference(x, self.weight, self.bias, mean, var, self.eps)
        return y, (batch.x_centred, x - mean, 1 / np.sqrt(var + self.eps))

    def _backward(self, dy, cache):
        x_centred, distance, inv_std = cache  # from the batch mean, from the running mean
        self.grads = {"weight": (dy * distance).sum(axis=0) * inv_std, "bias": dy.sum(axis=0)}
        through_var = x_centred * inv_std**2 * (dy * distance).mean(axis=0)
        return self.weight * inv_std * (dy - self.gradient * (dy.mean(axis=0) + through_var))


METHODS = {
    "batch statistics": lambda c, a, dtype: BatchNorm(c, momentum=a, dtype=dtype),
    "averages, gradient through": lambda c, a, dtype: BatchNormByAverages(c, a, a, dtype=dtype),
    "averages, gradient stopped": lambda c, a, dtype: BatchNormByAverages(c, a, 0.0, dtype=dtype),
}


def network(method, seed, momentum=0.1):
    """64-100-100-100-10 with ReLU, biases in every linear layer, and one of the `METHODS`."""
    rng = np.random.default_rng(seed)
    layers = []
    for features in (64, 100, 100):
        linear = Linear(features, 100, rng=rng, dtype=np.float32)
        layers += [linear, METHODS[method](100, momentum, np.float32), ReLU()]
    return Sequential(*layers, Linear(100, 10, rng=rng, dtype=np.float32))


def largest_bias(model):
    """Largest norm of a bias vector below a batch norm."""
    below = [model[i] for i, layer in enumerate(model[1:]) if isinstance(layer, BatchNorm)]
    return max(float(np.linalg.norm(layer.bias)) for layer in below)


@dataclass(frozen=True)
class Race:
    """Each method at each rate, the same weights and batches; 40 seconds."""

    lrs: tuple[float, ...] = (0.1, 0.3, 1.0)
    momentum: float = 0.1
    steps: int = 1000
    batch_size: int = 60
    seeds: tuple[int, ...] = (0, 1, 2, 3)


@np.errstate(over="ignore", invalid="ignore")  # some runs leave the range of float32
def _train(config, digits, method, lr, seed):
    """Accuracy on validation and test images, and how far the biases have gone."""
    model = network(method, seed, config.momentum)
    train(model, digits, lr, seed, steps=config.steps, batch_size=config.batch_size)
    return *scores(model, digits), largest_bias(model)


def _one_seed_a2(config, seed):
    digits = load_digits(seed, np.float32)
    runs = [[_train(config, digits, method, lr, seed) for lr in config.lrs] for method in METHODS]
    on_val, on_test, bias = np.moveaxis(np.array(runs), 2, 0)  # (methods, rates) each
    return {"on_val": on_val, "on_test": on_test, "bias": bias}


def _run_a2(config):
    return {"lrs": np.array(config.lrs), **over_seeds(_one_seed_a2, config)}


def _judge_a2(arrays):
    """WRONG if both kinds of averages lose at their own best rates, IMPRECISE if at the largest."""
    best = arrays["on_val"].mean(axis=0).argmax(axis=1)  # (methods,)
    lost, clearly = _lost(arrays["on_test"][:, range(len(best)), best])
    _, clearly_when_fast = _lost(arrays["on_test"][:, :, -1])
    verdict = "WRONG" if clearly else "IMPRECISE" if clearly_when_fast else "RIGHT"
    by_rate = 100 * arrays["on_test"].mean(axis=0)
    rows = [
        f"rate {lr:g}: {', '.join(f'{v:.1f}%' for v in column)}"
        for lr, column in zip(arrays["lrs"], by_rate.T, strict=True)
    ]
    drift = arrays["bias"][:, :, 0]
    measured = (
        f"batch statistics, averages (gradient through, stopped): {'; '.join(rows)}; biases reach "
        f"{drift[:, 0].max():.0e} with batch statistics, {drift[:, 1:].min():.1f} to "
        f"{drift[:, 1:].max():.1f} with averages at rate {arrays['lrs'][0]:g}"
    )
    seeds = f"{len(drift)} seeds, {lost.min():.1f} points lost at the best rates"
    return verdict, measured, seeds


def _lost(accuracy):
    """Points lost by averages, (2,), of (S, methods); whether both exceed two standard errors."""
    lost, error = points_gained(accuracy[:, :1], accuracy[:, 1:])
    return lost, bool((lost > error).all())


A2_AVERAGES = Experiment(
    Claim(
        "A2",
        "While training, normalize by the running averages of mean and variance.",
        "Algorithm 1 normalizes by the statistics of the batch and differentiates through them. "
        "The averages are a by-product for test time; with them training is slower, or breaks.",
        "experiment",
        "05",
        "Ioffe & Szegedy 2015, Algorithm 1 and section 2",
    ),
    Race(),
    run=_run_a2,
    judge=_judge_a2,
)
