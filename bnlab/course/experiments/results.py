"""Results that the course keeps: the arrays of a run, in one JSON file a claim in data/results.

What is said about them is computed from them when it is shown.
"""

import dataclasses
import json

import numpy as np

from bnlab import __version__
from bnlab.course.experiments.evidence import Definition
from bnlab.course.experiments.files import replacing
from bnlab.data import course_files

__all__ = [
    "about",
    "duration",
    "evidence_of",
    "folder",
    "is_stored",
    "keep",
    "load",
    "save",
    "stored",
    "stored_evidence",
]


def folder():
    """Where the course keeps its results."""
    return course_files() / "data" / "results"


def about(experiment):
    """What a result is made from: claim, version and config, as JSON gives it back."""
    config = dataclasses.asdict(experiment.config)
    made = {"claim": experiment.claim.id, "bnlab": __version__, "config": config}
    return json.loads(json.dumps(made))


def save(path, about, arrays):
    """Write arrays, numbers and text below what they were made from, an array a line.

    Floats keep ten digits: further ones are those of one machine.

    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as place:
    ...     path = Path(place) / "R9.json"
    ...     save(path, {"claim": "R9"}, {"error": np.array([1 / 3, np.nan]), "n": 2})
    ...     load(path)
    ({'error': array([0.33333333,        nan]), 'n': 2}, {'claim': 'R9'})
    """
    made = [f" {json.dumps(n)}: {json.dumps(v, ensure_ascii=False)}" for n, v in about.items()]
    rows = [f"  {json.dumps(n)}: {json.dumps(_plain(array))}" for n, array in arrays.items()]
    arrays = ' "arrays": {\n' + ",\n".join(rows) + "\n }"
    with replacing(path) as new:
        new.write_text("{\n" + ",\n".join([*made, arrays]) + "\n}\n", encoding="utf-8")


def load(path):
    """Arrays of a file of `save`, and what they were made from."""
    content = json.loads(path.read_text(encoding="utf-8"))
    arrays = content.pop("arrays")
    return {n: np.array(a) if isinstance(a, list) else a for n, a in arrays.items()}, content


def keep(experiment, arrays, seconds):
    """Keep the result of a run with the experiment's own config, in the place of the last one."""
    path = folder() / f"{experiment.claim.id}.json"
    save(path, about(experiment) | {"seconds": round(seconds)}, arrays)
    return stored_evidence(experiment)


def stored(claim_id):
    """Arrays that are kept for a claim, and what they were made from.

    >>> arrays, made = stored("R2")
    >>> made["config"]["batch_size"], arrays["error_8"].shape
    (128, (12, 3))
    """
    path = folder() / f"{claim_id}.json"
    if not path.exists():
        raise FileNotFoundError(
            f"no arrays of {claim_id} are kept in {folder()}; "
            f"`bnlab experiment run {claim_id} --keep` makes them"
        )
    return load(path)


def is_stored(entry):
    """Whether a run of it is kept."""
    return (folder() / f"{entry.claim.id}.json").exists()


def duration(entry):
    """How long its run took when it was kept, in words; nothing where none is kept.

    >>> duration(Definition(None, "RIGHT"))
    'by source'
    """
    if isinstance(entry, Definition):
        return "by source"
    if not is_stored(entry):
        return "at once" if entry.claim.kind == "identity" else ""
    seconds = load(folder() / f"{entry.claim.id}.json")[1].get("seconds", 0)
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{max(seconds, 1):.0f} s"


def stored_evidence(entry):
    """Evidence from what is kept for a claim, or None."""
    if not is_stored(entry):
        return None
    arrays, made = load(folder() / f"{entry.claim.id}.json")
    return entry.read(arrays, made["config"])


def evidence_of(entry):
    """Evidence for one line of the ledger: live where it is quick, stored where it is not.

    What has a stored result is read, an identity without one is computed.
    """
    if isinstance(entry, Definition):
        return entry.evidence(), "source"
    evidence = stored_evidence(entry)
    if evidence is None and entry.claim.kind == "identity":
        return entry.evidence(), "live"
    return evidence, "stored"


def _plain(value):
    """What JSON can write of an array or a number, floats with ten digits."""
    value = np.asarray(value)
    if value.dtype.kind == "f":
        return _each(value.tolist(), lambda number: float(f"{number:.10g}"))
    return value.tolist()


def _each(value, change):
    return [_each(v, change) for v in value] if isinstance(value, list) else change(value)
