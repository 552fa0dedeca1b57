"""A function at work in a lesson: the learner's, or the course's in its place."""

import timeit
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Mine", "in_form"]


@dataclass(frozen=True)
class Mine:
    """A function to call, the learner's or the course's.

    Parameters
    ----------
    name : str
        Of the exercise.
    function : callable
        Returns the outputs of the exercise and nothing besides.
    yours : bool
        Whether the learner wrote it.
    attempt : callable or None
        A later version of the learner's that did not pass, if its outputs can be drawn: they have
        the right shapes.
    message : str
        Which function it is and why, in one line.
    """

    name: str
    function: Callable
    yours: bool
    attempt: Callable | None
    message: str

    def __call__(self, *arguments):
        """Call the function."""
        return self.function(*arguments)

    def __repr__(self):
        return f"<{self.whose}>"

    @property
    def whose(self):
        """For the title of a figure: "your feature_means" or "the course's feature_means"."""
        return f"your {self.name}" if self.yours else f"the course's {self.name}"

    def steps_that_fit(self, steps, *arguments, within=4.0):
        """How many steps fit into some seconds, by the fastest of three calls; fewer are told."""
        seconds = min(timeit.repeat(lambda: self.function(*arguments), number=1, repeat=3))
        fit = min(steps, max(1, int(within / max(seconds, 1e-9))))
        if fit < steps:
            print(
                f"One call of {self.whose} takes {seconds:.2g} s. To save time, this runs {fit} of "
                f"{steps} steps."
            )
        return fit


def in_form(exercise, function):
    """The function without what it returns besides, say a cache, which `check` allows."""
    outputs = exercise.outputs

    def call(*arguments):
        value = function(*arguments)
        if exercise.returns_dict:
            return {name: value[name] for name in outputs}
        if len(outputs) > 1:
            return tuple(value[: len(outputs)])
        return value[0] if isinstance(value, tuple) else value

    return call
