"""`bnlab.tools.doctor`: each thing that can be wrong gives one line that says what to do."""

import errno
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
import webbrowser
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from bnlab.tools import doctor
from bnlab.tools.doctor import CheckLine, available, examine, start, to_do
from bnlab.tools.workshop.installing import START, instructions

ROOT = Path(__file__).resolve().parents[2]


def found(lines, name):
    (line,) = [line for line in lines if line.name == name]
    return line


@pytest.mark.filterwarnings("ignore")  # what a package says while it is imported is its own
def test_a_computer_that_runs_these_tests_is_ready(monkeypatch, tmp_path):
    monkeypatch.setenv("BNLAB_HOME", str(tmp_path / "not" / "made" / "yet"))
    lines = examine(kernel=False)
    assert all(type(line) is CheckLine and line.message for line in lines)
    names = [line.name for line in lines]
    assert len(set(names)) == len(names)
    assert {"notebooks", "memory", "disk", "browser"} <= set(names)
    assert "kernel" not in names
    packages = [name for name, _, _ in doctor._package_checks(doctor._package)]
    assert {"numpy", "torch", "jupyterlab"} <= set(packages)
    for name in ["Python", *packages, "data", "this folder", "progress"]:
        assert found(lines, name).ok, found(lines, name)
    assert not (tmp_path / "not").exists()


def test_a_check_that_raises_becomes_a_line_with_advice():
    def wrong():
        raise ValueError("it is broken")

    assert doctor._look("x", wrong, "mend it") == CheckLine("x", False, "it is broken; mend it")
    assert doctor._look("x", lambda: 1 / 0, "mend it").message == "division by zero; mend it"


def test_an_error_without_words_is_named():
    def wrong():
        raise TimeoutError

    assert doctor._look("x", wrong, "wait").message == "TimeoutError; wait"


# Python and packages


def test_a_cell_that_needs_a_package_runs_or_says_what_it_would_show(monkeypatch, capsys):
    assert available("torch", "two numbers")
    assert capsys.readouterr().out == ""
    monkeypatch.setitem(sys.modules, "torch", None)
    assert not available("torch", "two numbers")
    sentence = (
        r'This cell needs torch. With it you see two numbers. .*run %pip install "torch[<>=\d]'
    )
    assert re.match(sentence, capsys.readouterr().out)


def test_a_package_that_the_course_does_not_name_is_installed_by_its_name(capsys):
    assert not available("not_there", "nothing")
    assert "run %pip install not_there in a new cell" in capsys.readouterr().out


def test_in_a_browser_nobody_is_told_to_install_torch(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setattr(sys, "platform", "emscripten")
    assert not available("torch", "two numbers")
    assert "PyTorch does not run in a browser" in (said := capsys.readouterr().out)
    assert "%pip" not in said


def test_a_package_that_is_there_but_lacks_another_is_not_called_missing(monkeypatch, tmp_path):
    (tmp_path / "half_installed.py").write_text("import not_there")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="not_there"):
        available("half_installed", "nothing")


@pytest.mark.parametrize("version", [(3, 10, 14), (2, 7)])
def test_an_old_python_is_too_old(version):
    with pytest.raises(RuntimeError, match=rf"{version[0]}\.{version[1]} is too old"):
        doctor._python(version)


def test_the_oldest_python_is_the_declared_one():
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert declared == ">={}.{}".format(*doctor.OLDEST_PYTHON)
    assert doctor._python(doctor.OLDEST_PYTHON)


def test_every_declared_package_of_a_learner_is_looked_at_and_only_those():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = project["dependencies"] + project["optional-dependencies"]["course"]
    checks = doctor._package_checks(doctor._package)
    assert {name for name, _, _ in checks} == {Requirement(text).name for text in declared}
    assert all("extra" not in advice for _, _, advice in checks)


def test_without_metadata_the_advice_is_to_install(monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "requires", missing)
    line = found(examine(kernel=False), "bnlab")
    assert not line.ok
    assert line.message.startswith("bnlab is not installed; in the course folder: python -m pip")


@pytest.mark.parametrize(
    ("version", "ranges", "fits"),
    [
        ("2", ">=2.0.0", True),
        ("3.9", ">=3.10", False),
        ("2.13.0+cpu", "<2.14,>=2.5", True),
        ("2.13.0.dev20251201", "<2.14,>=2.5", True),
        ("2.14.0.dev20260101+cpu", "<2.14,>=2.5", False),
        ("2.14.0", "<2.14,>=2.5", False),
        ("2.4.1", "<2.14,>=2.5", False),
        ("of today", ">=2.5", False),
    ],
)
def test_a_version_fits_as_it_would_for_pip_and_a_build_of_this_morning_counts_too(
    monkeypatch, version, ranges, fits
):
    monkeypatch.setattr(importlib.metadata, "version", lambda name: version)
    requirement = Requirement(f"torch{ranges}; extra == 'course'")
    line = doctor._look(*doctor._package_check(requirement, doctor._installed))
    assert line.ok == fits
    if fits:
        assert line.message == f"{version} fits {ranges}"


def missing(name):
    raise importlib.metadata.PackageNotFoundError(name)


@pytest.mark.parametrize(("system", "index"), [("linux", True), ("darwin", False)])
def test_pytorch_may_be_missing_and_on_linux_its_small_build_is_named(monkeypatch, system, index):
    monkeypatch.setattr(importlib.metadata, "version", missing)
    monkeypatch.setattr(sys, "platform", system)
    line = doctor._look(*doctor._package_check(Requirement("torch<2.14,>=2.5"), doctor._package))
    assert line.ok
    said = "optional, not installed: every notebook runs without it. To add it: python -m pip"
    assert line.message.startswith(said)
    assert line.message.endswith(" --index-url https://download.pytorch.org/whl/cpu") == index


@pytest.mark.parametrize("name", ["numpy>=2.0", "jupyterlab>=4.2"])
def test_no_other_package_may_be_missing(monkeypatch, name):
    monkeypatch.setattr(importlib.metadata, "version", missing)
    line = doctor._look(*doctor._package_check(Requirement(name), doctor._package))
    assert line.message == f'not installed; python -m pip install "{name}"'
    assert not line.ok


@pytest.fixture
def sick(tmp_path, monkeypatch):
    """Install a package whose import fails as a missing shared library does."""
    (tmp_path / "sick_package.py").write_text("raise OSError('library not found')")
    (tmp_path / "sick_package-1.5.dist-info").mkdir()
    metadata = "Metadata-Version: 2.1\nName: sick-package\nVersion: 1.5\n"
    (tmp_path / "sick_package-1.5.dist-info" / "METADATA").write_text(metadata)
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.mark.parametrize(
    ("requirement", "problem"),
    [
        ("no_such_package>=1", "not installed"),
        ("sick_package>=2.0", "1.5 does not fit >=2.0"),
        ("sick_package<1.5,>=1.0", "1.5 does not fit <1.5,>=1.0"),
        ("sick_package>=1.0", "library not found"),
    ],
)
def test_a_package_that_would_fail_says_why_and_how_to_install_it(sick, requirement, problem):
    line = doctor._look(*doctor._package_check(Requirement(requirement), doctor._package))
    assert not line.ok
    assert line.message == f'{problem}; python -m pip install "{requirement}"'


def test_what_is_to_do_is_seen_without_an_import(sick, monkeypatch, tmp_path):
    requires = ["no_such_package>=1", "sick_package>=1.0", "numpy>=2.0"]
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: requires)
    monkeypatch.setattr("bnlab.data.course_files", lambda: tmp_path)
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    package, data = to_do()
    advice = 'not installed; python -m pip install "no_such_package>=1"'
    assert package == CheckLine("no_such_package", False, advice)
    assert data.name == "data"
    assert data.message.endswith("`git checkout data/digits.npz`; then run `bnlab doctor` again")


def test_a_jupyter_folder_that_cannot_be_made_is_to_do(monkeypatch, tmp_path):
    pytest.importorskip("jupyter_core")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "file" / "runtime"))
    assert found(to_do(), doctor.JUPYTER).message.endswith("set HOME to a folder of your own")


# The course


def test_a_course_without_notebooks_or_data_is_not_ready(monkeypatch, tmp_path):
    monkeypatch.setattr("bnlab.data.course_files", lambda: tmp_path)
    lines = examine(kernel=False)
    assert found(lines, "notebooks").message.startswith("none in ")
    assert [found(lines, n).ok for n in ("notebooks", "data")] == [False, False]


def test_the_notebooks_are_counted(monkeypatch, tmp_path):
    (tmp_path / "notebooks").mkdir()
    for name in ("a.ipynb", "b.ipynb", "notes.txt"):
        (tmp_path / "notebooks" / name).touch()
    monkeypatch.setattr("bnlab.data.course_files", lambda: tmp_path)
    assert doctor._notebooks() == f"2 in {tmp_path / 'notebooks'}"


def test_changed_data_are_found(monkeypatch, tmp_path):
    from bnlab.data import course_files

    content = bytearray((course_files() / "data" / "digits.npz").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "digits.npz").write_bytes(content)
    monkeypatch.setattr("bnlab.data.course_files", lambda: tmp_path)
    assert not doctor._look("data", doctor._data, "install bnlab again").ok


# The kernel


def test_a_kernel_starts():
    pytest.importorskip("jupyter_client")
    line = found(examine(), "kernel")
    assert line.ok, line.message
    assert "imported bnlab" in line.message


@pytest.mark.parametrize("kernel", ["dies", "without bnlab", "silent"])
def test_a_kernel_that_would_not_work_is_found(monkeypatch, tmp_path, kernel):
    pytest.importorskip("jupyter_client")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    monkeypatch.setattr(doctor, "KERNEL_SECONDS", 20 if kernel == "without bnlab" else 1)
    start = {
        "dies": "raise SystemExit(1)",
        "silent": "import time; time.sleep(600)",
        "without bnlab": "import sys; sys.modules['bnlab'] = None; "
        "from ipykernel.kernelapp import launch_new_instance as launch; launch()",
    }[kernel]
    folder = tmp_path / "kernels" / "python3"
    folder.mkdir(parents=True)
    argv = [sys.executable, "-c", start, "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": "x", "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(spec))
    line = doctor._look("kernel", doctor._kernel, "jupyter kernelspec list")
    assert not line.ok
    said = {
        "dies": "died",
        "silent": "respond in 1 seconds",
        "without bnlab": "it started, but: import of bnlab",
    }
    assert said[kernel] in line.message


def test_without_jupyter_client_the_kernel_line_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "jupyter_client.manager", None)
    line = doctor._look("kernel", doctor._kernel, "jupyter kernelspec list")
    assert not line.ok
    assert "jupyter_client" in line.message


# Folders, memory, disk, browser


def test_a_folder_that_exists_or_could_be_made_can_be_written(tmp_path):
    for folder in (tmp_path, tmp_path / "a" / "b"):
        assert "can be written" in doctor._writable(lambda folder=folder: folder)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_found(monkeypatch, tmp_path):
    def refuse(dir):
        raise PermissionError(errno.EACCES, "Permission denied", f"{dir}/tmp9w4hcopn")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    lines = examine(kernel=False)
    says = f"{Path.cwd()} cannot be written (Permission denied); go to a folder of your own"
    assert found(lines, "this folder").message == says
    assert "set BNLAB_HOME to a folder of your own" in found(lines, "progress").message


def test_a_home_below_a_file_is_found(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BNLAB_HOME", str(tmp_path / "file" / "home"))
    assert not found(examine(kernel=False), "progress").ok


@pytest.mark.parametrize(("gigabytes", "ok"), [(1.4, False), (1.5, True), (16, True)])
def test_little_memory_is_found(monkeypatch, gigabytes, ok):
    numbers = {"SC_PAGE_SIZE": 1, "SC_PHYS_PAGES": gigabytes * 1e9}
    monkeypatch.setattr(os, "sysconf", numbers.get, raising=False)
    monkeypatch.setattr(doctor, "_container_limit", lambda: float("inf"))
    assert doctor._look("memory", doctor._memory, "x").ok == ok


def test_a_container_may_use_less_than_its_machine_has(monkeypatch):
    monkeypatch.setattr(os, "sysconf", lambda name: 1e6, raising=False)
    monkeypatch.setattr(doctor, "_container_limit", lambda: 1.2e9)
    assert "1.2 GB are fewer" in doctor._look("memory", doctor._memory, "x").message


@pytest.mark.parametrize(
    ("content", "limit"), [("1073741824\n", 2**30), ("max\n", float("inf")), ("", float("inf"))]
)
def test_the_limit_of_a_container_is_read(tmp_path, content, limit):
    (tmp_path / "memory.max").write_text(content)
    assert doctor._container_limit(tmp_path / "memory.max") == limit
    assert doctor._container_limit(tmp_path / "none") == float("inf")


def test_where_memory_cannot_be_measured_nothing_is_wrong(monkeypatch):
    monkeypatch.delattr(os, "sysconf", raising=False)
    assert "not measured" in doctor._memory()


def test_a_full_disk_is_found(monkeypatch):
    usage = type("Usage", (), {"free": 3e8})()
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda folder: usage)
    assert "0.3 GB are fewer than the 1 GB needed" in found(examine(False), "disk").message


def test_no_browser_is_no_fault_but_says_what_to_do(monkeypatch):
    def none():
        raise webbrowser.Error("could not locate runnable browser")

    monkeypatch.setattr(webbrowser, "get", none)
    line = found(examine(kernel=False), "browser")
    assert line.ok
    assert "bnlab lab --no-browser" in line.message


@pytest.mark.parametrize("wheels", [False, True])
def test_in_the_folder_of_a_workshop_one_starts_with_its_first_notebook(
    wheels, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert start() == "bnlab lab"
    Path("INSTALL.txt").write_text(instructions(wheels), encoding="utf-8")
    assert start() == "bnlab lab", "the instructor's folder has these instructions, no notebook"
    Path(START.split()[-1]).touch()
    assert start() == START

    def none():
        raise webbrowser.Error("could not locate runnable browser")

    monkeypatch.setattr(webbrowser, "get", none)
    assert f"`{START} --no-browser` prints" in doctor._browser()


@pytest.mark.parametrize("content", ["Run `make`.", "  bnlab lab gone.ipynb", b"\xff\xfe", None])
def test_instructions_of_something_else_change_nothing(content, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = Path("INSTALL.txt")
    if content is None:
        file.mkdir()
    else:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert start() == "bnlab lab"


def test_the_doctor_itself_loads_nothing_heavy():
    code = "import bnlab.tools.doctor, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert not {"torch", "matplotlib", "jupyter_client"} & set(loaded.stdout.split())
