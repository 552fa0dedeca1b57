"""Long results: one CSV a claim in data/results, its config and the package's version above it."""

import dataclasses
import json

import numpy as np

from bnlab import __version__
from bnlab.data import course_files

__all__ = ["load", "save"]


def save(experiment, arrays, path):
    """Write the arrays of a run with the experiment's own config, one column an array.

    Parameters
    ----------
    experiment : Experiment
    arrays : dict of ndarray, shape (S,)
        One value for each seed.
    path : Path
        A file whose name is the claim's id and .csv.
    """
    about = {"claim": experiment.claim.id, "bnlab": __version__,
             "config": dataclasses.asdict(experiment.config)}  # fmt: skip
    columns = np.column_stack(list(arrays.values()))
    header = f"# {json.dumps(about)}\n{','.join(arrays)}"
    np.savetxt(path, columns, fmt="%.10g", delimiter=",", header=header, comments="")


def load(claim_id):
    """Read a stored result.

    Parameters
    ----------
    claim_id : str

    Returns
    -------
    arrays : dict of ndarray, shape (S,)
        What `Experiment.read` wants.
    about : dict
        The claim's id, the version of bnlab that made the result, and the config.

    Raises
    ------
    FileNotFoundError
        If nothing is stored for this claim.

    Examples
    --------
    >>> arrays, about = load("R2")
    >>> about["config"]["batch_size"], len(arrays["error_8.0"])
    (128, 32)
    """
    path = course_files() / "data" / "results" / f"{claim_id}.csv"
    if not path.exists():
        raise FileNotFoundError(
            f"load needs a stored result of {claim_id}, there is no {path.name} in {path.parent}; "
            "run the experiment with its own config and save it"
        )
    with path.open(encoding="utf-8") as lines:
        about = json.loads(next(lines).removeprefix("# "))
        names = next(lines).strip().split(",")
        columns = np.loadtxt(lines, delimiter=",", ndmin=2, unpack=True)
    return dict(zip(names, columns, strict=True)), about
