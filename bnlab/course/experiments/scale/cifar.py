"""CIFAR-10 in its published binary format: six files, 10,000 records of 3,073 bytes in each."""

import hashlib
from pathlib import Path

import numpy as np

__all__ = ["DataError", "check", "load", "which_copy"]

TRAIN, TEST = [f"data_batch_{k}.bin" for k in range(1, 6)], ["test_batch.bin"]
RECORD = 1 + 3 * 32 * 32  # the label, then the red, the green and the blue plane, row by row
BYTES = 10_000 * RECORD
ARCHIVE, ARCHIVE_MD5 = "cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530"


class DataError(ValueError):
    """The images cannot be used; the message says which file, why, and what to do."""


def load(folder):
    """Images (N, 3, 32, 32) and labels (N,) as bytes: 50,000 to train on, 10,000 to test with."""
    parts = []
    for names in (TRAIN, TEST):
        records = np.concatenate([_records(Path(folder) / name) for name in names])
        parts += [records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0]]
    return parts


def check(folder):
    """Raise DataError unless the six files are there, whole, with labels as published."""
    _, labels, _, test_labels = load(folder)
    if max(labels.max(), test_labels.max()) > 9:
        raise DataError(f"{folder} has labels above 9: CIFAR-10 has ten classes, 0 to 9")
    counts = np.bincount(test_labels, minlength=10)
    if (counts != 1000).any():
        raise DataError(f"{TEST[0]} needs 1,000 images a class, got {counts.tolist()}")


def which_copy(folder):
    """Which copy of the images a result was computed from, in words."""
    folder = Path(folder)
    archive = folder / ARCHIVE
    if archive.is_file() and hashlib.md5(archive.read_bytes()).hexdigest() == ARCHIVE_MD5:
        return "the published archive"
    content = hashlib.sha256()
    for name in TRAIN + TEST:
        content.update((folder / name).read_bytes())
    return f"six files, sha256 {content.hexdigest()[:12]}"


def _records(path):
    if not path.is_file():
        raise DataError(
            f"{path.name} is not in {path.parent}; the six files of CIFAR-10's binary version "
            f"stand there once {ARCHIVE} is unpacked"
        )
    if path.stat().st_size != BYTES:
        raise DataError(
            f"{path} needs {BYTES:,} bytes, got {path.stat().st_size:,}; unpack the archive again"
        )
    return np.fromfile(path, np.uint8).reshape(-1, RECORD)
