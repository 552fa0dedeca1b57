"""Closed-book questions of notebook 06: right answers computed, wrong ones with a sentence."""

import numpy as np
import torch

from bnlab.course.lessons.nb06.recall import AFTER_ONE_STEP, ROWS, WEIGHTS


def test_another_dy_of_image_0_changes_dx_in_every_row():
    rng = np.random.default_rng(0)
    x, dy, gamma = rng.normal(size=(60, 3)), rng.normal(size=(60, 3)), rng.uniform(0.5, 2, 3)
    other = dy.copy()
    other[0] += 1

    def dx(dy):
        tensor = torch.tensor(x, requires_grad=True)
        y = torch.nn.functional.batch_norm(tensor, None, None, torch.tensor(gamma), training=True)
        y.backward(torch.tensor(dy))
        return tensor.grad.numpy()

    changed = np.abs(dx(other) - dx(dy)).max(axis=1) > 1e-6
    assert changed.all()  # not only row 0, answer "b", nor none, answer "a"
    assert ROWS.answer == "c"


def test_a_linear_layer_in_front_of_batch_norm_has_its_weights_only():
    linear, norm = torch.nn.Linear(100, 50, bias=False), torch.nn.BatchNorm1d(50)
    assert WEIGHTS.answer == sum(p.numel() for p in linear.parameters())
    x = torch.randn(8, 100, generator=torch.Generator().manual_seed(0))
    moved = norm(linear(x) + torch.arange(50.0))
    torch.testing.assert_close(moved, norm(linear(x)), rtol=1e-4, atol=1e-4)  # the bias is gone
    wrong = {mistake.name: mistake.answer for mistake in WEIGHTS.mistakes}
    pairs = sum(p.numel() for p in norm.parameters())
    assert wrong["gamma_and_beta"] == WEIGHTS.answer + pairs
    assert wrong["all_of_them"] == wrong["with_a_bias"] + pairs


def test_the_running_mean_moves_by_the_share_of_the_answer():
    layer = torch.nn.BatchNorm1d(1, momentum=0.1)
    layer(torch.tensor([[8.0], [12.0]]))
    np.testing.assert_allclose(layer.running_mean.item(), AFTER_ONE_STEP.answer, rtol=1e-6)
    reversed_momentum = next(m for m in AFTER_ONE_STEP.mistakes if m.name == "reversed_momentum")
    layer = torch.nn.BatchNorm1d(1, momentum=0.9)
    layer(torch.tensor([[8.0], [12.0]]))
    np.testing.assert_allclose(layer.running_mean.item(), reversed_momentum.answer, rtol=1e-6)
