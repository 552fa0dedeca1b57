"""Pitfalls of a model's copies: P22, an averaged one, and P25, an exported one."""

import copy
from dataclasses import dataclass

import numpy as np

from bnlab.course.experiments import panels
from bnlab.course.experiments.bench import EXACT
from bnlab.course.experiments.rule import Part, in_every_seed
from bnlab.course.lessons.nb09.pitfalls import (
    accuracies,
    percent,
    pitfall,
    torch_accuracy,
    torch_twin,
)
from bnlab.data import load_digits, minibatches
from bnlab.layers import mlp

# P22: only the parameters were averaged.


@dataclass(frozen=True)
class Averaged:
    """A copy whose parameters follow those of a network in training; a second."""

    steps: int = 200
    batch_size: int = 60
    decay: float = 0.95
    lr: float = 0.1
    seeds: tuple[int, ...] = (0, 1, 2, 3)


def followed(config, digits, seed):
    """A network in torch after training, and the copy that followed its parameters."""
    import torch

    rng = np.random.default_rng(seed)
    model = torch_twin(mlp([64, 50, 50, 10], rng=rng))
    ema, descend = copy.deepcopy(model), torch.optim.SGD(model.parameters(), lr=config.lr)
    for x, y in _batches(config, digits, rng):
        descend.zero_grad()
        torch.nn.functional.cross_entropy(model(x), y).backward()
        descend.step()
        with torch.no_grad():
            for mine, its in zip(ema.parameters(), model.parameters(), strict=True):
                mine.lerp_(its, 1 - config.decay)
    return model, ema


def _batches(config, digits, rng):
    """`steps` batches as torch tensors."""
    import torch

    done = 0
    while done < config.steps:
        for batch in minibatches(digits.x_train, digits.y_train, config.batch_size, rng):
            if done < config.steps:
                yield map(torch.from_numpy, batch)
            done += 1


def averaged_copy(config, seed):
    """P22: accuracy of the network, of its averaged copy, and with statistics taken anew."""
    import torch
    from torch.optim.swa_utils import update_bn

    digits = load_digits(seed)
    model, ema = followed(config, digits, seed)
    test = digits.x_test, digits.y_test
    result = {"model": torch_accuracy(model, *test), "parameters": torch_accuracy(ema, *test)}
    update_bn(torch.from_numpy(digits.x_train).split(config.batch_size), ema)
    return result | {"update_bn": torch_accuracy(ema, *test)}


P22_AVERAGED = pitfall(
    "P22",
    "An averaged copy (EMA, SWA, a teacher, a target network) evaluates far worse than the model.",
    "parameters() has no buffers: the copy keeps the running statistics that it was born with. "
    "Copy the buffers too, or pass over the training data once more (update_bn).",
    "torch.optim.swa_utils, documentation; Izmailov et al. 2018, section 3.2",
    config=Averaged(),
    setting="64-50-50-10 with ReLU in float64, {steps} steps of {batch_size} images at rate {lr}, "
    "averaged with decay {decay}",
    one_seed=averaged_copy,
    symptom=lambda a: Part(
        "the copy is at least 20 points worse than the model in every seed",
        in_every_seed(a["model"] - a["parameters"] > 0.2),
        f"{percent(a['parameters'])}, the model {percent(a['model'])}",
    ),
    fixed=lambda a: Part(
        "with statistics taken anew it is at most 2 points worse",
        in_every_seed(a["model"] - a["update_bn"] < 0.02),
        percent(a["update_bn"]),
    ),
    draw=lambda a: accuracies(
        {
            "the model": a["model"],
            "its average,\nparameters only": a["parameters"],
            "after\nupdate_bn": a["update_bn"],
        }
    ),
)


# P25: exported in training mode.


@dataclass(frozen=True)
class Exported:
    """A layer is exported in either mode, and asked for a row in two batches; three seconds."""

    rows: int = 8
    features: int = 4
    seed: int = 0


def exported(config):
    """P25: how far the output for one row depends on the others, by the mode at export."""
    import torch

    rng = np.random.default_rng(config.seed)
    model = torch.nn.Sequential(torch.nn.BatchNorm1d(config.features)).double()
    draws = torch.from_numpy(rng.normal(3, 2, (101, config.rows, config.features)))
    _ = [model(batch) for batch in draws[1:]]
    one, other = draws[0], torch.cat([draws[0][:1], draws[1][1:]])  # the first row in two batches
    result = {}
    for name in ("train", "eval"):
        graph = torch.export.export(getattr(model, name)(), (one,)).module()
        with torch.no_grad():
            result[name] = (graph(one)[0] - graph(other)[0]).abs().max().item()
            result[f"{name}_off"] = (graph(one) - model.eval()(one)).abs().max().item()
    return result


P25_EXPORTED = pitfall(
    "P25",
    "The exported model gives other answers than the one in Python, and they depend on the batch.",
    "The graph holds the mode in which the model was exported; the file has no eval(). Call "
    "model.eval() before exporting, folding or quantizing.",
    "torch.export and torch.nn.utils.fusion, documentation",
    config=Exported(),
    setting="one layer of torch after 100 batches of {rows} rows, torch.export in either mode",
    demo=exported,
    symptom=lambda a: [
        Part(
            "exported in training mode, the output for one row depends on the rest, by over 0.1",
            bool(a["train"] > 0.1),
            f"differs by {a['train']:.2f}",
        ),
        Part(
            "it differs from the model in evaluation mode by over 0.1",
            bool(a["train_off"] > 0.1),
            f"by {a['train_off']:.2f}",
        ),
    ],
    fixed=lambda a: Part(
        "exported in evaluation mode it depends on nothing, and is the model",
        bool(max(a["eval"], a["eval_off"]) < EXACT),
        f"differs by {max(a['eval'], a['eval_off']):.0e}",
    ),
    draw=lambda a: panels.errors(
        {"exported in training mode": a["train"], "in evaluation mode": a["eval"]},
        tolerance=EXACT,
        xlabel="difference of a row's output in two batches",
    ),
)
