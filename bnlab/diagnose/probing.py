"""Try a layer of a subclass on random numbers: a forward of its own may do more than its base."""

import torch
from torch import nn
from torch.func import functional_call
from torch.nn.modules.conv import _ConvNd

__all__ = ["adds_its_bias", "ignores_a_bias"]

CONVOLUTIONS = (
    nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d,
)  # fmt: skip
NORMS = (nn.BatchNorm1d, nn.SyncBatchNorm)
PLAIN = {kind.forward for kind in (nn.Linear, *CONVOLUTIONS, *NORMS)}
FURTHER_AXES = {nn.BatchNorm1d: 0, nn.BatchNorm3d: 3}


def adds_its_bias(layer):
    """Whether a change of the bias moves each channel of the output by that much everywhere."""
    if type(layer).forward in PLAIN:
        return True
    step = torch.linspace(1, 2, len(layer.bias)).to(layer.bias)
    try:
        x = _input_of(layer).to(layer.weight)
        before, after = (
            functional_call(layer, {"bias": layer.bias + k * step}, (x,)).detach() for k in (0, 1)
        )
    except Exception:  # a forward of its own may want other inputs
        return False
    return _same(after, before + _along_channels(step, layer, before))


def ignores_a_bias(norm):
    """Whether a number added to each channel of the input changes nothing in training."""
    if type(norm).forward in PLAIN or isinstance(norm, nn.SyncBatchNorm):
        return True  # a synchronized one may wait for other processes
    further = next((n for kind, n in FURTHER_AXES.items() if isinstance(norm, kind)), 2)
    like = next((p for p in norm.parameters()), torch.zeros(()))
    x = torch.randn(16, norm.num_features, *[2] * further).to(like)
    step = torch.linspace(1, 2, norm.num_features).to(like).view(-1, *[1] * further)
    try:
        moved, plain = (type(norm).forward(norm, z).detach() for z in (x + step, x))
    except Exception:
        return False
    return _same(moved, plain)


def _input_of(layer):
    if isinstance(layer, _ConvNd):
        lengths = [2 * k * d for k, d in zip(layer.kernel_size, layer.dilation, strict=True)]
        return torch.randn(2, layer.in_channels, *lengths)
    return torch.randn(4, layer.in_features)


def _along_channels(step, layer, y):
    return step.view(-1, *[1] * (y.dim() - 2)) if isinstance(layer, _ConvNd) else step


def _same(a, b):
    tolerance = 100 * torch.finfo(a.dtype).eps
    return torch.allclose(a.float(), b.float(), rtol=tolerance, atol=tolerance)
