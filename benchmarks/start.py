"""What does the course ask of a computer: import time, and the memory of a kernel.

    python benchmarks/start.py

Prints the time of `import bnlab` beside `import numpy`, each in a process of its own, medians of
interleaved runs, and the peak memory of a kernel that has run a notebook. For Linux.
"""

import statistics
import subprocess
import sys

import nbclient
import nbformat

from bnlab.data import course_files

# In kilobytes on Linux.
PEAK = "import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)"
CLOCK = "import time; start = time.perf_counter(); {}; print(time.perf_counter() - start)"


def import_seconds(statement):
    code = CLOCK.format(statement)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout)


def import_times(rounds=21):
    """Median seconds of both imports."""
    pairs = [(import_seconds("import numpy"), import_seconds("import bnlab"))
             for _ in range(rounds)]  # fmt: skip
    return [statistics.median(column) for column in zip(*pairs, strict=True)]


def kernel_megabytes(number):
    """Peak memory of a kernel that has run a notebook; what it starts is not counted."""
    (path,) = (course_files() / "notebooks").glob(f"{number}_*.ipynb")
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(PEAK))
    # What the kernel says about itself would only stand between the figures.
    nbclient.NotebookClient(notebook, timeout=120).execute(stderr=subprocess.DEVNULL)
    return int(notebook.cells[-1].outputs[0].text)


def main():
    numpy, bnlab = import_times()
    print(f"import bnlab / import numpy   {bnlab / numpy:.2f}   ({1000 * numpy:.0f} ms for NumPy)")
    for number in ("02", "05", "10"):
        print(f"kernel after notebook {number}      {kernel_megabytes(number):.0f} MB")


if __name__ == "__main__":
    main()
