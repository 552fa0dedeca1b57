"""Every exercise of the course: its reference, its cases, its mistakes, its hints."""

import inspect

import numpy as np
import pytest

from bnlab.course import check, hint, solution
from bnlab.course.exercises.comparing import target_of
from bnlab.course.exercises.exercise import Exercise, Question
from bnlab.course.exercises.registry import all_exercises

FUNCTIONS = [e for e in all_exercises().values() if isinstance(e, Exercise)]
QUESTIONS = [e for e in all_exercises().values() if isinstance(e, Question)]
MISTAKES = [(e, m) for e in FUNCTIONS for m in e.mistakes]
WRONG_ANSWERS = [(q, m) for q in QUESTIONS for m in q.mistakes]


def _name(value):
    return getattr(value, "name", None)


@pytest.mark.parametrize("exercise", FUNCTIONS, ids=_name)
def test_the_reference_is_correct_and_short(exercise):
    report = check(exercise.name, exercise.reference)
    assert report.outcome == "correct", report
    assert "warning" not in report.message
    lines = inspect.getsource(exercise.reference).strip().splitlines()
    assert len(lines) <= 14, "at most 12 lines below the signature and its docstring"
    assert exercise.reference.__name__ == exercise.name


@pytest.mark.parametrize(("exercise", "mistake"), MISTAKES, ids=_name)
def test_a_mistake_is_diagnosed_as_itself(exercise, mistake):
    report = check(exercise.name, mistake.answer)
    assert (report.outcome, report.mistake) == ("incorrect", mistake.name), report
    assert report.message == mistake.sentence


@pytest.mark.parametrize(("exercise", "mistake"), MISTAKES, ids=_name)
def test_a_sentence_is_about_outputs_that_are_wrong(exercise, mistake):
    right = [target_of(exercise, case, exercise.reference) for case in exercise.cases]
    theirs = [target_of(exercise, case, mistake.answer) for case in exercise.cases]
    for name in mistake.about:
        pairs = zip(right, theirs, strict=True)
        assert not all(a[name].accepts(b[name].value) for a, b in pairs), name


@pytest.mark.parametrize("exercise", FUNCTIONS, ids=_name)
def test_no_two_mistakes_are_alike(exercise):
    """Some output of some case tells each pair apart, by far more than the tolerance."""
    targets = [
        [target_of(exercise, case, m.answer) for case in exercise.cases] for m in exercise.mistakes
    ]
    for i, one in enumerate(targets):
        for j, other in enumerate(targets[:i]):
            gaps = [
                a[n].error(b[n].value) > 1e-4 * a[n].scale + 1e-9
                for a, b in zip(one, other, strict=True)
                for n in a
            ]
            pair = [exercise.mistakes[k].name for k in (i, j)]
            assert any(gaps), f"{exercise.name}: {pair} cannot be told apart"


@pytest.mark.parametrize("exercise", FUNCTIONS, ids=_name)
def test_the_names_of_mistakes_are_unique(exercise):
    names = [m.name for m in exercise.mistakes]
    assert len(names) == len(set(names))
    assert all(name.isidentifier() and name.islower() for name in names)
    assert all(isinstance(m.sentence, str) for m in [*exercise.mistakes, *exercise.slips])


@pytest.mark.parametrize("exercise", FUNCTIONS, ids=_name)
def test_cases_are_drawn_alike_every_time(exercise):
    for case in exercise.cases:
        for a, b in zip(case.arguments(), case.arguments(), strict=True):
            if isinstance(a, np.ndarray):
                np.testing.assert_array_equal(a, b)
                assert a is not b


@pytest.mark.parametrize("exercise", FUNCTIONS, ids=_name)
def test_a_random_answer_of_the_right_shape_is_caught(exercise):
    rng = np.random.default_rng(0)
    shapes = [
        {n: t.value.shape for n, t in target_of(exercise, c, exercise.reference).items()}
        for c in exercise.cases
    ]
    calls = iter(shapes * 2)

    def answer(*arguments):
        values = {n: rng.normal(size=shape) for n, shape in next(calls).items()}
        if exercise.returns_dict:
            return values
        return tuple(values.values())

    assert check(exercise.name, answer).outcome == "incorrect"


def given(question, answer):
    """A closed-book answer comes with how sure one is."""
    return (answer, 3) if question.taught else answer


@pytest.mark.parametrize("question", QUESTIONS, ids=_name)
def test_a_question_knows_its_answer(question):
    assert check(question.name, given(question, question.answer)).outcome == "correct"
    assert check(question.name, given(question, question.answer)).message == question.explanation
    if question.choices:
        assert question.answer in question.choices
        assert all(c == c.strip().lower() for c in question.choices)


@pytest.mark.parametrize(("question", "mistake"), WRONG_ANSWERS, ids=_name)
def test_a_wrong_answer_to_a_question_gets_its_sentence(question, mistake):
    report = check(question.name, given(question, mistake.answer))
    assert (report.outcome, report.mistake) == ("incorrect", mistake.name)


CLOSED = [question for question in QUESTIONS if question.taught]


@pytest.mark.parametrize("question", CLOSED, ids=_name)
def test_a_closed_book_question_is_about_an_earlier_notebook(question):
    assert question.taught < question.notebook
    named = {mistake.answer for mistake in question.mistakes}
    assert not question.choices or named == set(question.choices) - {question.answer}


@pytest.mark.parametrize("exercise", FUNCTIONS + QUESTIONS, ids=_name)
def test_hints_climb_and_never_give_the_answer(exercise):
    assert len(exercise.hints) >= 1
    for n in range(1, len(exercise.hints) + 1):
        assert str(hint(exercise.name, n)).startswith(f"Hint {n} of {len(exercise.hints)}: ")
    if isinstance(exercise, Exercise):
        code = [line.strip() for line in inspect.getsource(exercise.reference).splitlines()]
        last = next(line for line in reversed(code) if line)
        assert not any(last in text for text in exercise.hints)
    assert exercise.minutes >= 1
    assert exercise.difficulty in (1, 2, 3)


@pytest.mark.parametrize("exercise", FUNCTIONS, ids=_name)
def test_the_solution_can_be_pasted(exercise):
    text = str(solution(exercise.name))
    namespace = {"np": np}
    exec(text.removeprefix("```python\n").removesuffix("```"), namespace)
    assert check(exercise.name, namespace[exercise.name]).outcome == "correct"
