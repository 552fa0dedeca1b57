"""Pitfalls of other frameworks' habits: P23, trainable, and P24, statistics that are returned."""

import copy
from dataclasses import dataclass

import numpy as np

from bnlab.batchnorm import batchnorm_forward, batchnorm_inference
from bnlab.course.experiments import panels
from bnlab.course.experiments.rule import Part
from bnlab.course.lessons.nb09.pitfalls import pitfall

# P23: trainable = False is more than requires_grad_(False).


@dataclass(frozen=True)
class Frozen:
    """A frozen torch layer goes on training on shifted data; milliseconds."""

    batches: int = 100
    rows: int = 32
    mean: float = 3.0
    seed: int = 0


def frozen(config):
    """P23: a layer frozen as in torch and as in Keras: its running mean, its training output."""
    import torch

    rng, result = np.random.default_rng(config.seed), {}
    batches = torch.from_numpy(rng.normal(config.mean, 1, (config.batches, config.rows, 1)))
    for name in ("requires_grad", "trainable"):
        layer = torch.nn.BatchNorm1d(1).double().requires_grad_(False)
        layer.train(name == "requires_grad")  # Keras: not trainable means evaluation mode too
        outputs = [layer(batch).mean().item() for batch in batches]
        result |= {name: layer.running_mean.item(), f"{name}_output": np.array(outputs)}
    return result | {"shift": config.mean}


P23_TRAINABLE = pitfall(
    "P23",
    "A fine-tuning script is moved from Keras to torch line by line, and the frozen part drifts.",
    "In Keras trainable = False also puts a batch norm in inference mode; in torch "
    "requires_grad_(False) does not. Call eval() on frozen batch norms, after every model.train().",
    "keras.layers.BatchNormalization, documentation: freezing and trainable",
    config=Frozen(),
    setting="one layer of torch, frozen; {batches} batches of {rows} rows with mean {mean}",
    demo=frozen,
    symptom=lambda a: Part(
        "with requires_grad_(False) the running mean goes nine tenths of the way to the new data",
        bool(a["requires_grad"] > 0.9 * a["shift"]),
        f"from 0 to {a['requires_grad']:.2f}",
    ),
    fixed=lambda a: Part(
        "with eval() as well it stays, and the output keeps the shift of the data up to a fifth",
        bool(a["trainable"] == 0 and abs(a["trainable_output"].mean() / a["shift"] - 1) < 0.2),
        f"running mean {a['trainable']:.2f}, mean output {a['trainable_output'].mean():.2f}",
    ),
    draw=lambda a: _outputs_drawn(a),
)


def _outputs_drawn(arrays):
    steps = np.arange(1, len(arrays["trainable_output"]) + 1)
    lines = {
        "requires_grad_(False)": arrays["requires_grad_output"],
        "and eval(): Keras' trainable = False": arrays["trainable_output"],
    }
    return panels.lines(steps, lines, "batch", "mean output of the frozen layer")


# P24: a functional batch norm.


@dataclass(frozen=True)
class Functional:
    """A batch norm that returns its new statistics, and vmap over a module; milliseconds."""

    batches: int = 100
    rows: int = 32
    mean: float = 3.0
    momentum: float = 0.1
    copies: int = 3
    seed: int = 0


def apply(batch_stats, x, momentum):
    """Output and new statistics, as a layer of Flax returns them; nothing is changed in place."""
    y, cache = batchnorm_forward(x, np.ones(1), np.zeros(1))
    new = {"mean": cache.mean, "var": cache.var}
    return y, {k: (1 - momentum) * batch_stats[k] + momentum * new[k] for k in new}


def thrown_away(config):
    """P24: what evaluation makes of the data when the new statistics are dropped, or kept."""
    rng, result = np.random.default_rng(config.seed), {}
    batches = rng.normal(config.mean, 1, (config.batches, config.rows, 1))
    for keep in (False, True):
        stats = {"mean": np.zeros(1), "var": np.ones(1)}
        for x in batches:
            _, new = apply(stats, x, config.momentum)
            stats = new if keep else stats
        evaluated = batchnorm_inference(batches[0], [1.0], [0.0], stats["mean"], stats["var"])
        result["kept" if keep else "dropped"] = evaluated.mean()
    return result | _vmapped(config)


def _vmapped(config):
    """Whether torch refuses to map one layer, and how far stacked ones are from separate ones."""
    import torch
    from torch.func import functional_call, stack_module_state, vmap

    layers = [torch.nn.BatchNorm1d(2).double() for _ in range(config.copies)]
    rng = np.random.default_rng(config.seed)
    x = torch.from_numpy(rng.normal(size=(config.copies, config.rows, 2)))
    one, (parameters, buffers) = copy.deepcopy(layers[0]), stack_module_state(layers)
    together = vmap(lambda p, b, rows: functional_call(one, (p, b), (rows,)))
    y = together(parameters, buffers, x)
    apart = torch.stack([layer(rows) for layer, rows in zip(layers, x, strict=True)])
    means = torch.stack([layer.running_mean for layer in layers])
    gaps = (y - apart).abs().max(), (buffers["running_mean"] - means).abs().max()
    return {"refused": _refuses(lambda: vmap(layers[0])(x)), "stacked": max(gaps).item()}


def _refuses(call):
    try:
        call()
    except RuntimeError as error:
        return "Batch norm got a batched tensor as input" in str(error)
    return False


P24_FUNCTIONAL = pitfall(
    "P24",
    "In a functional framework training goes well, and evaluation is as before training; under "
    "vmap batch norm raises an error.",
    "A function changes nothing: the new batch_stats are among the values that it returns, keep "
    "them. Under vmap give every copy statistics of its own.",
    "flax.linen.BatchNorm and torch.func, documentation",
    config=Functional(),
    setting="{batches} batches of {rows} rows with mean {mean}; vmap over {copies} layers",
    demo=thrown_away,
    symptom=lambda a: [
        Part(
            "with the new statistics dropped, evaluation leaves the mean of the data above 2",
            bool(a["dropped"] > 2),
            f"mean {a['dropped']:.2f}",
        ),
        Part(
            "vmap over one layer of torch is refused",
            bool(a["refused"]),
            "refused" if a["refused"] else "accepted",
        ),
    ],
    fixed=lambda a: [
        Part(
            "with them kept, evaluation brings the mean to 0 up to 0.3",
            bool(abs(a["kept"]) < 0.3),
            f"mean {a['kept']:.2f}",
        ),
        Part(
            "with stacked statistics vmap gives what separate layers give",
            bool(a["stacked"] < 1e-12),
            f"differs by {a['stacked']:.0e}",
        ),
    ],
    draw=lambda a: panels.strip(
        {"new statistics\ndropped": a["dropped"], "kept": a["kept"]},
        "mean output in evaluation mode",
        limit=(0, "normalized"),
    ),
)
