"""Claim W5: batch norm makes the landscape of the loss smoother, as seen along the gradient."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from bnlab import functional as F
from bnlab.course.experiments.bench import both_sides, deep_net, train
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.data import load_digits, minibatches


@dataclass(frozen=True)
class Landscape:
    """Look along the gradient every few steps of training; 8 seconds for 3 seeds."""

    activations: tuple[str, ...] = ("relu", "sigmoid")
    lr: float = 0.1
    reach: tuple[float, ...] = (0.05, 0.1, 0.2, 0.3, 0.4)  # step sizes tried, none is taken
    steps: int = 200
    every: int = 10
    batch_size: int = 60
    seeds: tuple[int, ...] = (0, 1, 2)


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


def _typical(values):
    """Mean over training of the range of the loss, and of beta, for each seed, (S,) both."""
    low, high, beta = np.moveaxis(values, -1, 0)
    return (high - low).mean(axis=1), beta.mean(axis=1)


def _judge_w5(arrays):
    """RIGHT if range and beta of the ReLU net are smaller in every seed, IMPRECISE if one is."""
    texts, smoother = {}, {}
    for name in [n.removesuffix("_bn") for n in arrays if n.endswith("_bn")]:
        (range_plain, beta_plain), (range_bn, beta_bn) = (
            _typical(arrays[f"{name}_{side}"]) for side in ("plain", "bn")
        )
        smoother[name] = int((range_bn < range_plain).all()) + int((beta_bn < beta_plain).all())
        texts[name] = (
            f"{name}: range of the loss {range_plain.mean():.2g} to {range_bn.mean():.2g}, "
            f"turning of the gradient {beta_plain.mean():.2g} to {beta_bn.mean():.2g}"
        )
    verdict = {2: "RIGHT", 1: "IMPRECISE"}.get(smoother["relu"], "WRONG")
    measured = f"without to with batch norm, {'; '.join(texts.values())}"
    return verdict, measured, f"{len(arrays['steps'])} seeds, means over training"


W5_LANDSCAPE = Experiment(
    Claim(
        "W5",
        "Batch norm makes the loss change more smoothly along the gradient.",
        "For ReLU networks it does: the loss varies less along the step, and the gradient turns "
        "more slowly. For sigmoids the two measures disagree.",
        "experiment",
        "08",
        "Santurkar et al. 2018, section 3.1 and figure 4",
    ),
    Landscape(),
    one_seed=_one_seed_w5,
    judge=_judge_w5,
)
