"""`hint` climbs a ladder; `solution` shows the reference."""

import inspect
import itertools
from dataclasses import dataclass

from bnlab.course.exercises.exercise import Question
from bnlab.course.exercises.registry import NOTHING, named

__all__ = ["Text", "hint", "solution", "solution_source"]

_climbed = {}  # name of an exercise -> counter of the hints seen in this session


@dataclass(frozen=True)
class Text:
    """A piece of Markdown that reads well in a terminal too."""

    text: str

    def __str__(self):
        return self.text

    __repr__ = __str__

    def _repr_markdown_(self):
        return self.text


def hint(name=NOTHING, n=None):
    """The next hint of an exercise, or its n-th.

    Parameters
    ----------
    name : str
    n : int, optional
        1 for the first. Without it each call goes one step further; the last one is repeated.

    Returns
    -------
    Text

    Raises
    ------
    ValueError
        If there is no such exercise or no such hint.

    Examples
    --------
    >>> hint("batchnorm_forward", 99)
    Traceback (most recent call last):
    ValueError: 'batchnorm_forward' has hints 1 to 3, got n=99
    """
    exercise = named(name)
    count = len(exercise.hints)
    if n is None:
        n = min(next(_climbed.setdefault(name, itertools.count(1))), count)
    if not 1 <= n <= count:
        raise ValueError(f"{name!r} has hints 1 to {count}, got n={n}")
    return Text(f"Hint {n} of {count}: {exercise.hints[n - 1]}")


def solution(name=NOTHING):
    """The reference solution of an exercise, or the answer to a question with its reason.

    Parameters
    ----------
    name : str

    Returns
    -------
    Text

    Raises
    ------
    ValueError
        If there is no such exercise.

    Examples
    --------
    >>> "x.mean(axis=0)" in str(solution("batchnorm_forward"))
    True
    """
    exercise = named(name)
    if isinstance(exercise, Question):
        return Text(f"{exercise.answer}. {exercise.explanation}")
    return Text(f"```python\n{solution_source(name)}```")


def solution_source(name):
    """Source text of the reference, ready to be pasted into the exercise's cell."""
    exercise = named(name)
    if isinstance(exercise, Question):
        certain = ", 3" if exercise.taught else ""  # a closed-book answer says how sure one is
        return f"{name} = {exercise.answer!r}{certain}\n"
    return inspect.getsource(exercise.reference)
