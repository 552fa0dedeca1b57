"""What one batch shows: values per channel, and whether the running statistics fit to it."""

import math
import warnings

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils._pytree import tree_leaves, tree_map

from bnlab.diagnose.statistics import Statistics

__all__ = ["Seen", "pass_through"]

ENOUGH = 16  # values per channel, to compare a batch with the running statistics


class Seen:
    """Stands in for the forward of a batch norm, and notes what comes in.

    Parameters
    ----------
    norm : torch.nn.Module
        In the mode of training; a batch of one value per channel passes unchanged.
    """

    def __init__(self, norm):
        self.norm, self.forward = norm, norm.forward
        self.before = _settled_statistics(norm)
        self.dimensions, self.one_value, self.far_off = 2, False, False

    def __call__(self, *args, **kwargs):
        """Do what the layer does, unless torch would refuse."""
        norm, x = self.norm, (*args, *kwargs.values())[0]
        if not isinstance(x, torch.Tensor):
            return self.forward(*args, **kwargs)
        self.dimensions = x.dim()
        if x.numel() >= ENOUGH * norm.num_features and self.before is not None:
            self.far_off |= self._is_far_off(x)
        synchronized = isinstance(norm, nn.SyncBatchNorm)  # it counts the values of all processes
        if norm.training and x.numel() == norm.num_features:
            self.one_value |= not synchronized
            return x
        if norm.training and (synchronized or norm.eps <= 0):
            return F.batch_norm(
                x, None, None, norm.weight, norm.bias, True, eps=max(norm.eps, 1e-5)
            )
        return self.forward(*args, **kwargs)

    def problems(self):
        """What was noted, as names of problems."""
        if self.one_value:
            yield "batch of one"
        if self.far_off:
            yield "stale statistics"

    def _is_far_off(self, x):
        mean, var = self.before
        axes = [axis for axis in range(x.dim()) if axis != 1]
        batch = x.detach().cpu().double()
        batch_mean, batch_var = batch.mean(axes), batch.var(axes)
        shift = (batch_mean - mean).abs() / (var + self.norm.eps).sqrt()
        ratio = ((batch_var + self.norm.eps) / (var + self.norm.eps)).log().abs()
        return (shift.median() > 3 or ratio.median() > math.log(10)).item()


def _settled_statistics(norm):
    """Mean and variance (C,), or None where too few batches have reached them."""
    if norm.running_mean is None:
        return None
    statistics = Statistics.of(norm)
    if statistics.fresh or (statistics.left or 0) > 0.05:
        return None
    return [t.detach().cpu().double() for t in (statistics.mean, statistics.var)]


def pass_through(model, norms, inputs):
    """Pass inputs through the model as in training, and return {norm: Seen}.

    Where its forward takes them in evaluation mode only (a detector without targets), all but the
    batch norms are in that mode. The caller puts the model back: `restoring.left_as_it_was`.
    """
    seen = {norm: Seen(norm) for norm in norms}
    for norm, watch in seen.items():
        norm.forward = watch
    try:
        _run(model, inputs)
    except Exception as error:
        for module in model.modules():
            module.training = module in seen and module.training
        try:
            _run(model, inputs)
        except Exception:
            raise ValueError(
                "diagnose needs inputs that the model takes in training; with these, its forward "
                f"says: {type(error).__name__}: {error}"
            ) from error
    if all(_is_constant(leaf) for leaf in tree_leaves(inputs)):
        for watch in seen.values():
            watch.far_off = False  # zeros, as they are used to try a model, say nothing
    return seen


def _run(model, inputs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model(*tree_map(_copy, inputs))


def _copy(value):
    return value.detach().clone() if isinstance(value, torch.Tensor) else value


def _is_constant(value):
    return not isinstance(value, torch.Tensor) or bool((value == value.flatten()[:1]).all())
