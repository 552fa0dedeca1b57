"""Cases of `diagnose`: what goes together, what cannot be seen, what changes itself."""

import random

import numpy as np
import torch
from diagnose_parts import (
    Untraceable,
    after,
    batch,
    case,
    small,
)
from torch import nn
from torch.nn import functional as F

# What goes together.


@case({"shared buffers": ("0", "2")})
def shared_buffers():
    model = nn.Sequential(nn.BatchNorm1d(3), nn.ReLU(), nn.BatchNorm1d(3))
    model[2].running_mean = model[0].running_mean
    model[2].running_var = model[0].running_var
    return model


@case({"instance norm that tracks": ("0",)}, batch(2, 3, 8, 8))
def instance_norm_that_tracks():
    return nn.Sequential(nn.InstanceNorm2d(3, track_running_stats=True), nn.BatchNorm2d(3))


@case({"on the logits": ("1",)}, batch(8, 4))
def logits_before_a_softmax():
    return nn.Sequential(*small(), nn.LogSoftmax(dim=1))


@case()
def a_gate_that_cannot_be_followed():
    gate = Untraceable(nn.Sequential(nn.BatchNorm1d(4), nn.Softmax(dim=1)))
    return nn.Sequential(gate, nn.Linear(4, 2))


class WithLoss(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = small()

    def forward(self, x, labels):
        return F.cross_entropy(self.body(x), labels)


@case({"on the logits": ("body.1",)}, batch(8, 4), torch.arange(8))
def logits_before_a_loss():
    return WithLoss()


@case({}, batch(8, 4))
def an_embedding():
    return nn.Sequential(*small(), nn.Linear(8, 8, bias=False), nn.BatchNorm1d(8))


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(8)

    def forward(self, a, b):
        return self.norm(a + b)


@case({}, (batch(4, 8), batch(4, 8)))
def two_inputs():
    return TwoInputs()


class Auxiliary(nn.Module):
    """A head that only training calls, on one value per channel."""

    def __init__(self):
        super().__init__()
        self.body = small()
        self.head = nn.Sequential(nn.AdaptiveAvgPool1d(1), nn.BatchNorm1d(1))

    def forward(self, x):
        y = self.body(x)
        return (y, self.head(y[:1].unsqueeze(1))) if self.training else y


@case({"batch of one": ("head.1",)}, batch(8, 4))
def auxiliary_head():
    return Auxiliary()


@case({}, batch(1, 4))
def one_value_in_this_process():
    return nn.Sequential(nn.Linear(4, 8, bias=False), nn.SyncBatchNorm(8))


class Detector(nn.Module):
    """Wants targets in training."""

    def __init__(self):
        super().__init__()
        self.body = small()

    def forward(self, x, targets=None):
        if self.training and targets is None:
            raise ValueError("targets should not be None in training")
        return self.body(x)


@case({"batch of one": ("body.1",)}, batch(1, 4))
def detector_without_targets():
    return Detector()


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(4)

    def forward(self, x):
        return self.norm(x + 100) + self.norm(x)


@case({"shared": ("norm",), "stale statistics": ("norm",)}, batch(32, 4))
def shared_by_what_lies_far_apart():
    model = Twice()
    for seed in range(50):
        model.norm(batch(32, 4, seed=seed))
    return model


@case({"instance norm that tracks": ("",), "no batch norm layer seen": ("",)})
def only_an_instance_norm():
    return nn.InstanceNorm2d(3, track_running_stats=True)


# What cannot be seen.


@case({"no batch norm layer seen in a scripted module": ("",)})
def scripted():
    return torch.jit.script(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8, momentum=0.99)))


@case({"no batch norm layer seen in an exported program": ("",)})
def exported():
    return torch.export.export(small().eval(), (batch(4, 4),))


@case({"no batch norm layer seen in an exported program": ("",)})
def exported_module():
    return torch.export.export(after(50, small()).eval(), (batch(4, 4),)).module()


@case({"no batch norm layer seen in a quantized model": ("",)})
def quantized():
    return nn.Sequential(torch.ao.nn.quantized.Linear(4, 8), nn.ReLU())


@case({"no batch norm layer seen": ("",)})
def norm_free():
    return nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3), nn.ReLU())


class StandardizedLayer(nn.Module):
    """Batch norm as a function, but of the weights."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(batch(8, 4))

    def forward(self, x):
        weight = F.batch_norm(self.weight.t(), None, None, training=True)
        return F.linear(x, weight.t())


@case({"no batch norm layer seen": ("",)}, batch(8, 4))
def norm_of_the_weights():
    return StandardizedLayer()


@case({}, batch(8, 4))
def scripted_inside():
    return nn.Sequential(torch.jit.script(nn.Linear(4, 8)), nn.BatchNorm1d(8))


# What changes itself when it is called.


class KeyEncoder(nn.Module):
    """Moves an average of its weights in forward, as momentum encoders do."""

    def __init__(self):
        super().__init__()
        self.query, self.key = small(), small().requires_grad_(False)

    def forward(self, x):
        pairs = zip(self.query.parameters(), self.key.parameters(), strict=True)
        with torch.no_grad():
            for k, (query, key) in enumerate(pairs):
                if k % 2:
                    key.data = key.data * 0.9 + query.data * 0.1
                else:
                    key.data.mul_(0.9).add_(query.data, alpha=0.1)
        return self.query(x), self.key(x)


@case({"frozen but updating": ("key.1",)}, batch(8, 4))
def key_encoder():
    return KeyEncoder()


class Diary(nn.Module):
    """Keeps what it sees, counts, and draws random numbers."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(4)
        self.seen, self.counts, self.step = [], {"calls": [0]}, torch.zeros(())
        self.register_buffer("centre", torch.zeros(4))

    def forward(self, x):
        self.last = x
        self.seen.append(x)
        self.counts["calls"][0] += 1
        self.step += 1
        self.centre.mul_(0.9)
        self.centre = self.centre + x.mean(0)
        noise = torch.rand(4) * random.random() * np.random.random()  # noqa: NPY002
        return self.norm(x) + noise


@case({}, batch(8, 4))
def diary():
    return Diary()


@case({}, batch(32, 4))
def writes_to_its_input():
    return nn.Sequential(nn.ReLU(inplace=True), nn.BatchNorm1d(4))
