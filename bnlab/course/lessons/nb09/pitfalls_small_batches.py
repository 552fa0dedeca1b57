"""Pitfalls of small batches: P1 (one example), P7 (the last batch), P8 (accumulated gradients)."""

from dataclasses import dataclass

import numpy as np

from bnlab import functional as F
from bnlab.batchnorm import batchnorm_inference
from bnlab.course.lessons.nb09.pitfalls import pitfall
from bnlab.course.lessons.nb09.pitfalls_modes import accepts
from bnlab.data import load_digits
from bnlab.layers import BatchNorm, LayerNorm, Linear, ReLU, Sequential, mlp
from bnlab.optim import SGD
from bnlab.training import evaluate

# P1: a batch of one.


@dataclass(frozen=True)
class One:
    """Two examples with `features` features, each in a batch of its own; milliseconds."""

    features: int = 5
    beta: float = 0.5
    seed: int = 0


def batch_of_one(config):
    """P1: a formula without a guard answers beta to everything; torch refuses; eval mode works."""
    import torch

    x = np.random.default_rng(config.seed).normal(3, 1, (2, 1, config.features))  # two batches
    layer, ones = torch.nn.BatchNorm1d(config.features).double(), np.ones(config.features)
    return {
        "refused": not accepts(layer, torch.from_numpy(x[0])),
        "by_formula": [(b - b.mean(0)) / np.sqrt(b.var(0) + 1e-5) + config.beta for b in x],
        "fixed": [batchnorm_inference(b, ones, config.beta * ones, 3 * ones, ones) for b in x],
    }


P1_BATCH_OF_ONE = pitfall(
    "P1",
    "Training on one example at a time raises an error, or with code of your own learns nothing.",
    "One value minus its mean is 0: the output is beta, whatever came in. Use larger batches, "
    "running statistics (evaluation mode), or a norm without a batch (notebook 10).",
    "algebra; torch.nn.functional.batch_norm",
    config=One(),
    demo=batch_of_one,
    symptom=lambda a: (
        bool(a["refused"] and np.ptp(a["by_formula"]) == 0),
        f"torch refuses: {a['refused']}; for two different examples a formula without a guard "
        f"answers {np.min(a['by_formula']):.1f} to {np.max(a['by_formula']):.1f}",
    ),
    fixed=lambda a: (
        np.abs(np.subtract(*a["fixed"])).min() > 0.01,
        f"{np.min(a['fixed']):.1f} to {np.max(a['fixed']):.1f} with running statistics",
    ),
)


# P7: the last batch of the epoch.


@dataclass(frozen=True)
class LastBatch:
    """1,145 images in batches of 127: 9 full ones, and one of 2; one second."""

    batch_size: int = 127
    epochs: int = 10
    lr: float = 0.3
    seeds: tuple[int, ...] = (0, 1, 2, 3)


def _backward(model, x, y):
    """Gradients of the mean cross-entropy, in ``model.grads``."""
    _, cache = F.cross_entropy_forward(model(x), y)
    model.backward(F.cross_entropy_backward(cache))


def _one_epoch(model, optimizer, digits, order, size):
    for rows in np.split(order, range(size, len(order), size)):
        _backward(model, digits.x_train[rows], digits.y_train[rows])
        optimizer.step()


def _accuracy_by_epoch(config, seed, drop_last):
    digits, rng = load_digits(seed), np.random.default_rng(seed)
    model = mlp([64, 50, 50, 10], rng=rng)
    optimizer, accuracy = SGD(model, config.lr), []
    n = len(digits.x_train)
    stop = n - n % config.batch_size if drop_last else n
    for _ in range(config.epochs):
        _one_epoch(model, optimizer, digits, rng.permutation(n)[:stop], config.batch_size)
        accuracy.append(evaluate(model, digits.x_test, digits.y_test))
    return accuracy


def last_batch(config, seed):
    """P7: test accuracy after every epoch, with the last small batch and without."""
    kept, dropped = (_accuracy_by_epoch(config, seed, drop) for drop in (False, True))
    return {"kept": kept, "dropped": dropped}


P7_LAST_BATCH = pitfall(
    "P7",
    "Accuracy jumps wildly from epoch to epoch, while the training loss looks fine.",
    "The epoch ends with what is left over: here 2 images, whose mean and variance enter the "
    "running statistics like those of any other batch. Drop the last batch (drop_last=True).",
    "torch.utils.data.DataLoader, documentation",
    config=LastBatch(),
    one_seed=last_batch,
    symptom=lambda a: (
        a["kept"][:, 4:].min() < 0.7,
        f"worst epoch after the fourth below 70%: {a['kept'][:, 4:].min() < 0.7}",
    ),
    fixed=lambda a: (
        a["dropped"][:, 4:].min() > 0.9,
        f"above 90%: {a['dropped'][:, 4:].min() > 0.9}",
    ),
)


# P8: accumulated gradients.


@dataclass(frozen=True)
class Accumulation:
    """The gradient of 64 images, all at once and in micro-batches; milliseconds."""

    rows: int = 64
    micro: tuple[int, ...] = (16, 4, 2)
    seed: int = 0


def _two_hidden_layers(norm, rng):
    """64-50-50-10 with a norm of one's choice; None for none."""
    layers = []
    for features in (64, 50):
        layers += [Linear(features, 50, rng=rng), *([norm(50)] if norm else []), ReLU()]
    return Sequential(*layers, Linear(50, 10, rng=rng))


def accumulated_gradient(model, x, y, size):
    """Mean over micro-batches of the gradient of the first layer's weight, (out, in)."""
    gradients = []
    for start in range(0, len(x), size):
        _backward(model, x[start : start + size], y[start : start + size])
        gradients.append(model.grads["0.weight"])
    return np.mean(gradients, axis=0)


def accumulation(config):
    """P8: relative distance of the accumulated gradient from that of the whole batch."""
    digits, result = load_digits(), {"micro": np.array(config.micro)}
    x, y = digits.x_train[: config.rows], digits.y_train[: config.rows]
    for name, norm in {"batch norm": BatchNorm, "layer norm": LayerNorm, "no norm": None}.items():
        model = _two_hidden_layers(norm, np.random.default_rng(config.seed))
        whole = accumulated_gradient(model, x, y, config.rows)
        parts = [accumulated_gradient(model, x, y, size) - whole for size in config.micro]
        result[name] = np.linalg.norm(parts, axis=(1, 2)) / np.linalg.norm(whole)
    return result


def _off(error, size):
    return f"{100 * error:.0f}% at {size}"


P8_ACCUMULATION = pitfall(
    "P8",
    "Gradients accumulated over small batches train another network than one large batch.",
    "The sum of gradients is the same, the statistics are not: each micro-batch normalizes "
    "itself. Without batch norm, or with a norm per example, accumulation is exact.",
    "Ioffe & Szegedy 2015, Algorithm 1; algebra",
    config=Accumulation(),
    demo=accumulation,
    symptom=lambda a: (
        a["batch norm"].min() > 0.1,
        "the gradient is off by " + ", ".join(map(_off, a["batch norm"], a["micro"])),
    ),
    fixed=lambda a: (
        max(a["layer norm"].max(), a["no norm"].max()) < 1e-12,
        f"{100 * a['layer norm'].max():.0f}% with layer norm, "
        f"{100 * a['no norm'].max():.0f}% without any",
    ),
)
