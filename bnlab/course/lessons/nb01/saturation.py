"""Claims about the sigmoid: what is left of the gradient below many of them, and the formula.

Networks of 100 sigmoids a layer on the digits, with and without batch norm: the same weights, the
same mini-batches, the same learning rates.
"""

import functools
import itertools
from dataclasses import dataclass

import numpy as np

from bnlab import functional as F
from bnlab.course.experiments.bench import (
    EXACT,
    accuracy_at_best,
    rate_sweep,
    sigmoid_net,
)
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.course.experiments.panels import lines
from bnlab.course.experiments.rule import Part, in_every_seed
from bnlab.course.experiments.seeds import over_seeds
from bnlab.data import load_digits

# S6: gradients and accuracy by depth.


@dataclass(frozen=True)
class Depths:
    """Train at each depth from small and from large weights; a minute."""

    inputs: tuple[float, ...] = (0.0, 5.0, 10.0)  # where the slope of a sigmoid is read
    depths: tuple[int, ...] = (1, 3, 5, 7)
    stds: tuple[float, float] = (0.14, 0.5)  # of the weights: as He has it, and larger
    lrs: tuple[float, ...] = (0.1, 0.5, 2.0)
    steps: int = 400
    batch_size: int = 60
    seeds: tuple[int, ...] = (0, 1, 2)


def first_to_last(model, x, y):
    """Gradient norm of the first layer's weights, divided by that of the last layer's."""
    _, cache = F.cross_entropy_forward(model.train()(x), y)
    model.backward(F.cross_entropy_backward(cache))
    first, last = model.grads["0.weight"], model.grads[f"{len(model) - 1}.weight"]
    return np.linalg.norm(first) / np.linalg.norm(last)


def _one_net(config, digits, seed, batchnorm, std, depth):
    """Share of the gradient before training, and accuracy after it at each rate, (R, 2)."""
    make = functools.partial(sigmoid_net, depth, batchnorm, seed, std)
    schedule = {"steps": config.steps, "batch_size": config.batch_size}
    share = first_to_last(make(), digits.x_train, digits.y_train)
    return share, rate_sweep(make, digits, config.lrs, seed, **schedule)


def _one_seed_s6(config, seed):
    digits, shape = load_digits(seed, np.float32), (len(config.stds), len(config.depths))
    result = {}
    for side, batchnorm in (("plain", False), ("bn", True)):
        settings = itertools.product(config.stds, config.depths)
        nets = [_one_net(config, digits, seed, batchnorm, *setting) for setting in settings]
        shares, accuracy = map(np.array, zip(*nets, strict=True))
        result[f"gradient_{side}"] = shares.reshape(shape)
        result[f"accuracy_{side}"] = accuracy.reshape(*shape, -1, 2)
    return result


def slopes(x):
    """Derivative of the sigmoid at each x.

    >>> slopes(np.array([0.0, 5.0])).round(4)
    array([0.25  , 0.0066])
    """
    _, cache = F.sigmoid_forward(x)
    return F.sigmoid_backward(np.ones_like(x), cache)


def _run_s6(config):
    fixed = {name: np.array(getattr(config, name)) for name in ("depths", "stds", "lrs", "inputs")}
    return {**fixed, "slopes": slopes(fixed["inputs"]), **over_seeds(_one_seed_s6, config)}


def _told_s6(arrays, k):
    """What networks with these weights do at each depth."""
    share, accuracy = arrays["gradient_plain"][:, k].mean(axis=0), arrays["accuracy_plain"][:, k]
    right = 100 * accuracy_at_best(accuracy).mean(axis=0)
    best = accuracy[..., 0].mean(axis=0).argmax(axis=-1)
    rows = zip(arrays["depths"], share, right, arrays["lrs"][best], strict=True)
    listed = (f"{d} deep {s:.1g}, after training {a:.0f}% at rate {lr:g}" for d, s, a, lr in rows)
    return f"standard deviation {arrays['stds'][k]:g}: {'; '.join(listed)}"


def _deeper(arrays, weights, k):
    return Part(
        f"with {weights} weights the first layer's share of the gradient, in parts of the last "
        "layer's, is smaller the deeper the network is",
        in_every_seed((np.diff(arrays["gradient_plain"][:, k], axis=1) < 0).all(axis=1)),
        _told_s6(arrays, k),
    )


def _judge_s6(arrays):
    slope = arrays["slopes"]
    return [
        Part(
            "where a sigmoid is saturated, at an input of 10, its slope is less than a thousandth "
            "of that at 0",
            bool(slope[-1] < 1e-3 * slope[0]),
            f"{slope[-1]:.1g} and {slope[0]:.2g}",
        ),
        _deeper(arrays, "small", 0),
        _deeper(arrays, "large", 1),
    ]


def _draw_s6(arrays):
    """The gradient before training, and what is learned, by depth."""
    import matplotlib.pyplot as plt

    _, (left, right) = plt.subplots(1, 2, figsize=(12, 3.8))
    keys = [(k, side) for k in (0, 1) for side in ("plain", "bn")]
    words = {"plain": "", "bn": ", batch norm"}
    names = [f"std {arrays['stds'][k]:g}{words[side]}" for k, side in keys]
    shares = [arrays[f"gradient_{side}"][:, k] for k, side in keys]
    learned = [100 * accuracy_at_best(arrays[f"accuracy_{side}"])[:, k] for k, side in keys]
    for ax, values, ylabel, scale in (
        (left, shares, "gradient of first / last weights", "log"),
        (right, learned, "test accuracy at the best rate, %", "linear"),
    ):
        groups = dict(zip(names, values, strict=True))
        lines(arrays["depths"], groups, "hidden layers of sigmoids", ylabel, ax=ax, yscale=scale)
    return left


S6_DEPTH = Experiment(
    Claim(
        "S6",
        "A saturated sigmoid passes almost no gradient, and with depth this gets worse.",
        "Yes: the slope of a sigmoid is at most 1/4 and falls to 0 where it saturates, and the "
        "slopes multiply from layer to layer, as do the weights. How deep a network still learns "
        "depends on them: from a standard deviation of 0.14 five layers stay at 10% for 400 steps "
        "at every rate tried, from 0.5 they get beyond 90% at rate 0.5.",
        "experiment",
        "01",
        "Ioffe & Szegedy 2015, section 1",
    ),
    Depths(),
    run=_run_s6,
    judge=_judge_s6,
    setting="{depths} hidden layers of 100 sigmoids, weights of standard deviation {stds}, {steps} "
    "steps of {batch_size} images, rates {lrs} chosen on validation images",
    draw=_draw_s6,
)


# S7: the formula of the sigmoid.


@dataclass(frozen=True)
class Grid:
    """Where the two formulas are compared: evenly from -limit to limit, never at 0."""

    points: int = 50
    limit: float = 4.9


def sigmoid_with_the_wrong_sign(x):
    """The formula as some notes have it; it has a pole at 0."""
    return 1 / (1 - np.exp(-x))


def _run_s7(config):
    x = np.linspace(-config.limit, config.limit, config.points)
    return {"x": x, "said": sigmoid_with_the_wrong_sign(x), "sigmoid": F.sigmoid_forward(x)[0]}


def _judge_s7(arrays):
    x, said, sigmoid = (arrays[name] for name in ("x", "said", "sigmoid"))
    near = np.flatnonzero(np.abs(x) == np.abs(x).min())
    values = (" and ".join(f"{v:.3g}" for v in y[near]) for y in (x, said, sigmoid))
    return [
        Part(
            "1/(1 - e^-x) equals the sigmoid",
            bool(np.abs(said - sigmoid).max() <= EXACT),
            "at {} it is {}, the sigmoid is {}".format(*values),
        )
    ]


def _draw_s7(arrays):
    import matplotlib.pyplot as plt

    x, said = arrays["x"], arrays["said"]
    _, ax = plt.subplots(figsize=(5.6, 3.6))
    ax.plot(x, arrays["sigmoid"], "-", color="C0", label="1/(1 + e^-x), the sigmoid")
    for side in (x < 0, x > 0):  # the line breaks at the pole
        label = "1/(1 - e^-x), a pole at 0" if x[side][0] > 0 else None
        ax.plot(x[side], said[side], "--", color="C1", label=label)
    ax.set(xlabel="x", ylabel="value", ylim=(-4, 5))
    ax.legend()
    return ax


S7_FORMULA = Experiment(
    Claim(
        "S7",
        "The sigmoid is 1/(1 - e^-x).",
        "It is 1/(1 + e^-x). With the minus there is a pole at 0, and every value lies outside "
        "the interval from 0 to 1.",
        "identity",
        "01",
        "Ioffe & Szegedy 2015, section 1",
    ),
    Grid(),
    run=_run_s7,
    judge=_judge_s7,
    setting="{points} values of x from -{limit} to {limit}, float64",
    draw=_draw_s7,
)
