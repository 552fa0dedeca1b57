"""The notebooks as nbgrader assignments: four people hand in, and each gets what they deserve."""

import html
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import nbformat
import pytest

from bnlab.course.exercises.edits import source_of
from bnlab.course.exercises.exercise import Question
from bnlab.course.exercises.helping import solution_source
from bnlab.course.exercises.registry import all_exercises
from bnlab.course.exercises.report import WIDTH
from bnlab.data import course_files

pytest.importorskip("nbgrader")
pytestmark = pytest.mark.slow

CONFIG = Path(__file__).parents[2] / "nbgrader_config.py"
NOTEBOOKS = ("00_start_here.ipynb", "02_batchnorm_algorithm.ipynb")
EXERCISES = {n: e for n, e in all_exercises().items() if e.notebook in ("00", "02")}
MISTAKES = {
    "feature_means": "one_too_few",
    "batchnorm_forward": "unbiased_variance",
    "error_in_the_network": "logits_too",
}

# In a process of its own, for nbgrader's warnings about itself are errors in ours.
READ_SCORES = """
import json
from nbgrader.api import Gradebook
with Gradebook("sqlite:///gradebook.db") as book:
    handed_in = book.assignment_submissions("bn")
    print(json.dumps({
        one.student.id: {g.name: g.auto_score for n in one.notebooks for g in n.grades}
        for one in handed_in
    }))
"""


def run(course, *arguments):
    """Run Python in the course folder, blind to what the user's own Jupyter is told to do."""
    scripts = sysconfig.get_path("scripts")  # nbgrader calls alembic by its bare name
    environment = os.environ | {
        "JUPYTER_CONFIG_DIR": str(course / "jupyter"),
        "PATH": scripts + os.pathsep + os.environ.get("PATH", ""),
        "PYTHONUTF8": "1",
    }
    done = subprocess.run(
        [sys.executable, *arguments], cwd=course, env=environment, capture_output=True,
        encoding="utf-8", timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def nbgrader(course, *arguments):
    run(course, "-m", "nbgrader", *arguments)


def read(path):
    return nbformat.read(path, as_version=4)


def mark(cell, key):
    return cell.metadata.get("bnlab", {}).get(key)


def points():
    """grade_id of each check -> the points it is worth in the notebooks we ship."""
    cells = [c for n in NOTEBOOKS for c in read(course_files() / "notebooks" / n).cells]
    marks = [c.metadata.nbgrader for c in cells if mark(c, "check")]
    return {m.grade_id: m.points for m in marks}


def grade_id(exercise):
    return "check-" + exercise.replace("_", "-")


def mistake(exercise):
    (found,) = [m for m in EXERCISES[exercise].mistakes if m.name == MISTAKES[exercise]]
    return found


def mistake_source(exercise):
    """What somebody with this mistake writes into the cell."""
    if isinstance(EXERCISES[exercise], Question):
        return f"{exercise} = {mistake(exercise).answer!r}"
    return source_of(EXERCISES[exercise].reference, mistake(exercise).changes)


def tamper(notebook):
    """Delete the first check and make the others say nothing."""
    first, *others = [cell for cell in notebook.cells if mark(cell, "check")]
    notebook.cells.remove(first)
    for cell in others:
        cell.source = "pass"


def with_answers(answers):
    def fill_in(notebook):
        for cell in notebook.cells:
            if mark(cell, "exercise"):
                cell.source = "import numpy as np\n" + answers[mark(cell, "exercise")]

    return fill_in


def hand_in(course, student, edit):
    """Submit the released notebooks, each edited in place by a function."""
    folder = course / "submitted" / student / "bn"
    folder.mkdir(parents=True)
    for name in NOTEBOOKS:
        notebook = read(course / "release" / "bn" / name)
        edit(notebook)
        nbformat.write(notebook, folder / name)


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    course = tmp_path_factory.mktemp("course")
    (course / "source" / "bn").mkdir(parents=True)
    shutil.copy(CONFIG, course)
    for name in NOTEBOOKS:
        shutil.copy(course_files() / "notebooks" / name, course / "source" / "bn")
    nbgrader(course, "generate_assignment", "bn")
    return course


@pytest.fixture(scope="module")
def graded(released):
    solutions = {name: solution_source(name) for name in EXERCISES}
    mistakes = {name: mistake_source(name) for name in MISTAKES}
    hand_in(released, "solved", with_answers(solutions))
    hand_in(released, "mistaken", with_answers(solutions | mistakes))
    hand_in(released, "blank", lambda notebook: None)
    hand_in(released, "tampered", tamper)
    nbgrader(released, "autograde", "bn")
    nbgrader(released, "generate_feedback", "bn")
    return released


@pytest.fixture(scope="module")
def scores(graded):
    return json.loads(run(graded, "-c", READ_SCORES))


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_the_release_keeps_every_cell_as_we_wrote_it(released, name):
    shipped = [cell.source for cell in read(course_files() / "notebooks" / name).cells]
    assert [cell.source for cell in read(released / "release" / "bn" / name).cells] == shipped


def test_solutions_get_full_points(scores):
    assert scores["solved"] == points()


def test_a_blank_notebook_gets_nothing(scores):
    assert scores["blank"] == dict.fromkeys(points(), 0)


def test_deleted_and_edited_checks_are_put_back_and_fail(scores):
    assert scores["tampered"] == dict.fromkeys(points(), 0)


def test_mistakes_cost_their_own_points_and_no_others(scores):
    assert scores["mistaken"] == points() | {grade_id(name): 0 for name in MISTAKES}


@pytest.mark.parametrize("exercise", MISTAKES)
def test_feedback_names_the_mistake_in_lines_that_fit_and_without_a_traceback(graded, exercise):
    (name,) = [n for n in NOTEBOOKS if n.startswith(EXERCISES[exercise].notebook)]
    page = graded / "feedback" / "mistaken" / "bn" / name.replace(".ipynb", ".html")
    shown = re.sub(r"(?s)<(style|script)\b.*?</\1>", "", page.read_text(encoding="utf-8"))
    text = html.unescape(re.sub("<[^>]*>", "", shown))
    assert mistake(exercise).sentence in " ".join(text.split())
    assert not re.search(r"Traceback|CheckFailed|ipykernel|-->", text)
    said = text[text.index(f"{exercise}: incorrect") :].splitlines()
    assert max(map(len, said[: len(mistake(exercise).sentence) // WIDTH + 1])) <= WIDTH
