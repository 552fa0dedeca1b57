"""All claims of the course by id, collected from the modules of this package."""

import functools
import importlib
import pkgutil

import bnlab.experiments as package
from bnlab.experiments.evidence import Definition, Experiment

__all__ = ["ledger"]


@functools.cache
def ledger():
    """Claim id -> `Experiment` or `Definition`.

    Returns
    -------
    dict

    Raises
    ------
    ValueError
        If two modules claim the same id.
    """
    found = {}
    for module in pkgutil.iter_modules(package.__path__):
        content = vars(importlib.import_module(f"{package.__name__}.{module.name}")).values()
        for entry in (e for e in content if isinstance(e, Experiment | Definition)):
            if found.setdefault(entry.claim.id, entry) is not entry:
                raise ValueError(f"Two experiments test the claim {entry.claim.id}")
    return found
