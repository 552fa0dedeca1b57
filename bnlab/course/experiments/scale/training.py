"""One run: train a network, and look at it while and after it learns."""

import functools
import time
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from bnlab.course.experiments.scale import cifar
from bnlab.course.experiments.scale.nets import build, choose_trained
from bnlab.course.experiments.scale.runs import NOISE

__all__ = ["train"]

VALIDATION = 5000  # of the training images, the last ones
LOOKS = 2  # an epoch, at the validation images


def train(run, folder, device):
    """Train one network; accuracies are shares of images, 0 to 1.

    Returns a dict: ``validation`` at each look, ``early`` and ``late`` on the validation images
    with running and with recomputed statistics after the first and the last epoch, ``train`` and
    ``test``, this one for each size of `NOISE`, and ``seconds``.
    """
    start, images = time.perf_counter(), _images(folder, device)
    x, y = images.x[: run.images], images.y[: run.images]
    x_val, y_val = images.x_val[: run.tests], images.y_val[: run.tests]
    model, generator = build(run).to(device), torch.Generator(device).manual_seed(run.seed)
    choose_trained(model, run)
    forward = _launched_at_once(model, x[: run.batch]) if device.startswith("cuda") else model
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trained, run.lr, momentum=0.9, weight_decay=run.decay)
    steps = len(x) // run.batch
    found = {"validation": [], "early": [], "late": []}
    for step in range(steps * run.epochs):
        if step % steps == 0:
            order = torch.randperm(len(x), generator=generator, device=device)
        rows = order[step % steps * run.batch :][: run.batch]
        optimizer.param_groups[0]["lr"] = run.lr * (1 - step / (steps * run.epochs))
        batch = _augmented(x[rows], generator) if run.augment else x[rows]
        with _half_precision(device):
            loss = F.cross_entropy(forward(batch), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if (step + 1) % (steps // LOOKS) == 0:
            found["validation"].append(_accuracy(model, x_val, y_val))
            if not torch.isfinite(loss):
                break
        if step + 1 in (steps, steps * run.epochs) and run.norm == "batch":
            found["early" if step + 1 == steps else "late"] = _recomputed(model, x, x_val, y_val)
    x_test, y_test = images.x_test[: run.tests], images.y_test[: run.tests]
    test = [_accuracy(model, x_test + s * images.noise[: run.tests], y_test) for s in NOISE]
    return found | {
        "train": _accuracy(model, x[: run.tests], y[: run.tests]),
        "test": test,
        "seconds": round(time.perf_counter() - start, 1),
    }


@dataclass(frozen=True, eq=False)
class _Images:
    """On the device, each colour with mean 0 and standard deviation 1."""

    x: torch.Tensor
    y: torch.Tensor
    x_val: torch.Tensor
    y_val: torch.Tensor
    x_test: torch.Tensor
    y_test: torch.Tensor
    noise: torch.Tensor  # N(0, 1), the same for every network


@functools.cache
def _images(folder, device):
    x, y, x_test, y_test = (torch.from_numpy(a).to(device) for a in cifar.load(folder))
    x, x_test = x.float(), x_test.float()
    mean, std = x.mean((0, 2, 3), keepdim=True), x.std((0, 2, 3), keepdim=True)
    x, x_test, y, y_test = (x - mean) / std, (x_test - mean) / std, y.long(), y_test.long()
    noise = torch.randn(x_test.shape, generator=torch.Generator().manual_seed(0)).to(device)
    first, last = slice(len(x) - VALIDATION), slice(len(x) - VALIDATION, None)
    return _Images(x[first], y[first], x[last], y[last], x_test, y_test, noise)


def _augmented(x, generator):
    """Mirror every other image, and move each by up to four pixels."""
    n, c, h, w = x.shape

    def draw(end, *shape):
        return torch.randint(end, shape, generator=generator, device=x.device)

    x = torch.where(draw(2, n, 1, 1, 1) == 1, x.flip(-1), x)
    x = F.pad(x, (4, 4, 4, 4), mode="reflect")
    rows = draw(9, n, 1) + torch.arange(h, device=x.device)  # (N, H)
    columns = draw(9, n, 1) + torch.arange(w, device=x.device)  # (N, W)
    image, channel = torch.arange(n, device=x.device), torch.arange(c, device=x.device)
    return x[
        image[:, None, None, None],
        channel[:, None, None],
        rows[:, None, :, None],
        columns[:, None, None, :],
    ]


def _half_precision(device):
    """Products in bfloat16 where the device is made for it."""
    able = device.startswith("cuda") and torch.cuda.is_bf16_supported()
    return torch.autocast(device.split(":")[0], torch.bfloat16, enabled=able, cache_enabled=False)


def _launched_at_once(model, x):
    """The model in training as CUDA graphs: hundreds of small kernels, one launch.

    To capture them, torch runs the model a few times; afterwards its state is as it was.
    """
    state = {name: value.clone() for name, value in model.state_dict().items()}
    step_by_step = model.forward
    with _half_precision("cuda"):
        graphed = torch.cuda.make_graphed_callables(model, (x,)).forward
    model.forward = step_by_step
    model.load_state_dict(state)
    return graphed


@torch.no_grad()
def _accuracy(model, x, y):
    """Share of right answers in evaluation mode."""
    model.eval()
    with _half_precision(x.device.type):
        guesses = torch.cat([model(part).argmax(1) for part in x.split(1000)])
    model.train()
    return (guesses == y).sum().item() / len(x)


@torch.no_grad()
def _recomputed(model, x, x_val, y_val):
    """Accuracy with the running averages, and with statistics of 5,000 images after training."""
    norms = [layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)]
    state = {name: value.clone() for name, value in model.state_dict().items()}
    accuracy = [_accuracy(model, x_val, y_val)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # average of all batches that follow
    with _half_precision(x.device.type):
        for batch in x[:VALIDATION].split(500):
            model(batch)
    accuracy.append(_accuracy(model, x_val, y_val))
    for norm in norms:
        norm.momentum = 0.1
    model.load_state_dict(state)
    return accuracy
