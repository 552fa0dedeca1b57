"""What the cases of `diagnose` are made of: a register, batches, and small models."""

from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn import functional as F

CASES = {}


@dataclass(frozen=True)
class Case:
    make: object  # a function that makes the model
    truth: dict = field(default_factory=dict)
    inputs: tuple = ()


def case(truth=None, *inputs):
    def add(make):
        CASES[make.__name__] = Case(make, truth or {}, inputs)
        return make

    return add


def batch(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


class OwnNorm(nn.BatchNorm2d):
    """A subclass with an activation inside, as half of the public models use."""

    def forward(self, x):
        return torch.relu(
            F.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, self.training,
                self.momentum, self.eps,
            )
        )  # fmt: skip


class PlainSubclass(nn.BatchNorm2d):
    pass


class ActivatesFirst(nn.BatchNorm2d):
    """A subclass under which a bias is not redundant."""

    def forward(self, x):
        return super().forward(torch.relu(x))


class ActivatesLast(nn.Conv2d):
    """A convolution whose bias is not redundant under batch norm."""

    def forward(self, x):
        return torch.relu(super().forward(x))


class StandardizedConv(nn.Conv2d):
    """A convolution that uses batch norm on its weights, as ResNets with weight standardization."""

    def forward(self, x):
        weight = F.batch_norm(
            self.weight.reshape(1, len(self.weight), -1), None, None, training=True
        )
        return F.conv2d(x, weight.reshape_as(self.weight), self.bias)


class Coded(nn.Module):
    """A block whose forward is code."""

    def __init__(self, norm=nn.BatchNorm2d, conv=nn.Conv2d):
        super().__init__()
        self.conv, self.norm = conv(3, 8, 3), norm(8)

    def forward(self, x):
        return self.norm(self.conv(x))


class Untraceable(nn.Module):
    """Control flow that depends on the data, around other modules."""

    def __init__(self, *parts):
        super().__init__()
        self.body = nn.Sequential(*parts)

    def forward(self, x):
        return self.body(x) if x.sum() > 0 else x


def small(**settings):
    """The layers of most cases: nothing is wrong with them."""
    return nn.Sequential(nn.Linear(4, 8, bias=False), nn.BatchNorm1d(8, **settings))


def after(batches, model, shift=0.0):
    """The model after so many batches in training mode."""
    for seed in range(batches):
        model(shift + batch(32, 4, seed=seed))
    return model
