"""What a room without a network installs from: a folder of wheels, and how to use it."""

import platform
import subprocess
import sys

from bnlab.data import course_files
from bnlab.tools.workshop.plans import WorkshopError

__all__ = ["INSTALL_LINE", "collect_wheels", "find_repository", "instructions"]

INSTALL_LINE = 'python -m pip install --no-index --find-links wheels "bnlab[course]"'
INSTRUCTIONS = """Install the course without a network
====================================

The wheels were collected with {python} on {system}.
Each computer of the room needs the same kind of system and the same version of Python. For others,
build the kit again on a computer like theirs.

1. Copy this folder to the computer and open a terminal in it.

2. Make a virtual environment and activate it:

   python -m venv course-env
   source course-env/bin/activate        (Windows: course-env\\Scripts\\activate)

3. Install:

   {install}

4. See whether everything is ready:

   bnlab doctor

5. Open the notebooks of the workshop:

   python -m jupyterlab participants

   Or open the whole course, in a working copy that is never overwritten:

   bnlab lab
"""


def find_repository():
    """Find the folder from which bnlab can be built; an installation from a wheel has none."""
    folder = course_files()
    if not (folder / "pyproject.toml").is_file():
        raise WorkshopError(
            "--offline builds the wheel of bnlab from its repository, and this bnlab was installed "
            f"from a wheel ({folder}); clone the repository, and in its folder: "
            'python -m pip install -e ".[course,workshop]", then build the kit again'
        )
    return folder


def collect_wheels(folder, repository):
    """Put the wheel of bnlab and those of everything that a learner needs in a folder."""
    command = [sys.executable, "-m", "pip", "wheel", "--wheel-dir", folder, f"{repository}[course]"]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        *_, reason = ["it gives no reason", *done.stderr.strip().splitlines()]
        raise WorkshopError(
            f"pip could not collect the wheels ({reason}); --offline needs a network now, "
            "so that the room needs none later"
        )


def instructions():
    """Text of INSTALL.txt, which is for computers like this one."""
    python = f"{platform.python_implementation()} {'.'.join(platform.python_version_tuple()[:2])}"
    system = f"{platform.system()} ({platform.machine()})"
    return INSTRUCTIONS.format(python=python, system=system, install=INSTALL_LINE)
