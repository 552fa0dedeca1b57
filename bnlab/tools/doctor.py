"""`bnlab doctor`: is this computer ready for the course? One line for each thing that matters.

`available` asks the same of one package in the cell of a notebook that needs it.
"""

import importlib
import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
import webbrowser
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from packaging.requirements import Requirement

__all__ = ["CheckLine", "MissingPackage", "available", "examine", "start", "to_do"]

OLDEST_PYTHON = (3, 11)
LEAST_MEMORY_GB = 1.5
LEAST_DISK_GB = 1
KERNEL_SECONDS = 60
OPTIONAL = {"torch"}  # every notebook runs without it, and says what it would show
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"
JUPYTER = "Jupyter folder"  # without it JupyterLab does not start


@dataclass(frozen=True)
class CheckLine:
    """One thing that was looked at, what was found and, if it is not ok, what to do."""

    name: str
    ok: bool
    message: str


def examine(kernel=True):
    """Look at everything that a learner needs; to start a Jupyter kernel takes a few seconds.

    >>> line = examine(kernel=False)[0]
    >>> line.name, line.ok
    ('Python', True)
    """
    checks = [("Python", _python, "install Python 3.11 or newer"), *_course_checks(_package)]
    checks.append(("notebooks", _notebooks, "install bnlab again"))
    if kernel:
        checks.append(("kernel", _kernel, "see which Python it uses: jupyter kernelspec list"))
    checks += [
        ("this folder", partial(_writable, Path.cwd), "go to a folder of your own"),
        ("progress", partial(_writable, _home), "set BNLAB_HOME to a folder of your own"),
        ("memory", _memory, "close other programs, or use another computer"),
        ("disk", _disk, "make room, or go to a folder on another disk"),
        ("browser", _browser, f"start with: {start()} --no-browser"),
    ]
    return [_look(*check) for check in checks]


def to_do():
    """Look at what would stop a learner in JupyterLab and is seen at once: the lines not ok."""
    lines = [_look(*check) for check in _course_checks(_installed)]
    return [line for line in lines if not line.ok]


def start():
    """Command to start with in this folder: where INSTALL.txt of a workshop names one, that one.

    A notebook that it opens has to lie here too: in the instructor's folder it does not.
    """
    try:
        text = Path("INSTALL.txt").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return "bnlab lab"
    named = re.findall(r"^ +(bnlab lab (\S+\.ipynb))$", text, re.MULTILINE)
    return next((line for line, name in named if Path(name).is_file()), "bnlab lab")


class MissingPackage(ImportError):
    """A package is not installed; the message says what to do."""


def available(name, shows):
    """Whether a package can be imported; if not, say what a cell would show with it.

    The cell ends there and the notebook goes on.

    Parameters
    ----------
    name : str
        The package.
    shows : str
        What the cell shows, to stand behind "With it you see".

    >>> available("numpy", "numbers")
    True
    """
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        print(f"This cell needs {name}. With it you see {shows}. {_how_to_get(name)}")
        return False
    return True


def _how_to_get(name):
    if name == "torch" and sys.platform == "emscripten":
        return "PyTorch does not run in a browser; install the course to have it."
    advice = {name: advice for name, _, advice in _package_checks(_installed)}
    install = advice.get(name, f"pip install {name}").removeprefix("python -m ")
    return f"It is not installed here: run %{install} in a new cell, then restart the kernel."


def _look(name, check, advice):
    """Run one check; whatever it raises is a finding, not a crash."""
    try:
        return CheckLine(name, True, check())
    except Exception as error:
        found = str(error) or type(error).__name__
        return CheckLine(name, False, f"{found}; {advice}")


def _python(version=None):
    version = version or sys.version_info
    if version < OLDEST_PYTHON:
        raise RuntimeError(f"{version[0]}.{version[1]} is too old")
    return platform.python_version()


def _course_checks(look):
    """Build the checks of the packages (`look` at each), of the data, and of Jupyter's folder."""
    checks = [*_package_checks(look), ("data", _data, "then run `bnlab doctor` again")]
    if importlib.util.find_spec("jupyter_core"):
        checks.append((JUPYTER, partial(_writable, _jupyter), "set HOME to a folder of your own"))
    return checks


def _package_checks(look):
    """Build one check for each package of the `course` extra, from the installed metadata."""
    try:
        declared = importlib.metadata.requires("bnlab") or []
    except importlib.metadata.PackageNotFoundError:
        missing = partial(_raise, RuntimeError("bnlab is not installed"))
        return [("bnlab", missing, 'in the course folder: python -m pip install -e ".[course]"')]
    for_a_learner = {"extra": "course"}
    requirements = map(Requirement, declared)
    needed = [r for r in requirements if not r.marker or r.marker.evaluate(for_a_learner)]
    return [_package_check(requirement, look) for requirement in needed]


def _raise(error):
    raise error


def _package_check(requirement, look):
    """Make a check of a requirement, "torch<2.14,>=2.5", and the advice how to fulfil it."""
    wanted = f"{requirement.name}{requirement.specifier}"  # without "only for this extra"
    advice = f'python -m pip install "{wanted}"{_index(requirement.name)}'
    if requirement.name in OPTIONAL:
        look = partial(_optional, look, advice)
    return requirement.name, partial(look, requirement), advice


def _index(name):
    """On Linux, PyTorch's own index: the default build there brings gigabytes of CUDA."""
    return f" --index-url {TORCH_INDEX}" if (name, sys.platform) == ("torch", "linux") else ""


def _optional(look, advice, requirement):
    """That a package is missing is a fault only where a notebook would stop."""
    try:
        return look(requirement)
    except MissingPackage as missing:
        return f"optional, {missing}: every notebook runs without it. To add it: {advice}"


def _package(requirement):
    found = _installed(requirement)
    importlib.import_module(requirement.name)
    return found


def _installed(requirement):
    ranges = requirement.specifier
    try:
        version = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        raise MissingPackage("not installed") from None
    if not ranges.contains(version, prereleases=True):
        raise RuntimeError(f"{version} does not fit {ranges}")
    return f"{version} fits {ranges}"


def _notebooks():
    from bnlab.data import course_files

    folder = course_files() / "notebooks"
    found = len(list(folder.glob("*.ipynb")))
    if not found:
        raise FileNotFoundError(f"none in {folder}")
    return f"{found} in {folder}"


def _data():
    from bnlab.data import load_digits

    digits = load_digits()
    total = len(digits.y_train) + len(digits.y_val) + len(digits.y_test)
    return f"{total} digits, as they came with the course"


def _kernel():
    from jupyter_client.manager import run_kernel

    start = time.perf_counter()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with run_kernel(kernel_name="python3", startup_timeout=KERNEL_SECONDS, **quiet) as client:
        reply = client.execute_interactive(
            "import bnlab", timeout=KERNEL_SECONDS, allow_stdin=False, output_hook=lambda _: None
        )["content"]
    if reply["status"] != "ok":
        raise RuntimeError(f"it started, but: {reply.get('evalue', reply['status'])}")
    return f"started and imported bnlab in {time.perf_counter() - start:.0f} s"


def _home():
    from bnlab.course.exercises.progress import home

    return home()


def _jupyter():
    from jupyter_core.paths import jupyter_runtime_dir

    return Path(jupyter_runtime_dir())


def _writable(find):
    folder = find()
    # Look without making anything: the nearest folder that exists decides.
    nearest = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    try:
        with tempfile.TemporaryFile(dir=nearest) as file:
            file.write(bytes(4096))  # on a full disk, an empty file could still be made
    except OSError as error:
        raise RuntimeError(f"{nearest} cannot be written ({error.strerror})") from error
    return f"{folder} can be written"


def _memory():
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError):
        return f"not measured on this system; {LEAST_MEMORY_GB} GB are enough"
    return _enough(min(memory, _container_limit()), LEAST_MEMORY_GB)


def _container_limit(file=Path("/sys/fs/cgroup/memory.max")):
    """Bytes that a container may use; a hub's machine has far more than each learner gets."""
    try:
        return int(file.read_text())
    except (OSError, ValueError):  # no container, or the word "max"
        return float("inf")


def _disk():
    return _enough(shutil.disk_usage(Path.cwd()).free, LEAST_DISK_GB)


def _enough(found, least_gb):
    gigabytes = found / 1e9
    if gigabytes < least_gb:
        raise RuntimeError(f"{gigabytes:.1f} GB are fewer than the {least_gb} GB needed")
    return f"{gigabytes:.0f} GB"


def _browser():
    """A hub or a container has no browser and needs none, so that nothing is wrong there."""
    try:
        return f"{webbrowser.get().name} will open JupyterLab"
    except (webbrowser.Error, AttributeError):
        return f"none here; `{start()} --no-browser` prints the address to open elsewhere"
