"""Pitfalls of small batches: P1 (one example), P7 (the last batch), P8 (accumulated gradients)."""

from dataclasses import dataclass

import numpy as np

from bnlab import functional as F
from bnlab.batchnorm import batchnorm_inference
from bnlab.course.experiments import panels
from bnlab.course.experiments.rule import Part, exact, in_every_seed
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


def _ends(outputs):
    return f"{np.min(outputs):.1f} to {np.max(outputs):.1f}"


def _draw_one(arrays):
    kinds = {"batch of one": "by_formula", "running\nstatistics": "fixed"}
    groups = {
        f"example {k + 1},\n{kind}": np.ravel(arrays[name][k])
        for kind, name in kinds.items()
        for k in range(2)
    }
    return panels.strip(groups, "outputs of the features")


P1_BATCH_OF_ONE = pitfall(
    "P1",
    "Training on one example at a time raises an error, or with code of your own learns nothing.",
    "One value minus its mean is 0: the output is beta, whatever came in. Use larger batches, "
    "running statistics (evaluation mode), or a norm without a batch (notebook 10).",
    "algebra; torch.nn.functional.batch_norm",
    config=One(),
    setting="two examples of {features} features with mean 3, each in a batch of its own",
    demo=batch_of_one,
    symptom=lambda a: [
        Part(
            "torch refuses to train on one example",
            bool(a["refused"]),
            "refused" if a["refused"] else "accepted",
        ),
        Part(
            "a formula without a guard answers beta, whatever came in",
            bool(np.ptp(a["by_formula"]) == 0),
            _ends(a["by_formula"]),
        ),
    ],
    fixed=lambda a: Part(
        "by running statistics two examples get different answers",
        bool(np.abs(np.subtract(*a["fixed"])).min() > 0.01),
        _ends(a["fixed"]),
    ),
    draw=_draw_one,
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


def _jumps(accuracy):
    """Largest change of accuracy between epochs after the fourth, in points (S,)."""
    return 100 * np.abs(np.diff(accuracy[:, 4:], axis=1)).max(axis=1, initial=0.0)


def _by(jumps):
    return f"by up to {jumps.min():.0f} to {jumps.max():.0f} points"


P7_LAST_BATCH = pitfall(
    "P7",
    "Accuracy jumps wildly from epoch to epoch, while the training loss looks fine.",
    "The epoch ends with what is left over: here 2 images, whose mean and variance enter the "
    "running statistics like those of any other batch. Drop the last batch (drop_last=True).",
    "torch.utils.data.DataLoader, documentation",
    config=LastBatch(),
    setting="64-50-50-10 with ReLU in float64, {epochs} epochs of 9 batches of {batch_size} images "
    "and one of 2, rate {lr}",
    one_seed=last_batch,
    symptom=lambda a: Part(
        "with the last batch accuracy jumps by over 10 points from one epoch after the fourth to "
        "the next",
        in_every_seed(_jumps(a["kept"]) > 10),
        _by(_jumps(a["kept"])),
    ),
    fixed=lambda a: Part(
        "without it never by over 10 points",
        in_every_seed(_jumps(a["dropped"]) < 10),
        _by(_jumps(a["dropped"])),
    ),
    draw=lambda a: panels.lines(
        1 + np.arange(a["kept"].shape[1]),
        {"last batch kept": 100 * a["kept"], "dropped": 100 * a["dropped"]},
        "epoch",
        "test accuracy, %",
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
    setting="64-50-50-10 with ReLU in float64, {rows} images in micro-batches of {micro}",
    demo=accumulation,
    symptom=lambda a: Part(
        "accumulated with batch norm the gradient is off by over 10%, at each size",
        bool(np.min(a["batch norm"]) > 0.1),
        ", ".join(map(_off, a["batch norm"], a["micro"])),
    ),
    fixed=lambda a: exact(
        "with layer norm and without any norm it is that of the whole batch",
        np.maximum(a["layer norm"], a["no norm"]),
    ),
    draw=lambda a: panels.lines(
        a["micro"][::-1],
        {name: a[name][::-1] for name in ("batch norm", "layer norm", "no norm")},
        "images in a micro-batch",
        "relative error of the gradient",
        yscale="log",
    ),
)
