"""Claims about test time: with fixed statistics no example sees another one.

With the statistics of the test batch it does, and the answer depends on who else is asked.
"""

import copy
from dataclasses import dataclass

import numpy as np

from bnlab.course.experiments import panels
from bnlab.course.experiments.bench import EXACT, batches_of, digits_activations, trained_net
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.course.experiments.rule import Part, exact, larger, told
from bnlab.course.lessons.nb05.conventions import CONVENTIONS
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
    others = [arrays["alone"], arrays["shuffled"]]
    return [
        exact("each row alone, or in another order, gets the same answer", others),
        exact("it is one factor and one offset for each feature", arrays["affine"]),
        exact("evaluation leaves the averages as they are", arrays["moved"], 0.0),
    ]


def _draw_t1(arrays):
    names = {
        "row alone": "alone",
        "rows in another order": "shuffled",
        "factor and offset": "affine",
        "averages after evaluation": "moved",
    }
    return panels.errors({n: arrays[key] for n, key in names.items()}, tolerance=EXACT)


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
    draw=_draw_t1,
    setting="float64, one layer of {features} features that has seen batches of {rows} digits",
)


# T2: the test set is no mini-batch.


@dataclass(frozen=True)
class Orders:
    """Test images in batches of `test_batch`, shuffled, sorted by class, one by one; 9 seconds."""

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
    result = {"fixed": evaluate(model, x, y), "fixed_single": evaluate(model, x, y, 1)}
    for name, order in orders.items():
        batches = batches_of(order, config.test_batch)
        result[name] = accuracy_in_train_mode(model, x, y, batches)
        result[f"fixed_{name}"] = evaluate(model, x[order], y[order], config.test_batch)
    return result


def _judge_t2(arrays):
    lost = 100 * (arrays["fixed"] - arrays["fixed_single"])
    return [
        _order(arrays),
        Part(
            "batch norm cannot be applied: with one image at a time the network is half a point "
            "or more worse than with all at once",
            larger(lost, 0.5),
            f"{told(lost)} lost",
        ),
    ]


def _order(arrays):
    names = "fixed", "shuffled", "sorted"
    fixed, own, by_class = (100 * arrays[name].mean() for name in names)
    gaps = [arrays[f"fixed_{name}"] - arrays["fixed"] for name in names[1:]]
    moves = 100 * np.abs(gaps).max()
    return Part(
        "by the averages of training, test images act on each other: their order changes the "
        "accuracy by half a point or more",
        bool(moves >= 0.5),
        f"by at most {moves:.1f} points of {fixed:.1f}%; by their own batch {own:.1f}% shuffled, "
        f"{by_class:.1f}% sorted by class",
    )


def _draw_t2(arrays):
    names = {
        "averages,\nshuffled": "fixed_shuffled",
        "averages,\nby class": "fixed_sorted",
        "averages,\none by one": "fixed_single",
        "own batch,\nshuffled": "shuffled",
        "own batch,\nby class": "sorted",
    }
    groups = {name: 100 * arrays[key] for name, key in names.items()}
    return panels.strip(groups, "test accuracy, %")


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
    draw=_draw_t2,
    setting="64-100-100-100-10 with ReLU, {steps} steps of 60 images at rate {lr}; test images in "
    "batches of {test_batch}",
)


# T3: why the running variance is fed the unbiased one.


@dataclass(frozen=True)
class Pairs:
    """Every pair (i, j) of `rows` values, i = j included, is a batch of two."""

    rows: int = 40
    features: int = 10
    seed: int = 200


def _run_t3(config):
    z, _ = digits_activations(config.rows, config.features, config.seed)
    layer = BatchNorm(config.features, momentum=None)  # None: the mean over all batches
    for i in range(config.rows):
        for j in range(config.rows):
            layer(z[[i, j]])
    layer.eps = 0.0  # so that the standard deviation is 1 and not nearly 1
    unbiased = layer.eval()(z).std(axis=0)
    layer.running_var /= 2  # what the biased variance, (m - 1)/m of it at m = 2, would have left
    return {
        "unbiased": unbiased,
        "biased": layer(z).std(axis=0),
        "names": list(CONVENTIONS),
        "feeds_unbiased": np.array([c.variance == "unbiased" for c in CONVENTIONS.values()]),
    }


def _judge_t3(arrays):
    unbiased, biased = (np.array(arrays[name]) for name in ("unbiased", "biased"))
    fed = dict(zip(arrays["names"], arrays["feeds_unbiased"], strict=True))
    one = np.abs(unbiased - 1).max() <= EXACT < np.abs(biased - 1).max()
    return [
        Part(
            "the paper's does, and with the unbiased variance, not with the biased one, the output "
            "of evaluation has the standard deviation 1",
            bool(fed["the paper"] and one),
            f"{unbiased.mean():.3f} and {biased.mean():.3f} with batches of two",
        ),
        Part(
            "so does that of every library in the course's table",
            all(fed.values()),
            f"{sum(fed.values())} of {len(fed)} conventions, with the paper's",
        ),
    ]


def _draw_t3(arrays):
    import matplotlib.pyplot as plt

    _, (left, right) = plt.subplots(1, 2, figsize=(11, 3.8), width_ratios=[1, 1.2])
    groups = {f"{name}\nvariance": arrays[name] for name in ("unbiased", "biased")}
    limit = 1.0, "as in training"
    panels.strip(groups, "std of evaluation, batches of 2", limit=limit, ax=left)
    places = np.arange(len(arrays["names"]))
    right.plot(arrays["feeds_unbiased"], places, "o", color="C0")
    right.set_yticks(places, list(arrays["names"]))
    right.set_xticks([0, 1], ["biased", "unbiased"])
    right.set(xlim=(-0.5, 1.5), ylim=(len(places) - 0.5, -0.5), xlabel="running variance is fed")
    right.grid(axis="y", color="0.9")
    return left


T3_UNBIASED = Experiment(
    Claim(
        "T3",
        "At inference, batch norm uses unbiased statistics.",
        "In the paper, in PyTorch, Caffe, tf.keras 2 for images and here: the running variance is "
        "fed m/(m-1) times the batch variance. The other seven of eleven conventions in the "
        "course's table feed the biased one. Training always normalizes by the biased one.",
        "identity",
        "05",
        "Ioffe & Szegedy 2015, Algorithm 2, step 10; documentation and source of each library",
    ),
    Pairs(),
    run=_run_t3,
    judge=_judge_t3,
    draw=_draw_t3,
    setting="float64, all pairs of {rows} digits, {features} features, eps 0",
)
