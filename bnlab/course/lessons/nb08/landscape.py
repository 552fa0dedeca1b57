"""Claim W5: batch norm makes the landscape of the loss smoother, as seen along the gradient."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from bnlab import functional as F
from bnlab.course.experiments import panels
from bnlab.course.experiments.bench import both_sides, deep_net, train
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.course.experiments.rule import Part, larger
from bnlab.course.lessons.nb08.drawing import NAMES, WITH, WITHOUT, legend_for_labels, row_of_axes
from bnlab.data import load_digits, minibatches


@dataclass(frozen=True)
class Landscape:
    """Look along the gradient every few steps of training; 3 seconds a seed."""

    activations: tuple[str, ...] = ("relu", "sigmoid")
    lr: float = 0.1
    reach: tuple[float, ...] = (0.05, 0.1, 0.2, 0.3, 0.4)  # step sizes tried, none is taken
    steps: int = 200
    every: int = 10
    batch_size: int = 60
    seeds: tuple[int, ...] = (200, 201, 202, 203, 204, 205, 206, 207)


def _loss_and_gradient(model, x, y):
    loss, cache = F.cross_entropy_forward(model.train()(x), y)
    model.backward(F.cross_entropy_backward(cache))
    return float(loss), {name: gradient.copy() for name, gradient in model.grads.items()}


def _norm(gradient):
    return np.sqrt(sum(float(np.sum(g**2)) for g in gradient.values()))


def along_the_gradient(model, x, y, reach):
    """Losses after steps of K sizes from here, (K,), and the beta of beta-smoothness on this line.

    That is the largest norm(g' - g) / norm(step). The model is left as it was.
    """
    state = model.state_dict()
    _, here = _loss_and_gradient(model, x, y)
    losses, ratios = [], []
    for size in reach:
        for name, parameter in model.parameters().items():
            parameter[...] = state[name] - np.float32(size) * here[name]
        loss, there = _loss_and_gradient(model, x, y)
        losses.append(loss)
        ratios.append(_norm({n: there[n] - g for n, g in here.items()}) / (size * _norm(here)))
    model.load_state_dict(state)
    return np.array(losses), max(ratios)


def _one_seed_w5(config, seed):
    digits = load_digits(seed, np.float32)
    rng = np.random.default_rng(seed + 1000)
    x, y = next(minibatches(digits.x_train, digits.y_train, config.batch_size, rng))
    schedule = {"steps": config.steps, "batch_size": config.batch_size, "every": config.every}
    measure = partial(along_the_gradient, x=x, y=y, reach=config.reach)

    def side(activation, batchnorm):
        model = deep_net(batchnorm, seed, activation=activation)
        history = train(model, digits, config.lr, seed, measure=measure, **schedule)
        return [(losses.min(), losses.max(), beta) for losses, beta in history.measured]

    result = {"steps": np.arange(0, config.steps + 1, config.every)}
    for name in config.activations:
        result |= both_sides(partial(side, name), prefix=f"{name}_")  # (T, 3) each
    return result


def _ranges(values):
    """Range of the loss along the gradient, and the beta of smoothness, (S, T) both."""
    low, high, beta = np.moveaxis(values, -1, 0)
    return high - low, beta


MEASURES = (
    "the loss varies less along the gradient with batch norm, on average over training",
    "the gradient turns more slowly along it with batch norm (beta), on average over training",
)


def _parts(arrays, name):
    """Both measures for one activation, means over training without its first step, step 0."""
    sides = [_ranges(arrays[f"{name}_{side}"][:, 1:]) for side in ("plain", "bn")]
    measures = [[values.mean(axis=1) for values in pair] for pair in zip(*sides, strict=True)]
    return [
        Part(
            f"{NAMES[name]}: {text}",
            larger(plain - bn),
            f"{plain.mean():.2g} to {bn.mean():.2g}, smaller in {(bn < plain).sum()} of {len(bn)}",
        )
        for text, (plain, bn) in zip(MEASURES, measures, strict=True)
    ]


def _judge_w5(arrays):
    return [part for name in NAMES if f"{name}_bn" in arrays for part in _parts(arrays, name)]


LABELS = (
    "range of the loss\nalong the gradient, nats",
    "turning of the gradient (beta)",
)


def _draw_w5(arrays):
    """Both measures over training, two panels an activation; each measure has one scale."""
    names = [name for name in NAMES if f"{name}_bn" in arrays]
    axes = row_of_axes([NAMES[name] for name in names for _ in LABELS], width=3.4)
    for k, ax in enumerate(axes):
        sides = (arrays[f"{names[k // 2]}_{side}"] for side in ("plain", "bn"))
        values = (_ranges(side)[k % 2] for side in sides)
        groups = dict(zip((WITHOUT, WITH), values, strict=True))
        panels.lines(arrays["steps"][0], groups, "step of training", LABELS[k % 2], ax=ax)
        legend_for_labels(ax, fontsize="small")
        ax.sharey(axes[k % 2])
    axes[0].set_yscale("log")
    return axes[0]


W5_LANDSCAPE = Experiment(
    Claim(
        "W5",
        "Batch norm makes the loss change more smoothly along the gradient.",
        "For ReLU networks it does, once training has begun: the loss varies less along the step, "
        "and the gradient turns more slowly. At the first weights the loss varies more with batch "
        "norm. For sigmoids the two measures disagree.",
        "experiment",
        "08",
        "Santurkar et al. 2018, section 3.1 and figure 4",
        published="yes",
    ),
    Landscape(),
    one_seed=_one_seed_w5,
    judge=_judge_w5,
    setting="three hidden layers of 100, {steps} steps of {batch_size} images at rate {lr}; ways "
    "of {reach} times the gradient, looked at every {every} steps, step 0 left out",
    draw=_draw_w5,
)
