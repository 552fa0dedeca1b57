"""`bnlab.tools.cli`: the command a learner types, up to a real JupyterLab that ends on Ctrl-C."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from typer.testing import CliRunner

import bnlab
from bnlab.tools import cli
from bnlab.tools.doctor import JUPYTER, CheckLine

NOTEBOOK = json.dumps({"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


@pytest.fixture
def course(tmp_path, monkeypatch):
    (tmp_path / "course" / "notebooks").mkdir(parents=True)
    (tmp_path / "course" / "notebooks" / "00_start_here.ipynb").write_text(NOTEBOOK)
    monkeypatch.setattr("bnlab.tools.lab.course_files", lambda: tmp_path / "course")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "course"


@pytest.fixture
def run(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *arguments: CliRunner().invoke(cli.app, arguments)


class FakeServer:
    """Stands for `subprocess.Popen`: ends by itself, after as many Ctrl-C as are given."""

    def __init__(self, interruptions=0, code=0, stays_for=0):
        self.interruptions, self.returncode, self.stays_for = interruptions, code, stays_for
        self.command, self.env, self.ended, self.terminated = None, None, False, False

    def __call__(self, command, env):
        self.command, self.env = command, env
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        assert self.ended, "bnlab must not leave before its server"

    def poll(self):
        return self.returncode if self.ended else None

    def wait(self, timeout=None):
        if timeout is not None and self.stays_for > timeout and not self.terminated:
            raise subprocess.TimeoutExpired("jupyterlab", timeout)
        if self.interruptions:
            self.interruptions -= 1
            raise KeyboardInterrupt
        self.ended = True

    def terminate(self):
        self.terminated = True


@pytest.fixture
def serve(monkeypatch):
    def install(**behaviour):
        server = FakeServer(**behaviour)
        monkeypatch.setattr(cli.subprocess, "Popen", server)
        monkeypatch.setattr(cli.importlib.util, "find_spec", lambda name: name)
        return server

    before = signal.getsignal(signal.SIGTERM)
    yield install
    signal.signal(signal.SIGTERM, before)


def test_version(run):
    assert run("--version").output == f"bnlab {bnlab.__version__}\n"


def test_help_names_the_commands(run):
    output = run("--help").output
    assert all(re.search(rf"\b{name}\b", output) for name in ["lab", "doctor", "progress"])


def test_the_command_line_starts_without_anything_heavy():
    code = "import bnlab.tools.cli, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    heavy = {"torch", "matplotlib", "jupyter_client", "jupyterlab", "joblib", "bnlab.course"}
    assert not heavy & set(loaded.stdout.split())
    assert "bnlab.tools.cli" in loaded.stdout.split()


# bnlab lab


def test_copy_only_copies_and_says_so(run, course, serve):
    server = serve()
    result = run("lab", "desk", "--copy-only")
    assert result.exit_code == 0
    assert re.search(r"added +00_start_here.ipynb +new in your folder", result.output)
    copy = (course.parent / "desk" / "00_start_here.ipynb").read_text()
    assert json.loads(copy)["cells"] == json.loads(NOTEBOOK)["cells"]
    assert server.command is None


def test_the_folder_is_bnlab_course_unless_told(run, course):
    run("lab", "--copy-only")
    assert (course.parent / "bnlab-course" / "00_start_here.ipynb").is_file()


def test_jupyterlab_starts_in_the_learners_folder(run, course, serve):
    server = serve()
    assert run("lab", "my desk", "--no-browser", "--port", "8899").exit_code == 0
    assert server.command[:3] == [sys.executable, "-m", "jupyterlab"]
    root = (course.parent / "my desk").resolve()
    wanted = {f"--ServerApp.root_dir={root}", "--no-browser", "--ServerApp.port=8899"}
    assert wanted <= set(server.command)


def test_jupyterlab_opens_the_first_notebook(run, course, serve):
    (course / "notebooks" / "01_more.ipynb").write_text(NOTEBOOK)
    server = serve()
    run("lab", "desk")
    assert "--LabApp.default_url=/lab/tree/00_start_here.ipynb" in server.command


def test_a_notebook_is_opened_where_it_lies_and_nothing_is_copied(run, course, serve):
    kit = course.parent / "kit"
    kit.mkdir()
    (kit / "my notes.ipynb").write_text(NOTEBOOK)
    server = serve()
    assert run("lab", "kit/my notes.ipynb").exit_code == 0
    assert f"--ServerApp.root_dir={kit.resolve()}" in server.command
    assert "--LabApp.default_url=/lab/tree/my%20notes.ipynb" in server.command
    assert "JUPYTER_CONFIG_PATH" in server.env
    assert [path.name for path in kit.iterdir()] == ["my notes.ipynb"]


def test_a_notebook_that_is_not_there_is_a_sentence_and_no_folder(run, course, serve):
    server = serve()
    result = run("lab", "01_gone.ipynb")
    assert result.exit_code == 1
    assert "there is no notebook 01_gone.ipynb" in result.output
    assert not (course.parent / "01_gone.ipynb").exists()
    assert server.command is None


@pytest.mark.parametrize("theirs", [None, "/theirs"])
def test_jupyterlab_does_not_ask_about_news_and_keeps_its_own_settings(
    run, course, serve, monkeypatch, theirs
):
    monkeypatch.delenv("JUPYTER_CONFIG_PATH", raising=False)
    if theirs:
        monkeypatch.setenv("JUPYTER_CONFIG_PATH", theirs)
    server = serve()
    run("lab", "desk")
    *before, ours = server.env["JUPYTER_CONFIG_PATH"].split(os.pathsep)
    assert before == ([theirs] if theirs else [])
    page = json.loads(Path(ours, "labconfig", "page_config.json").read_text())
    assert page == {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}


@pytest.mark.parametrize(("given", "threads"), [(None, "1"), ("4", "4")])
def test_kernels_use_one_thread_unless_told(run, course, serve, monkeypatch, given, threads):
    monkeypatch.delenv("OMP_NUM_THREADS")
    if given:
        monkeypatch.setenv("OMP_NUM_THREADS", given)
    server = serve()
    run("lab", "desk")
    assert server.env["OMP_NUM_THREADS"] == threads
    assert server.env["PATH"] == os.environ["PATH"]


def test_without_options_jupyter_opens_a_browser_at_its_own_port(run, course, serve):
    server = serve()
    run("lab")
    assert "--no-browser" not in server.command
    assert "port" not in " ".join(server.command[3:]).replace(str(course.parent), "")


@pytest.mark.parametrize(("user", "expected"), [(0, True), (1000, False)])
def test_root_is_allowed_only_where_the_learner_is_root(
    run, course, serve, monkeypatch, user, expected
):
    monkeypatch.setattr(os, "geteuid", lambda: user, raising=False)
    server = serve()
    run("lab")
    assert ("--allow-root" in server.command) == expected


def test_the_exit_code_is_that_of_jupyterlab(run, course, serve):
    serve(code=3)
    assert run("lab").exit_code == 3


def test_at_a_terminal_ctrl_c_is_left_to_jupyterlab(run, course, serve, monkeypatch):
    server = serve(interruptions=3, stays_for=60)
    monkeypatch.setattr(cli.sys, "stdin", type("Terminal", (), {"isatty": lambda _: True})())
    assert cli._wait(server) == 0
    assert not server.terminated


@pytest.mark.parametrize(("stays_for", "terminated"), [(1, False), (60, True)])
def test_without_a_terminal_ctrl_c_ends_a_server_that_did_not_hear_it(
    run, course, serve, stays_for, terminated
):
    server = serve(interruptions=1, stays_for=stays_for)
    assert run("lab").exit_code == 0
    assert server.terminated == terminated


def test_sigterm_reaches_the_server(run, course, serve):
    server = serve()
    run("lab")
    signal.getsignal(signal.SIGTERM)(signal.SIGTERM, None)
    assert server.terminated


def test_without_jupyterlab_a_sentence_says_what_to_install(run, course, serve, monkeypatch):
    server = serve()
    monkeypatch.setattr(cli.importlib.util, "find_spec", lambda name: None)
    result = run("lab", "desk")
    assert result.exit_code == 1
    assert server.command is None
    assert "JupyterLab is not installed" in result.output
    assert 'pip install -e ".[course]"' in result.output
    assert (course.parent / "desk" / "00_start_here.ipynb").is_file()


def test_a_folder_that_cannot_be_used_gets_one_sentence(run, course, serve):
    server = serve()
    (course.parent / "desk").write_text("my shopping list")
    result = run("lab", "desk")
    assert result.exit_code == 1
    assert re.fullmatch(r"bnlab lab needs a folder, but .* is a file; .*\n", result.output)
    assert server.command is None


@pytest.mark.parametrize(("name", "starts"), [("torch", True), (JUPYTER, False)])
def test_what_is_to_do_is_said_before_jupyterlab_starts(
    run, course, serve, monkeypatch, name, starts
):
    server = serve()
    line = CheckLine(name, False, f"not there; make it [now] {'x' * 300}")
    monkeypatch.setattr("bnlab.tools.doctor.to_do", lambda: [line])
    result = run("lab", "desk")
    assert re.search(rf"TO DO +{name} +not there; make it \[now\]", result.output)
    assert result.output.count("x") >= 300, "long words are folded, not cut"
    assert (result.exit_code, server.command is not None) == (0 if starts else 1, starts)
    assert ("JupyterLab would not start: see above." in result.output) != starts
    assert run("lab", "desk", "--copy-only").exit_code == 0


def test_a_port_out_of_range_is_refused(run, course):
    assert run("lab", "--port", "70000").exit_code == 2


# bnlab doctor, bnlab progress


@pytest.mark.parametrize(("ok", "code"), [(True, 0), (False, 1)])
def test_doctor_exits_with_what_it_found(run, monkeypatch, ok, code):
    lines = [CheckLine("disk", True, "84 GB"), CheckLine("kernel [x]", ok, "see [course]")]
    monkeypatch.setattr("bnlab.tools.doctor.examine", lambda kernel: lines)
    result = run("doctor")
    assert result.exit_code == code
    assert re.search(r"ok +disk +84 GB", result.output)
    assert re.search(rf"{'ok' if ok else 'TO DO'} +kernel \[x\] +see \[course\]", result.output)
    assert ("Everything is ready" in result.output) == ok
    assert ("1 of 2 lines say what to do" in result.output) != ok


def test_doctor_ends_with_the_command_of_this_folder(run, monkeypatch):
    monkeypatch.setattr("bnlab.tools.doctor.examine", lambda kernel: [])
    monkeypatch.setattr("bnlab.tools.doctor.start", lambda: "bnlab lab here.ipynb")
    said = "Everything is ready. Start with: bnlab lab here.ipynb\n"
    assert run("doctor").output.endswith(said)


@pytest.mark.parametrize(
    ("arguments", "kernel"), [(["doctor"], True), (["doctor", "--no-kernel"], False)]
)
def test_doctor_leaves_the_kernel_out_on_request(run, monkeypatch, arguments, kernel):
    asked = []
    monkeypatch.setattr("bnlab.tools.doctor.examine", lambda kernel: asked.append(kernel) or [])
    run(*arguments)
    assert asked == [kernel]


def test_progress_prints_what_exercises_say(run, monkeypatch, tmp_path):
    monkeypatch.setattr("bnlab.course.progress", lambda: "notebook 02: 1 of 3 [ok]")
    assert run("progress").output == "notebook 02: 1 of 3 [ok]\n"


# A real JupyterLab


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="process groups and signals are those of POSIX")
@pytest.mark.parametrize("alone", [True, False], ids=["bnlab alone", "its group"])
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_real_jupyterlab_answers_and_ends_cleanly(course, stop, alone):
    pytest.importorskip("jupyterlab")
    port = _free_port()
    code = (
        "import pathlib, bnlab.tools.lab as lab; from bnlab.tools.cli import app; "
        f"lab.course_files = lambda: pathlib.Path({str(course)!r}); "
        f"app(['lab', 'desk', '--no-browser', '--port', '{port}'])"
    )
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    command, room = [sys.executable, "-c", code], {"cwd": course.parent, "start_new_session": True}
    process = subprocess.Popen(command, text=True, **room, **pipes)
    try:
        assert _answer(f"http://127.0.0.1:{port}/lab", process) == 200
        (os.kill if alone else os.killpg)(process.pid, stop)
        output, _ = process.communicate(timeout=120)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    assert process.returncode == 0
    assert "Traceback" not in output
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/lab", timeout=2)


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _answer(url, process, seconds=60):
    """Status of the page, once the server is up."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5) as response:
                return response.status
        except OSError:
            time.sleep(0.2)
    return None


def test_a_tilde_that_the_shell_left_is_expanded(run, course, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    result = run("lab", "~/desk", "--copy-only")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "desk" / "00_start_here.ipynb").exists()
    assert not (tmp_path / "~").exists()


@pytest.mark.parametrize(
    "command",
    [
        ["lab", "~nobody-of-this-name/x"],
        ["workshop", "build", "~nobody-of-this-name/x"],
        ["experiment", "run", "S1", "--out", "~nobody-of-this-name/x"],
    ],
)
def test_the_home_of_nobody_gets_a_sentence(run, command):
    result = run(*command)
    assert result.exit_code == 1
    assert "there is no such user here; write the folder without ~" in result.output


def test_no_jobs_at_all_get_a_sentence(run):
    result = run("experiment", "run", "S4", "--jobs", "0")
    assert result.exit_code == 1
    assert "1 or more, or -1 for one a core" in result.output
