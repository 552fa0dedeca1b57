"""What the learner has done so far, in one small local file that never leaves the machine."""

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from bnlab.course.cards import BREAK, marked
from bnlab.course.exercises import library
from bnlab.course.exercises.answering import SURE
from bnlab.course.exercises.registry import all_exercises
from bnlab.course.writing import replacing
from bnlab.data import course_files

__all__ = ["Progress", "home", "progress", "remember"]


# The order in which the notebooks send their readers on. 01, about a word that others use, needs
# only 00 and is needed by none: what is left of it comes last.
ORDER = ("00", "02", "03", "04", "05", "06", "07", "08", "09", "10", "01")
HOW_SURE = ", how sure"  # is noted beside the name of a closed-book question


def home():
    """The folder of the progress file: ``BNLAB_HOME``, or the platform's place for user data."""
    import platformdirs

    return Path(os.environ.get("BNLAB_HOME") or platformdirs.user_data_dir("bnlab", False))


def remember(name, outcome, sure=None):
    """Note one check, and how sure the learner was of it, if that was asked.

    A correct answer stays noted; a folder that cannot be written is no error.
    """
    if outcome == "not attempted":
        return
    with contextlib.suppress(OSError):
        outcomes = _read()
        if outcomes.get(name) != "correct":
            outcomes |= {name: outcome} | ({f"{name}{HOW_SURE}": sure} if sure else {})
            text = json.dumps(outcomes, indent=1, sort_keys=True)
            with replacing(home() / "progress.json") as new:
                new.write_text(text, encoding="utf-8")


@dataclass(frozen=True)
class Progress:
    """Exercises done, by notebook, the next that is not yet correct, and what was kept."""

    rows: tuple  # of (notebook, done, total, minutes left)
    upcoming: str | None
    library: str  # a sentence; empty if there is none
    certain: tuple = ()  # of (question, notebook that taught it), answered wrongly and certainly

    def __str__(self):
        following = "Everything is done."
        if self.upcoming is not None:
            following = f"Next: {self.upcoming}, in notebook {self._where()}."
        lines = (
            f"notebook {n}: {done:2d} of {total:2d} exercises, {left:3d} minutes left"
            for n, done, total, left in self.rows
        )
        return "\n".join([*lines, *self._noted(), following])

    __repr__ = __str__

    def _where(self):
        return all_exercises()[self.upcoming].notebook

    def _noted(self):
        again = ", ".join(f"{name} (notebook {notebook})" for name, notebook in self.certain)
        look = f"You were certain, and it was wrong; look again: {again}." if again else ""
        return [sentence for sentence in (self.library, look) if sentence]

    def _repr_html_(self):
        cells = "".join(
            f"<tr><td>{n}</td><td>{done} of {total}</td><td>{left}</td></tr>"
            for n, done, total, left in self.rows
        )
        head = "<tr><th>notebook</th><th>exercises done</th><th>minutes left</th></tr>"
        closing = "".join(
            f"<p>{sentence}</p>" for sentence in [*map(marked, self._noted()), self._link()]
        )
        return f'<table>{head}{cells}</table><div style="{BREAK}">{closing}</div>'

    def _link(self):
        """What is next, with the notebook as a link beside this one."""
        if self.upcoming is None:
            return "Everything is done."
        number = self._where()
        notebook = f"notebook {number}"
        for file in (course_files() / "notebooks").glob(f"{number}_*.ipynb"):
            notebook = f'<a href="{file.name}">{notebook}</a>'
        return f"Next: {marked(self.upcoming)}, in {notebook}."


def progress():
    """What is done, what is kept in your library, what is next, and how many minutes are left.

    Returns
    -------
    Progress
        Prints as lines in a terminal and as a table in a notebook.
    """
    try:
        outcomes = _read()
    except OSError:
        outcomes = {}
    exercises = all_exercises()
    open_ones = [e for e in exercises.values() if outcomes.get(e.name) != "correct"]
    rows = []
    for notebook in sorted({e.notebook for e in exercises.values()}):
        here = [e for e in exercises.values() if e.notebook == notebook]
        left = [e for e in open_ones if e.notebook == notebook]
        minutes = sum(e.minutes for e in left)
        rows.append((notebook, len(here) - len(left), len(here), minutes))
    certain = tuple(
        (e.name, e.taught)
        for e in open_ones
        if getattr(e, "taught", "") and outcomes.get(f"{e.name}{HOW_SURE}") == SURE[-1]
    )
    first = min(open_ones, key=lambda e: ORDER.index(e.notebook), default=None)
    return Progress(tuple(rows), first and first.name, _library(), certain)


def _library():
    """What the library holds, without running it: a function there may take its time."""
    try:
        names = library.names()
    except library.LibraryProblem as problem:
        return f"{library.path()}: {problem}"
    count = f"{len(names)} function{'s' if len(names) > 1 else ''}"
    return f"{library.path()} holds {count}: {', '.join(names)}." if names else ""


def _read():
    file = home() / "progress.json"
    try:
        outcomes = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError):
        outcomes = None
    if isinstance(outcomes, dict):
        return outcomes
    _set_aside(file)
    return {}


def _set_aside(file):
    """Keep a damaged file under another name rather than overwrite it."""
    numbers = (i for i in range(1, 1000) if not file.with_suffix(f".damaged-{i}").exists())
    os.replace(file, file.with_suffix(f".damaged-{next(numbers)}"))
