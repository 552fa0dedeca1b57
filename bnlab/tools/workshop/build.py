"""Everything an instructor needs, in one new folder: all of it, or nothing."""

import os
import tempfile
import zipfile
from pathlib import Path

from bnlab.tools.doctor import MissingPackage
from bnlab.tools.workshop import offline
from bnlab.tools.workshop.cutting import cut
from bnlab.tools.workshop.formulas import load
from bnlab.tools.workshop.handout import handout
from bnlab.tools.workshop.plans import WorkshopError, read_plan
from bnlab.tools.workshop.schedule import schedule
from bnlab.tools.workshop.slides import write_slides
from bnlab.tools.workshop.solving import execute, with_notes, with_solutions

__all__ = ["WorkshopError", "build"]

LONG_AGO = (1980, 1, 1, 0, 0, 0)  # equal notebooks make equal archives, whenever they are made


def build(destination, minutes=180, wheels=False, tell=lambda line: None):
    """Build the kit of a workshop in a new or empty folder; `tell` is given a line about each step.

    A WorkshopError says why there is no kit, and then nothing is left behind.
    """
    folder = Path(os.path.realpath(Path(destination).expanduser()))
    _refuse_what_is_in_use(folder)
    try:
        notebooks = read_plan(minutes)
        repository = offline.find_repository() if wheels else None
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as room:
            kit = Path(room, "kit")
            _write_pages(kit, notebooks, minutes, tell)
            _write_solved(kit, notebooks, tell)
            if wheels:
                _write_wheels(kit, repository, tell)
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


def _write_pages(kit, notebooks, minutes, tell):
    """Everything that needs no kernel: what can go wrong early goes wrong early."""
    tell("schedule and hand-out")
    (kit / "participants").mkdir(parents=True)
    (kit / "slides").mkdir()
    _write(kit / "schedule.html", schedule(notebooks, minutes))
    _write(kit / "handout.html", handout())
    for name, notebook in notebooks.items():
        tell(f"slides and participants' notebook {name}")
        short = cut(notebook)
        load("nbformat").write(short, kit / "participants" / f"{name}.ipynb")
        write_slides(short, kit / "slides" / f"{name}.html")
    _zip(kit / "participants", kit / "participants.zip")


def _write_solved(kit, notebooks, tell):
    (kit / "instructor").mkdir()
    for name, notebook in notebooks.items():
        tell(f"instructor's notebook {name}, which is executed")
        solved = with_solutions(with_notes(cut(notebook)))
        execute(solved, name)
        load("nbformat").write(solved, kit / "instructor" / f"{name}.ipynb")


def _write_wheels(kit, repository, tell):
    tell("wheels of everything that a learner installs, which takes minutes")
    offline.collect_wheels(kit / "wheels", repository)
    _write(kit / "INSTALL.txt", offline.instructions())


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
