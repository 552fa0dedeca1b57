"""Runs that are smaller than their experiment: with fewer steps, rates, batches or seeds.

What did not show in a few steps may show later, and a rate that was left out may be the best one.
So such a run can say yes, but not no: its parts that do not hold are left open. Fewer seeds need no
rule of their own: what is asked of every seed needs three, and an interval of few is wide.
"""

from dataclasses import replace

__all__ = ["opened", "reductions"]

LISTS = {"seeds": "seeds", "lrs": "rates", "plain_lrs": "rates without", "bn_lrs": "rates with",
         "scales": "sizes"}  # fmt: skip


def reductions(config, own):
    """What a config has less of than the experiment's own: name -> words.

    Parameters
    ----------
    config, own : dict
        Name -> value.

    Returns
    -------
    dict

    Examples
    --------
    >>> own = {"steps": 400, "lr": 0.1, "lrs": (0.1, 0.3), "seeds": (0, 1, 2)}
    >>> reductions(own | {"steps": 20, "lr": 0.01, "seeds": (7, 8)}, own)
    {'steps': '20 of 400 steps', 'seeds': '2 of 3 seeds'}
    """
    both = [name for name in own if name in config]
    amounts = {name: (_amount(name, config[name]), _amount(name, own[name])) for name in both}
    return {
        name: f"{here:,} of {whole:,} {_noun(name)}"
        for name, (here, whole) in amounts.items()
        if here < whole
    }


def opened(parts, reduced):
    """The parts of a verdict; of a run with fewer than all steps no part fails, it is open.

    >>> from bnlab.course.experiments.rule import Part
    >>> [part] = opened([Part("more", False, "1 < 2")], {"steps": "20 of 400 steps"})
    >>> print(part)
    more: cannot tell (1 < 2)
    """
    if not reduced.keys() - {"seeds"}:
        return tuple(parts)
    return tuple(replace(part, holds=part.holds or None) for part in parts)


def _amount(name, value):
    """How much of a run a field stands for; 0 if it is about something else."""
    if name == "budgets":
        return max(value)
    if name in LISTS or name.endswith("lrs"):
        return len(value)
    return value if name.endswith(("steps", "epochs", "batches")) else 0


def _noun(name):
    """The unit of an amount."""
    if name == "budgets":
        return "steps"
    return LISTS.get(name, name.replace("lrs", "rates").replace("_", " "))
