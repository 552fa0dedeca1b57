"""`bnlab workshop build --offline`: a room without a network installs from the kit."""

import importlib.metadata
import os
import subprocess
import sys
import types
import venv
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("nbclient")
pytest.importorskip("latex2mathml")

from bnlab.data import course_files
from bnlab.tools.workshop import build as building
from bnlab.tools.workshop import installing
from bnlab.tools.workshop.build import build
from bnlab.tools.workshop.plans import WorkshopError

PROXIES = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(building, "execute", lambda notebook, name: None)
    monkeypatch.setattr(building.installing, "make_wheel", lambda folder: None)


def answer(monkeypatch, code, said=""):
    """Stand for pip: note what it is asked, and return an exit code and a message."""
    asked = []

    def run(command, **_):
        asked.append(command)
        return types.SimpleNamespace(returncode=code, stderr=said)

    monkeypatch.setattr(installing.subprocess, "run", run)
    return asked


def test_wheels_and_instructions_are_added(tmp_path, monkeypatch, quick):
    asked = answer(monkeypatch, 0)
    kit = build(tmp_path / "kit", 45, wheels=True)
    text = (kit / "INSTALL.txt").read_text(encoding="utf-8")
    assert installing.FROM_WHEELS in text
    assert f"{sys.version_info.major}.{sys.version_info.minor} on" in text
    ((*_, option, folder, repository, jupyter, anywidget, sympy),) = asked
    assert (option, repository) == ("--wheel-dir", str(course_files()))
    assert folder.endswith("wheels")
    for given in (installing.FROM_WHEELS, installing.FROM_INDEX):
        assert given.endswith(f"{jupyter} {anywidget} {sympy}")


def test_a_pip_that_fails_is_a_sentence_and_leaves_nothing(tmp_path, monkeypatch, quick):
    answer(monkeypatch, 1, "WARNING: slow\nERROR: no route to the index\n")
    with pytest.raises(WorkshopError, match=r"wheels \(ERROR: no route to the index\); --offline"):
        build(tmp_path / "kit", 45, wheels=True)
    answer(monkeypatch, 1)
    with pytest.raises(WorkshopError, match="gives no reason"):
        build(tmp_path / "kit", 45, wheels=True)
    assert list(tmp_path.iterdir()) == []


def test_a_bnlab_without_its_repository_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(installing, "course_files", lambda: tmp_path)
    with pytest.raises(WorkshopError, match=r"installed from a wheel .*clone the repo"):
        build(tmp_path / "kit", 45, wheels=True)
    assert list(tmp_path.iterdir()) == []


def call(*command, cwd):
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PIP_FIND_LINKS")}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=clean, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def network(tmp_path, monkeypatch):
    """Give pip the network back that the tests cut, and see whether there is one."""
    for variable in PROXIES:
        monkeypatch.delenv(variable)
    probe = ["download", "--no-deps", "--retries=0", "--dest", tmp_path / "probe", "platformdirs"]
    command = [sys.executable, "-m", "pip", *map(str, probe)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("pip reaches no index from here")


@pytest.mark.slow
def test_a_fresh_environment_installs_from_the_kit_alone(tmp_path, monkeypatch, network):
    monkeypatch.setattr(building, "execute", lambda notebook, name: None)
    folder = build(tmp_path / "kit", 45, wheels=True) / "participants"
    assert not list((folder.parent / "wheels").glob("torch-*")), "no cell needs it, and it is large"
    for variable in PROXIES:  # from here on without a network again
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    venv.EnvBuilder(with_pip=True, symlinks=os.name != "nt").create(tmp_path / "room")
    scripts = tmp_path / "room" / ("Scripts" if os.name == "nt" else "bin")
    program, *arguments = installing.FROM_WHEELS.split()
    call(scripts / program, *arguments, cwd=folder)
    look = "import bnlab, jupyterlab, bnlab.data as d; print(len(d.load_digits().y_train))"
    assert call(scripts / program, "-c", look, cwd=tmp_path).strip() == "1145"


@pytest.mark.slow
def test_the_kit_carries_a_wheel_of_bnlab_made_without_a_network(tmp_path):
    installing.make_wheel(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == [installing.WHEEL]


def test_a_wheel_that_cannot_be_made_is_a_sentence(tmp_path, monkeypatch):
    answer(monkeypatch, 1, "ValueError: no such file")
    with pytest.raises(WorkshopError, match=r"could not be built \(ValueError: no such file\)"):
        installing.make_wheel(tmp_path)


@pytest.mark.slow
def test_a_bnlab_from_a_wheel_packs_itself_again(tmp_path):
    installing.make_wheel(tmp_path)
    venv.EnvBuilder(with_pip=True, symlinks=os.name != "nt").create(tmp_path / "room")
    python = tmp_path / "room" / ("Scripts" if os.name == "nt" else "bin") / "python"
    call(python, "-m", "pip", "install", "--no-deps", tmp_path / installing.WHEEL, cwd=tmp_path)
    ours = Path(importlib.metadata.distribution("numpy").locate_file("")).resolve()
    again = f"""
import sys; sys.path.append({str(ours)!r})
from pathlib import Path
from bnlab.tools.workshop import installing
installing.make_wheel(Path("again"))
"""
    (tmp_path / "again").mkdir()
    call(python, "-c", again, cwd=tmp_path)
    first, second = (
        {i.filename: i.CRC for i in zipfile.ZipFile(folder / installing.WHEEL).infolist()}
        for folder in (tmp_path, tmp_path / "again")
    )
    record = next(name for name in first if name.endswith("RECORD"))
    assert {name: second[name] for name in first if name != record} == {
        name: crc for name, crc in first.items() if name != record
    }


@pytest.mark.parametrize("wheels", [False, True])
def test_the_instructions_name_what_is_in_the_folder(wheels):
    text = installing.instructions(wheels)
    assert installing.FROM_INDEX in text
    assert (installing.FROM_WHEELS in text) == wheels
    assert f"\n   {installing.START}\n" in text
    assert "jupyterlab 00" not in text, "it would ask about news, and open with a dirty mark"
    assert max(map(len, text.splitlines())) <= 100
