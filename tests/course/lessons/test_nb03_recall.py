"""Closed-book questions of notebook 03: right answers computed, wrong ones with a sentence."""

import numpy as np
import pytest
import torch

from bnlab.course import check
from bnlab.course.lessons.nb03.recall import CONSTANT, LEARNED, VARIANCE


def test_the_answers_are_those_of_torch():
    layer = torch.nn.BatchNorm1d(100, dtype=torch.float64)
    assert sum(p.numel() for p in layer.parameters()) == LEARNED.answer

    column = torch.tensor([[1.0], [2.0], [6.0]], dtype=torch.float64)
    assert column.var(unbiased=False).item() == pytest.approx(VARIANCE.answer)

    torch.nn.init.constant_(layer.weight, 3.0)
    torch.nn.init.constant_(layer.bias, 0.7)
    y = layer(torch.full((60, 100), 7.0, dtype=torch.float64))
    np.testing.assert_allclose(y.detach().numpy(), 0.7)  # beta: answer "a"
    assert CONSTANT.answer == "a"


@pytest.mark.parametrize("answer", ["14/3", 4.67, 4.6667])
def test_the_variance_may_be_rounded_or_a_fraction(answer):
    assert check(VARIANCE.name, (answer, 3)).outcome == "correct"
