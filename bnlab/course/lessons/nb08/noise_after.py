"""Claim W6: batch norm still helps if noise destroys the distribution it has just made."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from bnlab.course.experiments.bench import accuracy_at_best, deep_net, rate_sweep
from bnlab.course.experiments.evidence import Claim, Experiment
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


def noisy_net(size, seed, activation):
    """A network with batch norm, and noise of this size behind each one of them."""
    rng = np.random.default_rng(seed + 1000)
    layers = []
    for layer in deep_net(True, seed, activation=activation):
        layers.append(layer)
        if isinstance(layer, BatchNorm):
            layers.append(ShiftingNoise(size, rng))
    return Sequential(*layers)


@dataclass(frozen=True)
class Noisy:
    """No batch norm, batch norm, and batch norm with noise behind it; 30 seconds for 4 seeds."""

    sizes: tuple[float, ...] = (0.0, 0.1, 0.5, 2.0)
    mild: float = 0.1
    activation: str = "relu"
    lrs: tuple[float, ...] = (0.03, 0.1, 0.3, 1.0)
    steps: int = 300
    seeds: tuple[int, ...] = (0, 1, 2, 3)


def _one_seed_w6(config, seed):
    digits = load_digits(seed, np.float32)

    def sweep(make):
        return rate_sweep(make, digits, config.lrs, seed, steps=config.steps)

    return {
        "sizes": config.sizes,
        "mild": config.mild,
        "plain": sweep(partial(deep_net, False, seed, activation=config.activation)),
        "noisy": [sweep(partial(noisy_net, s, seed, config.activation)) for s in config.sizes],
    }


def _judge_w6(arrays):
    """RIGHT if mild noise costs less than half of what batch norm gains; WRONG if all of it."""
    sizes = arrays["sizes"][0]
    plain = 100 * accuracy_at_best(arrays["plain"]).mean()
    noisy = 100 * accuracy_at_best(arrays["noisy"]).mean(axis=0)  # (sizes,)
    mild = noisy[sizes == arrays["mild"][0]][0]
    left = (mild - plain) / (noisy[0] - plain) if noisy[0] > plain else 0.0  # of the gain
    verdict = "RIGHT" if left > 0.5 else "IMPRECISE" if left > 0 else "WRONG"
    listed = ", ".join(f"{v:.1f}% at {s:g}" for s, v in zip(sizes, noisy, strict=True))
    measured = f"no batch norm {plain:.1f}%; batch norm with noise behind it {listed}"
    return verdict, measured, f"{len(arrays['sizes'])} seeds, each at its best rate"


W6_NOISE = Experiment(
    Claim(
        "W6",
        "Mild noise behind batch norm, with a new mean and variance in each step, does not hurt.",
        "It does not. But mild noise hardly moves a feature's mean, and stronger noise takes part "
        "of the gain and in the end all of it: weak evidence against stable distributions as the "
        "reason why batch norm works.",
        "experiment",
        "08",
        "Santurkar et al. 2018, section 2.1 and figure 2",
    ),
    Noisy(),
    one_seed=_one_seed_w6,
    judge=_judge_w6,
)
