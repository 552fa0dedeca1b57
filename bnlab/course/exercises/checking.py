"""`check`: judge an answer, note it, and keep a function that passed."""

import dataclasses
import os

from bnlab.course.exercises.answering import sureness
from bnlab.course.exercises.exercise import Exercise, Question
from bnlab.course.exercises.judging import judge
from bnlab.course.exercises.mine import Mine, note
from bnlab.course.exercises.progress import remember
from bnlab.course.exercises.registry import NOTHING, closest, find
from bnlab.course.exercises.report import CheckFailed, Report
from bnlab.course.exercises.unread import unread

__all__ = ["check"]


def check(name=NOTHING, answer=NOTHING):
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
    >>> import numpy as np
    >>> def batchnorm_forward(x, gamma, beta, eps):
    ...     x_hat = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0, ddof=1) + eps)
    ...     return gamma * x_hat + beta
    >>> check("batchnorm_forward", batchnorm_forward).mistake
    'unbiased_variance'
    """
    exercise = find(name)
    if exercise is None or answer is NOTHING:
        report = _how_to_call(name, exercise)
    else:
        report = judge(exercise, answer)
    if "NBGRADER_EXECUTION" in os.environ:
        if report.outcome != "correct":
            raise CheckFailed(str(report))
        return report
    if answer is NOTHING:
        return report
    if isinstance(exercise, Question):
        remember(exercise.name, report.outcome, sureness(exercise, answer)[1])
    if isinstance(exercise, Exercise) and not isinstance(answer, Mine):  # `mine` has noted it
        remember(exercise.name, report.outcome)
        report = note(exercise, answer, report)
    return dataclasses.replace(report, message=unread(report.name) + report.message)


def _how_to_call(name, exercise):
    """The report on a call that lacks the name of an exercise, or the answer."""
    if exercise is not None:
        return Report(name, "error", f"The answer is missing: check({name!r}, {name}).")
    if name is not NOTHING and not callable(name):
        return Report(str(name), "error", f"There is no exercise of this name. {closest(name)}")
    own = getattr(name, "__name__", "")
    shown = own if find(own) else "feature_means"
    came = "nothing" if name is NOTHING else "a function"
    return Report(
        "check",
        "error",
        "It takes the name of an exercise, in quotes, and your answer, for example "
        f'check("{shown}", {shown}); {came} came first. progress() lists what is open.',
    )
