"""Write a file whole or not at all: `replacing`.

What was there stays until all of the new file is on the disk. Then the new one takes its name,
which an operating system does in one go. What a killed process leaves behind is a hidden folder
ending in ``.part``; the next writer who comes by removes it.
"""

import contextlib
import os
import shutil
import tempfile
import time
from pathlib import Path

__all__ = ["replacing"]

DEAD = 60.0  # seconds; to write a file takes milliseconds, so an older ``.part`` has no owner
OWN = {"prefix": ".bnlab-", "suffix": ".part"}  # what this file makes, and so may remove


@contextlib.contextmanager
def replacing(path):
    """Give a path with the same ending to write to; the file takes this name if all went well.

    The folder is made if it is not there. A link is replaced, and what it points to stays.

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(Path(folder) / "x.txt") as new:
    ...         _ = new.write_text("whole")
    ...     [file.name for file in Path(folder).iterdir()]
    ['x.txt']
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path.parent)
    # A folder of our own: no other process has its name, and the file in it gets the permissions
    # of any other file, where one from `tempfile` would be closed to everybody else.
    with tempfile.TemporaryDirectory(dir=path.parent, **OWN) as own:
        new = Path(own, path.name)
        yield new
        with new.open("rb+") as file:  # Windows flushes only what is open for writing
            os.fsync(file.fileno())  # or after a power cut the name may be there and not the text
        os.replace(new, path)


def _remove_leftovers(folder):
    """Remove what killed processes left half-written in this folder, as far as one may."""
    with contextlib.suppress(OSError):
        for own in folder.glob("{prefix}*{suffix}".format(**OWN)):
            if time.time() - own.stat().st_mtime > DEAD:
                shutil.rmtree(own)
