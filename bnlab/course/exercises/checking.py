"""Is the answer right, and if not, which mistake is it: `check`."""

import os

import numpy as np

from bnlab.course.exercises.attempt import is_untouched
from bnlab.course.exercises.calling import CallProblem, call
from bnlab.course.exercises.comparing import outputs_of, target_of
from bnlab.course.exercises.exercise import Question
from bnlab.course.exercises.progress import remember
from bnlab.course.exercises.registry import closest, find
from bnlab.course.exercises.report import CheckFailed, Report

__all__ = ["check"]


def check(name, answer):
    """Compare an answer with the vetted one, and name the mistake if there is one.

    A function is called on several drawn cases, arguments by position. A question takes a
    number or one of its choices. Nothing is raised, whatever the answer does, except under a
    grader (environment variable ``NBGRADER_EXECUTION``).

    Parameters
    ----------
    name : str
        Name of the exercise.
    answer : callable, float or str
        The function itself (not its result), or the answer to the question.

    Returns
    -------
    Report
        With ``outcome``, ``message`` and ``mistake``.

    Raises
    ------
    CheckFailed
        Only if ``NBGRADER_EXECUTION`` is set and the outcome is not "correct".

    Examples
    --------
    >>> def batchnorm_forward(x, gamma, beta, eps):
    ...     x_hat = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0, ddof=1) + eps)
    ...     return gamma * x_hat + beta
    >>> check("batchnorm_forward", batchnorm_forward).mistake
    'unbiased_variance'
    """
    exercise = find(name)
    if exercise is None:
        report = Report(str(name), "error", f"There is no exercise of this name. {closest(name)}")
    elif isinstance(exercise, Question):
        report = _check_question(exercise, answer)
    else:
        report = _check_function(exercise, answer)
    if "NBGRADER_EXECUTION" in os.environ:
        if report.outcome != "correct":
            raise CheckFailed(str(report))
    elif exercise is not None:
        remember(exercise.name, report.outcome)
    return report


def _check_function(exercise, function):
    name = exercise.name
    if function is None or function is ...:
        return Report(name, "not attempted", "Write the function, then run this cell again.")
    if not callable(function):
        return Report(
            name,
            "error",
            f"Pass the function itself, check({name!r}, {name}), without calling it; "
            f"a {type(function).__name__} came.",
        )
    if is_untouched(function):
        return Report(name, "not attempted", "Replace the ... by your code, then run this again.")
    targets = [target_of(exercise, case, exercise.reference) for case in exercise.cases]
    try:
        answers = _evaluate(exercise, function, targets)
    except CallProblem as problem:
        return Report(name, problem.outcome, str(problem), problem.mistake)
    return _judge(exercise, targets, answers)


def _evaluate(exercise, function, targets):
    """Outputs of the function in every case, or a `CallProblem`."""
    answers = []
    for case, target in zip(exercise.cases, targets, strict=True):
        try:
            value = call(function, case.arguments(), exercise.arguments)
            answers.append(outputs_of(exercise, value, target))
        except CallProblem as problem:
            if problem.mistake is None and problem.outcome == "error":
                where = f"In the case '{case.name}'{_shapes(exercise, case)}."
                problem.args = (f"{problem} ({where})",)
            raise
    _refuse_memory(exercise, function, targets, answers)
    return answers


def _refuse_memory(exercise, function, targets, answers):
    """All cases once more, backwards: the same inputs must give the same outputs."""
    for case, target, before in reversed(list(zip(exercise.cases, targets, answers, strict=True))):
        value = call(function, case.arguments(), exercise.arguments)
        again = outputs_of(exercise, value, target)
        if any(not np.array_equal(again[n], before[n], equal_nan=True) for n in again):
            raise CallProblem(
                "Your function gives two different answers for the same inputs. It uses random "
                "numbers, keeps something from one call to the next, or returns a part of np.empty "
                "that it never fills (does a loop stop one early?).",
                outcome="incorrect",
                mistake="keeps_state",
            )


def _judge(exercise, targets, answers):
    wrong = _wrong_outputs(targets, answers)
    if not wrong:
        return _praise(exercise, targets, answers)
    found = _diagnose(exercise, targets, answers)
    if found:
        sentences = " ".join(m.sentence for m in found)
        return Report(exercise.name, "incorrect", sentences, found[0].name)
    if exercise.about_precision and all(
        targets[i][n].ill_conditioned for n, where in wrong.items() for i in where
    ):
        sentence = (
            "It is right except where digits are lost. Is something cast to float32? Another "
            f"common reason: {exercise.about_precision}"
        )
        return Report(exercise.name, "incorrect", sentence, "lost_digits")
    return Report(exercise.name, "incorrect", _describe(exercise, targets, answers, wrong))


def _praise(exercise, targets, answers):
    count = f"{len(targets)} of {len(targets)} cases agree."
    losing = [
        case.name
        for case, target, answer in zip(exercise.cases, targets, answers, strict=True)
        if any(target[n].loses_digits(answer[n]) for n in target)
    ]
    if losing and exercise.about_precision:
        count += (
            f" A warning: digits are lost in the case '{losing[0]}'. A common reason: "
            f"{exercise.about_precision}"
        )
    return Report(exercise.name, "correct", count)


def _diagnose(exercise, targets, answers):
    """The mistake that equals the answer, else those that equal some of its wrong outputs."""
    wrong = _wrong_outputs(targets, answers)
    partial = []
    for mistake in exercise.mistakes:
        theirs = [target_of(exercise, case, mistake.answer) for case in exercise.cases]
        apart = _wrong_outputs(theirs, answers)
        if not apart:
            return [mistake]
        matches = [name for name in wrong if name not in apart]
        own = _wrong_outputs(targets, _values(theirs))
        # Its sentence is about its first wrong output, and may be about them all.
        if next(iter(own), None) in matches and set(own) <= set(wrong):
            unmatched = len(own) - len(matches)
            partial.append((unmatched, -len(matches), mistake, matches))
    return _best_for_each(wrong, partial)


def _best_for_each(wrong, partial):
    """For each wrong output the mistake that fits best: little unmatched, much explained."""
    explained = {}
    for _, _, mistake, matches in sorted(partial, key=lambda found: found[:2]):
        for name in matches:
            explained.setdefault(name, mistake)
    return list(dict.fromkeys(explained[name] for name in wrong if name in explained))


def _values(case_targets):
    return [{name: target.value for name, target in case.items()} for case in case_targets]


def _wrong_outputs(targets, answers):
    """Name of each wrong output -> the numbers of the cases in which it is wrong."""
    wrong = {}
    for name in targets[0]:
        pairs = enumerate(zip(targets, answers, strict=True))
        if where := [i for i, (t, a) in pairs if not t[name].accepts(a[name])]:
            wrong[name] = where
    return wrong


def _describe(exercise, targets, answers, wrong):
    """Where an unrecognised answer is wrong, with one number of each side."""
    name, where = next(iter(wrong.items()))
    right = [n for n in targets[0] if n not in wrong]
    shown = max(where, key=lambda i: targets[i][name].distance(answers[i][name]))
    target, answer = targets[shown][name], answers[shown][name]
    parts = [f"{name} is wrong in {len(where)} of {len(targets)} cases"]
    parts[0] += f" ({', '.join(right)} right)." if right else "."
    if not np.isfinite(answer).all() and np.isfinite(target.value).all():
        parts.append(
            f"In the case '{exercise.cases[shown].name}' it holds NaN or inf: "
            "is something divided by zero, or the root of a negative number taken?"
        )
        return " ".join(parts)
    gap = np.abs(np.asarray(answer, dtype=np.float64) - target.value)
    place = np.unravel_index(int(gap.argmax()), gap.shape)
    at = f" at [{', '.join(map(str, place))}]" if place else ""
    yours, right = _told_apart(float(answer[place]), float(target.value[place]))
    parts.append(
        f"In the case '{exercise.cases[shown].name}' yours is {yours}{at}, the right value is "
        f"{right}."
    )
    parts.append(f"hint({exercise.name!r}) has a hint.")
    return " ".join(parts)


def _told_apart(yours, right):
    """Two different numbers as text, with as many digits as it takes to see that they differ."""
    texts = ((f"{yours:.{digits}g}", f"{right:.{digits}g}") for digits in range(4, 18))
    return next(pair for pair in texts if pair[0] != pair[1])


def _shapes(exercise, case):
    pairs = zip(exercise.arguments, case.arguments(), strict=True)
    shapes = [f"{n} {a.shape}" for n, a in pairs if isinstance(a, np.ndarray) and a.ndim]
    return f": {', '.join(shapes)}" if shapes else ""


def _check_question(question, answer):
    name = question.name
    if answer is None or answer is ...:
        return Report(name, "not attempted", "Replace the ... by your answer, then run this again.")
    problem = _unusable(question, answer)
    if problem:
        return Report(name, "error", problem)
    if _equal(question, answer, question.answer):
        return Report(name, "correct", question.explanation)
    for m in question.mistakes:
        if _equal(question, answer, m.answer):
            return Report(name, "incorrect", m.sentence, m.name)
    return Report(name, "incorrect", f"Think again; hint({name!r}) has a hint.")


def _unusable(question, answer):
    """A sentence if the answer is not of the kind the question asks for."""
    if question.choices:
        if not isinstance(answer, str) or answer.strip().lower() not in question.choices:
            return f"Answer with one of {', '.join(map(repr, question.choices))}; {answer!r} came."
        return None
    try:
        float(answer)
    except Exception:
        return f"Answer with one number; a {type(answer).__name__} came."
    return None


def _equal(question, answer, value):
    if question.choices:
        return answer.strip().lower() == value
    return bool(np.isclose(float(answer), value, rtol=question.rtol, atol=1e-12))
