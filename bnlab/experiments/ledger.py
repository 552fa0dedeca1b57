"""All claims of the course by id, collected from the modules of this package."""

import functools
import importlib
import pkgutil

import bnlab.experiments as package
from bnlab.experiments.evidence import Definition, Experiment

__all__ = ["ids", "ledger"]

LETTERS = "SADBTCRWPN"  # of the ids, in the order in which the course teaches them


@functools.cache
def ledger():
    """Claim id -> `Experiment` or `Definition`, in the order of the course: S1, S2, ..., S10, A1.

    Returns
    -------
    dict

    Raises
    ------
    ValueError
        If two modules claim the same id, or an id is not a letter of the course and a number.
    """
    found = {}
    for module in pkgutil.iter_modules(package.__path__):
        content = vars(importlib.import_module(f"{package.__name__}.{module.name}")).values()
        for entry in (e for e in content if isinstance(e, Experiment | Definition)):
            if found.setdefault(entry.claim.id, entry) is not entry:
                raise ValueError(f"Two experiments test the claim {entry.claim.id}")
    return {claim_id: found[claim_id] for claim_id in sorted(found, key=place)}


def ids():
    """Which claims exist, in the order of the course.

    Returns
    -------
    list of str
    """
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
