"""Claims about internal covariate shift: that batch norm removes it, and uncouples the layers.

Santurkar et al. 2018 measure the shift that a layer suffers by its gradient, before and after the
layers below have made their step. If these do not matter, the cosine of the two is 1.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np

from bnlab import functional as F
from bnlab.course.experiments.bench import both_sides, deep_net, train
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.data import load_digits, minibatches
from bnlab.layers import BatchNorm, Linear, Sequential


def cosine(a, b):
    """Cosine of the angle between two arrays of one shape, seen as long vectors.

    >>> round(cosine(np.array([[3.0], [0.0]]), np.array([[1.0], [1.0]])), 4)
    0.7071
    """
    lengths = np.linalg.norm(a) * np.linalg.norm(b)
    return float(np.sum(a * b) / lengths) if lengths else 0.0


def weight_gradients(model, x, y):
    """Gradients of the weights of all linear layers, in order."""
    _, cache = F.cross_entropy_forward(model.train()(x), y)
    model.backward(F.cross_entropy_backward(cache))
    return [layer.grads["weight"].copy() for layer in model if isinstance(layer, Linear)]


def shift_by_layer(model, x, y, lr):
    """Cosine of each linear layer's gradient with itself after a step of those below, (L - 1,).

    The first has nothing below it and is left out; the model is left as it was.
    """
    state = model.state_dict()
    before = weight_gradients(model, x, y)
    step = dict(model.grads)
    cosines, place = [], 0
    for i, layer in enumerate(model):
        if isinstance(layer, Linear):
            if place:
                cosines.append(cosine(before[place], weight_gradients(model, x, y)[place]))
            place += 1
        for name, parameter in layer.parameters().items():
            parameter -= np.float32(lr) * step[f"{i}.{name}"]
    model.load_state_dict(state)
    return np.array(cosines)


def linear_net(batchnorm, seed, *, depth, width):
    """`depth` linear layers, the last for the logits, with nothing or batch norm between them."""
    rng = np.random.default_rng(seed)

    def linear(fan_in, fan_out):  # keeps the size of a signal that meets no ReLU
        return Linear(fan_in, fan_out, rng=rng, std=fan_in**-0.5, dtype=np.float32)

    layers = []
    for fan_in in [64, *[width] * (depth - 2)]:
        layers.append(linear(fan_in, width))
        layers += [BatchNorm(width, dtype=np.float32)] if batchnorm else []
    return Sequential(*layers, linear(width, 10))


# W4: two architectures, two answers.


@dataclass(frozen=True)
class Shift:
    """The upper layers' shift during training, in two architectures; 10 seconds for 3 seeds."""

    # Without and with batch norm; of 0.01, 0.03, 0.1 and 0.3 those with the lowest training loss.
    relu_lrs: tuple[float, float] = (0.1, 0.3)
    linear_lrs: tuple[float, float] = (0.01, 0.1)
    linear_depth: int = 25
    linear_width: int = 50
    steps: int = 200
    every: int = 20
    batch_size: int = 60
    seeds: tuple[int, ...] = (0, 1, 2)


def _trace(config, digits, model, lr, seed):
    """Mean shift of the upper half of the layers over the steps, and the loss at the end."""
    rng = np.random.default_rng(seed + 1000)
    x, y = next(minibatches(digits.x_train, digits.y_train, config.batch_size, rng))
    measure = partial(shift_by_layer, x=x, y=y, lr=lr)
    schedule = {"steps": config.steps, "every": config.every}
    history = train(model, digits, lr, seed, measure=measure, **schedule)
    cosines = np.array(history.measured)  # (T, L - 1)
    upper = cosines[:, cosines.shape[1] // 2 :].mean(axis=1)
    return upper, history.loss[-config.steps // 5 :].mean()


def _one_seed_w4(config, seed):
    digits = load_digits(seed, np.float32)
    linear = partial(linear_net, depth=config.linear_depth, width=config.linear_width)
    nets = {"relu": (config.relu_lrs, deep_net), "linear": (config.linear_lrs, linear)}
    result = {"steps": [*range(0, config.steps, config.every), config.steps]}
    for name, (lrs, make) in nets.items():
        for side, lr in zip(("plain", "bn"), lrs, strict=True):
            cosines, loss = _trace(config, digits, make(side == "bn", seed), lr, seed)
            result |= {f"{name}_{side}": cosines, f"{name}_{side}_loss": loss}
    return result


def _judge_w4(arrays):
    """CONTESTED if the cosine rises in one architecture and falls in another, in every seed.

    RIGHT if batch norm brings it above 0.99 in both, WRONG if it lowers it in both.
    """
    sides = [f"{net}_{side}" for net in ("relu", "linear") for side in ("plain", "bn")]
    mean = {name: arrays[name].mean(axis=1) for name in sides}
    rises = [bool((mean[f"{n}_bn"] > mean[f"{n}_plain"]).all()) for n in ("relu", "linear")]
    falls = [bool((mean[f"{n}_bn"] < mean[f"{n}_plain"]).all()) for n in ("relu", "linear")]
    if min(mean[f"{n}_bn"].min() for n in ("relu", "linear")) > 0.99:
        verdict = "RIGHT"
    elif all(falls):
        verdict = "WRONG"
    else:
        verdict = "CONTESTED" if any(rises) and any(falls) else "IMPRECISE"
    texts = [
        f"{text} {mean[f'{n}_plain'].mean():.2f} to {mean[f'{n}_bn'].mean():.2f} (loss "
        f"{arrays[f'{n}_plain_loss'].mean():.2f} to {arrays[f'{n}_bn_loss'].mean():.2f})"
        for n, text in (("relu", "ReLU"), ("linear", "linear"))
    ]
    measured = f"cosine of the upper layers, without to with batch norm: {', '.join(texts)}"
    spread = f"{len(mean['relu_bn'])} seeds, 1 is no shift, each side at its own rate"
    return verdict, measured, spread


W4_SHIFT = Experiment(
    Claim(
        "W4",
        "Batch norm works because it eliminates internal covariate shift.",
        "It eliminates nothing: by the measure of Santurkar et al. the shift falls in one "
        "architecture and rises in another, which trains better all the same.",
        "experiment",
        "08",
        "Ioffe & Szegedy 2015, section 2; Santurkar et al. 2018, section 2.2",
    ),
    Shift(),
    one_seed=_one_seed_w4,
    judge=_judge_w4,
)


# A16: are the layers independent?


@dataclass(frozen=True)
class Coupling:
    """How much the second layer of a ReLU net moves, and how it is coupled; 2 seconds, 4 seeds."""

    lr: float = 0.1
    steps: int = 50
    every: int = 10
    batch_size: int = 60
    seeds: tuple[int, ...] = (0, 1, 2, 3)


def _one_seed_a16(config, seed):
    digits = load_digits(seed, np.float32)
    x, y = digits.x_train[: config.batch_size], digits.y_train[: config.batch_size]
    schedule = {"steps": config.steps, "every": config.every}

    def cosine_of_second(model):
        return shift_by_layer(model, x, y, config.lr)[0]

    def side(batchnorm):
        model = deep_net(batchnorm, seed)
        second = [layer for layer in model if isinstance(layer, Linear)][1]
        start = second.weight.copy()
        history = train(model, digits, config.lr, seed, measure=cosine_of_second, **schedule)
        moved = np.linalg.norm(second.weight - start) / np.linalg.norm(start)
        return np.mean(history.measured), moved

    return both_sides(side)  # (2,) each


def _judge_a16(arrays):
    """RIGHT if the cosine is 1 within 0.001: then the layer below does not matter. Else WRONG."""
    (cosine_plain, moved_plain), (cosine_bn, moved_bn) = arrays["plain"].T, arrays["bn"].T
    independent = (cosine_bn > 0.999).all()
    measured = (
        f"cosine of the second layer {cosine_plain.mean():.2f} without, {cosine_bn.mean():.2f} "
        f"with batch norm (independent: 1); its weights move by {100 * moved_plain.mean():.0f}% "
        f"and {100 * moved_bn.mean():.0f}% of their norm"
    )
    spread = f"{len(cosine_bn)} seeds, cosine {cosine_bn.min():.2f} to {cosine_bn.max():.2f}"
    return "RIGHT" if independent else "WRONG", measured, spread


A16_COUPLING = Experiment(
    Claim(
        "A16",
        "Batch norm makes the layers independent of each other, so that the weights of the second "
        "layer have less to follow.",
        "Not independent: the second layer's gradient still turns when the first one steps. What "
        "is true is that at the same rate the coupling is weaker here.",
        "experiment",
        "08",
        "Santurkar et al. 2018, section 2.2",
    ),
    Coupling(),
    one_seed=_one_seed_a16,
    judge=_judge_a16,
)
