"""All claims of the course by id, collected from the lessons."""

import functools

from bnlab.course.discovery import lesson_modules
from bnlab.course.experiments.evidence import Definition, Experiment

__all__ = ["ids", "ledger", "runnable"]

LETTERS = "SADBTCRWPN"  # of the ids, in the order in which the course teaches them


@functools.cache
def runnable():
    """All that can be run by name: the ledger, and what registers itself but is no row of it."""
    found = {}
    for module in lesson_modules(""):
        content = vars(module).values()
        for entry in (e for e in content if isinstance(e, Experiment | Definition)):
            if found.setdefault(entry.claim.id, entry) is not entry:
                raise ValueError(f"Two experiments test the claim {entry.claim.id}")
    extras = [name for name, entry in found.items() if entry.claim.kind == "figure"]
    rows = sorted(found.keys() - set(extras), key=place)
    return {name: found[name] for name in (*rows, *extras)}


@functools.cache
def ledger():
    """Claim id -> `Experiment` or `Definition`, in the order of the course: S1, S2, ..., S10, A1.

    Returns
    -------
    dict
    """
    return {name: entry for name, entry in runnable().items() if entry.claim.kind != "figure"}


def ids():
    """Which claims exist, in the order of the course."""
    return list(ledger())


def place(claim_id):
    """Where an id stands in the ledger, as a key to sort by: S2 before S10, S before A.

    >>> sorted(["A1", "S10", "S2"], key=place)
    ['S2', 'S10', 'A1']
    """
    letter, number = claim_id[:1], claim_id[1:]
    if not letter or letter not in LETTERS or not number.isdecimal():
        raise ValueError(
            f"The id of a claim is one of the letters {LETTERS} and a number, got {claim_id!r}"
        )
    return LETTERS.index(letter), int(number)
