"""Problems that the running statistics show, whether they come from a model or from a file."""

from collections import defaultdict
from dataclasses import dataclass

import torch

__all__ = ["Statistics", "common_problems", "problems_alone"]


@dataclass(frozen=True)
class Statistics:
    """The running statistics of one layer, with what is needed to judge them.

    `batches` counts those that reached it (None: unknown). `momentum` is in torch's direction;
    None takes the mean of all batches. `in_use` says that evaluation is to use them now.
    """

    name: str
    mean: torch.Tensor  # (C,)
    var: torch.Tensor  # (C,)
    batches: int | None = None
    eps: float = 1e-5
    momentum: float | None = 0.1
    in_use: bool = True

    @classmethod
    def of(cls, module, name="", in_use=True):
        """Those of a batch norm layer, or of one written like it."""
        batches = getattr(module, "num_batches_tracked", None)
        return cls(
            name,
            module.running_mean,
            module.running_var,
            batches=None if batches is None else int(batches),
            eps=getattr(module, "eps", 1e-5),
            momentum=getattr(module, "momentum", 0.1),
            in_use=in_use,
        )

    @property
    def left(self):
        """The share that the 0 and 1 of the beginning still have; None if it is not known."""
        if not self.batches or self.momentum == 0:
            return None
        left = 0.0 if self.momentum is None else abs(1 - self.momentum) ** self.batches
        fits = (self.var >= 0.99 * left).all().item()  # no variance is below its share of the 1
        return left if fits else None

    @property
    def fresh(self):
        """Whether they are still 0 and 1."""
        return not self.mean.any().item() and (self.var == 1).all().item()


def problems_alone(statistics):
    """Problems that one layer's numbers show by themselves, as names."""
    mean, var = (t.detach().cpu().double() for t in (statistics.mean, statistics.var))
    if not (mean.isfinite().all() and var.isfinite().all()):
        yield "non-finite statistics"
    if (var < 0).any():
        yield "negative variance"
    if _is_constant(statistics, mean, var).any():
        yield "constant channel"
    if statistics.in_use and (statistics.left or 0) > 0.5 and not statistics.fresh:
        yield "few batches"


def _is_constant(statistics, mean, var):
    """Channels whose variance cannot be told from 0, (C,), where evaluation would multiply it.

    A channel that varies little is something else. These do not vary at all: what is left is
    rounding, or the 1 that the variance began with, or it vanishes beside eps even after the
    division by its square root.
    """
    rounding = (4 * torch.finfo(statistics.var.dtype).eps * mean) ** 2
    beginning = 1.001 * statistics.left if statistics.left else 0.0
    floor = rounding.clamp(min=max(beginning, 1e-12 * statistics.eps))
    return (var >= 0) & (var <= floor) & (var < max(statistics.eps, 1e-12))


def common_problems(layers):
    """Pairs (name, problem) that show when the statistics of all layers are seen together."""
    moved = any(not layer.fresh for layer in layers)
    for layer in layers:
        if layer.fresh and (moved or layer.in_use):
            yield layer.name, "untouched statistics"
    places = defaultdict(list)
    for layer in layers:
        for tensor in (layer.mean, layer.var):
            places[tensor.data_ptr()].append(layer.name)
    for names in places.values():
        if len(names) > 1:
            yield from ((name, "shared buffers") for name in names)
