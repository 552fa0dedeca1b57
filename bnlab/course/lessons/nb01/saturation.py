"""Claims about sigmoid networks: what happens to the inputs of their sigmoids, and to gradients.

Networks of 100 sigmoids a layer on the digits, with and without batch norm: the same weights, the
same mini-batches, the same learning rates.
"""

import functools
from dataclasses import dataclass

import numpy as np

from bnlab import functional as F
from bnlab.course.experiments.bench import input_of_last, rate_sweep, sigmoid_net, train
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.course.experiments.seeds import over_seeds
from bnlab.data import load_digits

# S4: one layer, followed over the steps of training.


@dataclass(frozen=True)
class Trace:
    """Follow the last sigmoids of a network of 3 layers; 3 seconds for 3 seeds."""

    depth: int = 3
    # Of 0.1, 0.5, 1, 2 and 4, on validation images: the best with batch norm, second without.
    lr: float = 2.0
    steps: int = 1000
    batch_size: int = 60
    every: int = 20
    seeds: tuple[int, ...] = (0, 1, 2)


def _percentiles(config, digits, batchnorm, seed):
    """15th, 50th and 85th percentile of each sigmoid's input over validation images, (T, 3, C)."""
    model = sigmoid_net(config.depth, batchnorm, seed)
    schedule = {"steps": config.steps, "batch_size": config.batch_size, "every": config.every}

    def percentiles(model):
        return np.percentile(input_of_last(model, digits.x_val), (15, 50, 85), axis=0)

    history = train(model, digits, config.lr, seed, measure=percentiles, **schedule)
    return np.array(history.steps), np.array(history.measured)


def _one_seed_s4(config, seed):
    digits = load_digits(seed, np.float32)
    steps, plain = _percentiles(config, digits, False, seed)
    _, normalized = _percentiles(config, digits, True, seed)
    return {"steps": steps, "plain": plain, "bn": normalized}


def _wander(percentiles):
    """How far the median of each sigmoid's input moves over training, (S, C)."""
    medians = percentiles[:, :, 1]  # (S, T, C)
    return medians.max(axis=1) - medians.min(axis=1)


def _judge_s4(arrays):
    """IMPRECISE if one layer's inputs move over the steps by more than they were spread at first.

    If they stay where they were, depth is all that is left to explain a shift: RIGHT.
    """
    plain, normalized = _wander(arrays["plain"]), _wander(arrays["bn"])
    first = arrays["plain"][:, 0]  # (S, 3, C)
    spread = np.median(first[:, 2] - first[:, 0])
    verdict = "IMPRECISE" if np.median(plain) > spread else "RIGHT"
    measured = (
        f"in one layer, over {arrays['steps'].max()} steps, the median of a sigmoid's input "
        f"wanders over {np.median(plain):.1f} (typical) to {plain.max():.1f}; "
        f"with batch norm over {np.median(normalized):.1f} to {normalized.max():.1f}"
    )
    return verdict, measured, f"{len(plain)} seeds, {plain.shape[1]} sigmoids each"


S4_OVER_TIME = Experiment(
    Claim(
        "S4",
        "The distribution of activations shifts from layer to layer, after every few layers.",
        "What shifts, shifts over training time: the same sigmoid, on the same images, gets "
        "other inputs after every update below it.",
        "experiment",
        "01",
        "Ioffe & Szegedy 2015, figure 1 (b, c)",
    ),
    Trace(),
    one_seed=_one_seed_s4,
    judge=_judge_s4,
)


# S6: gradients and accuracy by depth.


@dataclass(frozen=True)
class Depths:
    """Train at each depth, each side at its best rate on the validation images; 15 seconds."""

    inputs: tuple[float, ...] = (0.0, 5.0, 10.0)  # where the slope of a sigmoid is read
    depths: tuple[int, ...] = (1, 3, 5, 7)
    std: float | None = None  # of the weights; None is He's
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


def _best(config, digits, depth, batchnorm, seed):
    """Test accuracy at the rate that does best on the validation images."""
    make = functools.partial(sigmoid_net, depth, batchnorm, seed, config.std)
    schedule = {"steps": config.steps, "batch_size": config.batch_size}
    return max(rate_sweep(make, digits, config.lrs, seed, **schedule).tolist())[1]


def _one_seed_s6(config, seed):
    digits = load_digits(seed, np.float32)
    result = {}
    for name, batchnorm in (("plain", False), ("bn", True)):
        nets = [sigmoid_net(depth, batchnorm, seed, config.std) for depth in config.depths]
        shares = [first_to_last(net, digits.x_train, digits.y_train) for net in nets]
        best = [_best(config, digits, depth, batchnorm, seed) for depth in config.depths]
        result |= {f"gradient_{name}": shares, f"accuracy_{name}": best}
    return result


def slopes(x):
    """Derivative of the sigmoid at each x.

    >>> slopes(np.array([0.0, 5.0])).round(4)
    array([0.25  , 0.0066])
    """
    _, cache = F.sigmoid_forward(x)
    return F.sigmoid_backward(np.ones_like(x), cache)


def _run_s6(config):
    fixed = {"depths": np.array(config.depths), "slopes": slopes(np.array(config.inputs))}
    return {**fixed, **over_seeds(_one_seed_s6, config)}


def _judge_s6(arrays):
    """RIGHT if slopes, gradients and learning all vanish, IMPRECISE if two of the three do."""
    gradient, accuracy = arrays["gradient_plain"], 100 * arrays["accuracy_plain"]  # (S, D)
    saturates = arrays["slopes"][-1] < 1e-3 * arrays["slopes"][0]
    shrinks = (np.diff(gradient, axis=1) < 0).all()
    stuck = accuracy[:, -1].max() < 20
    holds = int(saturates) + int(shrinks) + int(stuck)
    depth = arrays["depths"][-1]
    measured = (
        f"slope {arrays['slopes'][0]:.2f} at 0, {arrays['slopes'][1]:.4f} at 5; without batch norm "
        f"the first of {depth} layers gets {gradient[:, -1].mean():.0e} of the last one's gradient "
        f"and at most {accuracy[:, -1].max():.0f}% of the test images are right at any rate; with "
        f"batch norm {arrays['gradient_bn'][:, -1].mean():.1f} and at least "
        f"{100 * arrays['accuracy_bn'][:, -1].min():.0f}%"
    )
    verdict = {3: "RIGHT", 2: "IMPRECISE"}.get(holds, "WRONG")
    return verdict, measured, f"{len(gradient)} seeds, extremes over them"


S6_DEPTH = Experiment(
    Claim(
        "S6",
        "A saturated sigmoid passes almost no gradient, and with depth this gets worse.",
        "Yes: the slope of a sigmoid is at most 1/4 and falls to 0 where it saturates, and the "
        "slopes multiply from layer to layer.",
        "experiment",
        "01",
        "Ioffe & Szegedy 2015, section 1",
    ),
    Depths(),
    run=_run_s6,
    judge=_judge_s6,
)


# S7: the formula of the sigmoid.


@dataclass(frozen=True)
class Grid:
    """Where the two formulas are compared."""

    x: tuple[float, ...] = (-5.0, -0.1, 0.1, 5.0)


def sigmoid_with_the_wrong_sign(x):
    """The formula as some notes have it; it has a pole at 0."""
    return 1 / (1 - np.exp(-x))


def _run_s7(config):
    x = np.array(config.x)
    right, tanh = F.sigmoid_forward(x)[0], (1 + np.tanh(x / 2)) / 2
    return {"x": x, "said": sigmoid_with_the_wrong_sign(x), "right": right, "tanh": tanh}


def _judge_s7(arrays):
    said, right = arrays["said"], arrays["right"]
    agree = np.abs(right - arrays["tanh"]).max() < 1e-12
    verdict = "RIGHT" if np.allclose(said, right) else "WRONG"
    listed = " and ".join(f"{v:.1f}" for v in said[np.abs(arrays["x"]) < 1])
    measured = f"it gives {listed} at -0.1 and 0.1; 1/(1 + e^-x) equals (1 + tanh(x/2))/2: {agree}"
    return verdict, measured, "identity, float64, within 1e-12"


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
)
