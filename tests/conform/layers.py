"""A batch norm in plain torch, and the mistakes that real frameworks shipped in theirs.

Each differs from `Plain` in one method, as the real one did; nobody's code is copied.
"""

import torch
from torch import nn


class Plain(nn.Module):
    """A right one, of operations that autograd knows."""

    def __init__(self, channels, eps=1e-5, momentum=0.1):
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight, self.bias = (
            nn.Parameter(torch.ones(channels)),
            nn.Parameter(torch.zeros(channels)),
        )
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x):
        if not self.training:
            return self.normalized(x, self.running_mean, self.running_var)
        m = x.numel() // x.shape[1]
        if m == 1:
            raise ValueError("one value per channel")
        mean, var = self.statistics(x, [axis for axis in range(x.ndim) if axis != 1])
        with torch.no_grad():
            self.track(mean, var, m)
        return self.in_training(x, mean, var)

    def statistics(self, x, axes):
        mean = x.mean(axes)
        return mean, (x - column(mean, x)).square().mean(axes)

    def in_training(self, x, mean, var):
        return self.normalized(x, mean, var)

    def normalized(self, x, mean, var):
        x_hat = (x - column(mean, x)) / column(self.divisor(var), x)
        return column(self.weight, x) * x_hat + column(self.bias, x)

    def divisor(self, var):
        return torch.sqrt(var + self.eps)

    def track(self, mean, var, m):
        self.move(mean, var * m / (m - 1))

    def move(self, mean, var):
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(var, self.momentum)


def column(v, x):
    return v.reshape(1, -1, *[1] * (x.ndim - 2))


# What was shipped


class BiasedRunningVariance(Plain):
    """MLX, pull request 3817; tt-metal, issue 55438; FastNN, issue 11."""

    def track(self, mean, var, m):
        self.move(mean, var)


class OnePass(Plain):
    """tt-metal, issue 45968."""

    def statistics(self, x, axes):
        mean = x.mean(axes)
        return mean, x.square().mean(axes) - mean.square()


class DetachedMean(Plain):
    """Keras, issue 19073."""

    def statistics(self, x, axes):
        mean, var = super().statistics(x, axes)
        return mean.detach(), var


class SquareForRoot(Plain):
    """JAX, issue 442."""

    def divisor(self, var):
        return torch.square(var + self.eps)


class RootForgotten(Plain):
    """The same, read as the square of what it should be."""

    def divisor(self, var):
        return var + self.eps


class TrainsOnAverages(Plain):
    """Equinox's former default mode."""

    def in_training(self, x, mean, var):
        average = [
            lerp(r, new, self.momentum) for r, new in zip(self.before, (mean, var), strict=True)
        ]
        return self.normalized(x, *average)

    def track(self, mean, var, m):
        self.before = self.running_mean.clone(), self.running_var.clone()
        super().track(mean, var, m)


def lerp(old, new, share):
    return (1 - share) * old + share * new


# What else goes wrong in layers


class NotSaved(Plain):
    """Running statistics that are attributes, and no buffers."""

    def __init__(self, channels, **settings):
        super().__init__(channels, **settings)
        self.running_mean, self.running_var = (
            self._buffers.pop(name) for name in ("running_mean", "running_var")
        )

    def move(self, mean, var):
        self.running_mean = lerp(self.running_mean, mean, self.momentum)
        self.running_var = lerp(self.running_var, var, self.momentum)


class WritesIntoX(Plain):
    def forward(self, x):
        y = super().forward(x.clone())
        with torch.no_grad():
            x.mul_(0.5)
        return y


class MovesInEvaluation(Plain):
    def forward(self, x):
        if not self.training and x.numel() > x.shape[1]:
            with torch.no_grad():
                self.move(*self.statistics(x, [axis for axis in range(x.ndim) if axis != 1]))
        return super().forward(x)


class BatchInEvaluation(Plain):
    def forward(self, x):
        if not self.training and x.numel() > x.shape[1]:
            return self.normalized(x, *self.statistics(x, [a for a in range(x.ndim) if a != 1]))
        return super().forward(x)


class OneSlot(torch.autograd.Function):
    """A backward that reads what the last forward left in a place that all calls share."""

    @staticmethod
    def forward(ctx, x_hat, shared):
        shared[:] = [x_hat]
        ctx.shared = shared
        return x_hat.square()

    @staticmethod
    def backward(ctx, dy):
        return 2 * dy * ctx.shared[0], None


class KeepsOneCall(Plain):
    def __init__(self, channels, **settings):
        super().__init__(channels, **settings)
        self.slot = []

    def statistics(self, x, axes):
        mean = x.mean(axes)
        return mean, OneSlot.apply(x - column(mean, x), self.slot).mean(axes)


class GivesNanForOneValue(Plain):
    def forward(self, x):
        if self.training and len(x) == 1 and x.numel() == x.shape[1]:
            self.running_var.fill_(float("nan"))
            return column(self.bias, x) + 0 * x
        return super().forward(x)


class EpsOutside(Plain):
    def divisor(self, var):
        return torch.sqrt(var) + self.eps


class NoEps(Plain):
    def divisor(self, var):
        return torch.sqrt(var)


class AbsoluteGamma(Plain):
    def normalized(self, x, mean, var):
        x_hat = (x - column(mean, x)) / column(self.divisor(var), x)
        return column(self.weight.abs(), x) * x_hat + column(self.bias, x)


class PixelsApart(Plain):
    """Each pixel has statistics of its own, as x.mean(0) gives for images."""

    def in_training(self, x, mean, var):
        if x.ndim < 4:
            return super().in_training(x, mean, var)
        x_hat = (x - x.mean(0)) / torch.sqrt(x.var(0, correction=0) + self.eps)
        return column(self.weight, x) * x_hat + column(self.bias, x)


class ReadsMemoryInOrder(Plain):
    """Takes the strides of x for granted."""

    def in_training(self, x, mean, var):
        if not x.is_contiguous():
            x = x.as_strided(x.shape, torch.empty(x.shape).stride())
        return super().in_training(x, mean, var)


class StartsWithTheFirstBatch(Plain):
    def move(self, mean, var):
        if not self.running_mean.any():
            self.running_mean.copy_(mean), self.running_var.copy_(var)
        else:
            super().move(mean, var)


class EpsOfKeras(Plain):
    def __init__(self, channels, eps=1e-3, momentum=0.01):
        super().__init__(channels, eps, momentum)


class MomentumOfKeras(Plain):
    def __init__(self, channels, eps=1e-5, momentum=0.99):
        super().__init__(channels, eps, momentum)

    def move(self, mean, var):
        self.running_mean.lerp_(mean, 1 - self.momentum)
        self.running_var.lerp_(var, 1 - self.momentum)


class NanGradientForConstants(Plain):
    """The standard deviation and its eps apart, as sqrt(var) has no derivative at 0."""

    def divisor(self, var):
        return torch.sqrt(torch.sqrt(var).square() + self.eps)


class RoughMeanInFloat16(Plain):
    """Off by a tenth of a standard deviation where the spread is 0.1, and only in float16."""

    def statistics(self, x, axes):
        mean, var = super().statistics(x, axes)
        return (mean + 0.01, var) if x.dtype == torch.float16 else (mean, var)
