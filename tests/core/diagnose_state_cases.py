"""Cases of `diagnose`: what the settings and the running statistics show."""

import copy

import torch
from diagnose_parts import (
    after,
    batch,
    case,
    small,
)
from torch import nn

# What the numbers show.


@case({"negative variance": ("1",)})
def negative_variance():
    model = after(1, small())
    model[1].running_var[0] = -0.5
    return model


@case({"half-precision statistics": ("1",)}, batch(4, 3, 8, 8).half())
def half_statistics():
    return nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8)).half()


@case({"half-precision statistics": ("1",)}, batch(32, 4).bfloat16())
def bfloat16_statistics():
    return small().bfloat16()


@case({}, batch(4, 3, 8, 8).half())
def half_for_evaluation():
    model = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8))
    for seed in range(50):
        model(batch(4, 3, 8, 8, seed=seed))
    return model.half().eval()


@case({"few batches": ("1",)})
def few_batches():
    return after(100, small(momentum=0.001)).eval()


@case()
def few_batches_of_a_mean():
    return after(1, small(momentum=None)).eval()


@case()
def few_batches_so_far():
    return after(3, small())


@case({"stale statistics": ("1",)}, 10 * batch(32, 4))
def stale_statistics():
    return after(50, small()).eval()


@case({"stale statistics": ("1",)}, 30 + batch(32, 4))
def stale_mean():
    return after(50, small()).eval()


@case({}, torch.zeros(32, 4))
def zeros_to_try_a_model():
    return after(50, small(), shift=3.0).eval()


@case({"untouched statistics": ("1",)})
def averaged_copy():
    model = nn.Sequential(*small(), nn.Linear(8, 2))
    average = copy.deepcopy(model)
    after(50, model, shift=3.0)
    for mine, theirs in zip(average.parameters(), model.parameters(), strict=True):
        mine.data.copy_(theirs.data)
    return average.eval()


class Dead(nn.Module):
    """The first of eight channels is always 0, the second nearly."""

    def forward(self, x):
        return x * torch.tensor([0.0, 1e-4, 1, 1, 1, 1, 1, 1])


@case({"constant channel": ("1",)})
def constant_channel():
    model = nn.Sequential(Dead(), nn.BatchNorm1d(8))
    for seed in range(150):
        model(batch(32, 8, seed=seed))
    return model


@case({"constant channel": ("1",)})
def constant_channel_up_to_rounding():
    model = after(50, small())
    model[1].running_mean[0], model[1].running_var[0] = 100.0, 1e-10
    return model


@case()
def a_channel_that_varies_as_little_around_0():
    model = after(50, small())
    model[1].running_mean[0], model[1].running_var[0] = 0.0, 1e-10
    return model


# Settings, and when they speak.


@case({"eps of 0": ("1",)}, batch(8, 4))
def no_eps():
    return small(eps=0.0)


@case()
def a_batch_that_torch_refused():
    model = small()
    model[1].num_batches_tracked += 1  # it counts before it refuses
    return model


@case({}, batch(64, 4))
def a_momentum_that_was_made_small_later():
    model = after(50, small())
    model[1].running_var *= 0.9
    model[1].momentum = 0.001
    return model.eval()


@case({}, 10 * batch(64, 4))
def a_momentum_that_was_made_0_later():
    model = small()
    for seed in range(50):
        model(10 * batch(32, 4, seed=seed))
    model[1].momentum = 0
    return model.eval()


@case({"untouched statistics": ("1",)}, batch(64, 4))
def an_evaluation_after_a_batch_that_torch_refused():
    return a_batch_that_torch_refused().eval()


@case({"mixed modes": ("1",), "untouched statistics": ("1",)})
def one_in_training_mode():
    model = small().eval()
    model[1].train()
    return model


@case({"momentum of 0": ("1",)})
def frozen_with_a_momentum_of_0():
    return small(momentum=0).requires_grad_(False)


@case({}, 30 + batch(32, 4))
def a_new_model_on_data_far_from_0():
    return small()


@case({}, 30 + batch(32, 4))
def statistics_on_their_way_to_data_far_from_0():
    return after(3, small(), shift=30.0)


@case({}, batch(1, 4))
def one_value_under_fixed_statistics():
    model = after(50, small())
    model[1].eval()
    return model
