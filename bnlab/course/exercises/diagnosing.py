"""Which known mistakes explain an answer: one, several about different outputs, or two at once.

A mistake is named only if all of its sentence holds of this answer: each output that the sentence
is about is wrong, and equals what the mistake gives. What nothing explains is said to be so.
"""

import functools
import re
from dataclasses import dataclass

import numpy as np

from bnlab.course.exercises.comparing import target_of, values_of, wrong_outputs
from bnlab.course.exercises.edits import edited_twice
from bnlab.course.exercises.own_eps import own_eps, with_eps

__all__ = ["Diagnosis", "diagnose"]

# Two mistakes at once are looked for where the second is a way to get eps or the variance wrong.
SECONDS = re.compile(r"eps_|(un)?biased_variance$")
CONSTANTS = (1e-8, 1e-7, 1e-6, 1e-5, 1e-3)  # met in the place of the argument eps
OWN_EPS = "eps_of_your_own"

_fixed = functools.cache(with_eps)  # one function for each, by which values are remembered


@dataclass(frozen=True)
class Diagnosis:
    """Names of the mistakes, what to tell, and the outputs that none of them explains."""

    names: tuple
    message: str
    unexplained: tuple = ()


def diagnose(exercise, targets, answers):
    """The `Diagnosis` of a wrong answer, or None if nothing known explains any of it."""
    wrong = wrong_outputs(targets, answers)
    partial = []
    for mistake in exercise.mistakes:
        if not _may_be(exercise, mistake.answer, answers[0], mistake.about):
            continue
        apart = _apart(exercise, mistake.answer, answers)
        if not apart:
            return Diagnosis((mistake.name,), mistake.sentence)
        equal = [name for name in wrong if name not in apart]
        if set(mistake.about) <= set(equal):
            partial.append((mistake, equal))
    found, unexplained = _cover(exercise, wrong, partial)
    if found and not unexplained:
        return _together(found)
    whole = _constant(exercise, answers) or _two_at_once(exercise, answers)
    return whole or (_together(found, unexplained) if found else None)


def _may_be(exercise, function, given, names):
    """A quick look at these outputs in the first case, before all cases with their tolerances."""
    values = _first_values(exercise, function)
    return bool(values) and all(name in given and _near(given, values, name) for name in names)


@functools.cache
def _first_values(exercise, function):
    try:
        return values_of(exercise, exercise.cases[0], function)
    except Exception:  # two edits that do not go together
        return {}


def _near(given, values, name):
    one, other = (np.nan_to_num(a[name], nan=0.0, posinf=0.0, neginf=0.0) for a in (given, values))
    return one.shape == other.shape and np.allclose(one, other, rtol=0.02)


def _apart(exercise, function, answers):
    """Outputs in which the answer is not what this function gives."""
    theirs = [target_of(exercise, case, function) for case in exercise.cases]
    return wrong_outputs(theirs, answers, "resembles")


def _gives(exercise, function, answers):
    """Whether the answer is what this function gives, looked at quickly first, case by case."""
    if not _may_be(exercise, function, answers[0], answers[0]):
        return False
    for case, given in zip(exercise.cases[1:], answers[1:], strict=True):
        values = values_of(exercise, case, function)
        if not all(_near(given, values, name) for name in given):
            return False
    return not _apart(exercise, function, answers)


# Several mistakes, each about outputs of its own


def _cover(exercise, wrong, partial):
    """Mistakes about different outputs, those that explain most first, and what is left over."""
    found, covered = [], set()
    for mistake, equal in sorted(partial, key=lambda pair: -len(pair[1])):
        if not covered & set(mistake.about):
            found.append(mistake)
            covered |= set(equal)
    found.sort(key=lambda mistake: min(map(exercise.outputs.index, mistake.about)))
    return found, tuple(name for name in wrong if name not in covered)


def _together(found, unexplained=()):
    message = " ".join(mistake.sentence for mistake in found)
    if unexplained:
        *most, last = unexplained
        listed = f"{', '.join(most)} and {last} are" if most else f"{last} is"
        message += f" {listed} wrong too, for another reason."
    return Diagnosis(tuple(mistake.name for mistake in found), message, unexplained)


# One mistake that is a number, or two mistakes at once


def _constant(exercise, answers):
    """The reference with a constant for eps."""
    constant = own_eps(exercise, answers)
    if constant and _shows(exercise, exercise.reference, constant, answers):
        return Diagnosis((OWN_EPS,), _about_constant(constant))
    return None


def _shows(exercise, function, constant, answers):
    """Whether the function gives the answers with this constant for eps, and not with half of it.

    Where half would do as well it is too small to be seen, and may not be there at all.
    """
    this, half = (_fixed(exercise, function, c) for c in (constant, constant / 2))
    return _gives(exercise, this, answers) and not _gives(exercise, half, answers)


def _about_constant(constant):
    return f"You always use {constant:g} for eps; use the argument eps."


def _two_at_once(exercise, answers):
    found = {}  # by the two names, in either order
    for first, second, function in _pairs(exercise):
        if _gives(exercise, function, answers):
            names = (first.name, second.name)
            found.setdefault(frozenset(names), (names, f"{first.sentence} {second.sentence}"))
    for mistake in exercise.mistakes if "eps" in exercise.arguments else ():
        for constant in CONSTANTS:
            if _shows(exercise, mistake.answer, constant, answers):
                names = (mistake.name, OWN_EPS)
                told = f"{mistake.sentence} {_about_constant(constant)}"
                found.setdefault(frozenset(names), (names, told))
    if not found:
        return None
    (names, told), *others = found.values()
    if others:
        return Diagnosis(names, f"Two things at once; either: {told} Or: {others[0][1]}")
    return Diagnosis(names, f"Two things at once. {told}")


@functools.cache
def _pairs(exercise):
    """Two mistakes that can be made together, and the function that makes both."""
    edits = [m for m in exercise.mistakes if m.changes]
    return [
        (first, second, function)
        for first in edits
        for second in edits
        if first is not second
        and SECONDS.match(second.name)
        and (function := edited_twice(exercise.reference, first.changes, second.changes))
    ]
