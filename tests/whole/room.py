"""A copy of the tests' clean room, for notebooks that are to fail there and not here."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# With these pytest runs as it does here.
ROOM = ("conftest.py", "pyproject.toml", "tests/nbval_sanitize.cfg", "tests/nbval_within.py")


def copy_files(folder, *names):
    for name in names:
        target = folder / name
        target.parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, target)


def run_notebooks(folder, notebooks, *options):
    """Run nbval in a folder that has the files of the room; its kernels import what lies there."""
    command = [sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env", "-q",
               "-p", "no:cacheprovider", *options, *map(str, notebooks)]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(folder)}  # goes before an editable install
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
