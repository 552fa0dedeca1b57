"""`bnlab workshop build --offline`: a room without a network installs from the kit."""

import os
import subprocess
import sys
import types
import venv

import pytest

pytest.importorskip("nbclient")
pytest.importorskip("latex2mathml")

from bnlab.data import course_files
from bnlab.tools.workshop import build as building
from bnlab.tools.workshop import offline
from bnlab.tools.workshop.build import build
from bnlab.tools.workshop.plans import WorkshopError

PROXIES = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(building, "execute", lambda notebook, name: None)


def answer(monkeypatch, code, said=""):
    """Stand for pip: note what it is asked, and return an exit code and a message."""
    asked = []

    def run(command, **_):
        asked.append(command)
        return types.SimpleNamespace(returncode=code, stderr=said)

    monkeypatch.setattr(offline.subprocess, "run", run)
    return asked


def test_wheels_and_instructions_are_added(tmp_path, monkeypatch, quick):
    asked = answer(monkeypatch, 0)
    kit = build(tmp_path / "kit", 45, wheels=True)
    text = (kit / "INSTALL.txt").read_text(encoding="utf-8")
    assert offline.INSTALL_LINE in text
    assert f"{sys.version_info.major}.{sys.version_info.minor} on" in text
    ((*_, option, folder, wanted),) = asked
    assert (option, wanted) == ("--wheel-dir", f"{course_files()}[course]")
    assert folder.endswith("wheels")


def test_a_pip_that_fails_is_a_sentence_and_leaves_nothing(tmp_path, monkeypatch, quick):
    answer(monkeypatch, 1, "WARNING: slow\nERROR: no route to the index\n")
    with pytest.raises(WorkshopError, match=r"wheels \(ERROR: no route to the index\); --offline"):
        build(tmp_path / "kit", 45, wheels=True)
    answer(monkeypatch, 1)
    with pytest.raises(WorkshopError, match="gives no reason"):
        build(tmp_path / "kit", 45, wheels=True)
    assert list(tmp_path.iterdir()) == []


def test_a_bnlab_without_its_repository_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(offline, "course_files", lambda: tmp_path)
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
def test_a_fresh_environment_installs_from_the_kit_alone(tmp_path, monkeypatch, quick, network):
    kit = build(tmp_path / "kit", 45, wheels=True)
    for variable in PROXIES:  # from here on without a network again
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    venv.EnvBuilder(with_pip=True, symlinks=os.name != "nt").create(tmp_path / "room")
    scripts = tmp_path / "room" / ("Scripts" if os.name == "nt" else "bin")
    program, *arguments = offline.INSTALL_LINE.replace('"', "").split()
    call(scripts / program, *arguments, cwd=kit)
    look = "import bnlab, torch, jupyterlab, bnlab.data as d; print(len(d.load_digits().y_train))"
    assert call(scripts / program, "-c", look, cwd=tmp_path).strip() == "1145"
    assert "Everything is ready" in call(scripts / "bnlab", "doctor", cwd=tmp_path)
