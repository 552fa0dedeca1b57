"""Closed-book questions of notebook 08: right answers computed, wrong ones with a sentence."""

import numpy as np
import pytest
import torch

from bnlab.course import check
from bnlab.course.lessons.nb08.recall import AXES, LARGEST, LENGTH

batch_norm = torch.nn.functional.batch_norm


def normalized(x):
    return batch_norm(torch.tensor(x), None, None, training=True, eps=1e-12).numpy()


@pytest.mark.parametrize("far", [1.0, -1e3, 1e6])
def test_the_largest_normalized_value_of_17_is_reached_by_one_outlier(far):
    column = np.zeros((17, 1))
    column[3] = far
    assert np.abs(normalized(column)).max() == pytest.approx(LARGEST.answer, rel=1e-9)


def test_no_drawn_batch_of_17_goes_beyond_it():
    x = np.random.default_rng(0).standard_cauchy((17, 2000))
    largest = np.abs(normalized(x)).max()
    assert 0.98 * LARGEST.answer < largest < LARGEST.answer + 1e-9
    assert check(LARGEST.name, (17**0.5, 2)).mistake == "root_of_m"


def test_a_step_makes_a_row_longer():
    rng = np.random.default_rng(0)
    x, weight, dy = (torch.tensor(rng.normal(size=shape)) for shape in ((9, 4), (3, 4), (9, 3)))
    weight.requires_grad_()
    batch_norm(x @ weight.T, None, None, training=True, eps=1e-12).backward(dy)
    before, after = (w.norm(dim=1) for w in (weight, weight - 0.1 * weight.grad))
    assert (after > before).all()
    assert LENGTH.answer == "b"


def test_the_axes_are_those_of_torch():
    x = np.random.default_rng(0).normal(size=(4, 3, 5, 5))
    errors = {}
    for choice, axes in {"a": (0,), "b": (0, 2, 3), "c": (2, 3)}.items():
        by_axes = (x - x.mean(axis=axes, keepdims=True)) / x.std(axis=axes, keepdims=True)
        errors[choice] = np.abs(by_axes - normalized(x)).max()
    assert errors.pop(AXES.answer) < 1e-9
    assert min(errors.values()) > 0.1
