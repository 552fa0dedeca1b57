"""Compare what came out with what should, and find the mistake of the course that explains it.

A mistake is named only if it gives the same numbers in every comparison of the row, for all the
outputs that its sentence is about: what is said is true, or nothing is said.
"""

import functools
from dataclasses import dataclass, field

import numpy as np

from bnlab.conform import reference
from bnlab.conform.report import BROKEN, KEPT, Row
from bnlab.course.exercises.comparing import values_of
from bnlab.course.exercises.exercise import Case

__all__ = ["Comparison", "agree", "as_text", "differ"]

UNEXPLAINED = "not what it should be, and not what any known mistake of the course gives."


@dataclass(frozen=True)
class Comparison:
    """One output, as it is and as it should be.

    Parameters
    ----------
    output : str
        Its name, as in the exercises: "y", "dx", "running_var".
    answers, wanted : dict
        Name -> array, of this output and of those that came with it.
    inputs : dict
        What is shown if it is the smallest input that fails.
    tolerance : float
        Relative to the largest number, and at least absolute.
    exercises : dict
        Exercise -> the arguments with which its mistakes give the same outputs.
    shape : tuple
        Of x, where mistakes work on its rows (M, C).
    """

    output: str
    answers: dict
    wanted: dict
    inputs: dict
    tolerance: float
    exercises: dict = field(default_factory=dict)
    shape: tuple = ()

    @property
    def got(self):
        """The output as it is."""
        return self.answers[self.output]

    @property
    def want(self):
        """The output as it should be."""
        return self.wanted[self.output]

    @property
    def kind(self):
        """What has to be the same for one mistake to explain two comparisons."""
        return self.output, len(self.shape), tuple(self.exercises)

    @functools.cached_property
    def error(self):
        """Largest difference; infinite for another shape, or NaN or inf in one of them alone."""
        return _distance(self.got, self.want)

    @property
    def fails(self):
        """Whether the difference is more than the tolerance."""
        return not self.error <= self.tolerance * max(1.0, _largest(self.want))


def agree(comparisons, kept, otherwise=None, more=()):
    """The row of these comparisons; `kept` is its sentence if none fails.

    If one fails, the sentence is that of the mistake which explains it, or `otherwise`. `more` are
    comparisons that are made only then, so that mistakes can be told from each other.
    """
    comparisons = list(comparisons)
    largest = max(c.error for c in comparisons)
    failing = [c for c in comparisons if c.fails]
    if not failing:
        return Row("", KEPT, kept, largest)
    mistake = _explanation(failing[0], [*comparisons, *more])
    told = mistake.sentence if mistake else otherwise or f"{_of(failing)}: {UNEXPLAINED}"
    return Row("", BROKEN, told, largest, _shown(failing[0]), mistake and mistake.name)


def differ(one, other, tolerance):
    """Whether two arrays are further apart than the tolerance."""
    return not _distance(one, other) <= tolerance * max(1.0, _largest(other))


def as_text(inputs):
    """Arrays as somebody would type them, if they are small: ``x = [[0.3], [1.4]]``."""
    return ", ".join(f"{name} = {_typed(value)}" for name, value in inputs.items())


def _typed(value):
    value = np.asarray(value, float)
    if value.ndim == 0:
        return f"{value:g}"
    if value.size > 12:
        return f"an array of shape {value.shape}"
    typed = np.array2string(value, precision=4, separator=", ", suppress_small=True)
    return " ".join(typed.split()).replace("[ ", "[")


def _shown(comparison):
    c = comparison
    text = as_text(c.inputs)
    if c.got.size > 4:
        return text
    return f"{text}: {c.output} is {_typed(c.got)} and should be {_typed(c.want)}"


def _of(failing):
    return " or ".join(dict.fromkeys(c.output for c in failing))


def _explanation(failing, comparisons):
    """The first mistake that gives what this comparison has, and all others of its kind."""
    group = [c for c in comparisons if c.kind == failing.kind]
    for exercise in failing.exercises:
        found = [m for m in exercise.mistakes if all(_gives(m, exercise, c) for c in group)]
        about = [m for m in found if failing.output in m.about]
        if found:
            return (about or found)[0]
    return None


def _gives(mistake, exercise, comparison):
    c = comparison
    case = Case("", lambda rng: c.exercises[exercise])
    try:
        values = values_of(exercise, case, mistake.answer)
    except Exception:  # a mistake that cannot take this batch
        return False
    names = {c.output, *(set(mistake.about) & c.answers.keys())}
    values = {name: _in_shape(values[name], c.answers[name], c.shape) for name in names}
    return all(_resembles(c.answers[name], values[name], c.tolerance) for name in names)


def _in_shape(value, got, shape):
    """A value of the mistake, on rows (M, C), in the shape of x."""
    fits = value.shape == got.shape or value.size != got.size or not shape
    return value if fits else reference.unrows(value, shape)


def _resembles(got, value, tolerance):
    """Whether they are equal; which way they are not finite does not matter."""
    if value.shape == got.shape:
        both = ~np.isfinite(value) & ~np.isfinite(got)
        value, got = (np.where(both, 0.0, array) for array in (value, got))
    return not differ(got, value, tolerance)


def _distance(got, want):
    got, want = np.asarray(got, float), np.asarray(want, float)
    if got.shape != want.shape:
        return np.inf
    with np.errstate(invalid="ignore"):
        difference = np.where((got == want) | (np.isnan(got) & np.isnan(want)), 0.0, got - want)
    return float(np.nan_to_num(np.abs(difference), nan=np.inf).max(initial=0.0))


def _largest(array):
    return float(np.abs(array[np.isfinite(array)]).max(initial=0.0))
