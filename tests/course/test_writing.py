"""`bnlab.course.writing`: whatever happens, a file is the old one or the new one, and whole."""

import errno
import os
import stat
import time

import pytest

from bnlab.course import writing
from bnlab.course.writing import replacing

posix = pytest.mark.skipif(os.name == "nt", reason="permissions and links are those of POSIX")
FULL = OSError(errno.ENOSPC, "No space left on device")


def write(path, text):
    with replacing(path) as new:
        new.write_text(text)


def contents(folder):
    """Text by name of everything in a folder, what is hidden included; a folder's is None."""
    return {p.name: p.read_text() if p.is_file() else None for p in folder.iterdir()}


def test_a_file_and_its_folder_are_made_and_nothing_else_is_left(tmp_path):
    write(tmp_path / "deep" / "er" / "x.txt", "new")
    assert contents(tmp_path / "deep" / "er") == {"x.txt": "new"}


def test_the_path_to_write_to_has_the_same_ending(tmp_path):
    with replacing(tmp_path / "x.npz") as new:  # NumPy would add .npz to any other
        assert new.suffix == ".npz"
        new.touch()


@pytest.mark.parametrize("error", [FULL, KeyboardInterrupt()], ids=["disk full", "Ctrl-C"])
@pytest.mark.parametrize("when", ["while writing", "fsync", "replace"])
def test_an_interrupted_writer_leaves_the_old_file_and_no_half_one(
    tmp_path, monkeypatch, error, when
):
    def interrupt(*_):
        raise error

    write(tmp_path / "x.txt", "old")
    with monkeypatch.context() as patch, pytest.raises(type(error)):  # noqa: PT012
        if when != "while writing":
            patch.setattr(os, when, interrupt)
        with replacing(tmp_path / "x.txt") as new:
            new.write_text("half")
            if when == "while writing":
                interrupt()
    assert contents(tmp_path) == {"x.txt": "old"}
    write(tmp_path / "x.txt", "new")
    assert contents(tmp_path) == {"x.txt": "new"}


def test_the_file_is_complete_on_the_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    seen = []

    def replace(source, target, real=os.replace):
        seen.append((os.stat(source).st_dev == os.stat(tmp_path).st_dev, os.listdir(tmp_path)))
        real(source, target)

    monkeypatch.setattr(os, "fsync", lambda handle: seen.append(os.fstat(handle).st_size))
    monkeypatch.setattr(os, "replace", replace)
    with replacing(tmp_path / "x.txt") as new:
        new.write_text("whole")
    assert seen == [len("whole"), (True, [new.parent.name])]


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    with replacing(tmp_path / "x.txt") as first, replacing(tmp_path / "x.txt") as second:
        first.write_text("first")
        second.write_text("second")
    assert contents(tmp_path) == {"x.txt": "first"}, "the last one to finish has the name"


@posix
@pytest.mark.parametrize("mask", [0o022, 0o027, 0o077])
def test_others_may_read_it_as_any_file_of_this_user(tmp_path, mask):
    before = os.umask(mask)
    try:
        write(tmp_path / "x.txt", "new")
        assert stat.S_IMODE((tmp_path / "x.txt").stat().st_mode) == 0o666 & ~mask
    finally:
        os.umask(before)


@posix
@pytest.mark.parametrize("leads_somewhere", [True, False])
def test_a_link_is_replaced_and_what_it_points_to_stays(tmp_path, leads_somewhere):
    if leads_somewhere:
        (tmp_path / "target").write_text("mine")
    (tmp_path / "x.txt").symlink_to("target")
    write(tmp_path / "x.txt", "new")
    assert not (tmp_path / "x.txt").is_symlink()
    target = {"target": "mine"} if leads_somewhere else {}
    assert contents(tmp_path) == {"x.txt": "new"} | target


def test_what_a_killed_writer_left_is_removed_when_nobody_can_be_writing_it(tmp_path):
    with replacing(tmp_path / "x.txt") as new:
        ours = new.parent.name
        new.touch()
    young = ".bnlab-young.part"
    for name, age in ((ours, 2 * writing.DEAD), (young, 0), ("yours.part", 1e6)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.txt").write_text("half")
        os.utime(tmp_path / name, 2 * (time.time() - age,))
    write(tmp_path / "y.txt", "whole")
    assert sorted(os.listdir(tmp_path)) == sorted([young, "x.txt", "y.txt", "yours.part"])


def test_what_cannot_be_removed_is_no_error(tmp_path):
    (tmp_path / ".bnlab-old.part").write_text("no folder, so not ours")
    os.utime(tmp_path / ".bnlab-old.part", (0, 0))
    write(tmp_path / "x.txt", "whole")
    assert set(contents(tmp_path)) == {".bnlab-old.part", "x.txt"}
