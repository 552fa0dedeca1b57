"""A claim about the length of scale-invariant weights: how it grows during training.

Scale-invariant are the weights of a Linear with a BatchNorm right behind it. All networks here
start from the same weights, up to a factor, and see the same batches.
"""

from dataclasses import dataclass

import numpy as np

from bnlab.course.experiments.bench import batchnorm_layers
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.course.experiments.rule import Part
from bnlab.data import load_digits
from bnlab.layers import BatchNorm, mlp
from bnlab.optim import SGD
from bnlab.training import fit


@dataclass(frozen=True)
class Training:
    """A network on the digits, by plain SGD; 60 steps take 0.03 s."""

    sizes: tuple[int, ...] = (64, 50, 50, 50, 10)
    lr: float = 1.0
    steps: int = 60
    batch_size: int = 64
    seed: int = 0


def network(config, scale=1.0, eps=0.0):
    """Return an `mlp` whose scale-invariant weights are multiplied by `scale`."""
    model = mlp(config.sizes, rng=np.random.default_rng(config.seed))
    for layer in batchnorm_layers(model):
        layer.eps = eps
    for name in invariant_names(model):
        model.parameters()[name][...] *= scale
    return model


def invariant_names(model):
    """Names of the weights that have batch norm right behind them.

    >>> invariant_names(mlp([64, 100, 100, 10], rng=np.random.default_rng(0)))
    ['0.weight', '3.weight']
    """
    return [f"{i}.weight" for i in range(len(model) - 1) if isinstance(model[i + 1], BatchNorm)]


class GrowingRate(SGD):
    """SGD whose lr (not that of its groups) is multiplied by `growth` after every step."""

    growth = 1.0

    def step(self):
        """Take a step, then change the rate."""
        super().step()
        self.lr *= self.growth


def train(
    config, model, *, rate=1.0, other_rate=1.0, decay=0.0, growth=1.0, momentum=0.0, **measuring
):
    """Train a `network` in place: its `History`.

    `rate`, `decay` and `growth`, from one step to the next, are of the scale-invariant weights,
    `other_rate` is of all other parameters; the rates are factors of ``config.lr``.
    """
    others = [name for name in model.parameters() if name not in invariant_names(model)]
    group = {"names": others, "lr": config.lr * other_rate, "weight_decay": 0.0}
    optimizer = GrowingRate(model, config.lr * rate, momentum, weight_decay=decay, groups=[group])
    optimizer.growth = growth
    schedule = {"steps": config.steps, "batch_size": config.batch_size}
    schedule["rng"] = np.random.default_rng(config.seed)
    digits = load_digits()
    return fit(model, digits.x_train, digits.y_train, optimizer, **schedule, **measuring)


# B4: the norm of scale-invariant weights under plain SGD.


@dataclass(frozen=True)
class NormGrowth(Training):
    """One layer's weights, followed for some steps; takes about 0.5 s."""

    layer: str = "3.weight"
    eps: tuple[float, ...] = (0.0, 1e-5, 1e-3)  # for the prediction, which is exact at 0
    scales: tuple[float, ...] = (0.1, 1.0, 10.0)  # factors of the first weights, rising


def norm_path(config, scale=1.0, eps=0.0):
    """Norms (steps + 1,) before, between and after the steps, and the gradients' (steps,)."""

    def measure(model):
        gradient = model.grads.get(config.layer, np.zeros(1))  # none yet before the first step
        return np.linalg.norm(model.parameters()[config.layer]), np.linalg.norm(gradient)

    history = train(config, network(config, scale, eps), every=1, measure=measure)
    norms, gradients = np.array(history.measured).T
    return norms, gradients[1:]


def predicted_norms(first_norm, gradients, lr):
    """Norms after 0, 1, ... steps, if every gradient is orthogonal to the weights."""
    return np.sqrt(first_norm**2 + lr**2 * np.append(0, np.cumsum(gradients**2)))


def _run_b4(config):
    paths = [norm_path(config, eps=eps) for eps in config.eps]
    scaled = [norm_path(config, scale) for scale in config.scales]
    return {
        "eps": np.array(config.eps),
        "measured": np.array([norms for norms, _ in paths]),  # (len(eps), steps + 1)
        "predicted": np.array([predicted_norms(n[0], g, config.lr) for n, g in paths]),
        "scales": np.array(config.scales),
        "first_gradient": np.array([g[0] for _, g in scaled]),
        "growth": np.array([norms[-1] / norms[0] for norms, _ in scaled]),
    }


def growth_errors(arrays):
    """How far the whole growth of norm^2 is from the predicted one, relative, for each eps."""
    measured, predicted = (
        arrays[name][:, -1] ** 2 - arrays[name][:, 0] ** 2 for name in ("measured", "predicted")
    )
    return np.abs(measured / predicted - 1)


def _judge_b4(arrays):
    gradients, scales = np.array(arrays["first_gradient"]), np.array(arrays["scales"])
    times = f"for weights times {_listed(scales, 'g')}"
    return [
        Part(
            "the first gradient goes with one over the size of the weights",
            bool(np.allclose(gradients * scales, (gradients * scales)[0])),
            f"{_listed(gradients, '.3g')} {times}",
        ),
        _predicted(arrays),
        Part(
            "the larger the weights, the less they grow: ten times larger ones by under 1%",
            bool((np.diff(arrays["growth"]) < 0).all() and arrays["growth"][-1] < 1.01),
            f"by a factor of {_listed(arrays['growth'], '.3f')} {times}",
        ),
    ]


def _predicted(arrays):
    errors = growth_errors(arrays)
    told = ", ".join(
        f"{e:.0e} at eps {eps:g}" for e, eps in zip(errors, arrays["eps"], strict=True)
    )
    return Part(
        "each step adds lr^2 norm(g)^2 to norm(w)^2: to 1e-6 at eps = 0, to 1% at every eps",
        bool(errors[0] <= 1e-6 and errors.max() <= 0.01),
        f"off by {told}",
    )


def _listed(values, form):
    """Numbers with a stroke between them: 1/2/3."""
    return "/".join(format(value, form) for value in values)


def _draw_b4(arrays):
    import matplotlib.pyplot as plt

    _, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 3.6))
    measured, predicted = arrays["measured"][0], arrays["predicted"][0]
    left.plot(measured, label="measured")
    left.plot(predicted, ":", color="k", label="predicted from the gradients")
    left.set(xlabel="step", ylabel="norm of a layer's weights")
    left.legend()
    grown = 100 * (np.array(arrays["growth"]) - 1)
    steps = arrays["measured"].shape[1] - 1
    by_size = (
        (middle, arrays["first_gradient"], "norm of the first gradient"),
        (right, grown, f"growth of the norm in {steps} steps, %"),
    )
    for ax, values, ylabel in by_size:
        ax.loglog(arrays["scales"], values, "-o")
        ax.set(xlabel="factor of the first weights", ylabel=ylabel)
    return left


B4_NORM_GROWTH = Experiment(
    Claim(
        "B4",
        "Larger weights get smaller gradients, and so batch norm stabilizes the growth of the "
        "weights.",
        "The gradient of a row is orthogonal to it, so each step of plain SGD adds lr^2 norm(g)^2 "
        "to norm(w)^2: the norm can only grow, and the slower, the larger it is.",
        "identity",
        "04",
        "Ioffe & Szegedy 2015, section 3.3; Salimans & Kingma 2016, section 2.1",
    ),
    NormGrowth(),
    run=_run_b4,
    judge=_judge_b4,
    draw=_draw_b4,
    setting="float64, layers of {sizes}, {steps} steps of {batch_size} images by plain SGD "
    "at rate {lr}, no decay",
)
