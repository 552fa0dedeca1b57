"""Closed-book questions of notebook 10: right answers computed by torch, wrong ones known."""

import numpy as np
import torch

from bnlab.course.lessons.nb07.ex_ghost_batches import ghost_batchnorm_forward
from bnlab.course.lessons.nb07.recall import VALUES
from bnlab.course.lessons.nb10.recall import GHOST_MEANS, SHIFT, VALUES_AGAIN


def gradients(x, dy):
    """The gradients dx and dbeta of torch's batch norm."""
    x, beta = torch.tensor(x, requires_grad=True), torch.zeros(x.shape[1], requires_grad=True)
    y = torch.nn.functional.batch_norm(x, None, None, None, beta.double(), training=True)
    y.backward(torch.tensor(dy))
    return x.grad.numpy(), beta.grad.numpy()


def test_a_number_added_to_dy_leaves_dx_as_it_is():
    x, dy = np.random.default_rng(0).normal(size=(2, 60, 3))
    before, after = gradients(x, dy), gradients(x, dy + 1)
    np.testing.assert_allclose(after[0], before[0], atol=1e-12)  # not "b", nor "c"
    np.testing.assert_allclose(after[1] - before[1], 60, rtol=1e-5)  # dbeta does grow
    assert np.abs(gradients(x, dy + x)[0] - before[0]).max() < 1e-4  # and along x_hat, up to eps
    assert np.abs(gradients(x, dy + x**2)[0] - before[0]).max() > 0.1  # but not for any change
    assert SHIFT.answer == "a"


def test_the_question_of_07_is_asked_again():
    assert VALUES_AGAIN.answer == VALUES.answer
    assert VALUES_AGAIN.taught == "06"


def test_ghosts_have_as_many_means_as_the_answer_says():
    x = np.random.default_rng(0).normal(size=(60, 100))
    x_hat = ghost_batchnorm_forward(x, np.ones(100), np.zeros(100), 12, 1e-12)
    ghosts = x_hat.reshape(-1, 12, 100)
    means = x.reshape(ghosts.shape).mean(axis=1)  # those that were subtracted:
    np.testing.assert_allclose(ghosts.mean(axis=1), 0, atol=1e-9)
    assert means.size == GHOST_MEANS.answer
    wrong = {mistake.name: mistake.answer for mistake in GHOST_MEANS.mistakes}
    assert wrong["every_value"] == x.size
    assert wrong["how_many_ghosts"] == len(means)
