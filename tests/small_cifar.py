"""CIFAR-10 with a few images a file, made up: of a class, the brighter the higher its number."""

import numpy as np

from bnlab.course.experiments.scale import cifar

RECORDS = 120  # in each of the six files


def write_small(folder, monkeypatch):
    """Write the six files and let the reader expect their size."""
    rng = np.random.default_rng(0)
    monkeypatch.setattr(cifar, "BYTES", RECORDS * cifar.RECORD)
    folder.mkdir(exist_ok=True)
    for name in cifar.TRAIN + cifar.TEST:
        labels = rng.permutation(np.arange(RECORDS) % 10)[:, None]
        pixels = 20 * labels + rng.integers(0, 60, (RECORDS, cifar.RECORD - 1))
        np.hstack([labels, pixels]).astype(np.uint8).tofile(folder / name)
    return folder
