"""Cases of `diagnose`: what lies below a batch norm, and models that hide it."""

import warnings

import torch
from diagnose_parts import (
    ActivatesFirst,
    ActivatesLast,
    Coded,
    OwnNorm,
    PlainSubclass,
    StandardizedConv,
    Untraceable,
    after,
    batch,
    case,
    small,
)
from torch import nn
from torch.nn import functional as F

# Where today's models hide the order of their layers.


@case({"redundant bias": ("0",)})
def subclass_in_sequential():
    return nn.Sequential(nn.Conv2d(3, 8, 3), OwnNorm(8))


@case({"redundant bias": ("conv",)})
def subclass_in_coded_block():
    return Coded(PlainSubclass)


@case()
def subclass_that_activates_first():
    return Coded(ActivatesFirst)


@case()
def convolution_that_activates_last():
    return Coded(conv=ActivatesLast)


@case({"redundant bias": ("conv",)})
def convolution_with_standardized_weights():
    return Coded(conv=StandardizedConv)


@case({"redundant bias": ("module.conv",)}, batch(4, 3, 8, 8))
def wrapped():
    return nn.DataParallel(Coded())


def refuses(*inputs):
    """Stands for a compiled model, or for what would compile it: it must not be called."""
    raise RuntimeError("the model was compiled")


@case({"redundant bias": ("_orig_mod.conv",)}, batch(4, 3, 8, 8))
def compiled():
    return torch.compile(Coded(), backend=refuses)


@case({"redundant bias": ("conv",)}, batch(4, 3, 8, 8))
def compiled_in_place():
    model = Coded()
    model._compiled_call_impl = refuses  # what model.compile() leaves
    return model


@case({"redundant bias": ("0._orig_mod.conv", "1.module.conv")}, batch(4, 3, 16, 16))
def wrapped_inside():
    second = Coded(conv=lambda *_: nn.Conv2d(8, 8, 3))
    return nn.Sequential(torch.compile(Coded(), backend=refuses), nn.DataParallel(second))


@case({"redundant bias": ("module.conv",)})
def average():
    return torch.optim.swa_utils.AveragedModel(Coded())


@case({}, batch(8, 4))
def spectral():
    model = nn.Sequential(nn.utils.spectral_norm(nn.Linear(4, 8, bias=False)), nn.BatchNorm1d(8))
    model(batch(8, 4))
    return model


@case({"redundant bias": ("0", "3")}, batch(8, 4))
def parametrized():
    return nn.Sequential(
        nn.utils.parametrizations.spectral_norm(nn.Linear(4, 8)), nn.BatchNorm1d(8), nn.ReLU(),
        nn.utils.parametrizations.weight_norm(nn.Linear(8, 8)), nn.BatchNorm1d(8),
    )  # fmt: skip


@case({"redundant bias": ("a.0",), "after dropout": ("b.2",)})
def untraceable_inside():
    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), Untraceable(nn.ReLU()))
            self.b = nn.Sequential(nn.Dropout(), nn.ReLU(), nn.BatchNorm1d(3))

        def forward(self, x, scale=None, twice=False):
            first, second = self.a(x), self.b(x)
            return first + second if twice else first * second

    return Outer()


@case({"redundant bias": ("0.conv",)}, batch(4, 3, 8, 8))
def parametrized_block():
    class Scaled(Coded):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(1))

        def forward(self, x):
            return self.scale * super().forward(x)

    return nn.Sequential(
        nn.utils.parametrize.register_parametrization(Scaled(), "scale", nn.ReLU())
    )


@case({"redundant bias": ("conv",)}, batch(4, 3, 8, 8))
def arguments_with_a_default():
    class Optional(Coded):
        def forward(self, x, mask=None, twice=False):
            y = self.conv(x if mask is None else x * mask)
            return self.norm(2 * y if twice else y)

    return Optional()


@case({"redundant bias": ("conv",)}, batch(4, 3, 8, 8))
def forward_that_reads_a_shape():
    class Flat(Coded):
        def forward(self, x):
            y = self.conv(x)
            return self.norm(y).reshape(y.shape[0], y.size(1), -1)

    return Flat()


class Flips(nn.Module):
    def __init__(self):
        super().__init__()
        self.block = small()

    def forward(self, x, flip=False):
        return self.block(-x if flip else x)


class Decides(nn.Module):
    """What it calls cannot be followed from here, nor can it be followed itself."""

    def __init__(self):
        super().__init__()
        self.inner = Flips()

    def forward(self, x):
        y = self.inner(x, x.sum() > 0)
        return y if y.sum() > 0 else -y


@case({}, batch(8, 4))
def untraceable_in_two_layers():
    return nn.Sequential(Decides(), nn.ReLU())


@case({"redundant bias": ("conv",)}, batch(4, 3, 8, 8))
def forward_that_warns():
    class Warns(Coded):
        def forward(self, x):
            warnings.warn("this model is old", stacklevel=1)
            return super().forward(x)

    return Warns()


class FunctionalDropout(nn.Module):
    def __init__(self, dropout=F.dropout, p=0.5):
        super().__init__()
        self.dropout, self.p = dropout, p
        self.linear, self.norm = nn.Linear(4, 8, bias=False), nn.BatchNorm1d(8)

    def forward(self, x):
        return self.norm(self.dropout(torch.relu(self.linear(x)), self.p, self.training))


@case({"after dropout": ("norm",)}, batch(8, 4))
def functional_dropout():
    return FunctionalDropout()


@case()
def functional_dropout_of_nothing():
    return FunctionalDropout(p=0.0)


@case()
def functional_dropout_that_is_switched_off():
    return FunctionalDropout(lambda x, p, training: F.dropout(x, p, False))


@case()
def dropout_below_what_cannot_be_followed():
    return nn.Sequential(nn.Dropout(), Untraceable(nn.LayerNorm(4)), nn.BatchNorm1d(4))


@case()
def dropout_that_is_switched_off():
    model = nn.Sequential(nn.Linear(4, 8, bias=False), nn.Dropout(), nn.BatchNorm1d(8))
    model[1].eval()
    return model


@case()
def alpha_dropout_as_a_function():
    return FunctionalDropout(F.alpha_dropout)


@case()
def alpha_dropout():
    return nn.Sequential(nn.SELU(), nn.AlphaDropout(0.5), nn.BatchNorm1d(4))


class OwnLayer(nn.Module):
    """Batch norm as a function, with buffers of its own."""

    def __init__(self, channels):
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x):
        return F.batch_norm(x, self.running_mean, self.running_var, training=self.training)


@case({"redundant bias": ("0",), "after dropout": ("3",)}, batch(8, 4))
def functional_norm():
    return nn.Sequential(nn.Linear(4, 8), OwnLayer(8), nn.Dropout(), OwnLayer(8))


# No false alarm, and the mistake that is there.


class TwoUses(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)

    def forward(self, x):
        return self.norm(self.conv(x)), self.conv(x)


@case()
def bias_with_a_second_use():
    return TwoUses()


class SecondUseLater(Coded):
    """Its forward can be followed up to the norm only, and the second use comes after it."""

    def forward(self, x):
        y = self.conv(x)
        z = self.norm(y)
        return z if z.sum() > 0 else z + y


@case()
def bias_with_a_second_use_that_cannot_be_followed():
    return nn.Sequential(SecondUseLater(), nn.ReLU())


@case({}, batch(4, 3, 8, 8))
def bias_that_is_used_without_its_layer():
    class Adds(Coded):
        def forward(self, x):
            return super().forward(x) + self.conv.bias.view(-1, 1, 1)

    return Adds()


@case({"another axis": ("1",)})
def wrong_axis():
    return nn.Sequential(nn.Linear(16, 8), nn.BatchNorm1d(5))


@case({"another axis": ("1",)}, batch(4, 8, 16))
def wrong_axis_of_the_same_length():
    return nn.Sequential(nn.Linear(16, 8), nn.BatchNorm1d(8))


@case({"another axis": ("1",)})
def images_on_the_axis_of_a_linear_layer():
    return nn.Sequential(nn.Linear(16, 8), nn.BatchNorm2d(8))


@case({"redundant bias": ("0",)})
def trained_with_bias():
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8))
    nn.init.constant_(model[0].bias, 3.0)
    return after(50, model)


@case({"tracking switched off": ("1",)})
def tracking_switched_off():
    model = small().requires_grad_(False)
    model[1].track_running_stats = False
    return model


@case({"frozen but updating": ("1",)})
def frozen_on_purpose():
    return small().requires_grad_(False)


@case({}, batch(64, 4))
def small_but_varying():
    model = small(eps=1e-3, momentum=0.5)
    with torch.no_grad():
        model[0].weight.mul_(0.03)
    return after(20, model)
