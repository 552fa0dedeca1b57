"""Closed-book questions of notebook 05: right answers computed, wrong ones with a sentence."""

import numpy as np
import pytest
import torch

from bnlab.course.exercises.registry import all_exercises
from bnlab.course.lessons.nb03.recall import LEARNED
from bnlab.course.lessons.nb05.recall import LEARNED_AGAIN, LONGER, SCATTER


def scatter(m):
    """Standard deviation of the output for one value among m - 1 others, by torch."""
    rng = np.random.default_rng(0)
    batches = rng.normal(size=(2000, m))
    batches[:, 0] = 0.5
    y = torch.nn.functional.batch_norm(torch.tensor(batches.T), None, None, training=True)
    return y[0].std().item()


def test_a_batch_sixteen_times_as_large_scatters_about_a_quarter_as_much():
    small, large = scatter(8), scatter(128)
    assert large > 0.02  # not 0, answer "a"
    assert large / small == pytest.approx(0.10 / 0.44, abs=0.06)  # not 1, answer "c"
    assert SCATTER.answer == "b"


def test_weights_times_ten_need_the_rate_of_the_answer():
    rng = np.random.default_rng(0)
    x, weight, dy = (torch.tensor(rng.normal(size=shape)) for shape in ((9, 4), (3, 4), (9, 3)))

    def step(times, rate):
        w = (times * weight).requires_grad_()
        batch_norm = torch.nn.functional.batch_norm
        batch_norm(x @ w.T, None, None, training=True, eps=1e-12).backward(dy)
        after = w.detach() - rate * w.grad
        return torch.nn.functional.normalize(after, dim=1).numpy()

    same = step(10, LONGER.answer * 0.1)
    np.testing.assert_allclose(same, step(1, 0.1), rtol=1e-8)
    for mistake in LONGER.mistakes:
        assert np.abs(step(10, mistake.answer * 0.1) - same).max() > 1e-3


def test_one_of_them_was_asked_before():
    assert all_exercises()["learned_numbers"] is LEARNED
    assert LEARNED_AGAIN.answer == LEARNED.answer
