"""How other libraries keep their running statistics, and what that is in the terms of this course.

Here, as in torch, momentum multiplies the new value and the running variance is fed the unbiased
variance. Nearly everybody else multiplies the old value and feeds the biased one.
"""

from dataclasses import dataclass

import numpy as np

from bnlab.course.experiments import panels
from bnlab.course.experiments.bench import EXACT, digits_activations
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.course.experiments.rule import Part
from bnlab.layers import BatchNorm


@dataclass(frozen=True)
class Convention:
    """How one library keeps its running statistics."""

    multiplies: str  # what momentum multiplies: "new", "old", or "none": all batches weigh alike
    momentum: float | None  # the default, None where there is none
    eps: float | None  # the default
    variance: str  # what the running variance is fed: "biased" or "unbiased"
    start: str  # "0 and 1", "debiased" (of the share of the start), "first batch", "inputs", "none"
    channel_axis: int | None
    names: str  # scale, shift, running mean, running variance; or what to know about them
    source: str


CONVENTIONS = {
    "PyTorch": Convention(
        "new", 0.1, 1e-5, "unbiased", "0 and 1", 1, "weight, bias, running_mean, running_var",
        "torch.nn.BatchNorm1d; momentum=None weighs all batches alike",
    ),
    "Keras 3": Convention(
        "old", 0.99, 1e-3, "biased", "0 and 1", -1, "gamma, beta, moving_mean, moving_variance",
        "keras.layers.BatchNormalization",
    ),
    "tf.keras 2, dense": Convention(
        "old", 0.99, 1e-3, "biased", "0 and 1", -1, "gamma, beta, moving_mean, moving_variance",
        "tf.keras.layers.BatchNormalization with fused=False",
    ),
    "tf.keras 2, images": Convention(
        "old", 0.99, 1e-3, "unbiased", "0 and 1", -1, "gamma, beta, moving_mean, moving_variance",
        "tf.keras.layers.BatchNormalization with fused=True; tensorflow issue 55545",
    ),
    "Flax": Convention(
        "old", 0.99, 1e-5, "biased", "0 and 1", -1, "scale, bias, mean, var",
        "flax.linen.BatchNorm",
    ),
    "Haiku": Convention(
        "old", None, 1e-5, "biased", "debiased", -1, "scale, offset",
        "haiku.BatchNorm; momentum is called decay_rate",
    ),
    "Equinox": Convention(
        "old", 0.99, 1e-5, "biased", "first batch", 0, "weight, bias",
        'equinox.nn.BatchNorm in mode "ema", which normalizes training by the averages (A2); '
        'mode "batch" starts at 0 and 1 and debiases',
    ),
    "ONNX": Convention(
        "old", 0.9, 1e-5, "biased", "inputs", 1, "scale, B, input_mean, input_var",
        "operator BatchNormalization, opset 15",
    ),
    "Caffe": Convention(
        "old", 0.999, 1e-5, "unbiased", "debiased", 1, "three blobs; a separate Scale layer",
        "batch_norm_layer.cpp (read, not run): keeps sums, the third blob divides them",
    ),
    "MXNet": Convention(
        "old", 0.9, 1e-3, "biased", "0 and 1", 1, "gamma, beta, moving_mean, moving_var",
        "mxnet.npx.batch_norm (read, not run); gamma is fixed to 1 unless fix_gamma=False, and "
        "the averages move in the backward pass",
    ),
    "the paper": Convention(
        "none", None, None, "unbiased", "none", None, "gamma, beta, E[x], Var[x]",
        "Ioffe & Szegedy 2015, Algorithm 2: the mean over many batches after training",
    ),
}  # fmt: skip


# T4: the running average, step by step and in closed form.


def closed_form(start, values, momentum):
    r"""Running average after each of the values, (T,) or (T, C), without a loop over the steps.

    .. math:: r_t = (1 - a)^t\, r_0 + \sum_{k=1}^{t} a\,(1 - a)^{t - k}\, v_k, \quad
              a = \mathrm{momentum}

    >>> closed_form(1.0, np.array([0.0, 0.0, 8.0]), momentum=0.5)
    array([0.5  , 0.25 , 4.125])
    """
    t = np.arange(1, len(values) + 1)
    age = t[:, None] - t  # (T, T): how many steps ago value k came
    weights = np.where(age >= 0, momentum * (1 - momentum) ** np.maximum(age, 0), 0.0)
    left = ((1 - momentum) ** t).reshape(-1, *[1] * (values.ndim - 1))
    return left * start + weights @ values


@dataclass(frozen=True)
class Stream:
    """Batches of activations, one after the other."""

    momentum: float = 0.1
    steps: int = 30
    rows: int = 32
    features: int = 20
    seed: int = 0


def _run_t4(config):
    import torch

    z, _ = digits_activations(config.rows * config.steps, config.features, config.seed)
    batches = z.reshape(config.steps, config.rows, config.features)
    ours = BatchNorm(config.features, momentum=config.momentum)
    theirs = torch.nn.BatchNorm1d(config.features, momentum=config.momentum, dtype=torch.float64)
    elsewhere = BatchNorm(config.features, momentum=config.momentum)  # from another start
    elsewhere.running_mean += 1
    found, stored, left = [], [], []
    for batch in batches:
        for layer in (ours, elsewhere):
            layer(batch)
        theirs(torch.from_numpy(batch))
        found.append([ours.running_mean.copy(), ours.running_var.copy()])
        stored.append([theirs.running_mean.numpy().copy(), theirs.running_var.numpy().copy()])
        left.append(np.mean(elsewhere.running_mean - ours.running_mean))
    fed = np.stack([batches.mean(axis=1), batches.var(axis=1, ddof=1)], axis=1)  # (T, 2, C)
    start = np.repeat([0.0, 1.0], config.features)  # of the mean, of the variance
    expected = closed_form(start, fed.reshape(config.steps, -1), config.momentum)
    rules = {n: c.multiplies for n, c in CONVENTIONS.items() if c.multiplies != "none"}
    return {
        "closed_form": np.abs(np.array(found).reshape(expected.shape) - expected).max(),
        "torch": np.abs(np.array(found) - np.array(stored)).max(),
        "left": np.array(left),
        "predicted": (1 - config.momentum) ** np.arange(1, config.steps + 1),
        "momentum": config.momentum,
        "libraries": list(rules),
        "keeps_the_old": [multiplies == "old" for multiplies in rules.values()],
    }


def _judge_t4(arrays):
    """The libraries that have a momentum; PyTorch, which is run, apart."""
    keeps = dict(zip(arrays["libraries"], arrays["keeps_the_old"], strict=True))
    others = [bool(old) for name, old in keeps.items() if name != "PyTorch"]
    kept, a = arrays["left"][0], arrays["momentum"]
    return [
        Part(
            "in PyTorch it is the share of the old average that a step keeps",
            bool(abs(kept - a) <= EXACT) if _is_understood(arrays) else None,
            f"with momentum {a:g} a step keeps {kept:.2g}, t steps {1 - a:g}^t",
        ),
        Part(
            "so it is in every other library of the course's table",
            all(others),
            f"in {sum(others)} of {len(others)}, by documentation and source",
        ),
    ]


def _is_understood(arrays):
    """Torch, our layer and the closed form agree, and on what is left of the start as well."""
    start = np.abs(np.array(arrays["left"]) - arrays["predicted"]).max()
    return max(arrays["closed_form"], arrays["torch"], start) <= EXACT


def _draw_t4(arrays):
    a, steps = arrays["momentum"], np.arange(1, len(arrays["left"]) + 1)
    groups = {
        "PyTorch: (1 - a)^t": arrays["left"],
        "if a were kept: a^t": a**steps,
    }
    xlabel = f"step t, with momentum a = {a:g}"
    return panels.lines(steps, groups, xlabel, "share of the start left")


T4_MOMENTUM = Experiment(
    Claim(
        "T4",
        "Momentum says how much of the running average is kept at each step.",
        "In most libraries. PyTorch's momentum is the weight of the new value, so 0.99 there is "
        "0.01 here. With weight a on the new value, (1 - a)^t of the start is left after t steps.",
        "identity",
        "05",
        "documentation and source of each library; torch is run",
    ),
    Stream(),
    run=_run_t4,
    judge=_judge_t4,
    draw=_draw_t4,
    setting="float64, {steps} batches of {rows} digits, {features} features, momentum {momentum}",
)
