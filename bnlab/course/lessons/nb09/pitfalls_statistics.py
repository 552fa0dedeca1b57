"""Pitfalls of the running statistics: P4, P6, P9, P11."""

from dataclasses import dataclass

import numpy as np

from bnlab.course.experiments import panels
from bnlab.course.experiments.bench import batches_of
from bnlab.course.experiments.rule import Part, in_every_seed, told
from bnlab.course.lessons.nb09.pitfalls import (
    TRAINED,
    accuracies,
    percent,
    pitfall,
    torch_accuracy,
    torch_batchnorms,
    torch_twin,
    trained,
)
from bnlab.layers import BatchNorm
from bnlab.training import evaluate

# P4: somebody else's momentum.


@dataclass(frozen=True)
class Momentum:
    """The same trainings with two values of momentum, batch 16; two seconds."""

    theirs: float = 0.99
    batch_size: int = 16
    last: int = 20  # batches over which accuracy is averaged: with 0.99 only the last one counts
    seeds: tuple[int, ...] = tuple(range(300, 308))


def _accuracy_after_each(batches, model, digits):
    """Mean accuracy in evaluation after each of some more batches, which train nothing."""
    found = []
    for batch in batches:
        model.train()(batch)
        found.append(evaluate(model.eval(), digits.x_test, digits.y_test))
    return np.mean(found)


def momentum_copied(config, seed):
    """P4: accuracy with Keras' 0.99 as it stands, and converted to 0.01; the weights are alike."""
    result, weights = {}, []
    for name, momentum in {"copied": config.theirs, "converted": 1 - config.theirs}.items():
        model, digits = trained(seed, momentum=momentum, batch_size=config.batch_size)
        order = np.random.default_rng(seed).permutation(len(digits.x_train))
        batches = digits.x_train[batches_of(order, config.batch_size)[: config.last]]
        result[name] = _accuracy_after_each(batches, model, digits)
        weights.append(model[0].weight)
    return result | {"weights_apart": np.abs(np.subtract(*weights)).max()}


P4_MOMENTUM = pitfall(
    "P4",
    "After moving from Keras to torch, momentum=0.99 still runs, but evaluation got worse.",
    "torch's momentum multiplies the new value, Keras' the old one. With 0.99 the running "
    "statistics are those of the last batch. Convert: torch = 1 - Keras.",
    "torch.nn.BatchNorm1d and keras.layers.BatchNormalization, documentation",
    config=Momentum(),
    setting=TRAINED + "; the mean accuracy after each of {last} more batches",
    one_seed=momentum_copied,
    symptom=lambda a: Part(
        "with momentum copied the same weights get fewer test images right, in every seed",
        in_every_seed((a["copied"] < a["converted"]) & (a["weights_apart"] == 0)),
        f"{percent(a['copied'])}, {told(100 * (a['copied'] - a['converted']))}",
    ),
    fixed=lambda a: Part(
        "converted, more than 95% of the test images are right",
        in_every_seed(a["converted"] > 0.95),
        percent(a["converted"]),
    ),
    draw=lambda a: accuracies({"0.99,\ncopied": a["copied"], "0.01,\nconverted": a["converted"]}),
)


# P6: one inf.


@dataclass(frozen=True)
class OneInf:
    """One pixel of one image is inf; half a second."""

    batch_size: int = 32
    seeds: tuple[int, ...] = (0, 1, 2, 3)


def _repair(twin, batches):
    """Forget the running statistics, and take them anew from clean batches."""
    for layer in torch_batchnorms(twin):
        layer.reset_running_stats()
    for batch in batches:
        twin(batch)


def one_inf(config, seed):
    """P6: accuracy after one bad value, and after the statistics are taken anew."""
    import torch

    model, digits = trained(seed)
    twin, x, y = torch_twin(model), torch.from_numpy(digits.x_train), digits.y_test
    broken = x[: config.batch_size].clone()
    broken[0, 0] = torch.inf
    twin(broken)  # the loss is nan, the training loop skips the update: too late
    poisoned = torch_accuracy(twin, digits.x_test, y)
    _repair(twin, x.split(config.batch_size))
    repaired = torch_accuracy(twin, digits.x_test, y)
    return {"poisoned": poisoned, "repaired": repaired, "zeros": (y == 0).mean()}


P6_ONE_INF = pitfall(
    "P6",
    "The training loss is fine again after one bad batch, but evaluation is stuck at chance.",
    "An inf or nan in one batch makes the running mean inf or nan and the running variance nan, "
    "and so they stay. Look for it before the forward pass; repair with reset_running_stats() "
    "and a pass over clean data.",
    "algebra: (1 - momentum) * nan + momentum * batch is nan",
    config=OneInf(),
    setting=TRAINED.format(batch_size=64) + "; then a batch of {batch_size} with one inf",
    one_seed=one_inf,
    symptom=lambda a: Part(
        "after one inf every test image is called a zero",
        in_every_seed(a["poisoned"] == a["zeros"]),
        f"{percent(a['poisoned'])} right",
    ),
    fixed=lambda a: Part(
        "with statistics taken anew more than 95% are right",
        in_every_seed(a["repaired"] > 0.95),
        percent(a["repaired"]),
    ),
    draw=lambda a: accuracies(
        {"after one inf": a["poisoned"], "statistics\ntaken anew": a["repaired"]},
        limit=(10, "chance"),
    ),
)


# P9: activation checkpointing runs the forward pass twice.


@dataclass(frozen=True)
class Checkpoint:
    """One forward and backward pass of one torch layer; milliseconds."""

    momentum: float = 0.1
    rows: int = 16
    features: int = 3
    seed: int = 0


def _running_mean_after_a_step(config, momentum, checkpointed):
    import torch
    from torch.utils.checkpoint import checkpoint

    layer = torch.nn.BatchNorm1d(config.features, momentum=momentum).double()
    rng = np.random.default_rng(config.seed)
    x = torch.from_numpy(rng.normal(3, 1, (config.rows, config.features))).requires_grad_()
    y = checkpoint(layer, x, use_reentrant=False) if checkpointed else layer(x)
    y.pow(3).sum().backward()
    return layer.running_mean.numpy()


def checkpointing(config):
    """P9: how far one training step moves the running mean, as a multiple of what it should."""
    m = config.momentum
    once = _running_mean_after_a_step(config, m, checkpointed=False)
    twice = _running_mean_after_a_step(config, m, checkpointed=True)
    fixed = _running_mean_after_a_step(config, 1 - np.sqrt(1 - m), checkpointed=True)
    return {"ratio": twice / once, "fixed_ratio": fixed / once, "predicted": 2 - m}


P9_CHECKPOINTING = pitfall(
    "P9",
    "With activation checkpointing the running statistics move nearly twice as fast.",
    "The forward pass runs again during the backward pass, and updates again. Two updates with "
    "momentum 1 - sqrt(1 - m) are one with m.",
    "torch.utils.checkpoint, documentation; algebra",
    config=Checkpoint(),
    setting="one step of one layer of torch, a batch of {rows} rows, momentum {momentum}",
    demo=checkpointing,
    symptom=lambda a: Part(
        "with checkpointing a step moves the running mean 2 - momentum times as far",
        bool(np.allclose(a["ratio"], a["predicted"], rtol=1e-9)),
        f"{np.mean(a['ratio']):.2f} times, predicted {a['predicted']:.2f}",
    ),
    fixed=lambda a: Part(
        "with the converted momentum it moves as far as without",
        bool(np.allclose(a["fixed_ratio"], 1, rtol=1e-9)),
        f"{np.mean(a['fixed_ratio']):.2f} times",
    ),
    draw=lambda a: panels.strip(
        {"checkpointed": a["ratio"], "checkpointed,\nmomentum converted": a["fixed_ratio"]},
        "way of the running mean in a step,\nmultiple of one update",
        limit=(1, "one update"),
    ),
)


# P11: one layer for two domains.


@dataclass(frozen=True)
class Domains:
    """Batches come from two domains in turn, with means -5 and 5; milliseconds."""

    distance: float = 10.0
    std: float = 0.75
    batches: int = 400
    rows: int = 64
    momentum: float = 0.03
    seed: int = 0


def two_domains(config):
    """P11: one batch norm for both domains, then one for each; what evaluation makes of one."""
    rng = np.random.default_rng(config.seed)
    centres = config.distance * np.array([-0.5, 0.5])
    centre = np.resize(centres, config.batches)[:, None, None]  # of each batch
    x = rng.normal(centre, config.std, (config.batches, config.rows, 1))
    shared, own = (BatchNorm(1, momentum=config.momentum) for _ in range(2))
    _ = [shared(batch) for batch in x], [own(batch) for batch in x[::2]]
    result = {"running_var": shared.running_var[0], "pooled_var": x.var()}
    return result | {"shared": shared.eval()(x[0]), "own": own.eval()(x[0])}


def _draw_domains(arrays):
    from bnlab.plots import histogram_pair

    names = "batch norm shared", "its own batch norm"
    ax = histogram_pair(np.ravel(arrays["shared"]), np.ravel(arrays["own"]), names)
    ax.set_xlabel("output of one domain in evaluation mode")
    return ax


P11_TWO_DOMAINS = pitfall(
    "P11",
    "One network sees two kinds of data in turn; it trains well and evaluates badly on both.",
    "A running variance averages the variances within batches: the distance between the domains "
    "is not in it. Give each domain its own batch norm, or mix both in every batch.",
    "Chang et al. 2019, domain-specific batch normalization; the law of total variance",
    config=Domains(),
    setting="{batches} batches of {rows} rows, in turn from two domains whose means are {distance} "
    "apart, momentum {momentum}",
    demo=two_domains,
    symptom=lambda a: [
        Part(
            "the running variance is less than a tenth of that of all data",
            bool(a["pooled_var"] > 10 * a["running_var"]),
            f"{a['running_var']:.1f} of {a['pooled_var']:.1f}",
        ),
        Part(
            "in evaluation a domain comes out with a mean beyond 2 standard deviations",
            bool(abs(np.mean(a["shared"])) > 2),
            f"mean {np.mean(a['shared']):.1f}",
        ),
    ],
    fixed=lambda a: Part(
        "with its own batch norm it has mean 0 up to 0.3 and standard deviation 1 up to 0.2",
        bool(abs(np.mean(a["own"])) < 0.3 and 0.8 < np.std(a["own"]) < 1.2),
        f"mean {np.mean(a['own']):.2f}, standard deviation {np.std(a['own']):.2f}",
    ),
    draw=_draw_domains,
)
