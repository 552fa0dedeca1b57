"""Do the notebooks print the same on other processors, and with more threads?

    python benchmarks/determinism.py              # all notebooks, about one minute a row
    python benchmarks/determinism.py 02 05        # only these

Runs strict nbval with the kernels of OpenBLAS for three generations of processors, with 1 and 2
threads, and prints a row for each combination. `used` is the kernel that OpenBLAS really took: it
refuses one that this processor cannot run. The exit code is 1 if a cell failed or a kernel was
refused. The Python that runs this file runs the notebooks: for another version of Python, or of
NumPy, call it from an environment that has that one. Needs `pip install -e ".[test]"`; only for
the OpenBLAS of NumPy's wheels on x86.
"""

import os
import re
import subprocess
import sys
import time
from itertools import product
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CORES = ("Nehalem", "Haswell", "SkylakeX")
THREADS = (1, 2)
# scikit-learn, one of the test requirements, brings threadpoolctl.
ASK_OPENBLAS = """
import numpy, threadpoolctl
pools = threadpoolctl.threadpool_info()
print(*{pool["architecture"] for pool in pools if pool["internal_api"] == "openblas"})
"""


def run(arguments, core, threads):
    settings = {"OPENBLAS_CORETYPE": core, "OPENBLAS_NUM_THREADS": str(threads),
                "OMP_NUM_THREADS": str(threads)}  # fmt: skip
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env={**os.environ, **settings},
        capture_output=True, text=True,
    )  # fmt: skip


def count(word, summary):
    found = re.search(rf"(\d+) {word}", summary)
    return int(found[1]) if found else 0


def main(numbers):
    notebooks = [str(path) for n in numbers or ["[0-9][0-9]"]
                 for path in sorted((ROOT / "notebooks").glob(f"{n}_*.ipynb"))]  # fmt: skip
    print("asked     used      threads  passed  failed  seconds")
    all_right, details = True, []
    for core, threads in product(CORES, THREADS):
        used = run(["-c", ASK_OPENBLAS], core, threads).stdout.strip() or "none"
        start = time.perf_counter()
        result = run(["-m", "pytest", "-q", "--color=no", "-p", "no:cacheprovider", *notebooks],
                     core, threads)  # fmt: skip
        seconds = time.perf_counter() - start
        summary = (result.stdout.strip().splitlines() or [""])[-1]
        passed, failed = (count(word, summary) for word in ("passed", "failed"))
        row = f"{core:10}{used:10}{threads:7}{passed:8}{failed:8}{seconds:9.0f}"
        print(row, flush=True)
        all_right &= result.returncode == 0 and used == core
        details += re.findall(r"^(?:FAILED|ERROR) .*", result.stdout, re.MULTILINE)
    print(*sorted(set(details)), sep="\n")
    return 0 if all_right else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
