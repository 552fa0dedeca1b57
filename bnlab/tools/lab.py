"""The learner's working copy: the notebooks of the course, in a folder of their own.

One rule stands above all others: nothing that a learner wrote is overwritten or lost. A notebook is
replaced by a newer version only if nobody typed into it since it was put there. Otherwise it stays
byte for byte, and the newer version goes beside it as ``NAME.new-VERSION.ipynb``.

A small hidden file in the folder remembers what was put there, as one hash per notebook of what can
be typed into it (cell types, sources, attached pictures). Outputs are not part of that.

What is put there has no outputs. Below "predict" they would be the answer; the site shows them to
those who only read. It also has what JupyterLab would note by itself when the notebook is opened,
or an untouched notebook would be marked as unsaved: what the kernel says of its language, with the
version of Python here.

A workshop's notebooks come from another computer, so that one only learns here what to note. They
are opened where they lie (`make_ready`), and only those that nobody has opened yet are written.
"""

import contextlib
import hashlib
import itertools
import json
import os
import platform
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bnlab import __version__
from bnlab.course.writing import replacing
from bnlab.data import course_files

__all__ = ["CopyResult", "LabError", "fresh", "make_ready", "unopened", "working_copy"]

MANIFEST = ".bnlab-shipped.json"
# What the kernel says of its language, and JupyterLab notes in a notebook, besides the version.
LANGUAGE = {"codemirror_mode": {"name": "ipython", "version": 3}, "file_extension": ".py",
            "mimetype": "text/x-python", "name": "python", "nbconvert_exporter": "python",
            "pygments_lexer": "ipython3"}  # fmt: skip


class LabError(Exception):
    """The notebooks cannot be opened; the message says why and what to do."""


@dataclass(frozen=True)
class CopyResult:
    """What happened to one notebook of the course, and a sentence for the learner."""

    name: str
    action: str  # "added", "updated", "unchanged", "kept" (there is no newer one) or "beside"
    message: str


def working_copy(destination, source=None):
    """Put the notebooks of the course in a folder and keep what the learner wrote there.

    >>> import tempfile
    >>> course, desk = Path(tempfile.mkdtemp()), Path(tempfile.mkdtemp())
    >>> (course / "notebooks").mkdir()
    >>> _ = (course / "notebooks" / "00_start_here.ipynb").write_text('{"cells": []}')
    >>> working_copy(desk, source=course)[0].action
    'added'
    >>> working_copy(desk, source=course)[0].action
    'unchanged'
    """
    notebooks = Path(source or course_files()) / "notebooks"
    folder = Path(os.path.realpath(Path(destination).expanduser()))
    shipped = _read_course(notebooks)
    with _writing(folder, "choose a folder of your own, for example: bnlab lab ~/bnlab-course"):
        _refuse_unusable(folder, notebooks)
        folder.mkdir(parents=True, exist_ok=True)
        _try_to_write(folder)
        earlier = _read_manifest(folder)
        results = [_place(folder / name, new, earlier.get(name)) for name, new in shipped.items()]
        # Last: if we are interrupted before, the next run takes an older file for the learner's.
        _write_manifest(folder, earlier, shipped)
    return results


def make_ready(notebook):
    """Make a notebook and those beside it ready to be opened where they lie; copy nothing.

    >>> import tempfile
    >>> kit = Path(tempfile.mkdtemp(), "00_start_here.ipynb")
    >>> _ = kit.write_bytes(unopened(b'{"cells": []}'))
    >>> make_ready(kit)
    >>> kit.read_bytes() == fresh(b'{"cells": []}')
    True
    """
    notebook = Path(notebook).expanduser()
    folder = Path(os.path.realpath(notebook.parent))
    if not notebook.is_file():
        raise LabError(
            f"there is no notebook {notebook.name} in {folder}; go to the folder that has it, or "
            "open the whole course: bnlab lab"
        )
    _refuse_the_course(folder, course_files() / "notebooks")
    with _writing(folder, "copy the notebooks to a folder of your own"):
        _try_to_write(folder)
        for file in sorted(folder.glob("*.ipynb")):
            if _is_unopened(file):
                _write(file, fresh(file.read_bytes()))


@contextlib.contextmanager
def _writing(folder, advice):
    try:
        yield
    except OSError as error:
        raise LabError(
            f"bnlab lab cannot write in {folder} ({error.strerror}); make room there or {advice}"
        ) from error


def _try_to_write(folder):
    """Also where there is nothing to put: in JupyterLab, nothing could be saved."""
    with tempfile.TemporaryFile(dir=folder):
        pass


def _read_course(notebooks):
    """Contents by file name, all of them notebooks."""
    files = sorted(notebooks.glob("*.ipynb"))
    damaged = [file.name for file in files if _typed_in(file) is None]
    if damaged or not files:
        problem = f"damaged {' and '.join(damaged)}" if damaged else "no notebooks"
        raise LabError(f"the course has {problem} in {notebooks}; please install bnlab again")
    return {file.name: fresh(file.read_bytes()) for file in files}


def fresh(content):
    """A notebook as nobody has run it, in bytes, with the version of Python that will run it."""
    notebook = json.loads(unopened(content))
    notebook["metadata"]["language_info"] = LANGUAGE | {"version": platform.python_version()}
    return _as_bytes(notebook)


def unopened(content):
    """A notebook as no Jupyter has opened it, in bytes: no outputs, no notes on a language."""
    notebook = json.loads(content)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell |= {"execution_count": None, "outputs": []}
    notebook.setdefault("metadata", {}).pop("language_info", None)
    return _as_bytes(notebook)


def _as_bytes(notebook):
    return (json.dumps(notebook, indent=1, ensure_ascii=False) + "\n").encode()


def _is_unopened(file):
    """Whether a file is, byte for byte, a notebook that nobody has opened yet."""
    try:
        content = file.read_bytes()
        return unopened(content) == content
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return False


def _refuse_unusable(folder, notebooks):
    if folder.is_file():
        raise LabError(f"bnlab lab needs a folder, but {folder} is a file; choose another name")
    _refuse_the_course(folder, notebooks)


def _refuse_the_course(folder, notebooks):
    if any(os.path.exists(p) and p.samefile(notebooks) for p in (folder, *folder.parents)):
        raise LabError(
            f"{folder} belongs to the course itself, where an upgrade could replace your work; "
            "choose a folder of your own, for example: bnlab lab ~/bnlab-course"
        )


def _place(file, shipped, earlier):
    """Bring one notebook to the learner; `earlier` is the hash of what was put there before."""
    newest = _typed(shipped)
    if not os.path.lexists(file):
        _write(file, shipped)
        return CopyResult(file.name, "added", "new in your folder")
    yours = _typed_in(file)
    if yours is None:
        reason = "cannot be read as a notebook, so it stays as it is"
        return _place_beside(file, shipped, f"{reason}; a fresh copy is")
    if yours == newest:
        return CopyResult(file.name, "unchanged", "you have the newest version")
    if yours == earlier:
        _write(file, shipped)
        return CopyResult(file.name, "updated", "replaced by the newer version; it had no changes")
    if newest == earlier:
        return CopyResult(file.name, "kept", "has your changes; there is no newer version")
    return _place_beside(file, shipped, "has your changes, so it stays; the newer version is")


def _place_beside(file, shipped, reason):
    """Write under the first name that is free or that already holds this version."""
    tails = itertools.chain([""], (f"-{n}" for n in itertools.count(2)))
    names = (file.with_name(f"{file.stem}.new-{__version__}{tail}.ipynb") for tail in tails)
    newest = _typed(shipped)
    beside = next(n for n in names if not os.path.lexists(n) or _typed_in(n) == newest)
    if not beside.exists():
        _write(beside, shipped)
    return CopyResult(file.name, "beside", f"{reason} {beside.name}")


def _typed_in(file):
    """Hash of what is typed into a notebook file, or None if it cannot be read as a notebook."""
    try:
        return _typed(file.read_bytes())
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _typed(content):
    """Hash of what is typed into a notebook.

    An empty cell does not count: JupyterLab adds one whenever the last cell is run.
    """
    cells = [
        (cell["cell_type"], "".join(cell["source"]), cell.get("attachments") or {})
        for cell in json.loads(content)["cells"]
    ]
    written = [cell for cell in cells if cell[1].strip() or cell[2]]
    return hashlib.sha256(json.dumps(written).encode()).hexdigest()


def _read_manifest(folder):
    """Hashes by notebook; without a readable manifest every file counts as the learner's."""
    try:
        return {**json.loads((folder / MANIFEST).read_bytes())["shipped"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _write_manifest(folder, earlier, shipped):
    hashes = earlier | {name: _typed(content) for name, content in shipped.items()}
    if hashes != earlier:
        text = json.dumps({"bnlab": __version__, "shipped": hashes}, indent=1)
        _write(folder / MANIFEST, text.encode())


def _write(file, content):
    with replacing(file) as new:
        new.write_bytes(content)
