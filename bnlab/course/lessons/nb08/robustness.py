"""Claim W11: a network with batch norm loses more accuracy on noisy inputs."""

from dataclasses import dataclass

import numpy as np

from bnlab.course.experiments.bench import both_sides, deep_net, paired_interval, train
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.data import load_digits
from bnlab.training import evaluate


@dataclass(frozen=True)
class NoisyInputs:
    """Trained on clean digits, tested on digits with normal noise; 8 seconds for 8 seeds."""

    noises: tuple[float, ...] = (0.0, 0.1, 0.2, 0.4)
    lrs: tuple[float, float] = (0.1, 0.3)  # best on clean validation images: without, with
    steps: int = 1000
    seeds: tuple[int, ...] = tuple(range(8))


def _one_seed_w11(config, seed):
    digits = load_digits(seed, np.float32)
    noise = np.random.default_rng(seed + 1000).normal(size=digits.x_test.shape).astype(np.float32)
    noisy = [digits.x_test + np.float32(size) * noise for size in config.noises]

    def side(batchnorm):
        model = deep_net(batchnorm, seed)
        train(model, digits, config.lrs[batchnorm], seed, steps=config.steps)
        return [evaluate(model, x, digits.y_test) for x in noisy]

    return {"noises": config.noises} | both_sides(side)


def _judge_w11(arrays):
    """RIGHT if the 95% interval of (with - without) is below 0 at the strongest noise."""
    plain, bn = 100 * arrays["plain"], 100 * arrays["bn"]  # (S, noises)
    mean, half = paired_interval((bn - plain)[:, -1])
    verdict = "RIGHT" if mean + half < 0 else "WRONG" if mean - half > 0 else "NOT REPRODUCED"
    listed = ", ".join(
        f"noise {size:g}: {p:.0f} and {b:.0f}%"
        for size, p, b in zip(arrays["noises"][0], plain.mean(0), bn.mean(0), strict=True)
    )
    spread = f"{len(bn)} paired seeds, {mean:+.1f} +- {half:.1f} points at the strongest noise"
    return verdict, f"accuracy without and with batch norm, {listed}", spread


W11_ROBUSTNESS = Experiment(
    Claim(
        "W11",
        "Batch norm makes a network less robust to noise in its inputs.",
        "On the digits equally good on clean images and worse at the strongest noise; on CIFAR-10, "
        "with convolutions, nine points ahead on clean images and under mild noise. It depends on "
        "network and data.",
        "experiment",
        "08",
        "Galloway et al. 2019 (arXiv:1905.02161)",
    ),
    NoisyInputs(),
    one_seed=_one_seed_w11,
    judge=_judge_w11,
)
