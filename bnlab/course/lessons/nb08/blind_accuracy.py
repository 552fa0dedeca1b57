"""Claim W9: a batch norm with a mistake in it shows it in the accuracy."""

import textwrap
from dataclasses import dataclass

import numpy as np

from bnlab.batchnorm import batchnorm_inference
from bnlab.course.experiments import panels
from bnlab.course.experiments.bench import deep_net, replace_batchnorms, scores, train
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.course.experiments.rule import Part, larger, told
from bnlab.data import load_digits
from bnlab.gradcheck import numerical_gradient, relative_error
from bnlab.layers import BatchNorm


class DoubleCentring(BatchNorm):
    """Centres x, then takes the variance about the mean once more: it divides by var + mean^2."""

    def _forward(self, x):
        if not self.training:
            square = self.running_var + self.running_mean**2
            mean, gamma, beta = self.running_mean, self.weight, self.bias
            return batchnorm_inference(x, gamma, beta, mean, square, self.eps), None
        mean, var = x.mean(axis=0), x.var(axis=0)
        self._track(mean, var, m=len(x))
        inv = 1 / np.sqrt(var + mean**2 + self.eps)
        x_hat = (x - mean) * inv
        return self.weight * x_hat + self.bias, (x * inv, x_hat, inv)

    def _backward(self, dy, cache):  # the true gradient of what the layer computes
        x_scaled, x_hat, inv = cache
        self.grads = {"weight": (dy * x_hat).sum(axis=0), "bias": dy.sum(axis=0)}
        dx_hat = self.weight * dy
        along = (dx_hat * x_hat).mean(axis=0)
        return inv * (dx_hat - dx_hat.mean(axis=0) - x_scaled * along)


class BetaSubtracted(BatchNorm):
    """Subtracts beta, but hands the optimizer the gradient of an added one."""

    def _forward(self, x):
        y, cache = super()._forward(x)
        return y - 2 * self.bias, cache


class VarianceHeldConstant(BatchNorm):
    """Forgets, on the way back, that the variance depends on x."""

    def _backward(self, dy, cache):
        super()._backward(dy, cache)
        return cache.gamma * cache.inv_std * (dy - dy.mean(axis=0))


MISTAKES = {
    "correct": BatchNorm,  # the first one has none, to compare with
    "double centring": DoubleCentring,
    "beta with the wrong sign": BetaSubtracted,
    "variance held constant": VarianceHeldConstant,
}


def property_error(make):
    """How far the layer's output is from mean 0 and standard deviation 1, at gamma 1, beta 0."""
    y = make(3).forward(np.random.default_rng(0).normal(1.0, 2.0, (50, 3)))
    return max(np.abs(y.mean(axis=0)).max(), np.abs(y.std(axis=0) - 1).max())


def gradient_error(make):
    """Largest relative error of the layer's three gradients against finite differences."""
    rng = np.random.default_rng(0)
    layer = make(3)
    layer.weight[...], layer.bias[...] = rng.normal(size=(2, 3))
    x, dy = rng.normal(1.0, 2.0, (2, 8, 3))
    layer.forward(x)
    found = {"x": layer.backward(dy), **layer.grads}
    values = {"x": x, "weight": layer.weight.copy(), "bias": layer.bias.copy()}

    def output(name):
        def f(value):
            arguments = values | {name: value}
            layer.weight[...], layer.bias[...] = arguments["weight"], arguments["bias"]
            return layer.forward(arguments["x"])

        return f

    measured = {n: numerical_gradient(output(n), value, dy) for n, value in values.items()}
    return max(relative_error(found[n], measured[n]) for n in values)


@dataclass(frozen=True)
class Mistakes:
    """The same network with a right layer and with three mistakes; half a minute."""

    lr: float = 0.1
    steps: int = 1000
    seeds: tuple[int, ...] = tuple(range(12))


def _one_seed_w9(config, seed):
    digits = load_digits(seed, np.float32)

    def tested(make):
        model = deep_net(True, seed)
        replace_batchnorms(model, lambda layer: make(layer.num_features, dtype=np.float32))
        train(model, digits, config.lr, seed, steps=config.steps)
        return scores(model, digits)[1]

    return {
        "accuracy": [tested(make) for make in MISTAKES.values()],
        "property": [property_error(make) for make in MISTAKES.values()],
        "gradient": [gradient_error(make) for make in MISTAKES.values()],
    }


def _found_by(arrays, k):
    """Which of the two tests finds mistake number k."""
    found = {name: (arrays[name][:, k] > 1e-3).all() for name in ("property", "gradient")}
    return " and ".join(name for name in found if found[name]) or "neither"


def _judge_w9(arrays):
    points = 100 * arrays["accuracy"].T  # (mistakes, S), the first one has none
    return [
        Part(
            f"{name} costs at least a point of test accuracy",
            larger(points[0] - points[k], 1.0),
            f"{told(points[k] - points[0])}; found by the test of the {_found_by(arrays, k)}",
        )
        for k, name in enumerate(MISTAKES)
        if k > 0
    ]


def _draw_w9(arrays):
    points = 100 * arrays["accuracy"].T
    names = [textwrap.fill(name, 12) for name in MISTAKES][1:]
    lost = dict(zip(names, points[1:] - points[0], strict=True))
    ax = panels.strip(lost, "test accuracy, points\nabove the right layer's", limit=(-1, "a point"))
    ax.axhline(0, color="0.7", lw=1)
    return ax


W9_BLIND = Experiment(
    Claim(
        "W9",
        "If batch norm has a mistake in it, the accuracy curve will show it.",
        "Often it does not: the network learns around the mistake. Test the property (mean 0, "
        "standard deviation 1) and the gradient.",
        "experiment",
        "08",
        "measured here; the two tests are those of notebooks 02 and 03",
    ),
    Mistakes(),
    one_seed=_one_seed_w9,
    judge=_judge_w9,
    draw=_draw_w9,
    setting="3 hidden layers of 100 with ReLU, {steps} steps of 60 images, rate {lr}",
)
