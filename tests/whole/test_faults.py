"""The course on bad machines: real processes, full disks, folders that cannot be written, kill -9.

Each fault gives one sentence that helps, nobody sees a traceback, and nothing is lost.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from bnlab.course.experiments import runner
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.course.experiments.panels import strip
from bnlab.course.experiments.rule import Part
from bnlab.course.experiments.runner import run
from bnlab.tools.lab import fresh

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="mounts, permission bits and kill -9 are POSIX's"),
]

ROOT = Path(__file__).resolve().parents[2]
BNLAB = [sys.executable, "-c", "from bnlab.tools.cli import app; app()"]
EXECUTE = [sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute"]
ONE_CHECK = """
from bnlab.course import check, progress, solution
answer = lambda x, eps: (x - x.mean(axis=0)) / (x.var(axis=0) + eps) ** 0.5
print(check("standardize", answer).outcome, progress().upcoming)
"""
# Root may write everywhere, unless it gives that right away.
WEAK = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] * (os.geteuid() == 0)


def ran(*command, cwd, **settings):
    """Run a program to its end."""
    env = {**os.environ, "COLUMNS": "300", **{k: str(v) for k, v in settings.items()}}
    command = [str(part) for part in command]
    pipes = {"capture_output": True, "stdin": subprocess.DEVNULL}
    return subprocess.run(command, cwd=cwd, env=env, text=True, **pipes)


def call(*command, cwd, **settings):
    """Run a program to its end; whatever happens, there is no traceback."""
    done = ran(*command, cwd=cwd, **settings)
    assert "Traceback" not in done.stdout + done.stderr
    assert "Exception ignored" not in done.stderr
    return done


def sentence(done):
    """What a command that could not do its work says about it: one line."""
    assert done.returncode == 1, done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    return line


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def mount(folder, *options):
    """Mount a small disk in memory on a folder, or skip the test."""
    folder.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", *options, "tmpfs", str(folder)]
    if os.geteuid() != 0 or not shutil.which("mount") or subprocess.run(command).returncode:
        pytest.skip("only root can mount a small disk")


@pytest.fixture
def disk(tmp_path):
    """An empty disk of 8 MB."""
    mount(tmp_path / "disk", "-o", "size=8m")
    yield tmp_path / "disk"
    subprocess.run(["umount", tmp_path / "disk"], check=True)


def fill(disk, leave=0):
    """Fill a disk with one file, but for some thousand bytes."""
    room = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    (disk / "full").write_bytes(bytes(room - 1024 * leave))


@pytest.fixture(params=["forbidden", "mounted read-only", "below a file"])
def closed(request, tmp_path):
    """A folder in which nobody can write."""
    folder = tmp_path / "closed"
    folder.mkdir()
    if request.param == "below a file":
        (folder / "file").touch()
        yield folder / "file" / "home"
    elif request.param == "forbidden":
        if WEAK and not shutil.which("setpriv"):
            pytest.skip("setpriv is needed to take root's rights away")
        folder.chmod(0o500)
        yield folder
        folder.chmod(0o700)
    else:
        mount(folder, "-o", "ro")
        yield folder
        subprocess.run(["umount", folder], check=True)


# Damaged data


@pytest.fixture(params=["cut", "changed"])
def damaged(request, tmp_path):
    """A copy of the course whose digits are not ours."""
    course, ignore = tmp_path / "course", shutil.ignore_patterns("__pycache__", "_files")
    for name in ("bnlab", "notebooks", "data"):
        shutil.copytree(ROOT / name, course / name, ignore=ignore)
    digits = course / "data" / "digits.npz"
    content = bytearray(digits.read_bytes())
    content[len(content) // 2] ^= 1
    digits.write_bytes(content[:5000] if request.param == "cut" else content)
    return course


def test_damaged_digits_are_named_by_every_command(damaged, tmp_path):
    named = "digits.npz is not the file bnlab came with (sha256); install bnlab again"
    settings = {"cwd": tmp_path, "PYTHONPATH": damaged}
    assert named in sentence(call(*BNLAB, "experiment", "run", "S2", **settings))
    doctor = call(*BNLAB, "doctor", "--no-kernel", **settings)
    lab = call(*BNLAB, "lab", "desk", "--copy-only", **settings)
    for done in (doctor, lab):
        (line,) = [line for line in done.stdout.splitlines() if line.startswith("TO DO")]
        assert named in line
    assert (doctor.returncode, lab.returncode) == (1, 0)
    assert len(list((tmp_path / "desk").glob("*.ipynb"))) == 13


# A folder that cannot be written


def test_a_closed_home_is_no_trouble_for_checks(closed, tmp_path):
    done = call(*WEAK, sys.executable, "-c", ONE_CHECK, cwd=tmp_path, BNLAB_HOME=closed)
    assert (done.stdout, done.stderr) == ("correct feature_means\n", "")
    done = call(*WEAK, *BNLAB, "progress", cwd=tmp_path, BNLAB_HOME=closed)
    assert done.stdout.endswith("Next: feature_means, in notebook 00.\n")
    assert done.returncode == 0


def test_with_a_closed_jupyter_folder_the_sentence_comes_before_the_traceback(closed, tmp_path):
    done = call(
        *WEAK, *BNLAB, "lab", "desk", "--no-browser", cwd=tmp_path, JUPYTER_RUNTIME_DIR=closed
    )
    assert sentence(done).endswith("JupyterLab would not start: see above.")
    assert "TO DO" in done.stdout
    assert "set HOME to a folder of your own" in done.stdout
    assert len(list((tmp_path / "desk").glob("*.ipynb"))) == 13


@pytest.mark.skipif(bool(WEAK) and not shutil.which("setpriv"), reason="root may write anywhere")
def test_a_folder_that_was_closed_later_gets_its_sentence_and_nothing_else(tmp_path):
    desk = tmp_path / "desk"
    call(*BNLAB, "lab", desk, "--copy-only", cwd=tmp_path)
    desk.chmod(0o500)
    done = call(*WEAK, *BNLAB, "lab", desk, cwd=tmp_path)
    desk.chmod(0o700)
    assert f"bnlab lab cannot write in {desk}" in sentence(done)
    assert done.stdout == ""


def test_a_closed_folder_is_no_place_for_notebooks_or_results(closed, tmp_path):
    done = call(*WEAK, *BNLAB, "lab", closed, cwd=tmp_path)
    assert f"bnlab lab cannot write in {closed}" in sentence(done)
    done = call(
        *WEAK, *BNLAB, "experiment", "run", "S2", "--seeds", 2, "--out", closed, cwd=tmp_path
    )
    assert "a result cannot be written" in sentence(done)


# A full disk


def test_a_full_disk_keeps_what_the_learner_wrote_and_the_next_run_completes(disk):
    desk = disk / "desk"
    call(*BNLAB, "lab", desk, "--copy-only", cwd=disk)
    mine = desk / "02_batchnorm_algorithm.ipynb"
    mine.write_text(json.dumps({"cells": [{"cell_type": "code", "source": "my_answer = 42"}]}))
    for number in ("03", "10"):
        next(desk.glob(f"{number}_*.ipynb")).unlink()
    fill(disk, leave=4)
    before = contents(desk)
    assert "No space left on device" in sentence(call(*BNLAB, "lab", desk, cwd=disk))
    assert contents(desk) == before
    (disk / "full").unlink()
    call(*BNLAB, "lab", desk, "--copy-only", cwd=disk)
    assert contents(desk).items() > before.items()
    assert len(list(desk.glob("*.ipynb"))) == 13


def results(folder):
    """What the files of a run hold, but for the seconds that it took."""
    found = contents(folder)
    for name, content in found.items():
        if name.suffix == ".npz":
            with np.load(folder / name) as arrays:
                found[name] = {n: arrays[n].tolist() for n in arrays.files if n != "seconds"}
        elif name.suffix == ".json":
            found[name] = json.loads(content) | {"seconds": None}
    return found


@pytest.mark.parametrize("leave", [0, 16, 40])
def test_results_on_a_full_disk_are_whole_or_not_there(disk, leave):
    command = [*BNLAB, "experiment", "run", "S2", "--seeds", 2, "--out", disk / "out"]
    call(*command, cwd=disk)
    expected = results(disk / "out")
    shutil.rmtree(disk / "out")
    fill(disk, leave)
    assert "(No space left on device); make room there" in sentence(call(*command, cwd=disk))
    left = results(disk / "out")
    assert left.items() <= expected.items()
    (disk / "full").unlink()
    call(*command, cwd=disk)
    assert results(disk / "out") == expected


def test_progress_on_a_full_disk_stays_as_it_was(disk, tmp_path):
    (disk / "progress.json").write_text('{"feature_means": "correct"}')
    fill(disk)
    done = call(sys.executable, "-c", ONE_CHECK, cwd=tmp_path, BNLAB_HOME=disk)
    assert done.stdout.startswith("correct ")
    assert (disk / "progress.json").read_text() == '{"feature_means": "correct"}'
    assert len(list(disk.iterdir())) == 2
    doctor = call(*BNLAB, "doctor", "--no-kernel", cwd=tmp_path, BNLAB_HOME=disk)
    assert "cannot be written (No space left on device)" in doctor.stdout
    assert "set BNLAB_HOME to a folder of your own" in doctor.stdout


def test_a_workshop_kit_on_a_full_disk_is_not_there_at_all(disk, tmp_path):
    (disk / "notes").write_text("mine")
    fill(disk, leave=300)
    done = call(*BNLAB, "workshop", "build", disk / "kit", "--minutes", 45, cwd=tmp_path)
    assert "No space left on device" in sentence(done)
    assert {p.name for p in disk.rglob("*") if p.is_file()} == {"full", "notes"}
    assert (disk / "notes").read_text() == "mine"


# kill -9

UPGRADES = """
import sys
from bnlab.tools.lab import working_copy
for course in sys.argv[2:]:
    print("", flush=True)
    working_copy(sys.argv[1], source=course)
"""


def kill_at_random(process, rng, longest):
    time.sleep(rng.uniform(0, longest))
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.fixture
def versions(tmp_path):
    """Folders of two versions of a course of six notebooks."""
    folders = [tmp_path / "version 0", tmp_path / "version 1"]
    for folder in folders:
        (folder / "notebooks").mkdir(parents=True)
        for number in range(6):
            cells = [{"cell_type": "code", "source": folder.name + " # " * 10_000}]
            (folder / "notebooks" / f"{number}.ipynb").write_text(json.dumps({"cells": cells}))
    return folders


def test_a_copy_that_is_killed_loses_nothing_and_the_next_completes(versions, tmp_path):
    """Thirty times: upgrades back and forth, without an end, until kill -9 hits one of them."""
    old, new = (
        {p.name: fresh(p.read_bytes()).decode() for p in v.glob("notebooks/*")} for v in versions
    )
    rng, desk, between = np.random.default_rng(0), tmp_path / "desk", 0
    desk.mkdir()
    (desk / "3.ipynb").write_text(mine := json.dumps({"cells": [], "mine": 42}))
    for _ in range(30):
        process = subprocess.Popen(
            [sys.executable, "-c", UPGRADES, desk, *1000 * versions], stdout=subprocess.PIPE
        )
        process.stdout.readline()
        kill_at_random(process, rng, longest=0.05)
        process.stdout.close()
        there = {p.name: p.read_text() for p in desk.glob("?.ipynb")}
        assert there.pop("3.ipynb", mine) == mine
        assert all(text in (old[name], new[name]) for name, text in there.items())
        between += len(there) < 5 or len({text[:99] for text in there.values()}) == 2
    assert between, "no upgrade was hit in its middle"
    call(sys.executable, "-c", UPGRADES, desk, *versions, cwd=tmp_path)
    assert {p.name for p in desk.glob("?.ipynb")} == set(new)
    assert (desk / "3.ipynb").read_text() == mine


@dataclass(frozen=True)
class Noise:
    """So little to compute that a run spends its time on writing."""

    seeds: tuple[int, ...] = tuple(range(40))


def noise(config):
    return {"noise": np.stack([np.random.default_rng(s).random(10_000) for s in config.seeds])}


def judge(arrays):
    return [Part("there are numbers", True, f"{arrays['noise'].size} numbers")]


def draw(arrays):
    return strip({"noise": arrays["noise"].mean(axis=1)}, "mean of the numbers")


CLAIM = Claim("R9", "Noise is noise.", "It is.", "experiment", "07", "Euclid")
NOISE = Experiment(CLAIM, Noise(), run=noise, judge=judge, draw=draw)
RUN = """
import sys, test_faults
from pathlib import Path
print("", flush=True)
test_faults.run(test_faults.NOISE, Path(sys.argv[1]))
"""


def test_a_run_that_is_killed_again_and_again_ends_with_the_same_results(tmp_path):
    out, rng, finished, kills = tmp_path / "out", np.random.default_rng(0), 0, 0
    while finished < 40:
        command, here = [sys.executable, "-c", RUN, out], Path(__file__).parent
        process = subprocess.Popen(command, cwd=here, stdout=subprocess.PIPE)
        process.stdout.readline()
        kills += 1
        kill_at_random(process, rng, longest=0.01 * kills)  # on a slow machine, too, it ends
        process.stdout.close()
        parts = list(out.glob("parts/R9/*.npz"))
        assert runner.finished(NOISE, out) == len(parts), "a file is there whole or not at all"
        assert len(parts) >= finished
        finished = len(parts)
    assert kills > 2
    run(NOISE, out)
    run(NOISE, tmp_path / "never killed")
    for name in ("R9.csv", "R9.txt"):
        assert (out / name).read_bytes() == (tmp_path / "never killed" / name).read_bytes()


# A kernel without a package


@pytest.fixture
def without(tmp_path):
    """Settings for a Python in which a package cannot be imported."""

    def settings(name):
        (tmp_path / f"{name}.py").write_text(
            f"raise ModuleNotFoundError(\"No module named '{name}'\", name='{name}')"
        )
        return {"cwd": tmp_path, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}

    return settings


@pytest.mark.parametrize("name", ["02_batchnorm_algorithm"])
def test_without_anywidget_a_sentence_and_a_still_stand_for_the_picture_to_move(without, name):
    settings = without("anywidget")
    notebook = ROOT / "notebooks" / f"{name}.ipynb"
    call(*EXECUTE, "--output", "run", "--output-dir", settings["cwd"], notebook, **settings)
    cells = json.loads((settings["cwd"] / "run.ipynb").read_text())["cells"]
    cells = [cell["outputs"] for cell in cells if cell["cell_type"] == "code"]
    said = [i for i, outputs in enumerate(cells) if "where anywidget is installed" in str(outputs)]
    assert len(said) == 1
    assert "data:image/png" in str(cells[said[0]])
    assert "x_hat by" in str(cells[said[0] + 1])  # the state can be read all the same


def test_without_torch_an_experiment_that_needs_it_says_so(without):
    done = call(*BNLAB, "experiment", "run", "A1", "--seeds", 2, **without("torch"))
    assert sentence(done) == (
        "A1 cannot run: No module named 'torch'; `bnlab doctor` says what to install"
    )


SAYS = "This cell needs torch. With it you see "
NEED_TORCH = {"02": 1, "03": 1, "05": 1, "06": 1, "09": 17, "10": 2}  # so many cells; the rest: 0
notebooks = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))


def executed(notebook, settings, *options):
    """The cells of a notebook after a run, and how the run ended.

    What our code raises is in the cells. A traceback in nbconvert's own log is of pyzmq, which now
    and then loses a socket when a kernel ends.
    """
    run = ["--output", "run", "--output-dir", settings["cwd"], *options]
    done = ran(*EXECUTE, *run, notebook, **settings)
    stored = settings["cwd"] / "run.ipynb"
    return json.loads(stored.read_text())["cells"] if stored.exists() else [], done


@pytest.mark.parametrize("notebook", notebooks, ids=lambda path: path.stem[:2])
def test_without_torch_a_notebook_runs_and_only_the_cells_that_need_it_say_so(without, notebook):
    cells, done = executed(notebook, without("torch"))
    assert done.returncode == 0, done.stderr
    said = [cell for cell in cells if SAYS in str(cell.get("outputs"))]
    assert len(said) == NEED_TORCH.get(notebook.stem[:2], 0)
    for cell in said:
        assert {output["name"] for output in cell["outputs"]} == {"stdout"}
        # A busy kernel sends a print in two pieces, the words and the end of the line.
        printed = "".join("".join(output["text"]) for output in cell["outputs"])
        assert re.fullmatch(rf"{SAYS}[^\n]*, then restart the kernel.\n", printed)


def test_without_sympy_03_runs_too(without):
    without("torch")  # which cannot be imported without it
    cells, done = executed(notebooks[3], without("sympy"))
    assert done.returncode == 0, done.stderr
    assert sum("This cell needs sympy." in str(cell.get("outputs")) for cell in cells) == 2


# Without bnlab, with an old one, without NumPy

GUARDS = {
    "bnlab": ("bnlab", "No module named 'bnlab'"),
    "numpy": ("numpy", "No module named 'numpy'"),
}


@pytest.mark.parametrize("missing", GUARDS)
def test_the_first_cell_is_an_error_that_says_what_to_type(without, missing):
    name, found = GUARDS[missing]
    cells, _ = executed(notebooks[2], without(name), "--allow-errors")
    (output,) = cells[1]["outputs"]
    assert output["output_type"] == "error"
    assert output["traceback"][0].startswith(f"{found}. Get the folder of the course")
    assert "%pip install -e " in output["traceback"][0]
    assert len(output["traceback"]) == 1


def test_an_old_bnlab_gets_the_same_sentence(tmp_path):
    (tmp_path / "bnlab" / "course").mkdir(parents=True)
    for folder in ("bnlab", "bnlab/course"):
        (tmp_path / folder / "__init__.py").touch()
    settings = {"cwd": tmp_path, "PYTHONPATH": tmp_path}
    cells, _ = executed(notebooks[2], settings, "--allow-errors")
    (output,) = cells[1]["outputs"]
    assert re.match(
        r"module 'bnlab.course' has no attribute 'mine'. Get the", output["traceback"][0]
    )
