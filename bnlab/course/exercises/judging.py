"""Is an answer right, and if not, which mistake is it."""

import re

import numpy as np

from bnlab.course.exercises.answering import judge_answer
from bnlab.course.exercises.attempt import is_untouched
from bnlab.course.exercises.calling import CallProblem, call
from bnlab.course.exercises.comparing import outputs_of, target_of, wrong_outputs
from bnlab.course.exercises.diagnosing import diagnose
from bnlab.course.exercises.exercise import Question
from bnlab.course.exercises.reading import reduces_along, reduces_everything, returns_in_a_loop
from bnlab.course.exercises.report import Report, a_kind_of

__all__ = ["judge"]


def judge(exercise, answer):
    """The report on an answer to an exercise or a question; nothing is noted and nothing kept."""
    if isinstance(exercise, Question):
        return judge_answer(exercise, answer)
    return _judge_function(exercise, answer)


def _judge_function(exercise, function):
    name = exercise.name
    if function is None or function is ...:
        return Report(name, "not attempted", "Write the function, then run this cell again.")
    if not callable(function):
        return Report(
            name,
            "error",
            f"Pass the function itself, check({name!r}, {name}), without calling it; "
            f"{a_kind_of(function)} came.",
        )
    if is_untouched(function):
        return Report(name, "not attempted", "Replace the ... by your code, then run this again.")
    targets = [target_of(exercise, case, exercise.reference) for case in exercise.cases]
    try:
        answers = _evaluate(exercise, function, targets)
    except CallProblem as problem:
        sentence = f"{problem}{_cause(function, problem)}"
        return Report(name, problem.outcome, sentence, problem.mistakes)
    return _judge_outputs(exercise, targets, answers)


def _evaluate(exercise, function, targets):
    """Outputs of the function in every case, or a `CallProblem`."""
    answers = []
    for case, target in zip(exercise.cases, targets, strict=True):
        try:
            value = call(function, case.arguments(), exercise.arguments)
            answers.append(outputs_of(exercise, value, target))
        except CallProblem as problem:
            raise _better_said(exercise, case, problem) from None
    _refuse_memory(exercise, function, targets, answers)
    return answers


def _better_said(exercise, case, problem):
    """An error as the known slip that it is, else with the case in which it happened."""
    if problem.error is None or problem.mistakes:
        return problem
    slip = next((s for s in exercise.slips if _raises_alike(s, case, problem.error)), None)
    if slip:
        says = str(problem.error).rstrip(" .")
        return CallProblem(f"{slip.sentence} (NumPy says: {says}.)", mistake=slip.name)
    where = f"(In the case '{case.name}'{_shapes(exercise, case)}.)"
    return CallProblem(f"{problem} {where}")


def _raises_alike(slip, case, error):
    """Whether a slip raises the same kind of error about the same shapes, in any order."""
    try:
        slip.answer(*case.arguments())
    except Exception as own:
        return type(own) is type(error) and _gist(own) == _gist(error)
    return False


def _gist(error):
    """The shapes that an error speaks of, or all it says where it names none."""
    return sorted(re.findall(r"\([\d, ]*\)", str(error))) or str(error)


def _cause(function, problem):
    """What in the source explains a shape that is wrong; nothing that is not there."""
    if problem.shapes is None:
        return ""
    got, wanted = problem.shapes
    if len(got) < len(wanted) and returns_in_a_loop(function):
        return " A `return` inside a loop ends it after its first turn."
    if len(got) < len(wanted) and (name := reduces_everything(function)):
        return f" `{name}` is called without axis=, so it runs over the whole array."
    if len(got) == len(wanted) == 1 and (name := reduces_along(function)):
        return f" Does `{name}` run over the other axis?"
    return ""


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


def _judge_outputs(exercise, targets, answers):
    wrong, missing = wrong_outputs(targets, answers), exercise.outputs[len(answers[0]) :]
    if missing and not wrong:
        so_far = f"{', '.join(answers[0])} right so far. Next comes {missing[0]}."
        return Report(exercise.name, "incorrect", so_far, ("unfinished",))
    if not wrong:
        return _praise(exercise, targets, answers)
    if found := diagnose(exercise, targets, answers):
        return Report(exercise.name, "incorrect", found.message, found.names)
    if exercise.about_precision and all(
        targets[i][n].ill_conditioned for n, where in wrong.items() for i in where
    ):
        sentence = (
            "It is right except where digits are lost. Is something cast to float32? Another "
            f"common reason: {exercise.about_precision}"
        )
        return Report(exercise.name, "incorrect", sentence, ("lost_digits",))
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


def _describe(exercise, targets, answers, wrong):
    """Where an unrecognised answer is wrong, with one number of each side."""
    name, where = next(iter(wrong.items()))
    right = [n for n in answers[0] if n not in wrong]
    everywhere = len(where) == len(targets)  # then an ordinary case shows it best
    shown = (
        0 if everywhere else max(where, key=lambda i: targets[i][name].distance(answers[i][name]))
    )
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
