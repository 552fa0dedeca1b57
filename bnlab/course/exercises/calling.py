"""Call a function that may do anything, and come back with its value or a sentence."""

import contextlib
import copy
import dataclasses
import inspect
import io
import traceback
import warnings

import numpy as np

__all__ = ["CallProblem", "call"]


class CallProblem(Exception):
    """The call gave no value to compare; `str` of it is a sentence for the learner."""

    def __init__(self, sentence, outcome="error", mistake=None, error=None, shapes=None):
        super().__init__(sentence)
        self.outcome = outcome
        self.error = error
        self.shapes = shapes
        self.mistake = mistake
        self.mistakes = (mistake,) if mistake else ()


def call(function, arguments, names):
    """Value of ``function(*arguments)``, or a `CallProblem` that says what happened instead.

    What the function prints or warns is swallowed: it would stand there once for every case.

    >>> call(lambda x: x + 1, (1,), ("x",))
    2
    """
    _check_signature(function, arguments, names)
    before = copy.deepcopy(arguments)
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        warnings.catch_warnings(action="ignore"),
        np.errstate(all="ignore"),
    ):
        value = _call(function, arguments)
    changed = [n for n, a, b in zip(names, arguments, before, strict=True) if not _same(a, b)]
    if changed and _nearly(arguments, before):
        raise CallProblem(
            f"Your function puts {' and '.join(changed)} back with changed last digits: x + h - h "
            "is not quite x. Keep the old value and restore that, or work on a copy.",
            outcome="incorrect",
            mistake="changes_inputs",
        )
    if changed:
        raise CallProblem(
            f"Your function changes its argument {' and '.join(changed)}. The caller still needs "
            f"it: work on a copy, and write a = a - b instead of a -= b.",
            outcome="incorrect",
            mistake="changes_inputs",
        )
    return value


def _call(function, arguments):
    try:
        return function(*arguments)
    except NotImplementedError:
        raise CallProblem("It still raises NotImplementedError.", "not attempted") from None
    except RecursionError:
        raise CallProblem(
            "Your function calls itself without end. Does it call its own name where it "
            "should call a NumPy function?",
            mistake="endless_recursion",
        ) from None
    except KeyboardInterrupt:
        raise CallProblem(
            "Your function was interrupted before it returned. Is there a loop that never ends?",
            mistake="interrupted",
        ) from None
    except SystemExit:
        raise CallProblem(
            "Your function calls exit() or sys.exit(), which would end the whole notebook. "
            "Return the result instead.",
            mistake="exits",
        ) from None
    except BaseException as error:
        raise CallProblem(_describe(error, function), error=error) from None


def _check_signature(function, arguments, names):
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some built-ins have none
        return
    try:
        signature.bind(*arguments)
    except TypeError:
        raise CallProblem(
            f"check passes {len(names)} arguments by position, ({', '.join(names)}); "
            f"your function takes {signature}.",
            mistake="wrong_arguments",
        ) from None


def _describe(error, function):
    """The error and the learner's own line that raised it."""
    sentence = f"Your function raised {type(error).__name__}: {error}".rstrip(" :.")
    code = getattr(function, "__code__", None)
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if code is not None and f.filename == code.co_filename]
    if not own or not own[-1].line:
        return sentence + "."
    return f"{sentence}. It happened in your line `{own[-1].line}`."


def _nearly(arguments, before):
    """Whether the arguments still are what they were, up to rounding."""
    pairs = [(a, b) for a, b in zip(arguments, before, strict=True) if isinstance(a, np.ndarray)]
    return all(a.shape == b.shape and np.allclose(a, b, rtol=1e-9, atol=1e-9) for a, b in pairs)


def _same(a, b):
    """Whether an argument still is what it was, NaN and all."""
    if isinstance(a, np.ndarray):
        return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()
    if dataclasses.is_dataclass(a):
        fields = dataclasses.fields(a)
        return all(_same(getattr(a, f.name), getattr(b, f.name)) for f in fields)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_same(a[k], b[k]) for k in a)
    return callable(a) or a == b
