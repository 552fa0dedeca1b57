"""Claim A2: train with the running averages in the place of the batch statistics.

The averages then normalize, and the batch takes part in them with a small weight only. Whether the
gradient goes through that small part or is stopped, the network learns worse. Two more layers say
why: averages with all terms of batch norm's gradient, and batch norm with its gradient stopped.
"""

from dataclasses import dataclass

import numpy as np

from bnlab.batchnorm import batchnorm_forward, batchnorm_inference
from bnlab.course.experiments import panels
from bnlab.course.experiments.bench import accuracy_at_best, scores, train
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.course.experiments.rule import Part, larger, told
from bnlab.course.experiments.seeds import over_seeds
from bnlab.data import load_digits
from bnlab.layers import BatchNorm, Linear, ReLU, Sequential


class BatchNormByAverages(BatchNorm):
    """Batch norm whose training batches are normalized by the running averages, which move first.

    `gradient` is the weight of the batch in them on the way back: `momentum` for the true gradient,
    0 to stop it at the averages, 1 for all that batch norm's gradient has.
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


class BatchNormStopped(BatchNorm):
    """Batch norm whose gradient takes the mean and the variance of the batch for constants."""

    def _backward(self, dy, cache):
        super()._backward(dy, cache)  # for the gradients of weight and bias
        return self.weight * cache.inv_std * dy


METHODS = {
    "batch statistics": lambda c, a, dtype: BatchNorm(c, momentum=a, dtype=dtype),
    "averages, gradient through": lambda c, a, dtype: BatchNormByAverages(c, a, a, dtype=dtype),
    "averages, gradient stopped": lambda c, a, dtype: BatchNormByAverages(c, a, 0.0, dtype=dtype),
    "averages, whole gradient": lambda c, a, dtype: BatchNormByAverages(c, a, 1.0, dtype=dtype),
    "batch, gradient stopped": lambda c, a, dtype: BatchNormStopped(c, momentum=a, dtype=dtype),
}
CLAIMED = ("averages, gradient through", "averages, gradient stopped")  # the rest is to compare
BIASES = {"with biases": True, "without biases": False}  # in the linear layers below batch norm


def network(method, seed, momentum=0.1, bias=True):
    """64-100-100-100-10 with ReLU and one of the `METHODS`; `bias` is below these."""
    rng = np.random.default_rng(seed)
    layers = []
    for features in (64, 100, 100):
        linear = Linear(features, 100, bias=bias, rng=rng, dtype=np.float32)
        layers += [linear, METHODS[method](100, momentum, np.float32), ReLU()]
    return Sequential(*layers, Linear(100, 10, rng=rng, dtype=np.float32))


def largest_bias(model):
    """Largest norm of a bias vector below a batch norm; 0 if there are none."""
    below = [model[i] for i, layer in enumerate(model[1:]) if isinstance(layer, BatchNorm)]
    biases = [layer.bias for layer in below if layer.bias is not None]
    return max((float(np.linalg.norm(bias)) for bias in biases), default=0.0)


@dataclass(frozen=True)
class Race:
    """Each method at each rate, with biases and without, the same weights and batches; 4 minutes.

    Where biases drift, they could be what does the harm: hence the networks without them.
    """

    lrs: tuple[float, ...] = (0.1, 0.3, 1.0)
    momentum: float = 0.1
    steps: int = 1000
    batch_size: int = 60
    seeds: tuple[int, ...] = tuple(range(8))


@np.errstate(over="ignore", invalid="ignore")  # some runs leave the range of float32
def _train(config, digits, method, bias, lr, seed):
    """Accuracy on validation and test images, and how far the biases have gone."""
    model = network(method, seed, config.momentum, bias)
    train(model, digits, lr, seed, steps=config.steps, batch_size=config.batch_size)
    return *scores(model, digits), largest_bias(model)


def _one_seed_a2(config, seed):
    digits = load_digits(seed, np.float32)
    runs = np.array([
        [[_train(config, digits, method, bias, lr, seed) for lr in config.lrs]
         for method in METHODS]
        for bias in BIASES.values()
    ])  # fmt: skip
    return {"accuracy": runs[..., :2], "bias_norm": runs[..., 2]}  # (biases, methods, rates, ...)


def _run_a2(config):
    return {"lrs": np.array(config.lrs), **over_seeds(_one_seed_a2, config)}


def at_best_rates(arrays):
    """Test accuracy in percent, each method at its best rate: a dict of (S,) for each of BIASES."""
    return _named(accuracy_at_best(arrays["accuracy"]))


def _named(accuracy):
    """Names for shares (S, biases, methods)."""
    percent = 100 * np.moveaxis(accuracy, 0, -1)
    tables = (dict(zip(METHODS, table, strict=True)) for table in percent)
    return dict(zip(BIASES, tables, strict=True))


def _judge_a2(arrays):
    """The two ways in which a library would do it, against batch norm; the others only explain."""
    best = at_best_rates(arrays)
    return [_as_good(best[bias], method, bias) for method in CLAIMED for bias in BIASES]


def _as_good(accuracy, method, bias):
    own = accuracy["batch statistics"]
    lost = accuracy[method] - own
    return Part(
        f"{method}, {bias}: it ends less than half a point behind batch statistics, "
        "both at their best rates",
        larger(lost, -0.5),
        f"{accuracy[method].mean():.1f} and {own.mean():.1f}%, {told(lost)}",
    )


def _draw_a2(arrays):
    import matplotlib.pyplot as plt

    _, axes = plt.subplots(2, 2, figsize=(13, 7.4), sharey=True)
    first = _named(arrays["accuracy"][..., 0, 1])
    columns = {f"rate {arrays['lrs'][0]:g}": first, "each at its best rate": at_best_rates(arrays)}
    for column, (rates, tables) in zip(axes.T, columns.items(), strict=True):
        for ax, (bias, accuracy) in zip(column, tables.items(), strict=True):
            groups = {_in_lines(method): values for method, values in accuracy.items()}
            panels.strip(groups, "test accuracy, %", ax=ax).set_title(f"{rates}, {bias}")
    return axes[0, 0]


def _in_lines(method):
    return method.replace(", ", ",\n").replace("gradient ", "gradient\n")


A2_AVERAGES = Experiment(
    Claim(
        "A2",
        "While training, normalize by the running averages of mean and variance.",
        "Algorithm 1 normalizes by statistics of the batch and differentiates through them; the "
        "averages are a by-product for test time. With them training is slower, and breaks at "
        "large rates. What is missing is in the gradient, through the mean and the variance: with "
        "these terms averages come close to batch norm, and batch norm without them is slower, "
        "too. Biases, which drift then, are a symptom: without them it is the same.",
        "experiment",
        "05",
        "Ioffe & Szegedy 2015, Algorithm 1 and section 2",
    ),
    Race(),
    run=_run_a2,
    judge=_judge_a2,
    draw=_draw_a2,
    setting="64-100-100-100-10 with ReLU, {steps} steps of {batch_size} images, rates {lrs} chosen "
    "on validation images, weight {momentum} of the new batch in the averages",
)
