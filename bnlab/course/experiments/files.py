"""The files of a run, written so that a run can be killed and go on: arrays by the seed.

Each file is there whole or not at all, see `bnlab.course.writing`.
"""

import contextlib
import json

import numpy as np

from bnlab.course import writing

__all__ = [
    "ResultsError",
    "check_folder",
    "load_part",
    "replacing",
    "save_part",
]


class ResultsError(Exception):
    """Results cannot be written; the message says where, why and what to do."""


@contextlib.contextmanager
def replacing(path):
    """Do as `writing.replacing`, and say where, why and what to do if a file cannot be written."""
    try:
        with writing.replacing(path) as new:
            yield new
    except OSError as error:
        raise ResultsError(
            f"{path.name} cannot be written in {path.absolute().parent} ({error.strerror}); make "
            "room there and run the same command again, which goes on from what is finished, or "
            "choose another folder with --out DIR"
        ) from error


def check_folder(folder):
    """Raise `ResultsError` now if nothing can be written there, and not after the first seed."""
    with replacing(folder / "a result") as new:
        new.touch()
    (folder / "a result").unlink()


def save_part(path, about, arrays, seconds=0.0):
    """Keep arrays, what they were made from, and how long that took, in one file."""
    own = {f"_{name}": array for name, array in arrays.items()}  # no array is called "about"
    with replacing(path) as new:
        np.savez_compressed(new, about=_label(about, own), seconds=seconds, **own)


def load_part(path, about):
    """Read ``(arrays, seconds)`` back, or None without such a file, whole and made from the same.

    Numbers come back as numbers, lists as arrays.
    """
    # A damaged file can raise anything; what it held is computed again.
    with contextlib.suppress(Exception), np.load(path, allow_pickle=False) as content:
        names = [name for name in content.files if name.startswith("_")]
        if content["about"].item() == _label(about, names):
            arrays = {name[1:]: _plain(content[name]) for name in names}
            return arrays, content["seconds"].item()
    return None


def _label(about, names):
    return json.dumps([about, *names])


def _plain(array):
    return array if array.ndim else array.item()
