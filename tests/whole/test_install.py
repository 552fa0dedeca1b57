"""The course as others install it, and the files that robots read."""

import json
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
LOOK = """
import json, bnlab, bnlab.data as data
from bnlab.course import progress
digits, files = data.load_digits(), data.course_files()
notebooks = sorted(p.name for p in (files / "notebooks").glob("*.ipynb"))
print(json.dumps([bnlab.__file__, str(files), len(digits.y_train), notebooks]))
"""
OUR_NOTEBOOKS = sorted(p.name for p in (ROOT / "notebooks").glob("*.ipynb"))


def call(*command, cwd, code=0):
    """Run a program as a learner would, without the paths of these tests, and return its output."""
    clean = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=clean, capture_output=True, text=True
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr * (code != 0)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel as ``pip wheel .`` does."""
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    offline = ["--no-deps", "--no-build-isolation", "--no-index"]
    call(sys.executable, "-m", "pip", "wheel", *offline, "-w", folder, ".", cwd=ROOT)
    (built,) = folder.glob("bnlab-*.whl")
    return built


def environment(folder, wheel):
    """Install a wheel in a fresh environment that borrows everything else from this one."""
    venv.EnvBuilder(symlinks=os.name != "nt").create(folder)
    scripts = folder / ("Scripts" if os.name == "nt" else "bin")
    python = scripts / ("python.exe" if os.name == "nt" else "python")
    pip = [sys.executable, "-m", "pip", "--python", python, "install"]
    call(*pip, "--no-deps", "--no-index", wheel, cwd=folder)
    # Only now, or pip would see the bnlab of this environment. A path that a .pth file adds comes
    # last, and .pth files there are not read: an editable bnlab stays out of the way.
    site = "import sysconfig; print(sysconfig.get_path('purelib'))"
    borrowed = Path(call(python, "-c", site, cwd=folder).strip()) / "borrowed.pth"
    borrowed.write_text(sysconfig.get_path("purelib") + "\n")
    return scripts, python


@pytest.fixture(scope="module")
def installed(tmp_path_factory, wheel):
    return environment(tmp_path_factory.mktemp("installed"), wheel)


@pytest.fixture
def editable():
    """Take this environment, if it was made as the README says, with ``pip install -e``."""
    origin = json.loads(distribution("bnlab").read_text("direct_url.json") or "{}")
    if not origin.get("dir_info", {}).get("editable"):
        pytest.skip("bnlab is not installed with pip install -e here")
    return sys.executable


def look(python, cwd):
    package, files, train, notebooks = json.loads(call(python, "-c", LOOK, cwd=cwd))
    assert (train, notebooks) == (1145, OUR_NOTEBOOKS)
    return Path(package).parent, Path(files)


@pytest.mark.slow
def test_the_wheel_carries_the_course(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert "bnlab/_files/data/digits.npz" in names
    carried = [Path(n).name for n in names if n.startswith("bnlab/_files/notebooks/")]
    assert sorted(n for n in carried if n.endswith(".ipynb")) == OUR_NOTEBOOKS
    assert OUR_NOTEBOOKS
    modules = {p.relative_to(ROOT).as_posix() for p in (ROOT / "bnlab").rglob("*.py")}
    assert modules <= set(names)


@pytest.mark.slow
def test_the_wheel_carries_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {n.split("/")[0].partition("-")[0] for n in names} == {"bnlab"}
    unwanted = ("__pycache__", ".ipynb_checkpoints", ".pytest_cache", ".part")
    assert [n for n in names if any(word in n for word in unwanted)] == []


@pytest.mark.slow
def test_an_installed_wheel_finds_its_course_from_anywhere(installed, tmp_path):
    package, files = look(installed[1], tmp_path)
    assert package.is_relative_to(installed[0].parent)
    assert files == package / "_files"


def test_an_editable_install_finds_the_clone_from_anywhere(editable, tmp_path):
    package, files = look(editable, tmp_path)
    assert package == ROOT / "bnlab"
    assert files == ROOT


@pytest.mark.slow
def test_the_installed_command_makes_a_working_copy(installed, tmp_path):
    command = installed[0] / "bnlab"
    assert call(command, "--version", cwd=tmp_path).startswith("bnlab ")
    call(command, "lab", "desk", "--copy-only", cwd=tmp_path)
    assert sorted(p.name for p in (tmp_path / "desk").glob("*.ipynb")) == OUR_NOTEBOOKS


@pytest.mark.slow
def test_the_installed_command_refuses_the_folder_of_the_package(installed, tmp_path):
    _, files = look(installed[1], tmp_path)
    command = [installed[0] / "bnlab", "lab", files / "notebooks", "--copy-only"]
    assert "belongs to the course itself" in call(*command, cwd=tmp_path, code=1)


# Workflows and Binder


@pytest.fixture(params=WORKFLOWS, ids=lambda file: file.name)
def workflow(request):
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load(request.param.read_text(encoding="utf-8"))


def test_there_are_workflows_for_the_tests_and_the_site():
    assert {file.name for file in WORKFLOWS} >= {"tests.yml", "docs.yml"}


def against_the_schema(*files):
    """Compare workflows with GitHub's own schema, of which check-jsonschema carries a copy."""
    pytest.importorskip("check_jsonschema")
    schema = ["--builtin-schema", "vendor.github-workflows"]
    command = [sys.executable, "-m", "check_jsonschema", *schema, *files]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.slow
def test_workflows_are_what_github_reads():
    done = against_the_schema(*WORKFLOWS)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("runs-on:", "run-on:"),
        ("schedule:", "schedules:"),
        ("contents: read", "contents: reed"),
        ("timeout-minutes: 45", "timeout-minutes: 45 min"),
    ],
)
def test_a_wrong_workflow_would_be_found(tmp_path, right, wrong):
    text = (ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8")
    assert right in text
    (tmp_path / "tests.yml").write_text(text.replace(right, wrong), encoding="utf-8")
    assert against_the_schema(tmp_path / "tests.yml").returncode == 1


def test_a_workflow_has_a_name_triggers_and_small_rights(workflow):
    triggers = workflow.get("on", workflow.get(True))  # YAML 1.1 reads `on` as true
    assert workflow["name"]
    assert {"push", "pull_request"} <= set(triggers)
    assert workflow["permissions"] == {"contents": "read"}


def test_every_job_says_where_it_runs_and_every_step_what_it_does(workflow):
    for job in workflow["jobs"].values():
        assert job["runs-on"]
        assert job["timeout-minutes"] <= 120
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step), step
            assert "uses" not in step or "@" in step["uses"]
            assert set(step) <= {"name", "id", "if", "uses", "with", "run", "env", "shell"}


def test_every_matrix_value_that_is_used_is_defined(workflow):
    for job in workflow["jobs"].values():
        matrix = job.get("strategy", {}).get("matrix", {})
        defined = set(matrix).union(*matrix.get("include", []))
        assert set(re.findall(r"\bmatrix\.([\w-]+)", str(job))) <= defined


def test_every_supported_python_and_system_is_tested():
    yaml = pytest.importorskip("yaml")
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text())["jobs"]
    matrix = jobs["tests"]["strategy"]["matrix"]
    assert matrix["python"] == ["3.11", "3.12", "3.13", "3.14"]
    systems = {system.partition("-")[0] for system in matrix["system"]}
    assert systems == {"ubuntu", "macos", "windows"}


def test_the_tests_also_run_each_week_and_with_the_oldest_packages():
    yaml = pytest.importorskip("yaml")
    flow = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text())
    (weekly,) = flow[True]["schedule"]  # YAML 1.1 reads `on` as true
    assert re.fullmatch(r"\d+ \d+ \* \* [0-6]", weekly["cron"])
    commands = {name: str(job["steps"]) for name, job in flow["jobs"].items()}
    assert "--resolution lowest-direct" in commands["oldest"]
    assert "--upgrade-strategy eager" in commands["tests"]
    assert ".ci/run" in commands["everything"]


def test_the_site_is_built_strictly_and_kept_ready_to_be_published():
    yaml = pytest.importorskip("yaml")
    flow = yaml.safe_load((ROOT / ".github" / "workflows" / "docs.yml").read_text())
    *_, build, keep = flow["jobs"]["site"]["steps"]
    assert "sphinx -W" in build["run"]
    assert keep["uses"].startswith("actions/upload-pages-artifact@")
    assert build["run"].endswith(f" docs {keep['with']['path']}")


def test_the_readme_job_runs_what_the_readme_says():
    yaml = pytest.importorskip("yaml")
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text())["jobs"]
    commands = [step["run"] for step in jobs["readme"]["steps"] if "run" in step]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(commands) >= 4
    assert [c for c in commands if c.replace(" --copy-only", "") not in readme] == []


def test_everybody_is_told_to_install_the_same_torch():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = [d for d in project["optional-dependencies"]["course"] if d.startswith("torch")]
    places = ["README.md", "docs/index.md", ".binder/postBuild", ".github/workflows/tests.yml"]
    for place in [*places, ".github/workflows/docs.yml"]:
        told = re.findall(r'install[^"\n]*"(torch[^"]*)"', (ROOT / place).read_text("utf-8"))
        assert set(told) == set(declared), place


def test_binder_gets_a_python_that_the_course_supports():
    yaml = pytest.importorskip("yaml")
    environment = yaml.safe_load((ROOT / ".binder" / "environment.yml").read_text())
    assert set(environment) == {"name", "channels", "dependencies"}
    assert environment["channels"] == ["conda-forge"]
    (python,) = [d for d in environment["dependencies"] if str(d).startswith("python=")]
    assert int(python.partition("=3.")[2]) >= 11


@pytest.mark.skipif(os.name == "nt", reason="Windows has no executable bit")
def test_binder_installs_the_course_after_it_is_copied():
    script = ROOT / ".binder" / "postBuild"
    assert os.access(script, os.X_OK)
    assert script.read_text().startswith("#!/bin/bash\nset -e")
    assert ".[course]" in script.read_text()
    subprocess.run(["bash", "-n", script], check=True)
