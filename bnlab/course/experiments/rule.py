"""One rule for verdicts: a claim is split into parts, each with a criterion written before the run.

RIGHT if every part holds. If some hold and some do not, it is IMPRECISE. If none does, it is WRONG,
or NOT REPRODUCED if somebody published a measurement that says it. If a part is left open, because
the run is too small or its interval too wide, it is CANNOT TELL, unless others have already decided
that the claim is half true. Of a claim with published measurements on both sides, ours is one more:
unless all its parts agree, it is CONTESTED. In a run smaller than the experiment's own no part
fails, it is left open: see `reduced`.
"""

from dataclasses import dataclass

import numpy as np

from bnlab.course.experiments.bench import EXACT, SPLITS, paired_interval

__all__ = ["Part", "exact", "in_every_seed", "larger", "told", "verdict", "within"]


@dataclass(frozen=True)
class Part:
    """What a claim says in one respect.

    Parameters
    ----------
    criterion : str
        What has to be seen, in words; it does not depend on the run.
    holds : bool or None
        None: this run cannot tell.
    measured : str
    """

    criterion: str
    holds: bool | None
    measured: str

    def __str__(self):
        answer = {True: "holds", False: "does not hold", None: "cannot tell"}[self.holds]
        return f"{self.criterion}: {answer} ({self.measured})"


def verdict(parts, published="no"):
    """The verdict on a claim that has these parts.

    Parameters
    ----------
    parts : sequence of Part
    published : {"no", "yes", "both ways"}
        Whether somebody has published a measurement that says it; or others one against it, too.

    Examples
    --------
    >>> parts = [Part("more", True, "2 > 1"), Part("always", None, "1 seed")]
    >>> verdict(parts), verdict(parts, published="both ways")
    ('CANNOT TELL', 'CONTESTED')
    """
    answers = {part.holds for part in parts}
    if published == "both ways" and len(answers) > 1:
        return "CONTESTED"
    if {True, False} <= answers:
        return "IMPRECISE"
    if None in answers:
        return "CANNOT TELL"
    refuted = "WRONG" if published == "no" else "NOT REPRODUCED"
    return "RIGHT" if answers == {True} else refuted


def larger(differences, than=0.0, overlap=SPLITS):
    """Whether the mean of paired differences is larger: its 95% interval decides, or None.

    `overlap` is as in `paired_interval`; by default each seed has its own split of the digits.

    >>> larger([1.0, 1.2, 1.1]), larger([-1.0, -1.2, -1.1]), larger([1.0, -1.0, 0.1]), larger([1.0])
    (True, False, None, None)
    """
    if len(differences) < 2:
        return None
    mean, half = paired_interval(differences, overlap)
    return True if mean - half > than else False if mean + half < than else None


def within(differences, worth, overlap=SPLITS):
    """Whether the mean of paired differences is smaller than what is worth having, or None.

    >>> within([0.1, 0.0, -0.1], 0.5), within([2.0, 2.1, 2.2], 0.5), within([1.0, -1.0], 0.5)
    (True, False, None)
    """
    low = larger(differences, -worth, overlap)
    high = larger(-np.asarray(differences, float), -worth, overlap)
    return True if low and high else False if False in (low, high) else None


def in_every_seed(answers, comparable=()):
    """True if it is seen in each of at least three seeds, False if in none of them, or None.

    `comparable` says of each seed whether it has something to compare: None if one has not, as
    where neither side reaches the accuracy that both are timed to.

    >>> in_every_seed([True] * 3), in_every_seed([False] * 3), in_every_seed([True, True])
    (True, False, None)
    >>> steps = np.array([[90, 80, np.inf], [100, 90, np.inf]])
    >>> in_every_seed(steps[1] < steps[0], np.isfinite(steps.min(axis=0)))  # the third: never
    """
    answers = {bool(answer) for answer in answers} if len(answers) >= 3 else set()
    return answers.pop() if len(answers) == 1 and np.all(comparable) else None


def exact(criterion, error, tolerance=EXACT):
    """A part that an identity decides: the largest difference is at most this tolerance.

    >>> print(exact("both formulas agree", 3e-16))
    both formulas agree: holds (largest difference 3e-16)
    """
    error = float(np.max(error))
    return Part(criterion, bool(error <= tolerance), f"largest difference {error:.0e}")


def told(differences, unit="points", overlap=SPLITS):
    """Mean of paired differences in words, with its interval if there are several.

    >>> told([1.0, 1.5, 0.5]), told([1.0])
    ('+1.0 +- 1.8 points', '+1.0 points')
    """
    differences = np.asarray(differences, float)
    mean = round(float(differences.mean()), 1) + 0.0  # which makes 0.0 of -0.0
    if len(differences) < 2:
        return f"{mean:+.1f} {unit}"
    return f"{mean:+.1f} +- {paired_interval(differences, overlap)[1]:.1f} {unit}"
