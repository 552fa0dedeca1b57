"""Run experiments seed by seed into a folder; what is finished is not run again.

The rule. The unit of work is a seed: ``run(config)`` is called with a config whose ``seeds`` is one
seed, and each result is kept in a file as soon as it is there. `join` puts the results together:
an array whose first axis has length 1 in every one of them is joined along that axis; all else must
be the same for every seed, and is kept once. If something is neither (a wall time, a draw that
depends on all seeds) the experiment is run once more, whole, and that is its result. A config
without ``seeds`` is run whole from the start. ``with joblib.parallel_config(n_jobs=2): ...``
around `run` takes two seeds at a time; ``backend="dask"`` or ``"ray"`` carries it to a cluster,
whose workers need not share a disk: this process writes all files.

A kept result counts only if claim, config and version are those of now, and the source code it
depends on: see `fingerprint`.
"""

import time
from pathlib import Path

import joblib
import numpy as np

from bnlab.course.experiments.evidence import Definition, Experiment
from bnlab.course.experiments.files import ResultsError, load_part, save_part
from bnlab.course.experiments.fingerprint import fingerprint
from bnlab.course.experiments.reporting import write_results, write_verdict
from bnlab.course.experiments.results import about
from bnlab.course.experiments.selection import of_seeds

__all__ = ["NotSeedBySeed", "finished", "join", "run", "units"]


class NotSeedBySeed(ValueError):
    """Results of single seeds that do not add up to the result of all."""


def units(experiment):
    """The experiment once for each of its seeds, or a list of it alone if it has none."""
    if not isinstance(experiment, Experiment):
        return []
    seeds = getattr(experiment.config, "seeds", None)
    if seeds is None:
        return [experiment]
    return [of_seeds(experiment, (seed,)) for seed in seeds]


def finished(experiment, folder):
    """How many units of the experiment are kept in the folder."""
    return sum(_kept(unit, folder) is not None for unit in units(experiment))


def run(experiment, folder, tick=lambda: None):
    """Run what is not finished yet, write the results into the folder, and judge."""
    if isinstance(experiment, Definition):
        return write_verdict(experiment.evidence(), folder)
    todo = [unit for unit in units(experiment) if _kept(unit, folder) is None]
    for unit, arrays, seconds in _as_they_finish(todo):
        save_part(_path(unit, folder), _about(unit), arrays, seconds)
        tick()
    kept = [_kept(unit, folder) for unit in units(experiment)]
    if None in kept:
        raise ResultsError(
            f"The code of {experiment.claim.id} was changed while it ran, so its seeds are not of "
            "one kind; run the same command again"
        )
    try:
        arrays, seconds = join([part[0] for part in kept]), sum(part[1] for part in kept)
    except NotSeedBySeed:
        arrays, seconds = _whole(experiment, folder)
    return write_results(experiment, _about(experiment), arrays, seconds, folder)


def join(results):
    """Put the results of single seeds together, by the rule at the top of this file.

    >>> join([{"sizes": (2, 4), "error": np.array([error])} for error in (0.5, 0.25)])
    {'sizes': (2, 4), 'error': array([0.5 , 0.25])}
    """
    if len(results) == 1:
        return results[0]
    if len({tuple(result) for result in results}) > 1:
        raise NotSeedBySeed("the seeds give arrays of different names")
    return {name: _join_arrays(name, [r[name] for r in results]) for name in results[0]}


def _join_arrays(name, arrays):
    shapes = {np.shape(array) for array in arrays}
    if len(shapes) == 1 and shapes.pop()[:1] == (1,):
        return np.concatenate(arrays)
    if all(_same(np.asarray(array), np.asarray(arrays[0])) for array in arrays):
        return arrays[0]
    raise NotSeedBySeed(f"{name} differs from seed to seed and is not one for each")


def _same(a, b):
    """Equal to the bit, so that nan equals nan."""
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


def _as_they_finish(todo):
    """Units, their arrays and how long they took, in the order in which they get ready."""
    if len(todo) == 1:  # here: the experiment may have use for the other processes itself
        return map(_run_unit, todo)
    try:
        parallel = joblib.Parallel(return_as="generator_unordered")
    except ValueError:  # a backend that gives everything at the end, such as ray's
        parallel = joblib.Parallel()
    return parallel(joblib.delayed(_run_unit)(unit) for unit in todo)


def _run_unit(unit):
    start = time.process_time()  # a busy machine must not make it look slow
    arrays = unit.run(unit.config)
    return unit, arrays, time.process_time() - start


def _whole(experiment, folder):
    """The result of all seeds in one run, kept as well."""
    path = _parts(experiment, folder) / "whole.npz"
    if load_part(path, _about(experiment)) is None:
        _, arrays, seconds = _run_unit(experiment)
        save_part(path, _about(experiment), arrays, seconds)
    return load_part(path, _about(experiment))


def _kept(unit, folder):
    return load_part(_path(unit, folder), _about(unit))


def _parts(experiment, folder):
    return Path(folder) / "parts" / experiment.claim.id


def _path(unit, folder):
    seeds = getattr(unit.config, "seeds", None)
    return _parts(unit, folder) / ("whole.npz" if seeds is None else f"seed-{seeds[0]}.npz")


def _about(experiment):
    return about(experiment) | {"code": fingerprint(experiment)}
