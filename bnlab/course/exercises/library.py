"""`my_batchnorm.py`: the learner's own library, to which a function is added when it passes.

A plain module that imports NumPy and runs on its own. It only ever grows: a newer version is
written below the older one, and the last one counts, as in any module. So nothing that somebody
wrote there is lost, not even if two kernels add to it at once.
"""

import contextlib
import errno
import io
import itertools
import os
import traceback
import warnings
from pathlib import Path

from bnlab.course.exercises.exercise import Exercise
from bnlab.course.exercises.registry import find
from bnlab.course.exercises.standalone import CannotBeKept, standalone
from bnlab.course.exercises.statements import as_text, statements, users

__all__ = ["CannotBeKept", "LibraryProblem", "add", "functions", "names", "path"]

FILE = "my_batchnorm.py"
HEAD = '"""My batch norm: what I wrote in the course, in versions that passed their check."""\n\n' \
       "import numpy as np\n"  # fmt: skip


class LibraryProblem(CannotBeKept):
    """The file cannot be used: why, to be read after its name."""


def path():
    """Where the library is: ``BNLAB_LIBRARY``, or here, or in the folder that `bnlab lab` makes.

    A kernel runs beside its notebook, a command often in the folder above.
    """
    if place := os.environ.get("BNLAB_LIBRARY"):
        return Path(place)
    here, below = Path(FILE), Path("bnlab-course", FILE)
    return below if os.path.exists(below) and not os.path.lexists(here) else here


def names():
    """Names of the exercises whose functions the library defines; nothing in it is run."""
    found = (name for s in _parsed(_read()) for name in sorted(s.binds) if _is_answer(name))
    return list(dict.fromkeys(found))


def functions():
    """Name -> function for the exercises that the library answers; all that is in it is run."""
    return _run(_read())


def add(name, function, passes):
    """Write a function that has passed below what the library holds.

    It has to pass as it stands there, and what was right there before has to stay right:
    ``passes(name, function)`` tells. If it is not kept, a `CannotBeKept` says why.

    Returns
    -------
    function : callable
        The one made from the text that was kept: other cells cannot change what it uses.
    done : str
        A sentence.
    """
    before = _read()
    start = "" if before else HEAD
    held, wanted = _parsed(before + start), standalone(function, name)
    new = _new(wanted, held)
    text = f"{start}\n\n{as_text(new)}\n"
    made = _made(name, before, text, passes)
    # An earlier version that comes back is not written again: two in turn would never end.
    is_above = {s.meaning for s in wanted} <= {s.meaning for s in held}
    if not new or (is_above and passes(name, _run(before).get(name))):
        done = f"It is in {path().name} already"
        if _last(held).get(name) != _last(wanted).get(name):
            done += ", above a later version; the last one counts"
        return made[name], f"{done}."
    _refuse_harm(name, before, made, held, new, passes)
    _append(text)
    done = f"It is kept in {path().name}"
    if any(name in s.binds for s in held):
        done += ", below your earlier version; the last one counts"
    return made[name], f"{done}."


def _new(wanted, held):
    """What has to be written: all from the first statement that is not the last of its names."""
    last = _last(held)

    def counts(statement):
        return all(last.get(name) == statement.meaning for name in statement.binds)

    rest = itertools.dropwhile(counts, wanted)
    return [s for s in rest if not (s.is_import and counts(s))]


def _last(statements):
    """Name -> meaning of the last statement that binds it."""
    return {name: s.meaning for s in statements for name in s.binds}


def _made(name, before, text, passes):
    """What the library would define with the text, if the function passes there."""
    try:
        made = _run(before + text)
    except LibraryProblem:
        _run(before)  # if the file as it is cannot be run either, this says so
        made = {}
    if not passes(name, made.get(name)):
        raise CannotBeKept(
            "without the other cells it does not pass; put all that it uses into its own cell, "
            "then check again."
        )
    return made


def _refuse_harm(name, before, made, held, new, passes):
    """A `CannotBeKept` if another function there was right and would not be any more."""
    changed = {bound for s in new for bound in s.binds}
    for other in sorted(users(changed, held) & made.keys() - {name}):
        if not passes(other, made[other]) and passes(other, _run(before).get(other)):
            theirs = {n for s in held for n in s.binds | s.uses}
            clash = " and ".join(sorted(changed & theirs - {name})) or name
            raise CannotBeKept(
                f"with this {clash}, {other} in that file would no longer pass; rename yours."
            )


def _is_answer(name):
    return isinstance(find(name), Exercise)


def _read():
    try:
        return path().read_text(encoding="utf-8-sig")  # Windows may put a mark at the beginning
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError:
        raise LibraryProblem("the file is not UTF-8 text; save it as UTF-8.") from None
    except OSError as error:
        raise _no_access("read", error) from None


def _parsed(text):
    try:
        return statements(text)
    except SyntaxError as error:
        raise _no_python(error) from None


def _run(text):
    """The answers to exercises that a module with this text defines."""
    made, quiet = {"__name__": path().stem}, io.StringIO()
    try:
        with (
            contextlib.redirect_stdout(quiet),
            contextlib.redirect_stderr(quiet),
            warnings.catch_warnings(action="ignore"),
        ):
            exec(compile(text, path(), "exec", dont_inherit=True), made)
    except SyntaxError as error:
        raise _no_python(error) from None
    except BaseException as error:  # even exit() and an interrupted loop
        inside = error.__traceback__.tb_next
        where = f"line {inside.tb_lineno} of " if inside else ""
        told = traceback.format_exception_only(error)[-1].strip().rstrip(".")
        raise LibraryProblem(f"{where}the file raises {told}; correct it.") from None
    return {name: value for name, value in made.items() if _is_answer(name) and callable(value)}


def _append(text):
    """Add text at the end in one go, or leave the file as it was."""
    data = text.encode()
    try:
        with open(path(), "ab", buffering=0) as file:
            if (written := file.write(data)) < len(data):
                end = file.tell()
                if os.fstat(file.fileno()).st_size == end:  # nobody else has written below
                    file.truncate(end - written)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError as error:
        raise _no_access("written", error) from None


def _no_python(error):
    where = f"line {error.lineno} of " if error.lineno else ""
    return LibraryProblem(f"{where}the file has a syntax error ({error.msg}); correct it.")


def _no_access(what, error):
    return LibraryProblem(
        f"the file cannot be {what} ({error.strerror}); the environment variable BNLAB_LIBRARY can "
        "name another place."
    )
