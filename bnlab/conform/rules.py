"""The rules that running statistics can follow, and which one a layer follows over five batches."""

from dataclasses import dataclass

import numpy as np

from bnlab.conform import reference
from bnlab.conform.comparing import differ
from bnlab.conform.probes import stream
from bnlab.conform.subject import MOMENTUM

__all__ = ["LEFT_IN", "STARTS", "History", "Rule", "ddof_of", "history", "rule_of", "share_of"]

STARTS = ("0 and 1", "first batch", "debiased")
LEFT_IN = "divided as if the start were 0"  # right for a mean, wrong for a variance


@dataclass(frozen=True)
class History:
    """What the averages were before the first batch and after each one."""

    batches: list
    means: list
    variances: list

    def fed(self, ddof):
        """Mean and variance of each batch; the variance is divided by m - ddof."""
        views = [reference.rows(x) for x in self.batches]
        return [v.mean(axis=0) for v in views], [v.var(axis=0, ddof=ddof) for v in views]


@dataclass(frozen=True)
class Rule:
    """How an average moves: the weight of the new value, and what becomes of the start value."""

    share: float
    start: str

    def follow(self, first, values):
        """The average after each value.

        >>> Rule(share=0.5, start="0 and 1").follow(0.0, [4.0, 4.0])
        [2.0, 3.0]
        >>> Rule(share=0.5, start="debiased").follow(0.0, [4.0, 4.0])
        [4.0, 4.0]
        """
        now, found, left = first, [], 1.0
        for value in values:
            left *= 1 - self.share
            if self.start == "first batch" and not found:
                now = value
            else:
                now = (1 - self.share) * now + self.share * value
            found.append(self._told(now, left * first, 1 - left))
        return found

    def _told(self, now, of_the_start, rest):
        if self.start == "debiased":
            return (now - of_the_start) / rest
        return now / rest if self.start == LEFT_IN else now


def history(subject, ndim):
    """Five batches of two sizes through a new layer."""
    batches = stream(ndim)
    live = subject.layer(np.ones(2), np.zeros(2))
    told = [live.running()]
    for x in batches:
        live.train(x)
        told.append(live.running())
    means, variances = zip(*told, strict=True)
    return History(batches, list(means), list(variances))


def share_of(subject, record):
    """The weight of the new value, where momentum cannot be set: from the first batch."""
    new = record.fed(ddof=0)[0][0] - record.means[0]
    return float(np.median((record.means[1] - record.means[0]) / new))


def rule_of(subject, record):
    """The rule that the running mean follows, or None."""
    shares = (MOMENTUM, 1 - MOMENTUM)
    if not subject.can_set("momentum"):
        shares = (share_of(subject, record),)
    means, _ = record.fed(ddof=0)
    rules = [Rule(share, start) for start in STARTS for share in shares]
    return next((r for r in rules if _fits(subject, r, record.means, means)), None)


def ddof_of(subject, record, rule):
    """1 if the running variance is fed the unbiased variance, 0 if the biased one, or None."""
    return next(
        (d for d in (1, 0) if _fits(subject, rule, record.variances, record.fed(d)[1])), None
    )


def _fits(subject, rule, averages, values):
    first = np.where(np.isfinite(averages[0]), averages[0], 0.0)
    pairs = zip(averages[1:], rule.follow(first, values), strict=True)
    return not any(differ(average, value, subject.tolerance) for average, value in pairs)
