"""Claim W6: batch norm still helps if noise destroys the distribution it has just made."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from bnlab.course.experiments import panels
from bnlab.course.experiments.bench import accuracy_at_best, deep_net, rate_sweep
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.course.experiments.rule import Part, larger, told
from bnlab.course.lessons.nb08.drawing import NAMES, row_of_axes
from bnlab.data import load_digits
from bnlab.layers import BatchNorm, Layer, Sequential


class ShiftingNoise(Layer):
    """Scale and shift each example at random in training, by noise that is made anew in each step.

    Its mean, in (-size, size), and its spread, in (0, size), are drawn for each feature
    (Santurkar et al. 2018, section 2.1 and appendix A).
    """

    def __init__(self, size, rng):
        super().__init__()
        self.size, self.rng = size, rng

    def _forward(self, x):
        if not self.training:
            return x, None
        shift, factor = (self._noise(x) for _ in range(2))
        return x * (1 + factor) + shift, factor

    def _noise(self, x):
        mean = self.rng.uniform(-self.size, self.size, x.shape[1])
        spread = self.rng.uniform(0, self.size, x.shape[1])
        return (mean + spread * self.rng.normal(size=x.shape)).astype(x.dtype)

    def _backward(self, dy, factor):
        return dy * (1 + factor)


def noisy_net(size, seed, activation, depth=3):
    """A network with batch norm, and noise of this size behind each one of them."""
    rng = np.random.default_rng(seed + 1000)
    layers = []
    for layer in deep_net(True, seed, activation=activation, depth=depth):
        layers.append(layer)
        if isinstance(layer, BatchNorm):
            layers.append(ShiftingNoise(size, rng))
    return Sequential(*layers)


@dataclass(frozen=True)
class Noisy:
    """No batch norm, batch norm, and batch norm with noise behind it; 70 seconds."""

    sizes: tuple[float, ...] = (0.0, 0.1, 0.5, 2.0)
    activations: tuple[str, ...] = ("relu", "sigmoid")
    depth: int = 3
    lrs: tuple[float, ...] = (0.1, 0.3, 1.0, 3.0)
    steps: int = 200
    seeds: tuple[int, ...] = tuple(range(200, 210))


def _one_seed_w6(config, seed):
    digits = load_digits(seed, np.float32)

    @np.errstate(over="ignore", invalid="ignore")  # at the highest rates some diverge
    def sweep(make):
        return rate_sweep(make, digits, config.lrs, seed, steps=config.steps)  # (R, 2)

    result = {"sizes": config.sizes}
    for name in config.activations:
        net = partial(deep_net, False, seed, activation=name, depth=config.depth)
        noisy = [partial(noisy_net, size, seed, name, config.depth) for size in config.sizes]
        result |= {f"{name}_plain": sweep(net), f"{name}_noisy": [sweep(make) for make in noisy]}
    return result


def _points(arrays, name):
    """Test accuracy in points, each at its best rate: none (S,), with noise of each size (K, S)."""
    plain, noisy = (100 * accuracy_at_best(arrays[f"{name}_{s}"]) for s in ("plain", "noisy"))
    return plain, noisy.T


def _parts_with(arrays, name):
    plain, (bn, *noisy) = _points(arrays, name)
    gain = bn - plain
    yield Part(
        f"with {NAMES[name]} batch norm gains accuracy",
        larger(gain),
        f"{plain.mean():.1f} to {bn.mean():.1f}%, {told(gain)}",
    )
    for size, accuracy in zip(arrays["sizes"][0][1:], noisy, strict=True):
        yield Part(
            f"with {NAMES[name]} noise of {size:g} costs less than half of this gain",
            larger(gain - 2 * (bn - accuracy)),
            f"{accuracy.mean():.1f}%, costs {told(bn - accuracy)}",
        )


def _judge_w6(arrays):
    names = [name for name in NAMES if f"{name}_noisy" in arrays]
    return [part for name in names for part in _parts_with(arrays, name)]


def _draw_w6(arrays):
    names = [name for name in NAMES if f"{name}_noisy" in arrays]
    axes = row_of_axes([NAMES[name] for name in names])
    for ax, name in zip(axes, names, strict=True):
        plain, noisy = _points(arrays, name)
        behind = {f"{size:g}": row for size, row in zip(arrays["sizes"][0], noisy, strict=True)}
        ax.set_yscale("log")  # else the collapse at the strongest noise hides the rest
        panels.strip(
            {name: 100 - row for name, row in ({"no batch\nnorm": plain} | behind).items()},
            "test error, %",
            ax=ax,
        )
        ax.set_xlabel("size of the noise behind batch norm")
        ax.set_yticks([1, 2, 5, 10, 20, 50], [1, 2, 5, 10, 20, 50])
        ax.set_yticks([], minor=True)
    return axes[0]


W6_NOISE = Experiment(
    Claim(
        "W6",
        "Noise behind batch norm, with a new mean and variance in each step, does not hurt.",
        "Mild noise does not. But it hardly moves a feature's mean, and stronger noise costs more, "
        "in the end more than batch norm gains; how strong it may be depends on the network. Weak "
        "evidence against stable distributions as the reason why batch norm works.",
        "experiment",
        "08",
        "Santurkar et al. 2018, section 2.1 and figure 2",
        published="yes",
    ),
    Noisy(),
    one_seed=_one_seed_w6,
    judge=_judge_w6,
    draw=_draw_w6,
    setting="{depth} hidden layers of 100, {steps} steps of 60 images, rates {lrs} chosen on "
    "validation images",
)
