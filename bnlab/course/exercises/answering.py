"""Judge the answer to a question: a number, or one of several letters."""

import dataclasses
from decimal import Decimal
from fractions import Fraction

import numpy as np

from bnlab.course.exercises.report import Report, a_kind_of

__all__ = ["SURE", "judge_answer", "sureness"]


SURE = (1, 2, 3)  # a guess, likely, certain


def judge_answer(question, answer):
    """The report on an answer; a wrong one that is known gets its sentence."""
    answer, sure = sureness(question, answer)
    report = _judge(question, answer)
    if not question.taught or report.outcome not in ("correct", "incorrect"):
        return report
    if sure not in SURE:
        how = f"Write {question.name} = {answer!r}, 3 if you are certain, 2 or 1 if less so."
        return Report(question.name, "error", f"An answer comes with how sure you are. {how}")
    return dataclasses.replace(report, message=report.message + _comment(question, report, sure))


def sureness(question, answer):
    """The answer to a closed-book question, and how sure the learner is; None where not said."""
    if question.taught and isinstance(answer, tuple) and len(answer) == 2:
        return answer
    return answer, None


def _comment(question, report, sure):
    """What an answer and how sure one was of it say together."""
    if report.outcome == "correct" and sure == SURE[0]:
        return " It was a guess, so read the reason once more."
    if report.outcome == "incorrect" and sure == SURE[-1]:
        return f" You were certain: look at it again in notebook {question.taught}."
    return ""


def _judge(question, answer):
    name = question.name
    if answer is None or answer is ...:
        return Report(name, "not attempted", "Replace the ... by your answer, then run this again.")
    given = _letter(answer) if question.choices else _number(answer)
    if given is None or (question.choices and given not in question.choices):
        return Report(name, "error", _what_is_asked(question, answer))
    if _equal(question, given, question.answer):
        return Report(name, "correct", question.explanation)
    for mistake in question.mistakes:
        if _equal(question, given, mistake.answer):
            return Report(name, "incorrect", mistake.sentence, (mistake.name,))
    if not question.choices and (digits := _digits_that_count(question, given)):
        close = f"Close: {given:g} is the right value, rounded. Give {digits} digits or more."
        return Report(name, "incorrect", close, ("rounded",))
    return Report(name, "incorrect", f"Think again; hint({name!r}) has a hint.")


def _letter(answer):
    return answer.strip().lower() if isinstance(answer, str) else None


def _number(answer):
    """What can be read as one number, a fraction such as "1/1024" too; None for anything else."""
    try:
        return float(Fraction(answer.strip())) if isinstance(answer, str) else float(answer)
    except Exception:
        return None


def _what_is_asked(question, answer):
    if question.choices:
        return f"Answer with one of {', '.join(map(repr, question.choices))}; {answer!r} came."
    return f"Answer with one number; {a_kind_of(answer)} came."


def _equal(question, given, value):
    if question.choices:
        return given == value
    return bool(np.isclose(given, value, rtol=question.rtol, atol=1e-12))


def _digits_that_count(question, given):
    """How many digits are enough, if the number given is the right one with fewer of them."""
    right, parts = float(question.answer), Decimal(repr(given)).normalize().as_tuple()
    if not np.isfinite(given) or abs(given - right) > 0.5000001 * 10.0**parts.exponent:
        return None
    own = len(parts.digits)
    return next(n for n in range(own, 18) if _equal(question, float(f"{right:.{n}g}"), right))
