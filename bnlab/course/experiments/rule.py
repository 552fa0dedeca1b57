"""One rule for verdicts: a claim is split into parts, each with a criterion written before the run.

RIGHT if every part holds, WRONG if none does, IMPRECISE if some hold and some do not. If a part is
left open, because the run is too small or its interval too wide, it is CANNOT TELL, unless others
have already decided that the claim is half true.
"""

from dataclasses import dataclass

import numpy as np

from bnlab.course.experiments.bench import paired_interval

__all__ = ["Part", "in_every_seed", "larger", "verdict", "within"]


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


def verdict(parts):
    """The verdict on a claim that has these parts.

    >>> verdict([Part("more", True, "2 > 1"), Part("always", None, "1 seed")])
    'CANNOT TELL'
    """
    answers = {part.holds for part in parts}
    if {True, False} <= answers:
        return "IMPRECISE"
    if None in answers:
        return "CANNOT TELL"
    return "RIGHT" if answers == {True} else "WRONG"


def larger(differences, than=0.0):
    """Whether the mean of paired differences is larger: its 95% interval decides, or None.

    >>> larger([1.0, 1.2, 1.1]), larger([-1.0, -1.2, -1.1]), larger([1.0, -1.0, 0.1]), larger([1.0])
    (True, False, None, None)
    """
    if len(differences) < 2:
        return None
    mean, half = paired_interval(differences)
    return True if mean - half > than else False if mean + half < than else None


def within(differences, worth):
    """Whether the mean of paired differences is smaller than what is worth having, or None.

    >>> within([0.1, 0.0, -0.1], 0.5), within([2.0, 2.1, 2.2], 0.5), within([1.0, -1.0], 0.5)
    (True, False, None)
    """
    low, high = larger(differences, -worth), larger(-np.asarray(differences, float), -worth)
    return True if low and high else False if False in (low, high) else None


def in_every_seed(answers):
    """True if it is seen in each of at least three seeds, False if in none of them, or None.

    >>> in_every_seed([True] * 3), in_every_seed([False] * 3), in_every_seed([True, True])
    (True, False, None)
    """
    answers = {bool(answer) for answer in answers} if len(answers) >= 3 else set()
    return answers.pop() if len(answers) == 1 else None
