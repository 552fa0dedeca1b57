"""Closed-book questions of notebook 04: right answers computed, wrong ones with a sentence."""

import numpy as np
import torch

from bnlab.course.exercises.registry import all_exercises
from bnlab.course.lessons.nb03.recall import CONSTANT
from bnlab.course.lessons.nb04.recall import CONSTANT_AGAIN, SUM, TIMES_TEN


def test_ten_times_the_column_is_normalized_to_the_same_numbers():
    layer = torch.nn.BatchNorm1d(1, eps=1e-12, dtype=torch.float64)
    column = torch.tensor([[1.0], [2.0], [6.0]], dtype=torch.float64)
    y = layer(10 * column).detach().numpy().ravel()
    np.testing.assert_allclose(y, layer(column).detach().numpy().ravel())
    np.testing.assert_allclose(y, [-0.93, -0.46, 1.39], atol=0.005)
    assert TIMES_TEN.answer == "a"


def test_the_rows_of_dx_sum_to_zero_and_the_wrong_answers_do_not():
    rng = np.random.default_rng(0)
    x = torch.tensor(rng.normal(size=(6, 3)), requires_grad=True)
    dy, gamma = rng.normal(size=(6, 3)), torch.tensor([1.5, -0.8, 2.0], dtype=torch.float64)
    torch.nn.functional.batch_norm(x, None, None, gamma, training=True).backward(torch.tensor(dy))
    np.testing.assert_allclose(x.grad.sum(dim=0), 0, atol=1e-12)
    dbeta = dy.sum(axis=0)
    straight = gamma.numpy() * dbeta / x.detach().numpy().std(axis=0)
    assert np.abs([dbeta, straight]).min() > 0.01
    assert SUM.answer == "b"


def test_one_of_them_was_asked_before():
    assert all_exercises()["constant_feature"] is CONSTANT
    assert CONSTANT_AGAIN.answer == CONSTANT.answer
