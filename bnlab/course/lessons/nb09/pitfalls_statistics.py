"""Pitfalls of the running statistics: P4, P6, P9, P11."""

from dataclasses import dataclass

import numpy as np

from bnlab.course.lessons.nb09.pitfalls import (
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
    """The same trainings with two values of momentum, batch 16; one second."""

    theirs: float = 0.99
    batch_size: int = 16
    seeds: tuple[int, ...] = (0, 1, 2, 3)


def momentum_copied(config, seed):
    """P4: accuracy with Keras' 0.99 as it stands, and converted to 0.01; the weights of both."""
    result = {}
    for name, momentum in {"copied": config.theirs, "converted": 1 - config.theirs}.items():
        model, digits = trained(seed, momentum=momentum, batch_size=config.batch_size)
        result[name] = evaluate(model, digits.x_test, digits.y_test)
        result[f"{name}_weight"] = model[0].weight
    return result


def _lost(arrays):
    return 100 * (arrays["converted"].mean() - arrays["copied"].mean())


P4_MOMENTUM = pitfall(
    "P4",
    "After moving from Keras to torch, momentum=0.99 still runs, but evaluation got worse.",
    "torch's momentum multiplies the new value, Keras' the old one. With 0.99 the running "
    "statistics are those of the last batch. Convert: torch = 1 - Keras.",
    "torch.nn.BatchNorm1d and keras.layers.BatchNormalization, documentation",
    config=Momentum(),
    one_seed=momentum_copied,
    symptom=lambda a: (
        _lost(a) > 1 and np.array_equal(a["copied_weight"], a["converted_weight"]),
        f"with the same weights, more than one point of accuracy is lost: {_lost(a) > 1}",
    ),
    fixed=lambda a: (
        a["converted"].mean() > 0.95,
        f"above 95%: {a['converted'].mean() > 0.95}",
    ),
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
    one_seed=one_inf,
    symptom=lambda a: (
        bool((a["poisoned"] == a["zeros"]).all()),
        f"every test image is called a zero: {bool((a['poisoned'] == a['zeros']).all())}",
    ),
    fixed=lambda a: (a["repaired"].min() > 0.95, f"above 95%: {a['repaired'].min() > 0.95}"),
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
    demo=checkpointing,
    symptom=lambda a: (
        np.allclose(a["ratio"], a["predicted"], rtol=1e-9),
        f"moved {a['ratio'].mean():.1f} times as far",
    ),
    fixed=lambda a: (
        np.allclose(a["fixed_ratio"], 1, rtol=1e-9),
        f"{a['fixed_ratio'].mean():.1f} times",
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
    centre = np.tile(centres, config.batches // 2)[:, None, None]  # of each batch
    x = rng.normal(centre, config.std, (config.batches, config.rows, 1))
    shared, own = (BatchNorm(1, momentum=config.momentum) for _ in range(2))
    _ = [shared(batch) for batch in x], [own(batch) for batch in x[::2]]
    result = {"running_var": shared.running_var[0], "pooled_var": x.var()}
    return result | {"shared": shared.eval()(x[0]), "own": own.eval()(x[0])}


P11_TWO_DOMAINS = pitfall(
    "P11",
    "One network sees two kinds of data in turn; it trains well and evaluates badly on both.",
    "A running variance averages the variances within batches: the distance between the domains "
    "is not in it. Give each domain its own batch norm, or mix both in every batch.",
    "Chang et al. 2019, domain-specific batch normalization; the law of total variance",
    config=Domains(),
    demo=two_domains,
    symptom=lambda a: (
        a["pooled_var"] > 10 * a["running_var"] and abs(a["shared"].mean()) > 2,
        f"running variance {a['running_var']:.1f}, that of all data {a['pooled_var']:.0f}; one "
        f"domain comes out with mean {a['shared'].mean():.0f}",
    ),
    fixed=lambda a: (
        abs(a["own"].mean()) < 0.3 and 0.8 < a["own"].std() < 1.2,
        f"mean {abs(a['own'].mean()):.0f} and standard deviation {a['own'].std():.0f}",
    ),
)
