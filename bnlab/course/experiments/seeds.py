"""Run one thing for several seeds, in one process or, under `joblib.parallel_config`, in many."""

import joblib
import numpy as np

__all__ = ["over_seeds"]


def over_seeds(one_seed, config):
    """Stack the results of ``one_seed(config, seed)`` over ``config.seeds``.

    >>> from types import SimpleNamespace
    >>> over_seeds(lambda config, seed: {"square": seed**2}, SimpleNamespace(seeds=(1, 2, 3)))
    {'square': array([1, 4, 9])}
    """
    results = joblib.Parallel()(joblib.delayed(one_seed)(config, seed) for seed in config.seeds)
    return {name: np.array([result[name] for result in results]) for name in results[0]}
