"""Pitfalls of what is counted and how it is stored: P26, padding, and P28, half precision."""

from dataclasses import dataclass

import numpy as np

from bnlab.batchnorm import batchnorm_forward
from bnlab.course.experiments import panels
from bnlab.course.experiments.rule import Part
from bnlab.course.lessons.nb09.pitfalls import pitfall

# P26: padded positions count.


@dataclass(frozen=True)
class Padded:
    """Sequences of different lengths, filled up with zeros; milliseconds."""

    lengths: tuple[int, ...] = (12, 9, 5, 2)
    longer: int = 40
    mean: float = 5.0
    seed: int = 0


def _normalized(values):
    return batchnorm_forward(values, np.ones(1), np.zeros(1))[0]


def padded_positions(config):
    """P26: real positions, normalized with the padding and without it; in a longer batch too."""
    rng = np.random.default_rng(config.seed)
    words = [rng.normal(config.mean, 1, n) for n in config.lengths]
    result = {}
    for name, width in {"short": max(config.lengths), "long": config.longer}.items():
        x = np.stack([np.pad(word, (0, width - len(word))) for word in words])  # (N, T)
        real = np.arange(width) < np.array(config.lengths)[:, None]
        result[f"{name}_all"] = _normalized(x.reshape(-1, 1)).reshape(x.shape)[real]
        result[f"{name}_real"] = _normalized(x[real][:, None])[:, 0]
    return result


P26_PADDING = pitfall(
    "P26",
    "A sentence gets other outputs when a longer one is in the batch; padding changes the loss.",
    "Padded positions enter the mean and the variance like all others. Select the real positions "
    "by the mask, normalize those, and put them back.",
    "algebra: a share of zeros moves the mean and widens the variance",
    config=Padded(),
    setting="sequences of {lengths} numbers with mean {mean}, filled up to the longest, or to "
    "{longer}",
    demo=padded_positions,
    symptom=lambda a: Part(
        "padded further, the outputs for the same real positions change by over 0.1",
        bool(np.abs(a["long_all"] - a["short_all"]).min() > 0.1),
        f"their mean goes from {a['short_all'].mean():.2f} to {a['long_all'].mean():.2f}",
    ),
    fixed=lambda a: Part(
        "with real positions only they stay, with mean 0, and deviation 1 up to a thousandth",
        bool(
            np.allclose(a["long_real"], a["short_real"], atol=1e-8)
            and abs(a["long_real"].mean()) < 1e-8
            and abs(a["long_real"].std() - 1) < 1e-3
        ),
        f"mean {abs(a['long_real'].mean()):.2f}, standard deviation {a['long_real'].std():.2f}",
    ),
    draw=lambda a: panels.strip(
        {
            "padding counts": a["short_all"],
            "more padding": a["long_all"],
            "masked": a["short_real"],
            "masked,\nmore padding": a["long_real"],
        },
        "outputs for the real positions",
    ),
)


# P28: statistics in half precision.


@dataclass(frozen=True)
class Half:
    """A running mean with a small momentum in three number formats; two seconds."""

    steps: int = 6000
    every: int = 100
    momentum: float = 0.001
    rows: int = 64
    mean: float = 3.0
    seed: int = 0


def stored_in_half(config):
    """P28: the running mean over the steps, in three formats of torch."""
    import torch

    result, rng = {}, np.random.default_rng(config.seed)
    batches = torch.from_numpy(rng.normal(config.mean, 1, (config.every, config.rows, 1)))
    for name in ("float32", "float16", "bfloat16"):
        dtype = getattr(torch, name)
        layer, x, way = torch.nn.BatchNorm1d(1, momentum=config.momentum).to(dtype), None, []
        for _ in range(config.steps // config.every):
            for x in batches.to(dtype):
                layer(x)
            way.append(layer.running_mean.item())
        result[name] = np.array(way)
    return result | {"mean": config.mean, "every": config.every}


P28_HALF = pitfall(
    "P28",
    "In float16 or bfloat16 the running statistics stop moving long before they are right.",
    "A step of momentum times the distance is rounded away once it is below half a unit of the "
    "last place. Keep running statistics in float32; autocast does, half() does not.",
    "IEEE 754: float16 keeps 11 bits, bfloat16 8",
    config=Half(),
    setting="one layer of torch, {steps} batches of {rows} rows with mean {mean}, momentum "
    "{momentum}",
    demo=stored_in_half,
    symptom=lambda a: [
        Part(
            f"the running mean in {name} stands still for the last third, 10% or more too low",
            bool(_stands_still(a[name]) and a[name][-1] < 0.9 * a["mean"]),
            f"{a[name][-1]:.2f} of {a['mean']:.2f}",
        )
        for name in ("float16", "bfloat16")
    ],
    fixed=lambda a: Part(
        "in float32 it comes within 1%",
        bool(abs(a["float32"][-1] / a["mean"] - 1) < 0.01),
        f"{a['float32'][-1]:.2f}",
    ),
    draw=lambda a: _ways_drawn(a),
)


def _stands_still(way):
    last = way[-len(way) // 3 :]
    return np.ptp(last) < 0.02 * last[-1]


def _ways_drawn(arrays):
    names = ("float32", "float16", "bfloat16")
    steps = arrays["every"] * np.arange(1, len(arrays["float32"]) + 1)
    ways = {name: arrays[name] for name in names}
    limit = arrays["mean"], "mean of the data"
    return panels.lines(steps, ways, "batch", "running mean, true value 3", limit=limit)
