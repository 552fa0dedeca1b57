"""The rules that every notebook keeps, and the course with its solutions filled in.

What a notebook says of its cells in their metadata is listed in `lesson_rules.py`, which holds the
rules of the rewritten lessons.
"""

import ast
import itertools
import json
import os
import re
from pathlib import Path
from unittest import mock

import nbformat
import pytest
from lesson_rules import RULES, figures_are_followed_by_words
from nbval_within import tolerant

from bnlab.course.exercises.exercise import Exercise
from bnlab.course.exercises.helping import solution_source
from bnlab.course.exercises.registry import all_exercises
from bnlab.data import course_files
from bnlab.tools.workshop.plans import mark, parts_of

NOTEBOOKS = sorted((course_files() / "notebooks").glob("[0-9][0-9]_*.ipynb"))
EXERCISES = all_exercises()

# Numbers of the notebooks that are rewritten as workshops, such as "02": `RULES` apply to them, and
# the rules for the others no longer do.
WORKSHOP = frozenset({"00", "01", "02", "03", "04", "05", "06", "07", "08", "09", "10"})
REWRITTEN = [path for path in NOTEBOOKS if path.stem[:2] in WORKSHOP]
OTHERS = [path for path in NOTEBOOKS if path.stem[:2] not in WORKSHOP]

# Minutes of reading and of exercises that a notebook promises at its top.
MINUTES = {
    "00": (7, 5), "01": (17, 15), "02": (31, 28), "03": (32, 43), "04": (22, 18), "05": (25, 28),
    "06": (32, 28), "07": (28, 18), "08": (35, 13), "09": (45, 63), "10": (32, 23),
}  # fmt: skip

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
every_other_notebook = pytest.mark.parametrize("path", OTHERS, ids=lambda p: p.stem)


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(path):
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def exercises_of(path):
    return [e for e in EXERCISES.values() if e.notebook == path.stem[:2]]


def test_there_are_notebooks():
    assert NOTEBOOKS
    assert {path.stem[:2] for path in REWRITTEN} == WORKSHOP


@pytest.mark.parametrize("path", REWRITTEN, ids=lambda p: p.stem)
def test_a_rewritten_lesson_keeps_the_rules(path):
    notebook, number = read(path), path.stem[:2]
    assert {rule.__name__: found for rule in RULES if (found := rule(notebook, number))} == {}


@every_notebook
def test_it_is_stored_executed_and_valid(path):
    nbformat.validate(read(path))
    counts = [cell.execution_count for cell in code_cells(path)]
    assert counts == list(range(1, len(counts) + 1)), "run it from top to bottom before storing it"
    assert not any(o.output_type == "error" for c in code_cells(path) for o in c.outputs)


def test_the_first_code_cell_is_the_same_everywhere_and_hidden_where_it_can_be():
    """It says what to type where bnlab is missing; `test_faults.py` runs it there."""
    firsts = [code_cells(path)[0] for path in NOTEBOOKS]
    assert len({cell.source for cell in firsts}) == 1
    for cell in firsts:
        assert cell.metadata == firsts[0].metadata
        assert cell.outputs == []
    guard = firsts[0]
    assert guard.metadata["bnlab"] == {"guard": True}
    assert guard.metadata["jupyter"]["source_hidden"]
    assert "remove-cell" in guard.metadata["tags"]
    assert len(guard.source.splitlines()) <= 10
    assert not re.search(r"^[%!]", guard.source.partition('"""')[0], re.M)


@every_other_notebook
def test_its_cells_are_few_and_small(path):
    # The bug hunt of 09 is twenty cells by itself: ten answers, ten checks.
    assert len(code_cells(path)) <= (40 if path.stem.startswith("09") else 28)
    for cell in code_cells(path):
        assert len(cell.source.splitlines()) <= 20, cell.source


@every_notebook
def test_little_is_hidden_from_nbval(path):
    tagged = [cell.metadata.get("tags", []) for cell in code_cells(path) if cell.outputs]
    ignored = sum("nbval-ignore-output" in tags for tags in tagged)
    assert ignored <= 0.1 * len(tagged)
    assert not any("nbval-skip" in tags for tags in tagged)
    assert not any(re.search("# *NBVAL", cell.source) for cell in code_cells(path))


@every_other_notebook
def test_it_opens_and_closes_as_all_do(path):
    opening, *_, ending = parts_of(read(path))
    assert ending.kind == "ending"
    for words in ("What you will learn", "Before you start", "Time"):
        assert words in opening.cells[0].source
    for words in ("What you can now say", "Where people go wrong", "Further reading"):
        assert any(words in cell.source for cell in ending.cells)


@every_notebook
def test_its_sections_carry_their_minutes(path):
    cells = [c for c in read(path).cells if mark(c, "section") or mark(c, "minutes")]
    assert all(mark(c, "section") in ("core", "more") and mark(c, "minutes") for c in cells)
    assert all(c.cell_type == "markdown" and c.source.startswith("## ") for c in cells)
    assert sum(mark(c, "minutes") for c in cells) == sum(MINUTES[path.stem[:2]])


@every_notebook
def test_its_exercises_keep_their_minutes(path):
    assert sum(e.minutes for e in exercises_of(path)) == MINUTES[path.stem[:2]][1]


@every_notebook
def test_each_exercise_has_one_stub_and_one_locked_check(path):
    cells = code_cells(path)
    stubs = [mark(c, "exercise") for c in cells if mark(c, "exercise")]
    checks = [mark(c, "check") for c in cells if mark(c, "check")]
    assert stubs == checks
    own = {e.name for e in exercises_of(path)}
    assert sorted(set(stubs) & own) == sorted(own)
    assert len(stubs) == len(set(stubs))
    asked_again = {mark(c, "exercise") for c in cells if mark(c, "recall")}
    assert set(stubs) - own <= asked_again
    assert all(EXERCISES[name].notebook <= path.stem[:2] for name in asked_again)
    for cell in cells:
        if mark(cell, "check"):
            assert cell.metadata.nbgrader.locked
            assert cell.metadata.nbgrader.grade
            assert cell.metadata.nbgrader.points > 0
            name = mark(cell, "check")
            assert cell.source.strip() == f'check("{name}", {name})'
        if mark(cell, "exercise"):
            assert cell.metadata.nbgrader.solution
    ids = [c.metadata.nbgrader.grade_id for c in cells if "nbgrader" in c.metadata]
    assert len(ids) == len(set(ids))


@every_notebook
def test_stubs_are_empty_and_have_the_registered_signature(path):
    for cell in code_cells(path):
        name = mark(cell, "exercise")
        if name is None:
            continue
        tree = ast.parse(cell.source)
        exercise = EXERCISES[name]
        if isinstance(exercise, Exercise):
            (function,) = (n for n in tree.body if isinstance(n, ast.FunctionDef))
            assert function.name == name
            assert tuple(a.arg for a in function.args.args) == exercise.arguments
            assert ast.get_docstring(function)
            assert [ast.unparse(n) for n in function.body[1:]] == ["..."]
        else:
            assert ast.unparse(tree) == f"{name} = ..."


@every_notebook
def test_lessons_never_use_the_name_of_an_exercise(path):
    """Else a learner's wrong function would poison a lesson further down."""
    for cell in code_cells(path):
        if mark(cell, "exercise") or mark(cell, "check"):
            continue
        tree = ast.parse(cell.source)
        used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        imports = [n for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom)]
        imported = {alias.asname or alias.name for node in imports for alias in node.names}
        defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        assert not (used | imported | defined) & set(EXERCISES), cell.source


@every_notebook
def test_each_figure_is_followed_by_words(path):
    assert figures_are_followed_by_words(read(path), path.stem[:2]) == []


@every_notebook
def test_nothing_of_a_machine_is_stored(path):
    text = path.read_text(encoding="utf-8")
    here = str(course_files())
    for trace in ("/home/", "/root/", "/tmp/", "C:\\\\Users", "Traceback", here):
        assert trace not in text


@every_notebook
def test_a_stored_print_is_in_one_piece(path):
    for cell in code_cells(path):
        names = [o.get("name") for o in cell.outputs]
        assert not any(a == b and a for a, b in itertools.pairwise(names)), cell.id


def with_solutions(path):
    """The notebook as an instructor fills it in: each stub replaced by its solution."""
    notebook = read(path)
    for cell in notebook.cells:
        if mark(cell, "exercise"):
            cell.source = "import numpy as np\n" + solution_source(mark(cell, "exercise"))
    return notebook


def execute(notebook, folder):
    """Run it in this folder, by a learner who has kept nothing yet."""
    nbclient = pytest.importorskip("nbclient")
    client = nbclient.NotebookClient(
        notebook, timeout=120, resources={"metadata": {"path": folder}}
    )
    with mock.patch.dict(os.environ, BNLAB_LIBRARY=str(Path(folder, "my_batchnorm.py"))):
        client.execute()
    return notebook


@pytest.mark.slow
@every_notebook
def test_with_solutions_every_check_says_correct(path, tmp_path):
    notebook = execute(with_solutions(path), str(tmp_path))
    for cell in notebook.cells:
        if mark(cell, "check"):
            assert ": correct." in json.dumps(cell.outputs, ensure_ascii=False), cell.source


@pytest.mark.slow
@every_notebook
def test_wrong_answers_poison_nothing(path, tmp_path):
    """Every exercise answered by nonsense: the lessons print what they always print.

    But for `mine`, which says besides what is wrong with the answer.
    """
    notebook = read(path)
    stored = [_texts(cell) for cell in notebook.cells if cell.cell_type == "code"]
    for cell in notebook.cells:
        name = mark(cell, "exercise")
        if name:
            cell.source = f"def {name}(*arguments):\n    return 'nonsense'"
    execute(notebook, str(tmp_path))
    cells = [c for c in notebook.cells if c.cell_type == "code"]
    for cell, before in zip(cells, stored, strict=True):
        lesson = not (mark(cell, "check") or cell.metadata.get("tags"))
        if lesson:
            assert before == _texts(cell), cell.source


def _texts(cell):
    """Plain texts; pieces of one stream are joined, for a slow machine stores them apart."""
    printed = "".join(o["text"] for o in cell.outputs if o["output_type"] == "stream")
    printed = re.sub(r"^(\w+: the course's\.).*", r"\1", printed, flags=re.MULTILINE)
    shown = [o["data"].get("text/plain") for o in cell.outputs if "data" in o]
    return [tolerant(text, cell.metadata) for text in (printed, *shown)]


def test_the_course_is_found_from_the_tests():
    assert Path(course_files() / "data" / "digits.npz").is_file()
