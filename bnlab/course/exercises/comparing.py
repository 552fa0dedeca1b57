"""Compare an answer with the right one, as strictly as the arithmetic allows.

The tolerance follows the answer's dtype and the case's conditioning: how far the right answer
moves when each input is rounded to that dtype. A float32 answer on data with a large mean may
be off by what float32 costs there, and by no more.
"""

import dataclasses
import functools
import itertools
from collections.abc import Mapping

import numpy as np

from bnlab.course.exercises.calling import CallProblem
from bnlab.course.exercises.report import a_kind_of

__all__ = ["Target", "outputs_of", "target_of", "values_of", "wrong_outputs"]

_NUDGE = 1e-10  # relative; far above float64 rounding, far below any effect of interest
_SLACK = 64  # roundings that a reasonable order of operations may add up
_RTOL = {np.dtype(np.float32): 1e-4, np.dtype(np.float16): 1e-2}


@dataclasses.dataclass(frozen=True)
class Target:
    """One right (or known wrong) output in one case.

    Parameters
    ----------
    value : ndarray
    condition : float
        Largest change of the output per relative change of the inputs.
    rtol : float
        Relative error that is still right in float64.
    quiet : float
        Relative error that is no loss of digits.
    """

    value: np.ndarray
    condition: float
    rtol: float
    quiet: float = 0.0

    @functools.cached_property
    def scale(self):
        """Largest finite magnitude of the value."""
        finite = self.value[np.isfinite(self.value)]
        return float(np.abs(finite).max(initial=0.0))

    @property
    def ill_conditioned(self):
        """Whether rounding the inputs costs more than two digits."""
        return self.condition > 100 * self.scale

    def rounding(self, dtype):
        """Error that rounding in this dtype explains."""
        return _SLACK * _unit(dtype) * (self.condition + self.scale)

    def accepts(self, answer):
        """Whether the answer is right within the tolerance of its dtype."""
        rtol = max(self.rtol, _RTOL.get(answer.dtype, 0.0))
        return self.error(answer) <= rtol * self.scale + self.rounding(answer.dtype) + 1e-13

    def resembles(self, answer):
        """Whether this is a mistake's output; which way it is not finite does not matter."""
        both = ~np.isfinite(self.value) & ~np.isfinite(answer)
        if answer.shape != self.value.shape or not both.any():
            return self.accepts(answer)
        finite = dataclasses.replace(self, value=np.where(both, 0.0, self.value))
        return finite.accepts(np.where(both, 0.0, answer).astype(answer.dtype))

    def loses_digits(self, answer):
        """Whether the error is larger than rounding explains, and than what goes unsaid."""
        explained = max(self.rounding(answer.dtype), self.quiet * self.scale)
        return self.error(answer) > explained + 1e-13

    def distance(self, answer):
        """Error relative to the size of the value, by which cases can be compared."""
        return self.error(answer) / (self.scale + 1e-13)

    def error(self, answer):
        """Largest absolute difference; infinite if NaN or inf stand at different places."""
        if answer.shape != self.value.shape:
            return np.inf
        with np.errstate(all="ignore"):
            difference = np.abs(np.asarray(answer, dtype=np.float64) - self.value)
        alike = (answer == self.value) | (np.isnan(answer) & np.isnan(self.value))
        difference = np.where(alike, 0.0, np.nan_to_num(difference, nan=np.inf))
        return float(difference.max(initial=0.0))


def values_of(exercise, case, function):
    """Outputs of a trusted function in a case, a dict of float64 arrays by name."""
    return _trusted(exercise, function, case.arguments())


def wrong_outputs(targets, answers, accepts="accepts"):
    """Name of each output that is not accepted -> the numbers of the cases in which it is not."""
    wrong = {}
    for name in answers[0]:
        pairs = enumerate(zip(targets, answers, strict=True))
        if where := [i for i, (t, a) in pairs if not getattr(t[name], accepts)(a[name])]:
            wrong[name] = where
    return wrong


@functools.cache
def target_of(exercise, case, function):
    """Targets of each output of a trusted function in a case, a dict by output name.

    Cases and trusted functions never change, so each target is worked out once.
    """
    values = _trusted(exercise, function, case.arguments())
    rng = np.random.default_rng(0)
    condition = dict.fromkeys(values, 0.0)
    for _ in range(2):
        moved = _trusted(exercise, function, tuple(_nudge(a, rng) for a in case.arguments()))
        for name, value in values.items():
            with np.errstate(invalid="ignore"):  # inf - inf, where a mistake divides by zero
                step = np.nan_to_num(np.abs(moved[name] - value), posinf=0.0).max(initial=0.0)
            condition[name] = max(condition[name], float(step) / _NUDGE)
    return {n: Target(v, condition[n], exercise.rtol, exercise.quiet) for n, v in values.items()}


def outputs_of(exercise, value, targets):
    """The learner's outputs as arrays by name, or a `CallProblem` that says what is missing."""
    items = _named(exercise, value)
    if not exercise.returns_dict and all(map(_is_numeric, items.values())):
        _refuse_another_order(list(items.values()), targets)
    return {name: _array(name, item, targets[name].value) for name, item in items.items()}


def _trusted(exercise, function, arguments):
    with np.errstate(all="ignore"):
        named = _named(exercise, function(*arguments))
    return {name: np.asarray(value, dtype=np.float64) for name, value in named.items()}


def _nudge(argument, rng):
    if not isinstance(argument, np.ndarray) or argument.dtype.kind != "f":
        return argument
    return argument * (1 + _NUDGE * rng.choice([-1.0, 1.0], size=argument.shape))


def _named(exercise, value):
    """The outputs of one call by name; extra values are welcome."""
    names = exercise.outputs
    if value is None:
        raise _wrong("Your function returns nothing; did you forget `return`?", "returns_nothing")
    if exercise.returns_dict:
        if not isinstance(value, Mapping):
            raise _wrong(
                f"Return a dict with the keys {', '.join(names)}; yours returns a "
                f"{type(value).__name__}.",
                "wrong_type",
            )
        present = [n for n in names if n in value]
        if not present or present != list(names[: len(present)]):  # a beginning may be judged
            missing = ", ".join(n for n in names if n not in value)
            raise _wrong(f"The returned dict lacks {missing}.", "too_few_values")
        return {n: value[n] for n in present}
    if len(names) == 1:
        return {names[0]: value[0] if isinstance(value, tuple) and value else value}
    if not isinstance(value, tuple | list) or len(value) < len(names):
        count = len(value) if isinstance(value, tuple | list) else 1
        raise _wrong(
            f"Return {len(names)} values, {', '.join(names)}; yours returns {count}.",
            "too_few_values",
        )
    return dict(zip(names, value, strict=False))


def _is_numeric(item):
    return isinstance(item, np.ndarray) and item.dtype.kind in "fiub"


def _refuse_another_order(arrays, targets):
    """Right values in a wrong order, where their shapes give it away."""

    def agree(names):
        wanted = [targets[name].value for name in names]
        pairs = list(zip(arrays, wanted, strict=True))
        return all(a.shape == w.shape for a, w in pairs) and all(np.allclose(*p) for p in pairs)

    in_order = [a.shape == t.value.shape for a, t in zip(arrays, targets.values(), strict=True)]
    if not all(in_order) and any(map(agree, itertools.permutations(targets))):
        raise _wrong(
            f"Your values are right, their order is not: return {', '.join(targets)}.",
            "wrong_order",
        )


def _array(name, item, expected):
    if type(item).__module__.split(".")[0] == "torch":
        raise _wrong(
            f"{name} is a torch tensor. The exercise is about NumPy arrays: keep to np, "
            "or return tensor.detach().numpy().",
            "wrong_type",
        )
    if item is None:
        raise _wrong(f"{name} is None; an array of shape {expected.shape} is wanted.", "wrong_type")
    if isinstance(item, list | tuple | str | Mapping):
        raise _wrong(
            f"{name} is {a_kind_of(item)}, not a NumPy array; np.array(...) makes one.",
            "wrong_type",
        )
    try:
        array = np.asarray(item)
    except Exception:
        array = np.asarray(None)
    if not _is_numeric(array):
        raise _wrong(
            f"{name} should hold real numbers, yours holds {array.dtype} ({a_kind_of(item)}).",
            "wrong_type",
        )
    if array.shape != expected.shape:
        raise CallProblem(
            _about_shape(name, array, expected),
            outcome="incorrect",
            mistake="wrong_shape",
            shapes=(array.shape, expected.shape),
        )
    return array


def _about_shape(name, array, expected):
    sentence = f"{name} should have shape {expected.shape}, yours has {array.shape}."
    if array.size == expected.size and np.allclose(array.ravel(), expected.ravel(), rtol=1e-6):
        return (
            f"{sentence} The numbers are right: drop the extra axis (or bring the lost one "
            f"back) with .reshape{expected.shape}."
        )
    if array.T.shape == expected.shape and np.allclose(array.T, expected, rtol=1e-6):
        return sentence + " The numbers are right, but transposed: .T turns them back."
    for name, reduced in (("sum", np.sum), ("mean", np.mean)):
        if array.shape[1:] == expected.shape and np.allclose(reduced(array, axis=0), expected):
            return f"{sentence} Its {name} over axis 0 would be right."
    return sentence


def _unit(dtype):
    return float(np.finfo(dtype).eps) if dtype in _RTOL else float(np.finfo(np.float64).eps)


def _wrong(sentence, mistake):
    return CallProblem(sentence, outcome="incorrect", mistake=mistake)
