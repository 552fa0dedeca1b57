"""A diagnosis is true or absent: no sentence about a right output, none that contradict."""

import functools

import numpy as np
import pytest

from bnlab.course.exercises.diagnosing import CONSTANTS, SECONDS
from bnlab.course.exercises.edits import edited_twice
from bnlab.course.exercises.exercise import Exercise
from bnlab.course.exercises.judging import judge
from bnlab.course.exercises.own_eps import own_eps, with_eps
from bnlab.course.exercises.registry import all_exercises, find

SEVERAL = [e for e in all_exercises().values() if isinstance(e, Exercise) and len(e.outputs) > 1]
WITH_EPS = [e for e in all_exercises().values() if isinstance(e, Exercise) and "eps" in e.arguments]


def _name(value):
    return getattr(value, "name", None)


def outputs(exercise, function, arguments):
    with np.errstate(all="ignore"):
        value = function(*arguments)
    return dict(value) if exercise.returns_dict else dict(zip(exercise.outputs, value, strict=True))


def mixed(exercise, sources):
    """An answer whose outputs come from different functions; what is not named is right."""

    def answer(*arguments):
        made = outputs(exercise, exercise.reference, arguments)
        for name, function in sources.items():
            made[name] = outputs(exercise, function, arguments)[name]
        return made if exercise.returns_dict else tuple(made[n] for n in exercise.outputs)

    return answer


def noise(exercise):
    """Outputs that no mistake gives; the same for the same arguments."""

    def function(*arguments):
        made = outputs(exercise, exercise.reference, arguments)
        rng = np.random.default_rng(1)
        made = {n: v + 1 + rng.random(np.shape(v)) for n, v in made.items()}
        return made if exercise.returns_dict else tuple(made[n] for n in exercise.outputs)

    return function


@functools.cache
def wrong(exercise, function):
    """Outputs of the function that differ from the reference's by more than rounding."""
    found = set()
    for case in exercise.cases:
        right, theirs = (outputs(exercise, f, case.arguments())
                         for f in (exercise.reference, function))  # fmt: skip
        found |= {n for n in right if not np.allclose(right[n], theirs[n], rtol=1e-6)}
    return found


def named(exercise, report):
    known = {m.name: m for m in exercise.mistakes}
    return [known[name] for name in report.mistakes if name in known]


def draws(exercise, count):
    """Choices of one or two mistakes for an output each, the same every time."""
    rng = np.random.default_rng(0)
    for _ in range(count):
        chosen = rng.choice(len(exercise.mistakes), 2, replace=False)
        places = rng.choice(exercise.outputs, 2, replace=False)
        mistakes = (exercise.mistakes[i].answer for i in chosen)
        yield dict(zip(places, mistakes, strict=True))


@pytest.mark.parametrize("exercise", SEVERAL, ids=_name)
def test_no_sentence_is_about_a_right_output_and_no_two_about_the_same(exercise):
    for sources in draws(exercise, 25):
        answer = mixed(exercise, sources)
        report, bad = judge(exercise, answer), wrong(exercise, answer)
        assert (report.outcome == "correct") == (not bad)
        about = [name for mistake in named(exercise, report) for name in mistake.about]
        assert set(about) <= bad, (report, bad)
        assert len(about) == len(set(about)) or report.message.startswith("Two things at once")


@pytest.mark.parametrize("exercise", SEVERAL, ids=_name)
def test_what_is_not_explained_is_said_to_be_wrong_too(exercise):
    for mistake in exercise.mistakes[:12]:
        own = wrong(exercise, mistake.answer)
        other = next((n for n in exercise.outputs if n not in own), None)
        if other is None:
            continue
        sources = dict.fromkeys(own, mistake.answer) | {other: noise(exercise)}
        report = judge(exercise, mixed(exercise, sources))
        assert report.mistake == mistake.name, report
        assert report.message.endswith(f" {other} is wrong too, for another reason.")


@pytest.mark.parametrize("exercise", SEVERAL, ids=_name)
def test_noise_is_not_explained(exercise):
    for name in exercise.outputs:
        report = judge(exercise, mixed(exercise, {name: noise(exercise)}))
        assert (report.outcome, report.mistakes) == ("incorrect", ()), report
        assert f"{name} is wrong in" in report.message


# An eps of one's own


@pytest.mark.parametrize("exercise", WITH_EPS, ids=_name)
@pytest.mark.parametrize("constant", [1e-8, 3.7e-6, 2e-3])
def test_any_constant_for_eps_is_found(exercise, constant):
    report = judge(exercise, with_eps(exercise, exercise.reference, constant))
    assert report.mistakes == ("eps_of_your_own",), report
    assert f"You always use {constant:g} for eps; use the argument eps." in report.message


@pytest.mark.parametrize("least", [1e-10, 1e-30])
def test_a_constant_too_small_to_be_seen_is_not_claimed(least):
    def guarded(x, gamma, beta, eps):
        x_hat = (x - x.mean(axis=0)) / np.sqrt(np.maximum(x.var(axis=0), least))
        return gamma * x_hat + beta

    assert "eps_of_your_own" not in judge(find("batchnorm_forward"), guarded).mistakes


def test_a_constant_of_another_formula_is_not_claimed():
    """The engine pairs mistakes with the constants that people use; 1e-4 is none of them."""
    exercise = find("batchnorm_forward")
    answer = with_eps(exercise, exercise.mistakes[0].answer, 1e-4)
    assert own_eps(exercise, [{"y": answer(*c.arguments())} for c in exercise.cases]) is not None
    report = judge(exercise, answer)
    assert (report.outcome, report.mistakes) == ("incorrect", ()), report


# Two mistakes at once


@pytest.mark.parametrize("first", ["wrong_axis", "not_centred", "subtracts_beta", "sum_of_squares"])
@pytest.mark.parametrize("second", ["eps_outside_root", "eps_forgotten"])
def test_a_mistake_and_a_wrong_eps_are_named_together(first, second):
    exercise = find("batchnorm_forward")
    known = {m.name: m for m in exercise.mistakes}
    both = edited_twice(exercise.reference, known[first].changes, known[second].changes)
    report = judge(exercise, both)
    assert set(report.mistakes) == {first, second}
    assert report.mistake == report.mistakes[0]
    assert known[first].sentence in report.message
    assert known[second].sentence in report.message


def test_a_mistake_and_an_eps_of_ones_own_are_named_together():
    def forward(x, gamma, beta, eps):
        x_hat = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0, ddof=1) + CONSTANTS[0])
        return gamma * x_hat + beta

    report = judge(find("batchnorm_forward"), forward)
    assert report.mistakes == ("unbiased_variance", "eps_of_your_own")
    assert "You always use 1e-08 for eps" in report.message


def test_seconds_are_ways_to_get_eps_or_the_variance_wrong():
    names = {m.name for e in WITH_EPS for m in e.mistakes if SECONDS.match(m.name)}
    assert {"eps_outside_root", "eps_forgotten", "unbiased_variance"} <= names
    assert not any(name.startswith(("gamma", "beta", "wrong")) for name in names)


# Values that are not finite


def test_inf_and_nan_are_the_same_mistake():
    """0 / 0 or 1 / 0 where a feature is constant: it depends on the order of the operations."""

    def forward(x, gamma, beta, eps):
        return gamma * ((x - x.mean(axis=0)) * (1 / x.std(axis=0))) + beta

    def with_inf(x, gamma, beta, eps):
        y = forward(x, gamma, beta, eps)
        return np.where(np.isnan(y), np.inf, y)

    for answer in (forward, with_inf):
        assert judge(find("batchnorm_forward"), answer).mistake == "eps_forgotten"


def test_an_ordinary_case_is_shown_if_all_are_wrong():
    message = judge(find("batchnorm_forward"), lambda x, g, b, e: 0.3 * x).message
    assert "y is wrong in 8 of 8 cases. In the case 'a typical batch'" in message


# Line by line


def staged(*names, **wrong):
    exercise = find("batchnorm_backward_staged")

    def answer(*arguments):
        made = exercise.reference(*arguments)
        return {n: wrong.get(n, 1) * made[n] for n in names}

    return judge(exercise, answer)


def test_a_dict_can_be_filled_line_by_line():
    report = staged("dx_hat", "dvar")
    assert (report.outcome, report.mistake) == ("incorrect", "unfinished")
    assert report.message == "dx_hat, dvar right so far. Next comes dmean."


def test_a_wrong_line_is_told_before_the_next_one():
    report = staged("dx_hat", "dvar", dvar=-1)
    assert (report.outcome, report.mistake) == ("incorrect", "dvar_sign")


def test_a_line_left_out_in_the_middle_is_missing():
    assert "lacks dvar" in staged("dx_hat", "dmean").message
    assert "lacks dx_hat" in staged("dvar").message


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_a_mistake_in_less_precision_is_still_named(dtype):
    def forward(x, gamma, beta, eps):
        y = gamma * (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0, ddof=1) + eps) + beta
        return y.astype(dtype)

    assert judge(find("batchnorm_forward"), forward).mistake == "unbiased_variance"
