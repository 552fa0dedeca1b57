"""What an exercise is: a reference, drawn cases, hints, and the mistakes people make in it."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from bnlab.course.exercises.edits import edited

__all__ = ["Case", "Exercise", "Mistake", "Question", "again"]


@dataclass(frozen=True)
class Case:
    """One set of arguments, drawn anew from the same seed each time it is asked for.

    Parameters
    ----------
    name : str
        What is special about it, in words that fit "in the case '...'".
    draw : callable
        Takes a `numpy.random.Generator`, returns the tuple of arguments.
    seed : int
    """

    name: str
    draw: Callable
    seed: int = 0

    def arguments(self):
        """Fresh arguments, equal at every call."""
        return tuple(self.draw(np.random.default_rng(self.seed)))


@dataclass(frozen=True)
class Mistake:
    """A wrong answer that people really give.

    Parameters
    ----------
    name : str
        Short identifier, such as ``"unbiased_variance"``.
    sentence : str
        What the learner did and what the rule is, addressed to the learner.
    answer : callable or value
        The mistake itself: a function for an exercise, a value for a question.
    about : tuple of str
        The outputs of which the sentence speaks; what follows from them may be wrong too.
    changes : dict or None
        The edit of the reference that makes it, if there is one.
    """

    name: str
    sentence: str
    answer: object
    about: tuple[str, ...] = ()
    changes: dict | None = None


@dataclass(frozen=True, eq=False)  # one object for each exercise, and a key of a cache
class Exercise:
    """A function to write.

    Parameters
    ----------
    name : str
        Name of the function and of the exercise.
    notebook : str
        Two digits, such as ``"02"``.
    reference : callable
        The solution that learners are shown: at most 12 lines, NumPy as ``np`` and nothing else.
    outputs : tuple of str
        Names of what it returns, in order.
    cases : tuple of Case
    hints : tuple of str
        From a nudge to nearly the answer, never the whole of it.
    minutes, difficulty : int
        Time to allow; 1 easy, 2 medium, 3 hard.
    returns_dict : bool
        True if the outputs come in a dict with these names as keys.
    rtol : float
        Relative error that is still right for a float64 answer.
    about_precision : str
        What to tell a learner whose answer has lost digits.
    quiet : float
        Relative error up to which nothing is said of digits, for an answer that is measured.
    mistakes : list of Mistake
        Filled by `add_mistakes` and the decorator `mistake`, below the exercise.
    slips : list of Mistake
        Mistakes that raise an error, filled by `add_slips`.
    """

    name: str
    notebook: str
    reference: Callable
    outputs: tuple[str, ...]
    cases: tuple[Case, ...]
    hints: tuple[str, ...]
    minutes: int
    difficulty: int
    returns_dict: bool = False
    rtol: float = 1e-6
    about_precision: str = "Rounding errors grow somewhere in your formula."
    quiet: float = 0.0
    mistakes: list[Mistake] = field(default_factory=list)
    slips: list[Mistake] = field(default_factory=list)

    @property
    def arguments(self):
        """Names of the arguments, which `check` passes by position."""
        return tuple(inspect.signature(self.reference).parameters)

    def add_mistakes(self, about=None, /, **table):
        """Register a table of mistakes whose sentences are about the same outputs.

        Parameters
        ----------
        about : tuple of str
            Names of outputs; may be left out where there is only one.
        **table
            Name of the mistake -> (sentence, mistake); the mistake is an edit of the reference, as
            for `edited`, or a function where no edit will do.
        """
        for name, (sentence, change) in table.items():
            changes = None if callable(change) else change
            answer = change if changes is None else edited(self.reference, changes)
            scope = self._scope(name, about)
            self.mistakes.append(Mistake(name, sentence, answer, scope, changes))

    def add_slips(self, **table):
        """Register mistakes that raise: name -> (sentence, mistake), as for `add_mistakes`.

        An answer that raises an error of the same kind, about the same shapes, gets the sentence.
        """
        for name, (sentence, change) in table.items():
            answer = change if callable(change) else edited(self.reference, change)
            self.slips.append(Mistake(name, sentence, answer, self.outputs))

    def mistake(self, name, sentence, about=None):
        """Register the decorated function as a mistake, one that is longer than an expression."""

        def register(function):
            self.add_mistakes(about, **{name: (sentence, function)})
            return function

        return register

    def _scope(self, name, about):
        about = self.outputs if about is None and len(self.outputs) == 1 else about
        if not about or not set(about) <= set(self.outputs):
            raise ValueError(
                f"a mistake states which of the outputs {self.outputs} its sentence is about, "
                f"{name!r} of {self.name} says {about}"
            )
        return tuple(about)


@dataclass(frozen=True)
class Question:
    """A question with a number, or one of several choices, as its answer.

    Parameters
    ----------
    name, notebook, hints, minutes, difficulty
        As for `Exercise`.
    answer : float or str
        The right answer.
    explanation : str
        Why, shown with a right answer and by `solution`.
    choices : tuple of str
        The labels that may be given, such as ``("a", "b", "c")``; empty for a number.
    rtol : float
        Relative tolerance of a number.
    mistakes : tuple of Mistake
        Wrong answers with the sentence that each deserves.
    taught : str
        The earlier notebook that it is about, if it is asked closed-book. Then the answer comes
        with how sure one is, from 1 to 3: ``name = "b", 2``.
    """

    name: str
    notebook: str
    answer: object
    explanation: str
    hints: tuple[str, ...]
    minutes: int
    difficulty: int
    choices: tuple[str, ...] = ()
    rtol: float = 1e-2
    mistakes: tuple[Mistake, ...] = ()
    taught: str = ""


def again(question, notebook):
    """The same closed-book question in a later notebook, where it counts once more."""
    return replace(question, name=f"{question.name}_again", notebook=notebook)
