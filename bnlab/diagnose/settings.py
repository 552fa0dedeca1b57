"""Problems that the settings of the layers show: eps, momentum, tracking, modes."""

import torch
from torch import nn

__all__ = ["is_frozen", "mixed_modes", "norm_problems"]

SIXTEEN_BITS = (torch.float16, torch.bfloat16)


def norm_problems(norm):
    """Problems of one batch norm layer, as names."""
    if norm.eps <= 0:
        yield "eps of 0"
    if norm.running_mean is None:
        yield "no running statistics"
    elif not norm.track_running_stats:
        yield "tracking switched off"
    else:
        yield from _momentum(norm)
        if norm.training and norm.momentum != 0:
            yield from _updates(norm)


def _momentum(norm):
    if norm.momentum is None:
        return
    if norm.momentum >= 1:
        yield "momentum of 1 or more"
    elif norm.momentum > 0.5:
        yield "momentum"
    elif norm.momentum == 0 and norm.training:
        yield "momentum of 0"


def _updates(norm):
    if is_frozen(norm):
        yield "frozen but updating"
    if norm.running_mean.dtype in SIXTEEN_BITS:
        yield "half-precision statistics"


def is_frozen(norm):
    """Whether it has parameters and none of them is trained."""
    return norm.affine and not any(p.requires_grad for p in norm.parameters())


def tracks_per_example(module):
    """Whether it is an instance norm that evaluates with running statistics."""
    is_instance_norm = isinstance(module, nn.modules.instancenorm._InstanceNorm)
    return is_instance_norm and module.track_running_stats and module.running_mean is not None


def mixed_modes(model, norms):
    """Batch norms whose mode is not that of the model, except those that are fixed on purpose.

    In a model that trains, all of them in evaluation mode is a choice (notebook 10), and so is one
    with frozen weights.
    """
    if model.training and not any(norm.training for norm in norms):
        return []
    return [
        norm
        for norm in norms
        if norm.training != model.training and not (model.training and is_frozen(norm))
    ]
