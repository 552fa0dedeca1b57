"""Measure two sides fairly: one thread each, the allocator pinned, rounds interleaved, medians.

Without the pinned allocator page faults decide: the same call of torch took 57 or 6.9 ms. These
settings are read when a process starts, so `pin` starts it again.
"""

import os
import platform
import statistics
import sys
import time
from pathlib import Path

SETTINGS = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "17179869184",
    "MALLOC_TOP_PAD_": "268435456",
}


def pin():
    """Start this script again, once, with one thread and memory that stays with the process."""
    if any(os.environ.get(name) != value for name, value in SETTINGS.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | SETTINGS)


def seconds(function, calls):
    start = time.perf_counter()
    for _ in range(calls):
        function()
    return (time.perf_counter() - start) / calls


def interleaved(sides, rounds=31, block=0.02):
    """Median seconds a call of each side, in the order given.

    A round runs every side for about `block` seconds, one after the other: what slows the machine
    for a while slows them all.
    """
    calls = []
    for side in sides:
        side()  # the first call pays for caches and lazy imports
        calls.append(max(1, round(block / seconds(side, 1))))
    times = [[seconds(side, n) for side, n in zip(sides, calls, strict=True)]
             for _ in range(rounds)]  # fmt: skip
    return [statistics.median(column) for column in zip(*times, strict=True)]


def machine():
    """Processor, cores and versions: what a table of figures has to name."""
    import numpy
    import torch

    return (
        f"{_processor()}, {os.cpu_count()} cores, one used; Python {platform.python_version()}, "
        f"NumPy {numpy.__version__}, torch {torch.__version__}"
    )


def _processor():
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
