"""Claims about test time: with fixed statistics no example sees another one.

With the statistics of the test batch it does, and the answer depends on who else is asked.
"""

import copy
from dataclasses import dataclass

import numpy as np

from bnlab.course.experiments.bench import (
    EXACT,
    batches_of,
    digits_activations,
    points_gained,
    trained_net,
)
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.data import load_digits, minibatches
from bnlab.layers import BatchNorm
from bnlab.training import evaluate

# T1: fixed statistics make batch norm a fixed affine map.


@dataclass(frozen=True)
class Probe:
    """A layer that has seen some batches, probed in evaluation mode."""

    rows: int = 32
    features: int = 100
    seed: int = 0


def _run_t1(config):
    z, labels = digits_activations(None, config.features, config.seed)
    layer = BatchNorm(config.features)
    rng = np.random.default_rng(config.seed)
    layer.weight[:], layer.bias[:] = rng.normal(size=(2, config.features))
    for batch, _ in minibatches(z, labels, config.rows, rng):
        layer(batch)
    before = layer.eval().state_dict()
    y, order = layer(z), rng.permutation(len(z))
    shift = layer(np.zeros((1, config.features)))
    scale = layer(np.ones((1, config.features))) - shift
    return {
        "alone": np.abs(np.concatenate([layer(row[None]) for row in z]) - y).max(),
        "shuffled": np.abs(layer(z[order]) - y[order]).max(),
        "affine": np.abs(scale * z + shift - y).max(),
        "moved": max(np.abs(layer.state_dict()[name] - before[name]).max() for name in before),
    }


def _judge_t1(arrays):
    same = max(arrays["alone"], arrays["shuffled"]) <= EXACT
    affine, still = arrays["affine"] <= EXACT, arrays["moved"] == 0
    verdict = "RIGHT" if same and affine and still else "WRONG"
    measured = (
        f"each row alone, or in another order, gives the same: {same}; one factor and one offset "
        f"per feature: {affine}; evaluation changes no statistics: {still}"
    )
    return verdict, measured, f"identity, float64, within {EXACT:g}"


T1_AVERAGES = Experiment(
    Claim(
        "T1",
        "At test time, normalize by the averages of the training batches.",
        "Yes. Batch norm is then one fixed affine map per feature, and the answer for an example "
        "depends on that example alone.",
        "identity",
        "05",
        "Ioffe & Szegedy 2015, Algorithm 2",
    ),
    Probe(),
    run=_run_t1,
    judge=_judge_t1,
)


# T2: the test set is no mini-batch.


@dataclass(frozen=True)
class Orders:
    """Test images in batches of `test_batch`, shuffled and sorted by class; 6 seconds."""

    steps: int = 1000
    lr: float = 0.1
    test_batch: int = 32
    seeds: tuple[int, ...] = tuple(range(6))


def accuracy_in_train_mode(model, x, y, batches):
    """Accuracy if each of the batches, rows (B, size) as from `batches_of`, normalizes itself."""
    training = copy.deepcopy(model).train()  # so that the model is left as it was
    return float(np.mean([training(x[rows]).argmax(axis=1) == y[rows] for rows in batches]))


def _one_seed_t2(config, seed):
    digits = load_digits(seed, np.float32)
    x, y = digits.x_test, digits.y_test
    model = trained_net(digits, seed, steps=config.steps, lr=config.lr)
    orders = {
        "shuffled": np.random.default_rng(seed).permutation(len(y)),
        "sorted": np.argsort(y, kind="stable"),
    }
    result = {"fixed": evaluate(model, x, y)}
    for name, order in orders.items():
        batches = batches_of(order, config.test_batch)
        result[name] = accuracy_in_train_mode(model, x, y, batches)
        result[f"fixed_{name}"] = evaluate(model, x[order], y[order], config.test_batch)
    return result


def _judge_t2(arrays):
    """WRONG if fixed statistics do not care about the order, and the batch's own ones do.

    The second: sorting costs more than two standard errors, paired by seed.
    """
    fixed = arrays["fixed"]
    gaps = [np.abs(arrays[f"fixed_{name}"] - fixed).max() for name in ("shuffled", "sorted")]
    ignores_order = max(gaps) < 0.005  # a rounding may move one image of 450
    cost, error = points_gained(arrays["shuffled"], arrays["sorted"])
    verdict = "WRONG" if ignores_order and cost > error else "RIGHT"
    measured = (
        f"normalized by its own test batch {100 * arrays['shuffled'].mean():.1f}% shuffled, "
        f"{100 * arrays['sorted'].mean():.1f}% sorted by class; by the averages of training "
        f"{100 * fixed.mean():.1f}% in any order: {ignores_order}"
    )
    return verdict, measured, f"{len(fixed)} seeds, sorting costs {cost:.0f} +- {error:.0f}"


T2_ONE_BATCH = Experiment(
    Claim(
        "T2",
        "The entire test set acts as one mini-batch, so batch norm cannot be applied to it.",
        "Test examples must not act on each other at all. With the fixed averages of training, "
        "batch norm applies to a test set of any size, in any order, down to one example.",
        "experiment",
        "05",
        "Ioffe & Szegedy 2015, section 3.1",
    ),
    Orders(),
    one_seed=_one_seed_t2,
    judge=_judge_t2,
)


# T3: why the running variance is fed the unbiased one.


@dataclass(frozen=True)
class Pairs:
    """Every pair (i, j) of `rows` values, i = j included, is a batch of two."""

    rows: int = 40
    features: int = 10
    seed: int = 0


def _run_t3(config):
    z, _ = digits_activations(config.rows, config.features, config.seed)
    layer = BatchNorm(config.features, momentum=None)  # None: the mean over all batches
    for i in range(config.rows):
        for j in range(config.rows):
            layer(z[[i, j]])
    layer.eps = 0.0  # so that the standard deviation is 1 and not nearly 1
    unbiased = layer.eval()(z).std(axis=0)
    layer.running_var /= 2  # what the biased variance, (m - 1)/m of it at m = 2, would have left
    return {"unbiased": unbiased, "biased": layer(z).std(axis=0)}


def _judge_t3(arrays):
    """RIGHT if the output of evaluation has standard deviation 1 with it, and not without."""
    with_it = np.abs(arrays["unbiased"] - 1).max() <= EXACT
    without = np.abs(arrays["biased"] - 1).max() <= EXACT
    verdict = "RIGHT" if with_it and not without else "WRONG"
    measured = (
        f"at m = 2 the output of evaluation has standard deviation "
        f"{arrays['unbiased'].mean():.3f} with the unbiased variance, "
        f"{arrays['biased'].mean():.3f} with the biased one"
    )
    return verdict, measured, f"identity over all pairs, float64, within {EXACT:g}"


T3_UNBIASED = Experiment(
    Claim(
        "T3",
        "At inference, batch norm uses unbiased statistics.",
        "In the paper, in PyTorch and here: the running variance is fed m/(m-1) times the batch "
        "variance. Many libraries feed the biased one. Training always normalizes by the biased "
        "one.",
        "identity",
        "05",
        "Ioffe & Szegedy 2015, Algorithm 2, step 10",
    ),
    Pairs(),
    run=_run_t3,
    judge=_judge_t3,
)
