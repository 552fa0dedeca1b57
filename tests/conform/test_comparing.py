"""When a difference counts, and when a mistake of the course explains it."""

import numpy as np
import pytest

from bnlab.conform import reference
from bnlab.conform.comparing import Comparison, agree, as_text, differ
from bnlab.conform.probes import batch
from bnlab.course.lessons.nb02.ex_batchnorm_algorithm import FORWARD

EPS = 1e-14


def comparison(y_of, tolerance=1e-6):
    b = batch((4, 3))
    arguments = (b.x, b.gamma, b.beta, EPS)
    want = reference.forward(*arguments)
    answers = {"y": y_of(want, *arguments)}
    exercises = {FORWARD: arguments}
    return Comparison("y", answers, {"y": want}, {"x": b.x}, tolerance, exercises, b.x.shape)


def test_within_the_tolerance_it_is_kept():
    row = agree([comparison(lambda want, *_: want * (1 + 5e-7))], "as it should be")
    assert (row.verdict, row.sentence) == ("kept", "as it should be")
    assert 0 < row.difference < 1e-5


def test_a_mistake_is_named():
    mistake = next(m for m in FORWARD.mistakes if m.name == "beta_forgotten")
    row = agree([comparison(lambda want, *arguments: mistake.answer(*arguments))], "")
    assert (row.verdict, row.mistake, row.sentence) == ("broken", mistake.name, mistake.sentence)


def test_a_mistake_that_is_right_here_explains_nothing():
    """With an eps that cannot be seen, a wrong place of eps gives what it should."""
    row = agree([comparison(lambda want, *_: want + 1.5e-6 * np.abs(want).max())], "")
    assert (row.verdict, row.mistake) == ("broken", None)
    assert "not what any known mistake of the course gives" in row.sentence


def test_a_mistake_has_to_explain_all_comparisons():
    mistake = next(m for m in FORWARD.mistakes if m.name == "beta_forgotten")
    one = comparison(lambda want, *arguments: mistake.answer(*arguments))
    other = comparison(lambda want, *_: want + 1)
    row = agree([one, other], "", otherwise="Something else.")
    assert (row.mistake, row.sentence) == (None, "Something else.")
    assert row.difference == max(one.error, other.error)


@pytest.mark.parametrize(
    ("one", "other", "far"),
    [
        ([1.0, 2.0], [1.0, 2.0], False),
        ([1.0, np.nan], [1.0, np.nan], False),
        ([1.0, np.inf], [1.0, np.inf], False),
        ([1.0, np.nan], [1.0, 2.0], True),
        ([1.0, np.inf], [1.0, -np.inf], True),
        ([1.0], [1.0, 1.0], True),
        ([1e6 + 0.5], [1e6], False),
        ([1e6 + 2.0], [1e6], True),
        ([2e-6], [0.0], True),
    ],
)
def test_differ(one, other, far):
    assert differ(np.array(one), np.array(other), 1e-6) is far


def test_inputs_as_somebody_would_type_them():
    text = as_text({"x": np.array([[0.3], [-1.4]]), "eps": 1e-5, "big": np.zeros((5, 5))})
    assert text == "x = [[0.3], [-1.4]], eps = 1e-05, big = an array of shape (5, 5)"
