"""Pitfalls of the two modes: P2, P3, P13, and P5, the frozen layer that is not frozen."""

from dataclasses import dataclass

import numpy as np

from bnlab.course.experiments.bench import batches_of
from bnlab.course.lessons.nb05.evaluation import accuracy_in_train_mode
from bnlab.course.lessons.nb09.pitfalls import (
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
    one_seed=eval_forgotten,
    symptom=lambda a: (
        a["forgotten"].max() < 0.3,
        f"below 30% of the sorted test images are right: {a['forgotten'].max() < 0.3}",
    ),
    fixed=lambda a: (a["eval"].min() > 0.95, f"above 95%: {a['eval'].min() > 0.95}"),
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
    demo=no_grad,
    symptom=lambda a: (
        a["no_grad"] == 1 and a["no_grad_mean"].min() > 0.1,
        f"{a['no_grad']} validation batch counted, running mean moved from 0 to "
        f"{a['no_grad_mean'].mean():.2f}",
    ),
    fixed=lambda a: (
        a["eval_too"] == 0 and not a["eval_too_mean"].any(),
        f"{a['eval_too']} counted, running mean {a['eval_too_mean'].mean():.2f}",
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


def _forgotten(arrays):
    return bool(arrays["before"].min() > 0.95 and arrays["requires_grad"].max() < 0.5)


P5_FROZEN = pitfall(
    "P5",
    "A network whose parameters are all frozen forgets what it knew.",
    "requires_grad = False freezes parameters. Running statistics are buffers: in training mode "
    "each forward pass moves them. Put the frozen batch norms in evaluation mode, again after "
    "every model.train().",
    "torch.nn.BatchNorm1d, documentation",
    config=NewData(),
    one_seed=frozen_but_updating,
    symptom=lambda a: (
        _forgotten(a) and not a["requires_grad_weights"].any(),
        f"accuracy on the old data falls from above 95% to below 50%: {_forgotten(a)}, "
        f"largest change of a weight {a['requires_grad_weights'].max():.0f}",
    ),
    fixed=lambda a: (
        bool((a["eval"] == a["before"]).all()),
        f"the accuracy of before: {bool((a['eval'] == a['before']).all())}",
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


P13_NOT_TRACKED = pitfall(
    "P13",
    "eval() has been called, and answers still depend on the batch; one example alone fails.",
    "With track_running_stats=False there are no running statistics: evaluation uses those of "
    "the batch. Keep the default, True.",
    "torch.nn.BatchNorm1d, documentation",
    config=Layer(),
    demo=not_tracked,
    symptom=lambda a: (
        a["not_tracked"] > 0.01 and not a["not_tracked_alone"],
        f"one row in two batches differs by {a['not_tracked']:.2f}, one row alone is answered: "
        f"{a['not_tracked_alone']}",
    ),
    fixed=lambda a: (
        a["tracked"] < 1e-12 and a["tracked_alone"],
        f"differs by {a['tracked']:.2f}, alone is answered: {a['tracked_alone']}",
    ),
)
