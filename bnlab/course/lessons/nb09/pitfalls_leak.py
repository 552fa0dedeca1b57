"""P12: the statistics of the batch tell each row what its neighbours know."""

from dataclasses import dataclass

import numpy as np

from bnlab import functional as F
from bnlab.course.experiments.rule import Part, in_every_seed
from bnlab.course.lessons.nb09.pitfalls import accuracies, percent, pitfall
from bnlab.layers import mlp
from bnlab.optim import SGD


@dataclass(frozen=True)
class Leak:
    """Batches of `rows` queries and as many keys; 300 steps in a fifth of a second."""

    rows: int = 16
    features: int = 16
    steps: int = 300
    lr: float = 0.5
    tests: int = 100
    seeds: tuple[int, ...] = (0, 1, 2, 3)


def queries_and_keys(config, one_label, rng):
    """Queries are pure noise, the keys below them show the label: x (2 rows, C), y (rows,)."""
    y = rng.integers(2, size=config.rows)
    if one_label:
        y[:] = y[0]
    x = rng.normal(size=(2 * config.rows, config.features))
    x[config.rows :] += 2 * y[:, None] - 1
    return x, y


def _train_on_queries(config, one_label, rng):
    model = mlp([config.features, 16, 2], rng=rng)
    optimizer = SGD(model, config.lr)
    for _ in range(config.steps):
        x, y = queries_and_keys(config, one_label, rng)
        _, cache = F.cross_entropy_forward(model(x)[: config.rows], y)
        dy = F.cross_entropy_backward(cache)
        model.backward(np.concatenate([dy, np.zeros_like(dy)]))  # the keys have no loss
        optimizer.step()
    return model


def _share_right(model, config, one_label, rng):
    draws = [queries_and_keys(config, one_label, rng) for _ in range(config.tests)]
    return np.mean([model(x)[: config.rows].argmax(axis=1) == y for x, y in draws])


def label_leak(config, seed):
    """P12: pure noise is classified, as long as the batch shares one label."""
    result = {}
    for name, one_label in {"leak": True, "shuffled": False}.items():
        rng = np.random.default_rng(seed)
        model = _train_on_queries(config, one_label, rng)
        result[f"{name}_train"] = _share_right(model.train(), config, one_label, rng)
        result[f"{name}_eval"] = _share_right(model.eval(), config, one_label, rng)
    return result


def near_chance(accuracy):
    """Which accuracies of two classes lie between 40 and 60%."""
    return np.abs(np.asarray(accuracy) - 0.5) < 0.1


P12_LABEL_LEAK = pitfall(
    "P12",
    "Training accuracy is nearly perfect, evaluation is a coin toss, and nothing is overfitted.",
    "Rows of a batch share a label, so the batch statistics tell it to every row. Shuffle, so "
    "that the rows normalized together are unrelated; or normalize each example alone.",
    "He et al. 2020 (MoCo), section 3.3, shuffling BN",
    config=Leak(),
    setting="16-16-2 with ReLU, {steps} steps of {rows} queries and as many keys at rate {lr}",
    one_seed=label_leak,
    symptom=lambda a: [
        Part(
            "where a batch shares a label, over 90% of pure noise is right in training mode",
            in_every_seed(a["leak_train"] > 0.9),
            percent(a["leak_train"]),
        ),
        Part(
            "in evaluation mode the same network is right on 40 to 60% of it",
            in_every_seed(near_chance(a["leak_eval"])),
            percent(a["leak_eval"]),
        ),
    ],
    fixed=lambda a: Part(
        "with shuffled labels both modes are right on 40 to 60%",
        in_every_seed(near_chance(a["shuffled_train"]) & near_chance(a["shuffled_eval"])),
        f"{percent(a['shuffled_train'])} and {percent(a['shuffled_eval'])}",
    ),
    draw=lambda a: accuracies(
        {
            "one label,\ntraining mode": a["leak_train"],
            "one label,\nevaluation": a["leak_eval"],
            "shuffled,\ntraining mode": a["shuffled_train"],
            "shuffled,\nevaluation": a["shuffled_eval"],
        },
        "right answers on pure noise, %",
        limit=(50, "chance"),
    ),
)
