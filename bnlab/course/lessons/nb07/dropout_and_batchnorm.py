"""Claim R5: dropout below a batch norm layer shifts the variance between training and test.

Inverted dropout keeps the mean of a feature when it is switched off, and not its variance. Batch
norm above has stored the variance with dropout on, and divides by it with dropout off.
"""

import copy
from dataclasses import dataclass

import numpy as np

from bnlab.course.experiments import panels
from bnlab.course.experiments.bench import train
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.course.experiments.rule import Part, in_every_seed
from bnlab.course.experiments.seeds import over_seeds
from bnlab.course.lessons.nb05.recomputed_statistics import with_statistics_of
from bnlab.data import load_digits
from bnlab.layers import BatchNorm, Dropout, ReLU, mlp
from bnlab.training import evaluate


def dropout_net(p, where, batchnorm, seed, dtype=np.float32):
    """64-100-100-100-10 with ReLU and dropout of rate p; the weights depend on the seed alone.

    `where` is before the "last batch norm", after the "last ReLU" or after "every ReLU".

    >>> [type(layer).__name__ for layer in dropout_net(0.5, "last ReLU", True, seed=0)[6:]]
    ['Linear', 'BatchNorm', 'ReLU', 'Dropout', 'Linear']
    """
    rng = np.random.default_rng(seed)
    model = mlp([64, 100, 100, 100, 10], batchnorm=batchnorm, rng=rng, dtype=dtype)
    for i in reversed(_places(model, where) if p else []):
        model.layers.insert(i, Dropout(p, rng=rng))
    return model


def _places(model, where):
    """Indices before which dropout is inserted."""
    if where == "last batch norm":
        return [i for i, layer in enumerate(model) if isinstance(layer, BatchNorm)][-1:]
    after = [i + 1 for i, layer in enumerate(model) if isinstance(layer, ReLU)]
    return after if where == "every ReLU" else after[-1:]


def variance_ratios(model, x):
    """Variance of what the last batch norm gets in evaluation mode over its running_var, (C,)."""
    model.eval()
    last = max(i for i, layer in enumerate(model) if isinstance(layer, BatchNorm))
    return model[:last](x).var(axis=0, ddof=1) / model[last].running_var


def without_dropout(model):
    """Copy of a model whose dropout layers pass everything on, in training mode too."""
    quiet = copy.deepcopy(model)
    for layer in quiet:
        if isinstance(layer, Dropout):
            layer.p = 0.0
    return quiet


@dataclass(frozen=True)
class VarianceShift:
    """One dropout layer, just before or just after the last batch norm; 20 seconds on one core."""

    rates: tuple[float, ...] = (0.2, 0.5, 0.8)
    lr: float = 0.5
    steps: int = 1000
    batch_size: int = 60
    seeds: tuple[int, ...] = (0, 1, 2, 3)


def _one_seed_r5(config, seed):
    """Ratios and test errors in percent, (rates,) each."""
    digits = load_digits(seed, np.float32)
    places = {"before": "last batch norm", "last": "last ReLU"}
    schedule = {"steps": config.steps, "batch_size": config.batch_size}
    found = {f"{what}_{short}": [] for short in places for what in ("ratio", "error", "repaired")}
    for p in config.rates:
        for short, where in places.items():
            model = dropout_net(p, where, batchnorm=True, seed=seed)
            train(model, digits, config.lr, seed, **schedule)
            fresh = with_statistics_of(without_dropout(model), digits.x_train, config.batch_size)
            found[f"ratio_{short}"].append(np.median(variance_ratios(model, digits.x_train)))
            for name, tested in (("error", model), ("repaired", fresh)):
                accuracy = evaluate(tested, digits.x_test, digits.y_test)
                found[f"{name}_{short}"].append(100 * (1 - accuracy))
    return {name: np.array(values) for name, values in found.items()}


def _run_r5(config):
    return {"rates": np.array(config.rates), **over_seeds(_one_seed_r5, config)}


def _judge_r5(arrays):
    before, last = arrays["ratio_before"], arrays["ratio_last"]  # (S, rates)
    listed = ", ".join(
        f"{r:.2f} at p = {p:g}" for r, p in zip(before.mean(0), arrays["rates"], strict=True)
    )
    return [
        Part(
            "in front of a batch norm it takes at least a tenth of the variance at test time, at "
            "each p, in every seed",
            in_every_seed((before < 0.9).all(axis=1)),
            f"variance at test time / running variance {listed}",
        ),
        Part(
            "the more the larger p, in every seed",
            in_every_seed((np.diff(before, axis=1) < 0).all(axis=1)),
            _errors(arrays, "before"),
        ),
        Part(
            "behind the last batch norm it takes less than a tenth, in every seed",
            in_every_seed((np.abs(last - 1) < 0.1).all(axis=1)),
            f"{last.min():.2f} to {last.max():.2f}; {_errors(arrays, 'last')}",
        ),
    ]


def _errors(arrays, where):
    """Test error at the largest p, as it is and with the statistics computed again."""
    error, repaired = (arrays[f"{what}_{where}"][:, -1].mean() for what in ("error", "repaired"))
    p = arrays["rates"][-1]
    return f"test error at p = {p:g} {error:.1f}%, with new statistics {repaired:.1f}%"


def _draw_r5(arrays):
    groups = {
        "dropout in front of batch norm": arrays["ratio_before"],
        "dropout behind it": arrays["ratio_last"],
    }
    unit = "variance at test time /\nrunning variance"
    ax = panels.lines(arrays["rates"], groups, "dropout rate p", unit, limit=(1, "no shift"))
    ax.set_ylim(bottom=0)
    return ax


R5_VARIANCE_SHIFT = Experiment(
    Claim(
        "R5",
        "Dropout below a batch norm layer shifts the variance at test time.",
        "Yes. The running variance is that of a feature with dropout on; at test time dropout is "
        "off and the variance smaller. Dropout after the last batch norm has no such effect.",
        "experiment",
        "07",
        "Li, Chen, Hu & Yang 2019",
    ),
    VarianceShift(),
    run=_run_r5,
    judge=_judge_r5,
    setting="64-100-100-100-10 with ReLU, {steps} steps of {batch_size} digits at rate {lr}",
    draw=_draw_r5,
)
