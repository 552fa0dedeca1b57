"""Closed-book questions of notebook 09: right answers computed, wrong ones with a sentence."""

import pytest
import torch

from bnlab.course.lessons.nb09.recall import DROPPED, FOUND_BY, STILL_THERE


def test_the_share_of_the_first_batch_is_torchs():
    layer = torch.nn.BatchNorm1d(1).double()
    for value in (1.0, 0.0, 0.0):  # only the first batch has a mean
        layer(torch.full((4, 1), value, dtype=torch.float64))
    assert STILL_THERE.answer == pytest.approx(layer.running_mean.item())
    wrong = [mistake.answer for mistake in STILL_THERE.mistakes]
    assert all(abs(w / STILL_THERE.answer - 1) > 0.05 for w in wrong)


def test_dropout_widens_the_variance():
    x = torch.rand(10_000, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    dropped = torch.nn.functional.dropout(x, 0.5)
    assert dropped.mean().item() == pytest.approx(x.mean().item(), abs=0.02)
    assert dropped.var() > 2 * x.var()
    assert DROPPED.answer == "a"


def test_a_wrong_gradient_is_found_by_comparison():
    assert FOUND_BY.answer == "b"
    assert FOUND_BY.taught == "08"
