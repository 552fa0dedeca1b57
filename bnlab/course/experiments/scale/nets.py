"""The two networks: eight convolutions in a row, and the residual network of He et al. 2016.

Shapes: N images, C channels, H and W. What stands in the place of batch norm is `Run.norm`.
"""

import torch
import torch.nn.functional as F
from torch import nn

__all__ = ["build", "choose_trained"]


class GhostBatchNorm(nn.BatchNorm2d):
    """Batch norm with the statistics of `size` images each; its averages are over all of them."""

    def __init__(self, channels, size):
        super().__init__(channels)
        self.size = size

    def forward(self, x):
        if not self.training:
            return super().forward(x)
        n, c, h, w = x.shape
        ghosts = n // self.size
        x = x.reshape(self.size, ghosts * c, h, w)  # every ghosts-th image belongs together
        mean, var = self.running_mean.repeat(ghosts), self.running_var.repeat(ghosts)
        gamma, beta = self.weight.repeat(ghosts), self.bias.repeat(ghosts)
        y = F.batch_norm(x, mean, var, gamma, beta, True, self.momentum, self.eps)
        self.running_mean.copy_(mean.view(ghosts, c).mean(0))
        self.running_var.copy_(var.view(ghosts, c).mean(0))
        return y.reshape(n, c, h, w)


class NoiseBehind(nn.BatchNorm2d):
    """Batch norm, then each value scaled and shifted at random, anew in each step.

    Mean and spread of this noise are drawn for each channel (Santurkar et al. 2018, section 2.1).
    """

    def __init__(self, channels, size):
        super().__init__(channels)
        self.size = size

    def forward(self, x):
        y = super().forward(x)
        return y * (1 + self._noise(y)) + self._noise(y) if self.training else y

    def _noise(self, y):
        mean, spread = torch.rand(2, 1, y.shape[1], 1, 1, device=y.device)
        return (self.size * ((2 * mean - 1) + spread * torch.randn_like(y))).to(y.dtype)


NORMS = {
    "none": lambda run, c: nn.Identity(),
    "skipinit": lambda run, c: nn.Identity(),  # the branch has a scale instead, see Residual
    "batch": lambda run, c: nn.BatchNorm2d(c),
    "ghost": lambda run, c: GhostBatchNorm(c, run.ghost),
    "noise": lambda run, c: NoiseBehind(c, run.noise),
    "group": lambda run, c: nn.GroupNorm(max(1, c // 16), c),  # 16 channels a group
}
ACTIVATIONS = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid}


def build(run):
    """The network of a run. The same seed gives the same weights, whatever the norm."""
    model = _residual(run) if run.net.startswith("resnet") else _plain(run)
    generator = torch.Generator().manual_seed(run.seed)
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, generator=generator)
            layer.weight.data *= run.init
        elif isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, 0, layer.in_features**-0.5, generator=generator)
        if isinstance(layer, nn.Conv2d | nn.Linear) and layer.bias is not None:
            nn.init.zeros_(layer.bias)
    return model


def _conv(run, c_in, c_out, stride=1):
    bias = NORMS[run.norm](run, c_out).__class__ is nn.Identity or run.place == "after"
    return nn.Conv2d(c_in, c_out, 3, stride, 1, bias=bias)


def _unit(run, c_in, c_out):
    norm, activation = NORMS[run.norm](run, c_out), ACTIVATIONS[run.activation]()
    pair = [norm, activation] if run.place == "before" else [activation, norm]
    return [_conv(run, c_in, c_out), *pair]


def _plain(run):
    """Eight 3x3 convolutions, 64-64-128-128-256-256-512-512 at full width, halved by pooling."""
    layers, c = [], 3
    for stage in range(4):
        wide = run.width * 2**stage
        layers += [*_unit(run, c, wide), *_unit(run, wide, wide), nn.MaxPool2d(2)]
        c = wide
    layers[-1] = nn.AdaptiveAvgPool2d(1)
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(run.dropout), nn.Linear(c, 10))


class Residual(nn.Module):
    """Two convolutions beside a shortcut; SkipInit scales them by a number that starts at 0."""

    def __init__(self, run, c_in, c_out, stride):
        super().__init__()
        self.conv1, self.norm1 = _conv(run, c_in, c_out, stride), NORMS[run.norm](run, c_out)
        self.conv2, self.norm2 = _conv(run, c_out, c_out), NORMS[run.norm](run, c_out)
        self.scale = nn.Parameter(torch.zeros(())) if run.norm == "skipinit" else 1.0
        self.stride, self.more = stride, c_out - c_in

    def forward(self, x):
        branch = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        x = x[:, :, :: self.stride, :: self.stride]
        return F.relu(F.pad(x, (0, 0, 0, 0, 0, self.more)) + self.scale * branch)


def _residual(run):
    """6n + 2 layers with 16, 32 and 64 channels at full width (He et al. 2016, section 4.2)."""
    blocks, wide = (int(run.net.removeprefix("resnet")) - 2) // 6, run.width // 4
    layers, c = [*_unit(run, 3, wide)], wide
    for stage in range(3):
        for block in range(blocks):
            stride = 2 if stage > 0 and block == 0 else 1
            layers.append(Residual(run, c, wide * 2**stage, stride))
            c = wide * 2**stage
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, 10))


def choose_trained(model, run):
    """Let only "last", the last layer, "norm", gamma and beta, or "random" weights be trained."""
    if run.trained == "all":
        return
    model.requires_grad_(False)
    generator = torch.Generator().manual_seed(run.seed)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d) and run.trained == "norm":
            layer.requires_grad_(True)
        if isinstance(layer, nn.Conv2d) and run.trained == "random":
            _train_two_a_channel(layer.weight.requires_grad_(True), generator)
    if run.trained == "last":
        model[-1].requires_grad_(True)


def _train_two_a_channel(weight, generator):
    """As many numbers as batch norm has, but random weights (Frankle et al. 2021, section 4)."""
    flat = weight.flatten(1)
    chosen = torch.rand(flat.shape, generator=generator).topk(2).indices.to(weight.device)
    mask = torch.zeros_like(flat).scatter_(1, chosen, 1).view_as(weight)
    weight.register_hook(lambda gradient: gradient * mask)
