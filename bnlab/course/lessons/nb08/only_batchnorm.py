"""Claim W10: train gamma and beta, and leave all weights at their random start."""

from dataclasses import dataclass

import numpy as np

from bnlab.course.experiments.bench import accuracy_at_best, deep_net, scores
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.data import load_digits
from bnlab.layers import BatchNorm
from bnlab.optim import SGD
from bnlab.training import fit

PARTS = ("batch norm", "last layer", "everything")


@dataclass(frozen=True)
class Parts:
    """6 layers of 100, of which only a part is trained; 40 seconds for 3 seeds."""

    depth: int = 6
    lrs: tuple[float, ...] = (0.1, 0.3, 1.0)
    steps: int = 1500
    seeds: tuple[int, ...] = (0, 1, 2)


def names_of(model, part):
    """Names of the parameters that belong to a part.

    >>> names_of(deep_net(True, seed=0, depth=1), "batch norm")
    ['1.weight', '1.bias']
    """
    places = {
        "batch norm": [i for i, layer in enumerate(model) if isinstance(layer, BatchNorm)],
        "last layer": [len(model) - 1],
        "everything": list(range(len(model))),
    }[part]
    return [name for name in model.parameters() if int(name.split(".")[0]) in places]


def _train_part(config, digits, part, lr, seed):
    model = deep_net(True, seed, depth=config.depth)
    trained = names_of(model, part)
    frozen = [name for name in model.parameters() if name not in trained]
    optimizer = SGD(model, lr, groups=[{"names": frozen, "lr": 0.0}])
    schedule = {"steps": config.steps, "batch_size": 60, "rng": np.random.default_rng(seed)}
    fit(model, digits.x_train, digits.y_train, optimizer, **schedule)
    return scores(model, digits), sum(model.parameters()[name].size for name in trained)


def _one_seed_w10(config, seed):
    digits = load_digits(seed, np.float32)
    runs = [[_train_part(config, digits, part, lr, seed) for lr in config.lrs] for part in PARTS]
    return {
        "accuracy": [[accuracy for accuracy, _ in part] for part in runs],  # (parts, R, 2)
        "numbers": [part[0][1] for part in runs],
    }


def _judge_w10(arrays):
    """RIGHT if batch norm alone beats the last layer alone in every seed and reaches 80%."""
    tested = 100 * accuracy_at_best(arrays["accuracy"])  # (S, parts)
    more = (tested[:, 0] > tested[:, 1]).all()
    high = tested[:, 0].mean() > 80
    verdict = {2: "RIGHT", 1: "IMPRECISE"}.get(int(more) + int(high), "WRONG")
    measured = ", ".join(
        f"{part} {value:.1f}% with {number:,.0f} numbers"
        for part, value, number in zip(PARTS, tested.mean(0), arrays["numbers"][0], strict=True)
    )
    return verdict, f"trained alone: {measured}", f"{len(tested)} seeds, each at its best rate"


W10_ONLY_BATCHNORM = Experiment(
    Claim(
        "W10",
        "Training gamma and beta alone, on random weights, gives a useful network.",
        "Yes: they choose among random features, which is more than the last layer alone can do.",
        "experiment",
        "08",
        "Frankle, Schwab & Morcos 2021 (arXiv:2003.00152)",
    ),
    Parts(),
    one_seed=_one_seed_w10,
    judge=_judge_w10,
)
