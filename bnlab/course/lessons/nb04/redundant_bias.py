"""Claims about the bias in front of batch norm: what it does, and what happens if it is trained.

One hidden layer on one batch of digits, z = x W' + b, then batch norm, ReLU and a last layer.
"""

from dataclasses import dataclass

import numpy as np

from bnlab import functional as F
from bnlab.batchnorm import batchnorm_backward
from bnlab.course.experiments import panels
from bnlab.course.experiments.bench import plain_batchnorm, train
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.course.experiments.panels import log_dots
from bnlab.course.experiments.rule import Part, exact
from bnlab.data import load_digits
from bnlab.layers import BatchNorm, Linear, ReLU, Sequential

EXACT = 1e-10
CLOSE = 1e-8  # after some steps of training, in which rounding grows


def network(features, bias, seed=0, eps=1e-5):
    """Linear, batch norm, ReLU, linear; the same weights with and without a bias in front.

    >>> list(network(4, bias=False).parameters())
    ['0.weight', '1.weight', '1.bias', '3.weight', '3.bias']
    """
    rng = np.random.default_rng(seed)
    return Sequential(
        Linear(64, features, bias=bias, rng=rng),
        BatchNorm(features, eps=eps),
        ReLU(),
        Linear(features, 10, rng=rng),
    )


def loss_and_backward(model, x, labels):
    """Return the mean cross-entropy of a batch and the gradient to x; fill ``model.grads``."""
    loss, cache = F.cross_entropy_forward(model(x), labels)
    return loss, model.backward(F.cross_entropy_backward(cache))


# S10: a bias that is trained as if the mean were a constant.


@dataclass(frozen=True)
class DetachedBias:
    """Only b is trained, on one batch, by plain gradient descent; takes about 0.1 s."""

    rows: int = 128
    features: int = 32
    steps: int = 200
    lr: float = 1.0
    eps: float = 1e-5
    seed: int = 0


def bias_path(config, detached):
    """Train b alone: how far it is from its start after each step, the loss before it, (steps,).

    `detached`: the gradient ignores that the mean and the variance depend on b.
    """
    digits = load_digits()
    x, labels = digits.x_train[: config.rows], digits.y_train[: config.rows]
    first, _, *rest = network(config.features, bias=False, seed=config.seed)
    z, tail = first(x), Sequential(*rest)
    b = start = np.random.default_rng(config.seed).normal(size=config.features)
    moved, losses = np.empty((2, config.steps))
    for step in range(config.steps):
        y, cache = plain_batchnorm(z + b, config.eps)
        losses[step], dy = loss_and_backward(tail, y, labels)
        dz = dy * cache.inv_std if detached else batchnorm_backward(dy, cache)[0]
        b = b - config.lr * dz.sum(axis=0)
        moved[step] = np.linalg.norm(b - start)
    return moved, losses


def _run_s10(config):
    rng = np.random.default_rng(config.seed)
    z, b = rng.normal(size=(config.rows, config.features)), rng.normal(size=config.features)
    centred = z + b - (z + b).mean(axis=0)
    detached, losses = bias_path(config, detached=True)
    attached, _ = bias_path(config, detached=False)
    return {
        "left_of_b": np.abs(centred - (z - z.mean(axis=0))).max(),
        "left_of_mean": np.abs(centred.mean(axis=0)).max(),
        "detached": detached,
        "attached": attached,
        "losses": losses,
    }


def _judge_s10(arrays):
    left = max(arrays["left_of_b"], arrays["left_of_mean"])
    moved = np.max(arrays["attached"])
    return [
        Part(
            "the mean of activations and bias is not gone, or the bias is still there, when the "
            "batch mean is subtracted",
            bool(left > EXACT),
            f"largest difference {left:.0e}",
        ),
        Part(
            "trained with its gradient, the bias moves away from its start",
            bool(moved > EXACT),
            f"by {moved:.0e} in {len(arrays['attached'])} steps",
        ),
        _runs_away(np.array(arrays["detached"]), np.ptp(arrays["losses"])),
    ]


def _runs_away(moved, loss):
    steps = len(moved)
    in_proportion = np.allclose(moved, np.arange(1, steps + 1) * moved[0], rtol=1e-6)
    return Part(
        "trained as if the mean were a constant, it runs away in proportion to the steps",
        bool(in_proportion and moved[0] > 1e-3),
        f"by {moved[0]:.2f} in one step, {moved[-1]:.1f} in {steps}, and the loss by {loss:.0e}",
    )


def _draw_s10(arrays):
    import matplotlib.pyplot as plt

    _, (left, right) = plt.subplots(1, 2, figsize=(10, 3.4))
    steps = np.arange(1, len(arrays["detached"]) + 1)
    ways = {"the mean a constant": arrays["detached"], "true gradient": arrays["attached"]}
    panels.lines(steps, ways, "step", "distance of the bias from its start", ax=left)
    loss, start = {"the mean a constant": arrays["losses"]}, arrays["losses"][0]
    around = (0.9 * start, 1.1 * start)
    panels.lines(steps, loss, "step", "training loss", ylim=around, ax=right)
    return left


S10_DETACHED_BIAS = Experiment(
    Claim(
        "S10",
        "The bias cancels the subtraction of the mean, and during training it explodes or "
        "vanishes.",
        "It is the other way round: the subtraction cancels the bias. The bias runs away only if "
        "its update ignores that the mean depends on it; the loss does not notice.",
        "identity",
        "04",
        "Ioffe & Szegedy 2015, section 2",
    ),
    DetachedBias(),
    run=_run_s10,
    judge=_judge_s10,
    draw=_draw_s10,
    setting="float64, a bias before batch norm trained on one batch of {rows} digits, "
    "{steps} steps at rate {lr}",
)


# B1: the bias of the layer before batch norm.


@dataclass(frozen=True)
class RedundantBias:
    """Two networks with the same weights, one with a random bias before batch norm; 0.1 s."""

    rows: int = 128  # of the identities
    features: int = 32
    steps: int = 60
    batch_size: int = 64
    lr: float = 0.5
    eps: float = 1e-5
    seed: int = 0


def _run_b1(config):
    digits = load_digits()
    x, labels = digits.x_train[: config.rows], digits.y_train[: config.rows]
    plain, biased = (network(config.features, b, config.seed, config.eps) for b in (False, True))
    bias = np.random.default_rng(config.seed).normal(0, 10, config.features)
    biased[0].bias[...] = bias
    before = _difference(plain, biased, x)
    loss_and_backward(biased, x, labels)
    sizes = {name: np.abs(g).max() for name, g in biased.grads.items()}
    schedule = {"steps": config.steps, "batch_size": config.batch_size}
    for model in (plain, biased):
        train(model, digits, config.lr, config.seed, **schedule)
    return {
        "shift": np.abs(bias).max(),
        "before": before,
        "after": _difference(plain, biased, x),
        "moved": np.abs(biased[0].bias - bias).max(),
        **{f"gradient_of_{name}": size for name, size in sizes.items()},
    }


def _difference(one, other, x):
    return np.abs(one.train()(x) - other.train()(x)).max()


def _judge_b1(arrays):
    apart = [arrays["before"], arrays["after"]]
    weight, bias = arrays["gradient_of_0.weight"], arrays["gradient_of_0.bias"]
    return [
        exact("with it the logits are the same, before and after training, to 1e-8", apart, CLOSE),
        Part(
            "it has no gradient, beside that of the weights, and does not move",
            bool(bias <= EXACT * weight and arrays["moved"] <= CLOSE),
            f"largest gradients {bias:.0e} and {weight:.2f}, moved by {arrays['moved']:.0e}",
        ),
    ]


def _draw_b1(arrays):
    names = {
        "weights before batch norm": "0.weight",
        "their bias": "0.bias",
        "batch norm's beta": "1.bias",
        "bias of the last layer": "3.bias",
    }
    sizes = [arrays[f"gradient_of_{name}"] for name in names.values()]
    return log_dots(list(names), {"gradient": sizes}, "largest gradient")


B1_REDUNDANT_BIAS = Experiment(
    Claim(
        "B1",
        "The bias of the layer before batch norm is irrelevant and can be removed.",
        "That bias and no other: batch norm's own beta stays, and so does the bias of the last "
        "layer. With averaged or frozen statistics the bias counts; with detached ones it "
        "still drops out, but drifts.",
        "identity",
        "04",
        "Ioffe & Szegedy 2015, section 3.2; algebra",
    ),
    RedundantBias(),
    run=_run_b1,
    judge=_judge_b1,
    draw=_draw_b1,
    setting="float64, 64-{features}-10 with a random bias before batch norm and without, "
    "{steps} steps of {batch_size} images at rate {lr}",
)
