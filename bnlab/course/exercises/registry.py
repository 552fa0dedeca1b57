"""Every exercise of the course by name, from the lessons."""

import difflib
import functools
import inspect

from bnlab.course.discovery import lesson_modules
from bnlab.course.exercises.exercise import Exercise, Question

__all__ = ["NOTHING", "all_exercises", "closest", "find", "named"]

NOTHING = inspect.Parameter.empty  # as a default, it is not shown where Jupyter shows arguments


@functools.cache
def all_exercises():
    """Name -> `Exercise` or `Question`, in the order of the notebooks.

    >>> all_exercises()["batchnorm_forward"].notebook
    '02'
    """
    found = {}
    for module in lesson_modules("ex_", "questions", "recall"):
        for value in vars(module).values():
            if isinstance(value, Exercise | Question):
                found[value.name] = value
    return found


def find(name):
    """The exercise of this name, or None."""
    return all_exercises().get(name) if isinstance(name, str) else None


def named(name):
    """The exercise of this name; ValueError, with a sentence, if there is none or no name.

    >>> named("batchnorm_forwards")
    Traceback (most recent call last):
    ValueError: There is no exercise 'batchnorm_forwards'. Did you mean 'batchnorm_forward'?
    """
    if name is NOTHING:
        raise ValueError(
            'Which exercise? Its name goes in quotes, for example "feature_means". '
            "progress() lists what is open."
        )
    exercise = find(name)
    if exercise is None:
        raise ValueError(f"There is no exercise {name!r}. {closest(name)}")
    return exercise


def closest(name):
    """A sentence that helps with a mistyped name."""
    typed = getattr(name, "__name__", str(name))  # a function may come in place of its name
    near = difflib.get_close_matches(typed, all_exercises(), n=1)
    if near:
        return f"Did you mean {near[0]!r}?"
    return "The check below an exercise has its name, in quotes."
