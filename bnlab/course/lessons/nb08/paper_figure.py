"""Figure 1 of Ioffe & Szegedy 2015, on the digits or on any images in MNIST's format.

The paper's network: three layers of 100 sigmoids, mini-batches of 60, with and without batch norm.
(a) test accuracy by step; (b, c) the 15th, 50th and 85th percentile of the input of one sigmoid of
the last hidden layer. The paper states neither its optimizer nor its rate nor its weights. Here
both sides get plain SGD, the same weights and mini-batches, and the rate that is best for them on
validation images. The paper's images are binary, here they keep their shades of grey.
"""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bnlab.course.experiments import panels
from bnlab.course.experiments.bench import SPLITS, input_of_last, sigmoid_net, train
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.course.experiments.rule import Part, in_every_seed, larger, told
from bnlab.course.experiments.seeds import over_seeds
from bnlab.course.lessons.nb06.small_cnn import steps_to
from bnlab.course.lessons.nb08.drawing import legend_for_labels, magnified, row_of_axes
from bnlab.course.lessons.nb08.figure_one import median_in_words
from bnlab.data import Digits, load_digits, load_idx_folder
from bnlab.training import evaluate

SIDES = {"plain": False, "bn": True}
PERCENTILES = (15, 50, 85)


@dataclass(frozen=True)
class Figure1:
    """The digits by default; about 20 seconds a seed on one core."""

    data: str = "digits"
    steps: int = 2000
    every: int = 20
    batch_size: int = 60
    lrs: tuple[float, ...] = (1.0, 3.0, 10.0, 30.0)
    unit: int = 0  # the sigmoid that is followed
    target: float = 0.9  # the accuracy that "faster" is about
    seeds: tuple[int, ...] = (0, 1, 2, 3)


def images(data, seed):
    """The digits, or a folder of MNIST's format, a sixth of its training images for validation."""
    if data == "digits":
        return load_digits(seed, np.float32)
    x, y, x_test, y_test = load_idx_folder(data, np.float32)
    val, rest = np.split(np.random.default_rng(seed).permutation(len(x)), [len(x) // 6])
    return Digits(x[rest], y[rest], x[val], y[val], x_test, y_test)


def paper_net(pixels, batchnorm, seed):
    """Pixels, three layers of 100 sigmoids, 10 logits; the same weights for the same seed.

    >>> [layer.weight.shape for layer in paper_net(784, False, seed=0)[::2]]
    [(100, 784), (100, 100), (100, 100), (10, 100)]
    """
    return sigmoid_net(3, batchnorm, seed, pixels=pixels)


def _train(config, parts, batchnorm, lr, seed):
    """One run: validation accuracy at its end, and what the figure shows of it."""
    model = paper_net(parts.x_train.shape[1], batchnorm, seed)
    probe = parts.x_val[:1000]

    def measure(model):
        accuracy = evaluate(model, parts.x_test, parts.y_test)
        return accuracy, *np.percentile(input_of_last(model, probe)[:, config.unit], PERCENTILES)

    schedule = {"steps": config.steps, "batch_size": config.batch_size, "every": config.every}
    start = time.perf_counter()
    history = train(model, parts, lr, seed, measure=measure, **schedule)
    seconds = time.perf_counter() - start
    measured = np.full((config.steps // config.every + 1, 4), np.nan)  # (T, 4)
    measured[: len(history.measured)] = history.measured[: len(measured)]
    shown = {"accuracy": measured[:, 0], "percentiles": measured[:, 1:].T}
    return evaluate(model, parts.x_val, parts.y_val), shown | {"lr": lr, "seconds": seconds}


def _one_seed(config, seed):
    parts, result = images(config.data, seed), {}
    for side, batchnorm in SIDES.items():
        runs = [_train(config, parts, batchnorm, lr, seed) for lr in config.lrs]
        _, shown = max(runs, key=lambda run: run[0])
        result |= {f"{name}_{side}": value for name, value in shown.items()}
    return result


def _run(config):
    fixed = {
        "steps": np.arange(0, config.steps + 1, config.every),
        "lrs": np.array(config.lrs),
        "target": config.target,
        "overlap": SPLITS if config.data == "digits" else 0.0,  # a folder's test images are fixed
    }
    return fixed | over_seeds(_one_seed, config)


def _faster(arrays):
    tested = {side: arrays[f"accuracy_{side}"] for side in SIDES}  # (S, T) each
    steps = {side: steps_to(arrays["target"], arrays["steps"], tested[side]) for side in SIDES}
    cost = np.median(arrays["seconds_bn"] / arrays["seconds_plain"])
    return Part(
        f"faster: it has {arrays['target']:.0%} of the test images right after fewer steps, in "
        "every seed",
        in_every_seed(steps["bn"] < steps["plain"], np.isfinite(list(steps.values())).any(axis=0)),
        f"{median_in_words(steps['plain'])} without, {median_in_words(steps['bn'])} with it; each "
        f"step takes {cost:.1f} times as long with it",
    )


def _better(arrays):
    plain, bn = (100 * arrays[f"accuracy_{side}"][:, -1] for side in SIDES)
    return Part(
        "better: its test accuracy is higher at the end",
        larger(bn - plain, overlap=float(arrays["overlap"])),
        f"{plain.mean():.1f} and {bn.mean():.1f}%, "
        f"{told(bn - plain, overlap=float(arrays['overlap']))}; rates {_listed(arrays['lr_plain'])}"
        f" without, {_listed(arrays['lr_bn'])} with it",
    )


def _judge(arrays):
    return [_faster(arrays), _better(arrays)]


def _listed(values):
    return ", ".join(f"{value:g}" for value in np.unique(values))


def figure_1(data="digits"):
    """The experiment on the digits or on a folder; no row of the ledger, where W7 is the claim."""
    of_data, long = data, {}
    if data != "digits":
        images(data, seed=0)  # what cannot be read is said now, not by a worker
        of_data = Path(data).name
        long = {"steps": 50_000, "every": 500}  # the paper's; ten minutes a seed on one core
    claim = Claim(
        "figure1",
        "The paper's small sigmoid network learns faster with batch norm, and ends up better.",
        "Faster holds wherever we looked. Better depends on how well the network without batch "
        f"norm is tuned, and on the data; here: {of_data}.",
        "figure",
        "08",
        "Ioffe & Szegedy 2015, section 4.1 and figure 1",
        published="yes",
    )
    config = Figure1(data=str(data), **long)
    setting = (
        "{data}, three hidden layers of 100 sigmoids, {steps} steps of {batch_size} images; each "
        "side at the best of the rates {lrs} on validation images"
    )
    return Experiment(
        claim, config, run=_run, judge=_judge, setting=setting, draw=draw, on_data=figure_1
    )


def draw(arrays):
    """The three panels of the paper's figure, (b) and (c) of the first seed; returns panel (a)."""
    titles = ("(a) test accuracy, all seeds", "(b) without batch norm", "(c) with batch norm")
    a, b, c = row_of_axes(titles, width=4.6, height=3.8)
    groups = {"without": arrays["accuracy_plain"], "with": arrays["accuracy_bn"]}
    groups = {f"{text} batch norm": 100 * curves for text, curves in groups.items()}
    panels.lines(arrays["steps"], groups, "step", "test accuracy, %", ax=a, ylim=(0, 101))
    legend_for_labels(a, loc="lower right", fontsize="small")
    magnified(a, (0.36, 0.3, 0.6, 0.42), 90, 100)
    _draw_percentiles(arrays, b, c)
    return a


def _draw_percentiles(arrays, *axes):
    """The input of one sigmoid over the steps, a panel a side, both on one scale."""
    from bnlab.plots import percentile_lines

    for ax, side in zip(axes, SIDES, strict=True):
        percentile_lines(arrays["steps"], arrays[f"percentiles_{side}"][0], ax=ax)
        ax.set(xlabel="step", ylabel="input of a sigmoid, percentiles")
    limits = [limit for ax in axes for limit in ax.get_ylim()]
    for ax in axes:
        ax.set_ylim(min(limits), max(limits))


FIGURE_1 = figure_1()
