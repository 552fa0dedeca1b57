"""Closed-book questions of notebook 03: right answers computed, wrong ones with a sentence."""

import numpy as np
import pytest
import torch

from bnlab.course import check
from bnlab.course.exercises.registry import all_exercises
from bnlab.course.lessons.nb03.recall import CONSTANT, LEARNED, VARIANCE

ALL = (VARIANCE, LEARNED, CONSTANT)


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


@pytest.mark.parametrize("question", ALL, ids=lambda q: q.name)
def test_they_are_asked_in_03_about_an_earlier_notebook(question):
    assert all_exercises()[question.name] is question
    assert question.taught < question.notebook == "03"
    assert check(question.name, (question.answer, 3)).outcome == "correct"


@pytest.mark.parametrize(
    ("question", "mistake"), [(q, m) for q in ALL for m in q.mistakes], ids=lambda p: p.name
)
def test_a_wrong_answer_gets_its_sentence(question, mistake):
    report = check(question.name, (mistake.answer, 2))
    assert (report.outcome, report.mistake) == ("incorrect", mistake.name)
    assert report.message == mistake.sentence


def test_every_wrong_letter_has_a_sentence():
    named = {mistake.answer for mistake in CONSTANT.mistakes}
    assert named == set(CONSTANT.choices) - {CONSTANT.answer}


@pytest.mark.parametrize("answer", ["14/3", 4.67, 4.6667])
def test_the_variance_may_be_rounded_or_a_fraction(answer):
    assert check(VARIANCE.name, (answer, 3)).outcome == "correct"
