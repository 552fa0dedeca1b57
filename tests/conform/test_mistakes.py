"""The mistakes of the check, made into layers: each breaks a row, or is named as a convention."""

import pytest

from bnlab.conform import conform
from bnlab.conform.adapters.functions import (
    CLOSED_FORM,
    FORWARD,
    INFERENCE,
    SPATIAL,
    STAGED,
    UPDATE,
)

EXERCISES = (FORWARD, STAGED, CLOSED_FORM, UPDATE, INFERENCE, SPATIAL)
REFERENCES = {exercise.name: exercise.reference for exercise in EXERCISES}
ALL = [(exercise, mistake) for exercise in EXERCISES for mistake in exercise.mistakes]

CONVENTIONS = {
    "momentum_reversed": ["momentum multiplies"],
    "biased_variance": ["variance that is fed"],
    "rule_of_keras": ["momentum multiplies", "variance that is fed"],
}
# Two mistakes of one exercise can be the same in the outputs that a row sees.
ALIKE = {
    ("batchnorm_backward_staged", "upstream_of_ones"): "dx_zero",
    ("batchnorm_backward_staged", "parameters_averaged"): "dgamma_averaged",
    ("update_running_stats", "momentum_reversed_in_the_mean"): None,  # a sentence of its own
}


def report_with(exercise, function):
    functions = {**REFERENCES, exercise.name: function}
    if exercise is CLOSED_FORM:
        del functions[STAGED.name]
    return conform(functions)


def test_the_references_have_no_row_broken():
    report = conform(REFERENCES)
    assert report.ok, report
    assert set(report.parts.values()) == {"yours"}


@pytest.mark.parametrize(("exercise", "mistake"), ALL, ids=lambda part: getattr(part, "name", None))
def test_a_mistake_breaks_a_row_or_is_a_convention(exercise, mistake):
    report = report_with(exercise, mistake.answer)
    broken = [row for row in report.rows if row.verdict == "broken"]
    if exercise is UPDATE and mistake.name in CONVENTIONS:
        assert broken == []
        for name in CONVENTIONS[mistake.name]:
            assert report[name].verdict == "convention"
        return
    assert broken, mistake.name
    names = {row.mistake for row in broken}
    assert mistake.name in names or ALIKE[exercise.name, mistake.name] in names


def test_a_sentence_is_that_of_the_check():
    mistake = next(m for m in FORWARD.mistakes if m.name == "unbiased_variance")
    row = report_with(FORWARD, mistake.answer)["output, 2-D"]
    assert row.sentence == mistake.sentence


def test_rows_that_only_repeat_it_say_so():
    mistake = next(m for m in FORWARD.mistakes if m.name == "unbiased_variance")
    row = report_with(FORWARD, mistake.answer)["float32 at mean 1e4"]
    assert row.verdict == "does not apply"
    assert row.sentence == 'It cannot be told while "output, 2-D" is broken.'
