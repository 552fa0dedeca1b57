"""Claims about the bias in front of batch norm: what it does, and what happens if it is trained.

One hidden layer on one batch of digits, z = x W' + b, then batch norm, ReLU and a last layer.
"""

from dataclasses import dataclass

import numpy as np

from bnlab import functional as F
from bnlab.batchnorm import batchnorm_backward
from bnlab.course.experiments.bench import plain_batchnorm, train
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.data import load_digits
from bnlab.layers import BatchNorm, Linear, ReLU, Sequential

EXACT = 1e-10


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
    """Train b alone: norm(b) after each step and the loss before it, both (steps,).

    `detached`: the gradient ignores that the mean and the variance depend on b.
    """
    digits = load_digits()
    x, labels = digits.x_train[: config.rows], digits.y_train[: config.rows]
    first, _, *rest = network(config.features, bias=False, seed=config.seed)
    z, tail, b = first(x), Sequential(*rest), np.zeros(config.features)
    norms, losses = np.empty((2, config.steps))
    for step in range(config.steps):
        y, cache = plain_batchnorm(z + b, config.eps)
        losses[step], dy = loss_and_backward(tail, y, labels)
        dz = dy * cache.inv_std if detached else batchnorm_backward(dy, cache)[0]
        b = b - config.lr * dz.sum(axis=0)
        norms[step] = np.linalg.norm(b)
    return norms, losses


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
    detached, losses = arrays["detached"], arrays["losses"]
    steps = np.arange(1, len(detached) + 1)
    b_is_eliminated = max(arrays["left_of_b"], arrays["left_of_mean"]) <= EXACT
    stays = arrays["attached"].max() <= EXACT
    grows = np.allclose(detached, steps * detached[0], rtol=1e-6) and detached[0] > 1e-3
    fixed = np.ptp(losses) <= EXACT
    verdict = "WRONG" if b_is_eliminated and stays else "RIGHT" if grows else "IMPRECISE"
    measured = (
        f"subtracting the mean eliminates b: {b_is_eliminated}; trained with the true gradient b "
        f"stays at 0: {stays}; with the statistics held constant norm(b) is {detached[0]:.3f} "
        f"after one step, {detached[-1]:.1f} after {len(detached)}, in proportion: {grows}, while "
        f"the loss stays: {fixed}"
    )
    return verdict, measured, f"identity, float64, within {EXACT:g}"


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
    weight, bias, shift, last = (
        arrays[f"gradient_of_{name}"] for name in ("0.weight", "0.bias", "1.bias", "3.bias")
    )
    same = max(arrays["before"], arrays["after"]) <= 1e-8
    idle = bias <= EXACT * weight and arrays["moved"] <= 1e-8
    others_work = min(shift, last) > 1e-2 * weight
    verdict = "RIGHT" if same and idle and others_work else "IMPRECISE" if same else "WRONG"
    measured = (
        f"biases of up to {arrays['shift']:.0f} leave the logits alone, before and after training: "
        f"{same}; their gradient is zero and they do not move: {idle}; largest gradients: weights "
        f"{weight:.3f}, batch norm's beta {shift:.3f}, last bias {last:.3f}"
    )
    return verdict, measured, "identity, float64, within 1e-8"


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
)
