"""Which experiments to run: by name, on which data, with how many seeds."""

import dataclasses

from bnlab.course.experiments.ledger import runnable

__all__ = ["find", "of_seeds", "with_data", "with_seeds"]


def find(name):
    """The experiment or definition of this name, in any case of letters: "R2", "figure1"."""
    for known, entry in runnable().items():
        if known.lower() == name.lower():
            return entry
    raise ValueError(
        f"There is no experiment {name!r}; `bnlab experiment list` shows the names, and "
        "`bnlab experiment run all` runs the whole ledger"
    )


def with_data(experiment, data):
    """The experiment on other images: a folder with the four files of MNIST's format."""
    if data == "digits":
        return experiment
    if getattr(experiment, "on_data", None) is None:
        raise ValueError(
            f"{experiment.claim.id} runs on the digits only; --data DIR is for figure1"
        )
    return experiment.on_data(data)


def with_seeds(experiment, count):
    """The experiment with this many seeds: the first ones of its config, then the next numbers."""
    if count is None or not hasattr(getattr(experiment, "config", None), "seeds"):
        return experiment
    own = tuple(experiment.config.seeds)
    more = range(max(own) + 1, max(own) + 1 + count)
    return of_seeds(experiment, (*own, *more)[:count])


def of_seeds(experiment, seeds):
    """The experiment with these seeds in its config."""
    config = dataclasses.replace(experiment.config, seeds=seeds)
    return dataclasses.replace(experiment, config=config)
