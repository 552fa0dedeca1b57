"""A likely mistake, and what the check says to it.

Most have a name in the exercise's table. An answer of the wrong shape has none, for the check needs
none: it says the shape, and looks in the source for the cause. Such a mistake is told as code.
"""

import linecache

import numpy as np

from bnlab.course.exercises.edits import source_of
from bnlab.course.exercises.judging import judge

__all__ = ["sentence"]


def sentence(exercise, mistake):
    """What the check says to a mistake: one that it knows by name, or what the answer returns.

    >>> from bnlab.course.exercises.registry import find
    >>> sentence(find("feature_means"), "rounded_down")
    '// rounds the quotient down to a whole number; / divides.'
    >>> sentence(find("feature_means"), "x.mean(axis=1)").partition(". ")[0]
    'x.mean(axis=1): means should have shape (3,), yours has (5,)'
    """
    known = {known.name: known.sentence for known in exercise.mistakes}
    return (
        known.get(mistake) or f"{mistake}: {judge(exercise, _written(exercise, mistake)).message}"
    )


def _written(exercise, expression):
    """The reference with another expression returned, as if somebody had typed it in a cell."""
    source = source_of(exercise.reference, {"return": expression})
    cell = f"<{exercise.name} returns {expression}>"
    linecache.cache[cell] = len(source), None, source.splitlines(keepends=True), cell
    exec(compile(source, cell, "exec"), names := {"np": np})
    return names[exercise.name]
