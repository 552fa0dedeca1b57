"""Closed-book questions of notebook 07: right answers computed by torch, wrong ones known."""

import numpy as np
import torch

from bnlab.course.exercises.registry import all_exercises
from bnlab.course.lessons.nb04.recall import TIMES_TEN
from bnlab.course.lessons.nb07.recall import LOOK, TIMES_TEN_AGAIN, VALUES


def test_a_look_in_training_mode_moves_the_averages_and_nothing_else():
    layer = torch.nn.BatchNorm1d(3)
    before = {name: array.clone() for name, array in layer.state_dict().items()}
    with torch.no_grad():
        layer(torch.randn(8, 3, generator=torch.Generator().manual_seed(0)))
    moved = {name for name, array in layer.state_dict().items() if (array != before[name]).any()}
    assert moved == {"running_mean", "running_var", "num_batches_tracked"}
    assert LOOK.answer == "b"


def test_the_answer_is_the_number_of_values_that_move_with_one_pixel():
    """A pixel moves all that share its mean and variance: the values of its channel."""
    rng = np.random.default_rng(0)
    x = torch.tensor(rng.normal(size=(8, 3, 4, 4)))
    layer = torch.nn.BatchNorm2d(3, dtype=torch.float64)
    before = layer(x).detach()
    x[2, 1, 0, 3] += 1
    assert (layer(x).detach() != before).sum().item() == VALUES.answer
    axes = {8: (0,), 16: (2, 3), 48: (1, 2, 3), 384: (0, 1, 2, 3), 24: (0, 1)}  # of the mistakes
    counts = {x.numel() // x.mean(dim=dims).numel() for dims in axes.values()}
    assert {mistake.answer for mistake in VALUES.mistakes} == counts | {x.shape[1]}


def test_one_of_them_was_asked_before():
    assert all_exercises()["column_times_ten"] is TIMES_TEN
    assert TIMES_TEN_AGAIN.answer == TIMES_TEN.answer
