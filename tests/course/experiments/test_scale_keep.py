"""Runs at scale, taken into the course: `keep_at_scale`, which needs no torch."""

import dataclasses

import pytest

from bnlab.course.experiments import results
from bnlab.course.experiments.campaign_at_scale import keep_at_scale
from bnlab.course.experiments.scale.runs import Run, read, write

MADE = {"torch": "2.11.0", "images": "six files", "device": "a GPU", "code": "abc"}


def finds(run):
    """Numbers that tell runs apart."""
    return {"validation": [0.1, run.lr], "test": [0.01 * run.seed] * 4}


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A course without results."""
    monkeypatch.setattr(results, "course_files", lambda: tmp_path / "course")
    return tmp_path / "course" / "data" / "results" / "scale.json"


def made(folder, runs, **other):
    write(folder / "scale.json", {run: finds(run) for run in runs}, **MADE | other)
    return folder


ONE, TWO = Run(lr=0.03), Run(norm="none", lr=0.03, seed=2)  # both belong to the plan of W1


def test_keep_takes_runs_in(tmp_path, course):
    assert keep_at_scale(made(tmp_path / "new", [ONE, TWO])) == 2
    assert read(course) == ({ONE: finds(ONE), TWO: finds(TWO)}, MADE)


def test_keep_puts_them_beside_those_that_are_there(tmp_path, course):
    keep_at_scale(made(tmp_path / "old", [ONE]))
    assert keep_at_scale(made(tmp_path / "new", [TWO], torch="2.13.0")) == 2
    assert read(course)[0] == {ONE: finds(ONE), TWO: finds(TWO)}


def test_the_newer_one_counts(tmp_path, course):
    keep_at_scale(made(tmp_path / "old", [ONE]))
    write(tmp_path / "new" / "scale.json", {ONE: finds(TWO)}, **MADE)
    assert keep_at_scale(tmp_path / "new") == 1
    assert read(course)[0] == {ONE: finds(TWO)}


def test_small_runs_are_not_taken(tmp_path, course):
    small = dataclasses.replace(ONE, width=16, images=5000, epochs=2)
    assert keep_at_scale(made(tmp_path / "new", [small, ONE, Run(lr=0.77)])) == 1
    assert list(read(course)[0]) == [ONE]


@pytest.mark.parametrize("name", ["images", "device", "code"])
def test_runs_from_elsewhere_are_refused(tmp_path, course, name):
    keep_at_scale(made(tmp_path / "old", [ONE]))
    before = course.read_text()
    sentence = "have other images, devices or code; move that file away to begin anew"
    with pytest.raises(ValueError, match=sentence):
        keep_at_scale(made(tmp_path / "new", [TWO], **{name: "another"}))
    assert course.read_text() == before


@pytest.mark.parametrize("content", ["", "{", "[]", '{"runs": [[{"size": 1}, {}]]}', '{"runs": 1}'])
def test_a_file_without_runs_gets_a_sentence(tmp_path, course, content):
    (tmp_path / "scale.json").write_text(content)
    with pytest.raises(
        ValueError, match=r"scale.json holds no runs at scale; run the same command"
    ):
        keep_at_scale(tmp_path)
    assert not course.exists()


def test_a_folder_without_runs_gets_a_sentence(tmp_path, course):
    with pytest.raises(
        ValueError, match=r"scale.json is not there; `bnlab experiment run scale --"
    ):
        keep_at_scale(tmp_path)
    assert not course.exists()
