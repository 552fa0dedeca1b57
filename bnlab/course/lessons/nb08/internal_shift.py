"""Claims about internal covariate shift: that batch norm removes it, and uncouples the layers.

Santurkar et al. 2018 measure the shift that a layer suffers by its gradient, before and after the
layers below have made their step. If these do not matter, the cosine of the two is 1.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np

from bnlab import functional as F
from bnlab.course.experiments import panels
from bnlab.course.experiments.bench import both_sides, deep_net, train
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.course.experiments.rule import Part, in_every_seed
from bnlab.course.lessons.nb08.drawing import WITH, WITHOUT, legend_for_labels, row_of_axes
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

NETS = {"relu": "ReLU network", "linear": "linear network"}


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


def _nearer(arrays, name, text):
    """Whether batch norm brings the upper layers' cosine nearer to 1, and what that does."""
    plain, bn = (arrays[f"{name}_{side}"].mean(axis=1) for side in ("plain", "bn"))
    losses = [arrays[f"{name}_{side}_loss"].mean() for side in ("plain", "bn")]
    return Part(
        f"{text}: with batch norm the upper layers shift less (cosine nearer to 1), in every seed",
        in_every_seed(bn > plain),
        f"cosine {plain.mean():.2f} to {bn.mean():.2f}, training loss {losses[0]:.2f} to "
        f"{losses[1]:.2f}",
    )


def _judge_w4(arrays):
    lowest = np.minimum(*(arrays[f"{name}_bn"].mean(axis=1) for name in NETS))
    none_left = Part(
        "with batch norm no shift is left: cosine above 0.99 in both networks, in every seed",
        in_every_seed(lowest > 0.99),
        f"the lower of the two is {lowest.mean():.2f}",
    )
    return [*(_nearer(arrays, name, text) for name, text in NETS.items()), none_left]


def _draw_w4(arrays):
    """The upper layers' cosine over the steps, a panel a network."""
    axes = row_of_axes(list(NETS.values()), sharey=True)
    for name, ax in zip(NETS, axes, strict=True):
        groups = {WITHOUT: arrays[f"{name}_plain"], WITH: arrays[f"{name}_bn"]}
        panels.lines(arrays["steps"][0], groups, "step of training", "", ax=ax,
                     limit=(1.0, "no shift"))  # fmt: skip
        legend_for_labels(ax, loc="lower right")
    axes[0].set(ylabel="cosine of the gradient with itself,\nafter a step of the layers below")
    return axes[0]


W4_SHIFT = Experiment(
    Claim(
        "W4",
        "Batch norm works because it eliminates internal covariate shift.",
        "It eliminates nothing: by the measure of Santurkar et al. the shift falls in one "
        "architecture and rises in another, which trains better all the same.",
        "experiment",
        "08",
        "Ioffe & Szegedy 2015, section 2; Santurkar et al. 2018, section 2.2",
        published="both ways",
    ),
    Shift(),
    one_seed=_one_seed_w4,
    judge=_judge_w4,
    setting="3 hidden layers of 100 with ReLU, rates {relu_lrs} without and with batch norm, and "
    "{linear_depth} linear layers of {linear_width}, rates {linear_lrs}; {steps} steps of "
    "{batch_size} images",
    draw=_draw_w4,
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
    (plain, moved_plain), (bn, moved_bn) = arrays["plain"].T, arrays["bn"].T
    return [
        Part(
            "independent: with batch norm the second layer's gradient does not turn when the first "
            "layer steps (cosine 1 up to 0.001), in every seed",
            in_every_seed(bn > 0.999),
            f"cosine {bn.mean():.3f}",
        ),
        Part(
            "less to follow: at the same rate it turns less than without batch norm, in every seed",
            in_every_seed(bn > plain),
            f"cosine {plain.mean():.2f} to {bn.mean():.2f}; the weights move by "
            f"{100 * moved_plain.mean():.1f} and {100 * moved_bn.mean():.1f}% of their norm",
        ),
    ]


def _draw_a16(arrays):
    """The cosine of each seed, without and with batch norm."""
    groups = {"without\nbatch norm": arrays["plain"][:, 0], "with\nbatch norm": arrays["bn"][:, 0]}
    name = "cosine of the second layer's gradient,\nbefore and after a step of the first"
    ax = panels.strip(groups, name, limit=(1.0, "independent: 1"))
    ax.set_ylim(top=1.004)
    return ax


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
    setting="3 hidden layers of 100 with ReLU, {steps} steps of {batch_size} images, rate {lr}",
    draw=_draw_a16,
)
