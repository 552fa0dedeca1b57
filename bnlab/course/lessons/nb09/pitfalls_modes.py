"""Pitfalls of the two modes: P2, P3, P13, and P5, the frozen layer that is not frozen."""

from dataclasses import dataclass

import numpy as np

from bnlab.course.experiments import panels
from bnlab.course.experiments.bench import EXACT, batches_of
from bnlab.course.experiments.rule import Part, in_every_seed
from bnlab.course.lessons.nb05.evaluation import accuracy_in_train_mode
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
from bnlab.data import invert
from bnlab.training import evaluate

# P2: eval() forgotten.


@dataclass(frozen=True)
class Requests:
    """Test images arrive sorted by class, `batch_size` at a time; half a second."""

    batch_size: int = 8
    seeds: tuple[int, ...] = (0, 1, 2, 3)


def eval_forgotten(config, seed):
    """P2: the same trained network answers in training mode and in evaluation mode."""
    model, digits = trained(seed)
    x, y = digits.x_test, digits.y_test
    batches = batches_of(np.argsort(y, kind="stable"), config.batch_size)
    forgotten = accuracy_in_train_mode(model, x, y, batches)
    return {"forgotten": forgotten, "eval": evaluate(model, x, y)}


P2_EVAL_FORGOTTEN = pitfall(
    "P2",
    "In training mode a trained network answers badly, and differently in other company.",
    "Training mode normalizes by the batch that happens to be asked. Call model.eval() before "
    "predicting, model.train() before training on.",
    "Ioffe & Szegedy 2015, section 3.1",
    config=Requests(),
    setting=f"{TRAINED.format(batch_size=64)}; test images sorted by class, {{batch_size}} a batch",
    one_seed=eval_forgotten,
    symptom=lambda a: Part(
        "in training mode it gets less than 30% of the sorted test images right",
        in_every_seed(a["forgotten"] < 0.3),
        percent(a["forgotten"]),
    ),
    fixed=lambda a: Part(
        "in evaluation mode it gets more than 95% of them right",
        in_every_seed(a["eval"] > 0.95),
        percent(a["eval"]),
    ),
    draw=lambda a: accuracies({"training mode": a["forgotten"], "evaluation mode": a["eval"]}),
)


# P3: no_grad is not eval.


@dataclass(frozen=True)
class Layer:
    """One torch layer with `features` inputs and a batch of `rows`; milliseconds."""

    rows: int = 16
    features: int = 4
    seed: int = 0

    def batch(self):
        """Draw (rows, features) with mean 3, in float64, as a torch tensor."""
        import torch

        rng = np.random.default_rng(self.seed)
        return torch.from_numpy(rng.normal(3, 1, (self.rows, self.features)))


def no_grad(config):
    """P3: count the batches that validation adds to the running statistics."""
    import torch

    counts = {}
    for name, mode in {"no_grad": True, "eval_too": False}.items():
        layer = torch.nn.BatchNorm1d(config.features).double().train(mode)
        with torch.no_grad():
            layer(config.batch())
        counts[name] = int(layer.num_batches_tracked)
        counts[f"{name}_mean"] = layer.running_mean.numpy()
    return counts


P3_NO_GRAD = pitfall(
    "P3",
    "Validation under no_grad, but in training mode, changes the model.",
    "no_grad stops the recording of gradients and nothing else. eval() switches the mode and "
    "nothing else. Validation needs both.",
    "torch.no_grad and torch.nn.Module.eval, documentation",
    config=Layer(),
    setting="one layer of torch, one validation batch of {rows} rows with mean 3",
    demo=no_grad,
    symptom=lambda a: Part(
        "under no_grad a validation batch is counted and moves the running mean by over 0.1",
        bool(a["no_grad"] == 1 and np.min(a["no_grad_mean"]) > 0.1),
        f"{a['no_grad']} counted, from 0 to {np.mean(a['no_grad_mean']):.2f}",
    ),
    fixed=lambda a: Part(
        "in evaluation mode it is not counted and moves nothing",
        bool(a["eval_too"] == 0 and not np.any(a["eval_too_mean"])),
        f"{a['eval_too']} counted, still {np.mean(a['eval_too_mean']):.2f}",
    ),
    draw=lambda a: panels.strip(
        {"under no_grad": a["no_grad_mean"], "and in eval()": a["eval_too_mean"]},
        "running mean of four features\nafter a validation batch",
    ),
)


# P5: frozen, but the running statistics move.


@dataclass(frozen=True)
class NewData:
    """A frozen network passes over `batches` batches of inverted digits; half a second."""

    batches: int = 30
    batch_size: int = 32
    seeds: tuple[int, ...] = (0, 1, 2, 3)


def _pass_over(model, images, batch_size, *, batchnorm_mode):
    """Copy of a network in torch, all parameters frozen, after it has seen the images."""
    import torch

    twin = torch_twin(model).requires_grad_(False)
    for layer in torch_batchnorms(twin):
        layer.train(batchnorm_mode)
    _ = [twin(batch) for batch in torch.from_numpy(images).split(batch_size)]
    return twin


def frozen_but_updating(config, seed):
    """P5: accuracy on the old data after a frozen network has seen new data."""
    model, digits = trained(seed)
    result = {"before": torch_accuracy(torch_twin(model), digits.x_test, digits.y_test)}
    images = invert(digits.x_train)[: config.batches * config.batch_size]
    for name, mode in {"requires_grad": True, "eval": False}.items():
        twin = _pass_over(model, images, config.batch_size, batchnorm_mode=mode)
        result[name] = torch_accuracy(twin, digits.x_test, digits.y_test)
        changes = [p.numpy() - model.parameters()[n] for n, p in twin.named_parameters()]
        result[f"{name}_weights"] = max(np.abs(change).max() for change in changes)
    return result


P5_FROZEN = pitfall(
    "P5",
    "A network whose parameters are all frozen forgets what it knew.",
    "requires_grad = False freezes parameters. Running statistics are buffers: in training mode "
    "each forward pass moves them. Put the frozen batch norms in evaluation mode, again after "
    "every model.train().",
    "torch.nn.BatchNorm1d, documentation",
    config=NewData(),
    setting=f"{TRAINED.format(batch_size=64)}; then {{batches}} batches of {{batch_size}} inverted "
    "images through the frozen network",
    one_seed=frozen_but_updating,
    symptom=lambda a: Part(
        "no weight changes, and accuracy on the old data falls from above 95% to below 50%",
        in_every_seed(
            (a["before"] > 0.95) & (a["requires_grad"] < 0.5) & (a["requires_grad_weights"] == 0)
        ),
        f"{percent(a['before'])}, then {percent(a['requires_grad'])}; largest change of a weight "
        f"{a['requires_grad_weights'].max():.0e}",
    ),
    fixed=lambda a: Part(
        "with its batch norms in evaluation mode the accuracy is that of before",
        in_every_seed(a["eval"] == a["before"]),
        percent(a["eval"]),
    ),
    draw=lambda a: accuracies(
        {
            "before": a["before"],
            "requires_grad\n= False": a["requires_grad"],
            "evaluation\nmode": a["eval"],
        },
        "accuracy on the old data, %",
    ),
)


# P13: track_running_stats=False.


def accepts(layer, x):
    """Whether a torch layer takes x without a ValueError."""
    try:
        layer(x)
    except ValueError:
        return False
    return True


def not_tracked(config):
    """P13: after eval(), one row of a batch is asked again in half the batch, and alone."""
    import torch

    x, result = config.batch(), {}
    for name, track in {"not_tracked": False, "tracked": True}.items():
        layer = torch.nn.BatchNorm1d(config.features, track_running_stats=track).double().eval()
        with torch.no_grad():
            gap = layer(x)[0] - layer(x[: len(x) // 2])[0]
            result |= {name: gap.abs().max().item(), f"{name}_alone": accepts(layer, x[:1])}
    return result


def _answered(alone):
    return "a row alone is answered" if alone else "a row alone is refused"


P13_NOT_TRACKED = pitfall(
    "P13",
    "eval() has been called, and answers still depend on the batch; one example alone fails.",
    "With track_running_stats=False there are no running statistics: evaluation uses those of "
    "the batch. Keep the default, True.",
    "torch.nn.BatchNorm1d, documentation",
    config=Layer(),
    setting="one layer of torch after eval(); a row in a batch of {rows}, in half of it, alone",
    demo=not_tracked,
    symptom=lambda a: [
        Part(
            "without tracking a row's output depends on its batch, by over 0.01",
            bool(a["not_tracked"] > 0.01),
            f"differs by {a['not_tracked']:.2f}",
        ),
        Part(
            "without tracking a row alone is refused",
            not a["not_tracked_alone"],
            _answered(a["not_tracked_alone"]),
        ),
    ],
    fixed=lambda a: Part(
        "with it the row's output is the same in every batch, and alone it is answered",
        bool(a["tracked"] < EXACT and a["tracked_alone"]),
        f"differs by {a['tracked']:.0f}, {_answered(a['tracked_alone'])}",
    ),
    draw=lambda a: panels.errors(
        {"track_running_stats=False": a["not_tracked"], "True, the default": a["tracked"]},
        tolerance=EXACT,
        xlabel="difference of a row's output in two batches",
    ),
)
