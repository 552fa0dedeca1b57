"""`bnlab.tools.lab`: whatever happens, nothing that a learner wrote is lost."""

import errno
import json
import os
import platform
from pathlib import Path

import numpy as np
import pytest

from bnlab import __version__
from bnlab.tools import lab
from bnlab.tools.lab import (
    MANIFEST,
    CopyResult,
    LabError,
    fresh,
    make_ready,
    unopened,
    working_copy,
)

NAME = "02_batchnorm_algorithm.ipynb"
BESIDE = f"02_batchnorm_algorithm.new-{__version__}.ipynb"


def code(source, outputs=(), **extra):
    cell = {"cell_type": "code", "metadata": {}, "execution_count": None}
    return {**cell, "source": source, "outputs": list(outputs), **extra}


def notebook(*cells):
    cells = [cell if isinstance(cell, dict) else code(cell) for cell in cells]
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}).encode()


RESULT = {"output_type": "stream", "name": "stdout", "text": "2\n"}
# As they are put there; that `fresh` changes what is shipped has tests of its own.
FIRST, SECOND = fresh(notebook("1 + 1", "...")), fresh(notebook("1 + 1  # newer", "..."))
THIRD = fresh(notebook("third"))
FIRST_RUN = notebook(code("1 + 1", [RESULT]), "...")
EDITED = notebook("1 + 1", "def my_answer(): return 42")


@pytest.fixture
def course(tmp_path):
    folder = tmp_path / "course"
    ship(folder, FIRST)
    return folder


@pytest.fixture
def desk(tmp_path):
    return tmp_path / "desk"


def ship(course, content, name=NAME):
    (course / "notebooks").mkdir(parents=True, exist_ok=True)
    (course / "notebooks" / name).write_bytes(content)


def only(results):
    assert [type(r) for r in results] == [CopyResult]
    return results[0]


def contents(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}


def visible(folder):
    return {name: b for name, b in contents(folder).items() if not name.startswith(".")}


# What a run does


def test_first_run_copies_every_notebook_in_order_and_hides_its_manifest(course, desk):
    others = [f"{number:02d}.ipynb" for number in (10, 0, 9, 4, 6, 1)]
    for name in others:
        ship(course, SECOND, name)
    (course / "notebooks" / "notes.txt").write_text("not a notebook")
    results = working_copy(desk, source=course)
    assert {r.action for r in results} == {"added"}
    assert [r.name for r in results] == sorted([*others, NAME])
    assert visible(desk) == {NAME: FIRST} | dict.fromkeys(others, SECOND)
    assert set(contents(desk)) - set(visible(desk)) == {MANIFEST}


def test_second_run_touches_no_file(course, desk):
    working_copy(desk, source=course)
    before = {p: p.stat().st_mtime_ns for p in desk.iterdir()}
    assert only(working_copy(desk, source=course)).action == "unchanged"
    assert {p: p.stat().st_mtime_ns for p in desk.iterdir()} == before


def test_a_notebook_that_was_only_run_is_replaced_by_a_newer_version(course, desk):
    working_copy(desk, source=course)
    (desk / NAME).write_bytes(FIRST_RUN)
    ship(course, SECOND)
    assert only(working_copy(desk, source=course)).action == "updated"
    assert visible(desk) == {NAME: SECOND}
    assert only(working_copy(desk, source=course)).action == "unchanged"


def test_outputs_stay_while_there_is_no_newer_version(course, desk):
    working_copy(desk, source=course)
    (desk / NAME).write_bytes(FIRST_RUN)
    assert only(working_copy(desk, source=course)).action == "unchanged"
    assert visible(desk) == {NAME: FIRST_RUN}


def test_an_edited_notebook_stays_alone_while_there_is_no_newer_version(course, desk):
    working_copy(desk, source=course)
    (desk / NAME).write_bytes(EDITED)
    assert only(working_copy(desk, source=course)).action == "kept"
    assert visible(desk) == {NAME: EDITED}


def test_an_edited_notebook_stays_and_the_newer_version_goes_beside_it_once(course, desk):
    working_copy(desk, source=course)
    (desk / NAME).write_bytes(EDITED)
    ship(course, SECOND)
    result = only(working_copy(desk, source=course))
    assert result.action == "beside"
    assert "has your changes" in result.message
    assert BESIDE in result.message
    assert visible(desk) == {NAME: EDITED, BESIDE: SECOND}
    assert only(working_copy(desk, source=course)).action == "kept"
    assert visible(desk) == {NAME: EDITED, BESIDE: SECOND}


def test_two_upgrades_leave_two_newer_versions_beside(course, desk, monkeypatch):
    working_copy(desk, source=course)
    (desk / NAME).write_bytes(EDITED)
    for version, content in [("0.2.0", SECOND), ("0.3.0", THIRD)]:
        monkeypatch.setattr(lab, "__version__", version)
        ship(course, content)
        working_copy(desk, source=course)
    assert visible(desk) == {
        NAME: EDITED,
        "02_batchnorm_algorithm.new-0.2.0.ipynb": SECOND,
        "02_batchnorm_algorithm.new-0.3.0.ipynb": THIRD,
    }


@pytest.mark.parametrize("there", [EDITED, b"{", FIRST], ids=["edited", "damaged", "another"])
def test_the_newer_version_never_overwrites_what_has_its_name(course, desk, there):
    desk.mkdir()
    (desk / NAME).write_bytes(EDITED)
    (desk / BESIDE).write_bytes(there)
    ship(course, SECOND)
    result = only(working_copy(desk, source=course))
    second = f"02_batchnorm_algorithm.new-{__version__}-2.ipynb"
    assert second in result.message
    assert visible(desk) == {NAME: EDITED, BESIDE: there, second: SECOND}


def test_a_newer_version_that_is_beside_already_is_not_written_twice(course, desk):
    desk.mkdir()
    (desk / NAME).write_bytes(EDITED)
    (desk / BESIDE).write_bytes(FIRST_RUN)
    assert BESIDE in only(working_copy(desk, source=course)).message
    assert visible(desk) == {NAME: EDITED, BESIDE: FIRST_RUN}


def test_a_deleted_notebook_comes_back_fresh(course, desk):
    working_copy(desk, source=course)
    (desk / NAME).rename(desk / "mine.ipynb")
    assert only(working_copy(desk, source=course)).action == "added"
    assert visible(desk) == {NAME: FIRST, "mine.ipynb": FIRST}


def test_a_notebook_that_left_the_course_is_remembered_until_it_returns(course, desk):
    ship(course, FIRST, "another.ipynb")
    working_copy(desk, source=course)
    (course / "notebooks" / NAME).unlink()
    ship(course, SECOND, "another.ipynb")
    assert only(working_copy(desk, source=course)).name == "another.ipynb"
    ship(course, SECOND)
    assert [r.action for r in working_copy(desk, source=course)] == ["updated", "unchanged"]


def test_what_bnlab_did_not_put_there_is_the_learners(course, desk):
    desk.mkdir()
    (desk / NAME).write_bytes(SECOND)
    assert only(working_copy(desk, source=course)).action == "beside"
    assert visible(desk) == {NAME: SECOND, BESIDE: FIRST}


@pytest.mark.parametrize("manifest", [b"", b"\xff", b"[]", b'{"shipped": []}', b'{"shipped": 3}'])
def test_with_a_damaged_manifest_every_difference_is_the_learners(course, desk, manifest):
    working_copy(desk, source=course)
    (desk / MANIFEST).write_bytes(manifest)
    ship(course, SECOND)
    assert only(working_copy(desk, source=course)).action == "beside"
    assert visible(desk) == {NAME: FIRST, BESIDE: SECOND}
    assert only(working_copy(desk, source=course)).action == "kept"


UNREADABLE = [
    b"",
    b"{",
    b"\xff\xfe",
    b"[]",
    b"7",
    b'{"cells": 3}',
    b'{"cells": [{}]}',
    b'{"cells": [[]]}',
    b'{"cells": [{"cell_type": "code", "source": 1}]}',
    b"[" * 100_000,
]


@pytest.mark.parametrize("damaged", UNREADABLE, ids=range(len(UNREADABLE)))
def test_a_damaged_notebook_stays_and_a_fresh_copy_goes_beside_it(course, desk, damaged):
    working_copy(desk, source=course)
    (desk / NAME).write_bytes(damaged)
    result = only(working_copy(desk, source=course))
    assert "cannot be read as a notebook" in result.message
    assert visible(desk) == {NAME: damaged, BESIDE: FIRST}


def test_a_folder_with_the_name_of_a_notebook_stays(course, desk):
    (desk / NAME / "inside").mkdir(parents=True)
    assert only(working_copy(desk, source=course)).action == "beside"
    assert (desk / NAME / "inside").is_dir()
    assert visible(desk) == {BESIDE: FIRST}


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_a_link_that_leads_nowhere_stays(course, desk):
    desk.mkdir()
    (desk / NAME).symlink_to("gone.ipynb")
    (desk / BESIDE).symlink_to("gone too.ipynb")
    assert only(working_copy(desk, source=course)).action == "beside"
    assert (desk / NAME).is_symlink()
    assert (desk / BESIDE).is_symlink()


# As nobody has run it


def test_what_is_put_there_has_no_outputs_and_all_else(course, desk):
    text = {"cell_type": "markdown", "metadata": {"m": 1}, "source": "text", "attachments": {}}
    cell = code(["1 + ", "1"], [RESULT], id="a1", metadata={"bnlab": {"within": 0.1}})
    ship(course, notebook(text, cell | {"execution_count": 7}))
    working_copy(desk, source=course)
    there = json.loads((desk / NAME).read_bytes())["cells"]
    assert there == [text, cell | {"outputs": []}]


def test_outputs_of_a_newer_version_are_left_out_too(course, desk):
    working_copy(desk, source=course)
    ship(course, notebook(code("2", [RESULT]), "..."))
    assert only(working_copy(desk, source=course)).action == "updated"
    assert b"stdout" not in (desk / NAME).read_bytes()
    (desk / NAME).write_bytes(EDITED)
    ship(course, notebook(code("3", [RESULT]), "..."))
    assert only(working_copy(desk, source=course)).action == "beside"
    assert b"stdout" not in (desk / BESIDE).read_bytes()


def test_it_says_which_python_will_run_it_as_jupyterlab_would(course, desk):
    working_copy(desk, source=course)
    noted = json.loads((desk / NAME).read_bytes())["metadata"]["language_info"]
    assert noted["version"] == platform.python_version()
    kernel = pytest.importorskip("ipykernel.ipkernel").IPythonKernel
    assert noted == kernel.language_info


def test_letters_and_lines_stay_as_jupyter_writes_them():
    content = json.loads(notebook("γ = 1"))
    written = fresh(json.dumps(content).encode()).decode()
    assert '   "source": "γ = 1"' in written
    assert written.endswith("}\n")
    assert fresh(written.encode()).decode() == written


# Opened where it lies


@pytest.fixture
def kit(tmp_path):
    """A folder with two notebooks that nobody has opened, as a workshop has them."""
    folder = tmp_path / "kit"
    folder.mkdir()
    for name in ("00_start_here.ipynb", NAME):
        (folder / name).write_bytes(unopened(notebook(code("1 + 1", [RESULT]), "γ = ...")))
    return folder


def test_a_notebook_that_nobody_has_opened_has_no_outputs_and_no_notes(kit):
    there = json.loads((kit / NAME).read_bytes())
    assert [cell["outputs"] for cell in there["cells"]] == [[], []]
    assert "language_info" not in there["metadata"]
    assert unopened((kit / NAME).read_bytes()) == (kit / NAME).read_bytes()


def test_every_notebook_that_nobody_has_opened_learns_which_python_will_run_it(kit):
    before = contents(kit)
    make_ready(kit / "00_start_here.ipynb")
    assert contents(kit) == {name: fresh(content) for name, content in before.items()}
    assert contents(kit) != before


def test_a_second_run_and_other_files_are_left_alone(kit):
    make_ready(kit / NAME)
    (kit / "my_batchnorm.py").write_text("mine")
    (kit / "folder.ipynb").mkdir()
    before = {p: p.stat().st_mtime_ns for p in kit.iterdir()}
    make_ready(kit / NAME)
    assert {p: p.stat().st_mtime_ns for p in kit.iterdir()} == before


YOURS = {
    "run": notebook(code("1 + 1", [RESULT], execution_count=1)),
    "run, and nothing printed": notebook(code("a = 1", execution_count=1)),
    "saved by Jupyter": fresh(notebook("my = 1")),
    "saved by the Jupyter of another computer": fresh(notebook("1")).replace(b'"3.', b'"2.'),
    "made by another program": notebook("my = 1"),
    "written in one line": json.dumps(json.loads(unopened(notebook("1")))).encode(),
    "damaged": b"{",
    "no cells": b"{}",
    "a list": b"[]",
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("yours", YOURS.values(), ids=YOURS)
def test_what_somebody_has_opened_stays_byte_for_byte(kit, yours):
    (kit / NAME).write_bytes(yours)
    make_ready(kit / NAME)
    assert (kit / NAME).read_bytes() == yours


def test_no_notebook_of_a_clone_is_changed_where_another_bnlab_opens_it():
    files = sorted((lab.course_files() / "notebooks").glob("*.ipynb"))
    assert len(files) > 10
    assert not any(map(lab._is_unopened, files))


def test_what_is_typed_into_one_that_no_jupyter_has_saved_stays(kit):
    typed = (kit / NAME).read_bytes().replace("γ = ...".encode(), b"mine = 42")
    (kit / NAME).write_bytes(typed)
    make_ready(kit / NAME)
    assert json.loads((kit / NAME).read_bytes())["cells"] == json.loads(typed)["cells"]


def test_a_notebook_that_is_not_there_is_a_sentence_and_nothing_is_made(tmp_path):
    with pytest.raises(
        LabError, match=r"no notebook 00\.ipynb in .*; go to the folder .*bnlab lab"
    ):
        make_ready(tmp_path / "new" / "00.ipynb")
    assert list(tmp_path.iterdir()) == []


def test_a_notebook_of_the_courses_own_folder_is_not_opened_there(course, monkeypatch):
    monkeypatch.setattr(lab, "course_files", lambda: course)
    with pytest.raises(LabError, match=r"belongs to the course itself.*choose a folder"):
        make_ready(course / "notebooks" / NAME)
    assert contents(course / "notebooks") == {NAME: FIRST}


def test_where_a_kit_cannot_be_saved_the_sentence_comes_first(kit, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    before = contents(kit)
    monkeypatch.setattr(lab.tempfile, "TemporaryFile", refuse)
    with pytest.raises(
        LabError, match=r"cannot write in .*kit \(Permission denied\); .*copy the n"
    ):
        make_ready(kit / NAME)
    assert contents(kit) == before


# What counts as typed


@pytest.mark.parametrize(
    "cells",
    [
        ["1 + 1", "...", code([])],
        [code(["1 ", "+ 1"], [RESULT], id="a1"), code("...", execution_count=7)],
        ["1 + 1", code(" \n"), code("...", metadata={"trusted": True})],
    ],
    ids=["an empty cell at the end", "lines, outputs and ids", "blank cell and metadata"],
)
def test_what_jupyter_writes_by_itself_is_no_change(course, desk, cells):
    working_copy(desk, source=course)
    (desk / NAME).write_bytes(notebook(*cells))
    ship(course, SECOND)
    assert only(working_copy(desk, source=course)).action == "updated"


PICTURE = {"a.png": {"image/png": "iVBORw0KGgo="}}


@pytest.mark.parametrize(
    "cells",
    [
        ["1 + 1", ".. ."],
        ["1 + 1"],
        ["1 + 1", ""],
        ["...", "1 + 1"],
        ["1 + 1...", ""],
        ["1 + 1", "...", "# a note"],
        ["1 + 1", code("...", cell_type="markdown")],
        ["1 + 1", code("...", attachments=PICTURE)],
        ["1 + 1", "...", code("", attachments=PICTURE)],
    ],
    ids=["a space", "deleted", "emptied", "moved", "merged", "added", "type", "picture", "only"],
)
def test_everything_that_can_be_typed_is_a_change(course, desk, cells):
    working_copy(desk, source=course)
    yours = notebook(*cells)
    (desk / NAME).write_bytes(yours)
    ship(course, SECOND)
    assert only(working_copy(desk, source=course)).action == "beside"
    assert (desk / NAME).read_bytes() == yours


@pytest.mark.parametrize("seed", range(40))
def test_no_history_loses_a_word_that_was_typed(tmp_path, monkeypatch, seed):
    """Twenty random steps: edits, runs, upgrades, damage, and `bnlab lab` in between."""
    rng = np.random.default_rng(seed)
    monkeypatch.setattr(os, "fsync", lambda _: None)
    course, desk, typed = tmp_path / "course", tmp_path / "desk", set()
    ship(course, FIRST)
    for step in range(20):
        working_copy(desk, source=course)
        notebooks = sorted(desk.glob("*.ipynb"))
        file = notebooks[rng.integers(len(notebooks))]
        match rng.integers(6):
            case 0:
                typed.add(word := f"word{step};")
                file.write_bytes(file.read_bytes() + word.encode())
            case 1 | 2 if lab._typed_in(file):
                typed.add(word := f"word{step};")
                content = json.loads(file.read_bytes())
                content["cells"].append(code(word))
                file.write_bytes(json.dumps(content).encode())
            case 3:
                ship(course, notebook(f"version {rng.integers(4)}"))
                monkeypatch.setattr(lab, "__version__", f"0.{rng.integers(3)}.0")
            case 4:
                (desk / MANIFEST).write_bytes(b"{")
            case 5:
                ship(course, FIRST)
        everything = b"".join(visible(desk).values()).decode()
        assert all(word in everything for word in typed)


# Interruptions


FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("error", [FULL, KeyboardInterrupt()], ids=["disk full", "Ctrl-C"])
def test_an_interrupted_copy_is_as_if_it_had_not_begun(course, desk, monkeypatch, error):
    working_copy(desk, source=course)
    ship(course, SECOND)
    before = contents(desk)

    def interrupt(*_):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", interrupt)
        with pytest.raises((LabError, KeyboardInterrupt)):
            working_copy(desk, source=course)
    assert contents(desk) == before
    assert only(working_copy(desk, source=course)).action == "updated"


def test_a_copy_interrupted_before_its_manifest_is_completed_by_the_next(course, desk, monkeypatch):
    working_copy(desk, source=course)
    ship(course, SECOND)
    with monkeypatch.context() as patch:
        patch.setattr(lab, "_write_manifest", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            working_copy(desk, source=course)
    assert only(working_copy(desk, source=course)).action == "unchanged"
    ship(course, notebook("third"))
    assert only(working_copy(desk, source=course)).action == "updated"


# Refusals


def test_a_file_is_not_a_folder(course, desk):
    desk.write_text("my shopping list")
    with pytest.raises(LabError, match=r"needs a folder, but .*desk is a file; choose another"):
        working_copy(desk, source=course)
    assert desk.read_text() == "my shopping list"


def test_a_folder_below_a_file_cannot_be_made(course, desk):
    desk.write_text("my shopping list")
    with pytest.raises(LabError, match=r"cannot write in .*inside.*choose a folder of your own"):
        working_copy(desk / "inside", source=course)


def test_a_read_only_place_gets_a_sentence(course, desk, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(LabError, match=r"write in .*desk \(Permission denied\); .*choose a"):
        working_copy(desk, source=course)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_a_read_only_folder_gets_a_sentence(course, desk):
    desk.mkdir(mode=0o500)
    with pytest.raises(LabError, match="cannot write in"):
        working_copy(desk, source=course)


def test_where_nothing_can_be_saved_the_sentence_comes_even_if_nothing_is_to_be_put(
    course, desk, monkeypatch
):
    working_copy(desk, source=course)

    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(lab.tempfile, "TemporaryFile", refuse)
    with pytest.raises(LabError, match=r"cannot write in .*desk \(Permission denied\); .*choose a"):
        working_copy(desk, source=course)


@pytest.mark.parametrize(
    "place", ["course/notebooks", "course/notebooks/mine", "course/../course/notebooks/."]
)
def test_the_courses_own_folder_is_refused(tmp_path, course, place):
    with pytest.raises(LabError, match=r"belongs to the course itself.*choose a folder"):
        working_copy(tmp_path / place, source=course)
    assert contents(course / "notebooks") == {NAME: FIRST}


def test_a_relative_folder_inside_the_courses_own_is_refused(course, monkeypatch):
    (course / "notebooks" / "mine").mkdir()
    monkeypatch.chdir(course / "notebooks" / "mine")
    for place in (".", "..", "deeper"):
        with pytest.raises(LabError, match="belongs to the course itself"):
            working_copy(place, source=course)


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_a_link_to_the_courses_own_folder_is_refused(tmp_path, course):
    (tmp_path / "link").symlink_to(course / "notebooks")
    with pytest.raises(LabError, match="belongs to the course itself"):
        working_copy(tmp_path / "link", source=course)


def test_a_folder_beside_the_courses_own_is_welcome(course):
    assert only(working_copy(course / "desk", source=course)).action == "added"


def test_a_course_without_notebooks_says_so(tmp_path, desk):
    with pytest.raises(LabError, match=r"no notebooks in .*install bnlab again"):
        working_copy(desk, source=tmp_path)
    assert not desk.exists()


@pytest.mark.parametrize("damaged", [FIRST[:-20], b""])
def test_a_damaged_course_is_not_copied_and_the_sentence_names_the_notebook(course, desk, damaged):
    ship(course, FIRST, "00_start_here.ipynb")
    ship(course, damaged)
    with pytest.raises(LabError, match=rf"damaged {NAME} in .*install bnlab again"):
        working_copy(desk, source=course)
    assert not desk.exists()


def test_a_name_that_is_too_long_gets_a_sentence(course, desk):
    with pytest.raises(LabError, match=r"cannot write in .*choose a folder of your own"):
        working_copy(desk / ("x" * 5000), source=course)


def test_the_tilde_is_the_home_folder(course, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    working_copy("~/courses/my desk", source=course)
    assert (tmp_path / "courses" / "my desk" / NAME).is_file()


def test_without_a_source_the_notebooks_are_those_of_the_course(course, desk, monkeypatch):
    monkeypatch.setattr(lab, "course_files", lambda: course)
    assert only(working_copy(desk)).name == NAME
