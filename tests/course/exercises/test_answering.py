"""Answers to questions: numbers and letters, rounded numbers, and closed-book questions."""

import sys

import pytest

from bnlab.course import check, progress
from bnlab.course.exercises import checking
from bnlab.course.exercises.answering import judge_answer
from bnlab.course.exercises.exercise import Mistake, Question, again

NUMBER = Question(
    "share", "03", 6.25, "Two of 32.", ("Count.",), 1, 1, rtol=5e-3,
    mistakes=(Mistake("a_fraction", "In percent, please.", 0.0625),),
)  # fmt: skip
LETTER = Question(
    "axis", "05", "b", "Over the batch.", ("Which axis?",), 1, 1, choices=("a", "b", "c"),
    mistakes=(Mistake("features", "That is layer norm.", "a"),), taught="02",
)  # fmt: skip


@pytest.mark.parametrize("answer", [6.25, "6.25", "25/4", " 6.250 ", 6.26, "625e-2"])
def test_a_number_may_be_text_or_a_fraction(answer):
    assert judge_answer(NUMBER, answer).outcome == "correct"


@pytest.mark.parametrize(("answer", "digits"), [(6.3, 3), (6.2, 3), (6, 3), ("6.3", 3)])
def test_a_rounded_number_is_close(answer, digits):
    report = judge_answer(NUMBER, answer)
    assert (report.outcome, report.mistake) == ("incorrect", "rounded")
    assert report.message.endswith(f"is the right value, rounded. Give {digits} digits or more.")


@pytest.mark.parametrize("answer", [6.4, 7, 6.0e0 + 1, 62.5, 0, float("nan"), float("inf")])
def test_a_number_that_is_not_close_is_not_called_so(answer):
    report = judge_answer(NUMBER, answer)
    assert (report.outcome, report.mistake) == ("incorrect", None)


def test_a_known_number_gets_its_sentence():
    assert judge_answer(NUMBER, "1/16").message == "In percent, please."


@pytest.mark.parametrize("answer", ["1/0", "six", "", [1], "b"])
def test_what_is_no_number_is_said(answer):
    report = judge_answer(NUMBER, answer)
    assert report.outcome == "error"
    assert report.message.startswith("Answer with one number; a ")


@pytest.mark.parametrize(
    ("answer", "outcome", "said"),
    [
        (("b", 3), "correct", "Over the batch."),
        ((" B ", 2), "correct", "Over the batch."),
        (("b", 1), "correct", "Over the batch. It was a guess, so read the reason once more."),
        (("a", 1), "incorrect", "That is layer norm."),
        (("a", 3), "incorrect", "That is layer norm. You were certain: look at it again in "
                                "notebook 02."),
        ((..., ...), "not attempted", "Replace the ... by your answer, then run this again."),
        (..., "not attempted", "Replace the ... by your answer, then run this again."),
        (("d", 3), "error", "Answer with one of 'a', 'b', 'c'; 'd' came."),
        (("b", 5), "error", "An answer comes with how sure you are. Write axis = 'b', 3 if you are "
                            "certain, 2 or 1 if less so."),
    ],
)  # fmt: skip
def test_a_closed_book_answer_comes_with_how_sure_one_is(answer, outcome, said):
    report = judge_answer(LETTER, answer)
    assert (report.outcome, report.message) == (outcome, said)


@pytest.mark.parametrize("answer", ["b", ("b", ...), ("b", None), ("b", "3")])
def test_how_sure_one_is_is_asked_for(answer):
    report = judge_answer(LETTER, answer)
    assert report.outcome == "error"
    assert "axis = 'b', 3 if you are certain" in report.message


def test_a_question_that_is_not_closed_book_takes_no_pair():
    assert judge_answer(NUMBER, (6.25, 3)).outcome == "error"


def test_a_question_asked_again_counts_by_itself():
    later = again(LETTER, "07")
    assert (later.name, later.notebook, later.taught) == ("axis_again", "07", "02")
    assert judge_answer(later, ("b", 2)).outcome == "correct"


@pytest.fixture
def asked(monkeypatch):
    """A closed-book question among the exercises of the course."""
    monkeypatch.setattr(checking, "find", {"axis": LETTER}.get)
    module = sys.modules["bnlab.course.exercises.progress"]  # `progress` is the function
    monkeypatch.setattr(module, "all_exercises", lambda: {"axis": LETTER})


def test_it_counts_in_progress_and_what_was_certain_and_wrong_comes_back(asked):
    assert "0 of  1 exercises" in str(progress())
    check("axis", ("a", 3))
    assert "You were certain, and it was wrong; look again: axis (notebook 02)." in str(progress())
    assert "look again: axis (notebook 02)" in progress()._repr_html_()
    check("axis", ("b", 2))
    assert "1 of  1 exercises" in str(progress())
    assert "look again" not in str(progress())


@pytest.mark.parametrize("answer", [("a", 1), ("a", 2), "a", (..., ...)])
def test_what_was_not_certain_is_not_held_against_anybody(asked, answer):
    check("axis", answer)
    assert "look again" not in str(progress())
