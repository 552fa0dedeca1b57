"""What participants install from: the wheel of bnlab, always, and for bad wifi all other wheels."""

import importlib.metadata
import platform
import subprocess
import sys
import zipfile

from bnlab import __version__
from bnlab.data import course_files
from bnlab.tools.workshop.formulas import load
from bnlab.tools.workshop.plans import WorkshopError

__all__ = ["FROM_INDEX", "FROM_WHEELS", "START", "WHEEL", "collect_wheels", "find_repository",
           "instructions", "make_wheel", "pack"]  # fmt: skip

WHEEL = f"bnlab-{__version__}-py3-none-any.whl"
# Beside bnlab. PyTorch is not among them: no cell of a workshop uses it, and it is large.
PACKAGES = ("jupyter", "anywidget", "sympy")
FROM_INDEX = f"python -m pip install ./{WHEEL} {' '.join(PACKAGES)}"
FROM_WHEELS = f"python -m pip install --no-index --find-links ../wheels bnlab {' '.join(PACKAGES)}"
START = "bnlab lab 00_start_here.ipynb"  # `bnlab doctor` finds this line in INSTALL.txt
INSTRUCTIONS = """Install what the workshop needs
===============================

You need Python 3.11 or newer; `python --version` tells. (On Linux and macOS the command may be
python3.) All commands go into a terminal, opened in the folder `participants`.

1. Make a virtual environment and activate it:

   python -m venv course-env
   source course-env/bin/activate        (Windows: course-env\\Scripts\\activate)

2. Install the course, and JupyterLab to open it. {where}

   {install}

3. See whether everything is ready:

   bnlab doctor

   Each line should begin with ok. One that begins with TO DO says what to do. PyTorch may be
   missing: no cell of the workshop uses it.

4. On the day, go to this folder, activate the environment again as in step 1, and open the
   first notebook:

   {start}

   JupyterLab opens in your browser. What you write stays in this folder. A function that has
   passed its check is kept in my_batchnorm.py, beside the notebooks.

Afterwards: `bnlab lab` alone opens the whole course, in a folder of its own, bnlab-course. Copy
my_batchnorm.py into it, and the course goes on with your functions. Some of its cells compare with
PyTorch. On Linux take its small build; the default one brings gigabytes that the course does not
use:

   python -m pip install "torch>=2.5,<2.14" --index-url https://download.pytorch.org/whl/cpu
"""
WITH_NETWORK = "This needs a network."
WITHOUT_NETWORK = (
    "This needs no network: the folder\n   `wheels`, beside this one, holds everything. It was "
    "collected with {python} on\n   {system}; your computer needs the same kind of system and the "
    "same Python.\n   For others, or where that folder is missing, with a network:\n\n"
    "   {install}\n\n   Without one:"
)


def find_repository():
    """Find the folder from which bnlab can be built; an installation from a wheel has none."""
    folder = course_files()
    if not _is_repository(folder):
        raise WorkshopError(
            "--offline builds the wheel of bnlab from its repository, and this bnlab was installed "
            f"from a wheel ({folder}); clone the repository, and in its folder: "
            'python -m pip install -e ".[workshop]", then build the kit again'
        )
    return folder


def make_wheel(folder):
    """Put the wheel of bnlab into a folder; it needs no network."""
    if _is_repository(course_files()):
        _build_wheel(folder, course_files())
    else:
        pack("bnlab", folder)


def pack(name, folder):
    """Make a wheel of a pure package that is installed here, from its own list of files."""
    package = importlib.metadata.distribution(name)
    path = folder / f"{name}-{package.version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for file in package.files:
            if file.suffix != ".pyc" and ".." not in file.parts:
                wheel.write(file.locate(), file.as_posix())
    return path


def _is_repository(folder):
    return (folder / "pyproject.toml").is_file()


def _build_wheel(folder, repository):
    load("hatchling")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=repository)
    if done.returncode:
        raise WorkshopError(
            f"the wheel of bnlab could not be built ({_last_line(done.stderr)}); "
            f"the folder {repository} has to be a whole copy of the repository"
        )


def collect_wheels(folder):
    """Put the wheel of bnlab and those of everything that a participant needs in a folder."""
    repository = find_repository()
    pip = [sys.executable, "-m", "pip", "wheel"]
    command = [*pip, "--wheel-dir", folder, repository, *PACKAGES]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        raise WorkshopError(
            f"pip could not collect the wheels ({_last_line(done.stderr)}); --offline needs a "
            "network now, so that the room needs none later"
        )


def instructions(wheels=False):
    """Text of INSTALL.txt; with wheels it is for computers like this one."""
    if not wheels:
        return INSTRUCTIONS.format(start=START, where=WITH_NETWORK, install=FROM_INDEX)
    python = f"{platform.python_implementation()} {'.'.join(platform.python_version_tuple()[:2])}"
    system = f"{platform.system()} ({platform.machine()})"
    where = WITHOUT_NETWORK.format(python=python, system=system, install=FROM_INDEX)
    return INSTRUCTIONS.format(start=START, where=where, install=FROM_WHEELS)


def _last_line(text):
    return ["it gives no reason", *text.strip().splitlines()][-1]
