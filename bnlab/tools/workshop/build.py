"""Everything an instructor needs, in one new folder: all of it, or nothing."""

import os
import tempfile
import zipfile
from pathlib import Path

from bnlab.data import course_files
from bnlab.tools.doctor import MissingPackage
from bnlab.tools.lab import unopened
from bnlab.tools.workshop import installing
from bnlab.tools.workshop.closing import CLOSING, closing
from bnlab.tools.workshop.cutting import cut, lead_on
from bnlab.tools.workshop.formulas import load
from bnlab.tools.workshop.handout import handout
from bnlab.tools.workshop.plans import WorkshopError, read_plan
from bnlab.tools.workshop.schedule import schedule
from bnlab.tools.workshop.slides import write_slides
from bnlab.tools.workshop.solving import execute, with_notes, with_solutions

__all__ = ["WorkshopError", "build"]

LOOK_UP = ("glossary", "cheat_sheet")  # every summary card links to them
LONG_AGO = (1980, 1, 1, 0, 0, 0)  # equal notebooks make equal archives, whenever they are made


def build(destination, minutes=180, wheels=False, tell=lambda line: None):
    """Build the kit of a workshop in a new or empty folder; `tell` is given a line about each step.

    A WorkshopError says why there is no kit, and then nothing is left behind.
    """
    folder = Path(os.path.realpath(Path(destination).expanduser()))
    _refuse_what_is_in_use(folder)
    try:
        whole = read_plan(minutes)
        if wheels:
            installing.find_repository()  # says at once that there is none
        notebooks = {name: cut(notebook, minutes) for name, notebook in whole.items()}
        notebooks[CLOSING] = cut(closing(minutes, whole), minutes)
        lead_on(notebooks)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as room:
            kit = Path(room, "kit")
            tell("schedule and hand-out")
            kit.mkdir()
            _write(kit / "schedule.html", schedule(notebooks, minutes))
            _write(kit / "handout.html", handout(whole))
            _write_slides(kit / "slides", notebooks, tell)
            _write_participants(kit / "participants", notebooks, wheels, tell)
            _zip(kit / "participants", kit / "participants.zip")
            _write_solved(kit / "instructor", notebooks, tell)
            _write(kit / "INSTALL.txt", installing.instructions(wheels))
            if wheels:
                tell("wheels of everything that a participant installs, which takes minutes")
                installing.collect_wheels(kit / "wheels")
            _move(kit, folder)
    except MissingPackage as error:
        raise WorkshopError(str(error)) from error
    except OSError as error:
        raise WorkshopError(
            f"bnlab workshop build cannot write {folder} ({error.strerror}); "
            "choose a folder of your own, for example: bnlab workshop build ~/workshop"
        ) from error
    return folder


def _refuse_what_is_in_use(folder):
    if os.path.lexists(folder) and (not folder.is_dir() or any(folder.iterdir())):
        raise WorkshopError(
            f"bnlab workshop build needs a new or empty folder, and {folder} is in use; "
            "choose another name, or move what is there"
        )


def _write_slides(folder, notebooks, tell):
    folder.mkdir()
    for name, notebook in notebooks.items():
        tell(f"slides of {name}")
        write_slides(notebook, folder / f"{name}.html")


def _write_participants(folder, notebooks, wheels, tell):
    """Everything that a participant needs besides Python: what is zipped is what is sent.

    Below a question, an output would be its answer: there is none, as in what `bnlab lab` copies.
    """
    tell("participants' notebooks, and the wheel of bnlab")
    folder.mkdir()
    for name, notebook in notebooks.items():
        content = load("nbformat").writes(notebook).encode()
        (folder / f"{name}.ipynb").write_bytes(unopened(content))
    for name in LOOK_UP:
        content = (course_files() / "notebooks" / f"{name}.ipynb").read_bytes()
        (folder / f"{name}.ipynb").write_bytes(unopened(content))
    installing.make_wheel(folder)
    _write(folder / "INSTALL.txt", installing.instructions(wheels))


def _write_solved(folder, notebooks, tell):
    folder.mkdir()
    for name, notebook in notebooks.items():
        tell(f"instructor's notebook {name}, which is executed")
        solved = with_solutions(with_notes(notebook))
        execute(solved, name)
        load("nbformat").write(solved, folder / f"{name}.ipynb")


def _zip(folder, archive):
    """Zip a folder so that equal files give an equal archive."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for file in sorted(folder.iterdir()):
            entry = zipfile.ZipInfo(f"{folder.name}/{file.name}", LONG_AGO)
            entry.external_attr = 0o644 << 16
            packed.writestr(entry, file.read_bytes(), zipfile.ZIP_DEFLATED)


def _move(kit, folder):
    """Give the finished kit its name; should somebody have put a file there, nothing is lost."""
    if folder.is_dir():
        folder.rmdir()
    kit.rename(folder)


def _write(file, text):
    file.write_text(text, encoding="utf-8")
