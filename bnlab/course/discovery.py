"""Find what the lessons hold. The engines know no lesson by name: a new file is found by itself.

A lesson whose ``ON_REQUEST`` names a file keeps it out, for example one that needs torch.
"""

import importlib
import pkgutil

__all__ = ["lesson_modules"]

LESSONS = "bnlab.course.lessons"


def lesson_modules(*prefixes):
    """Import the modules of all lessons whose names start so, in the order of the notebooks.

    >>> [module.__name__ for module in lesson_modules("ex_start")]
    ['bnlab.course.lessons.nb00.ex_start_here']
    """
    return [
        importlib.import_module(f"{lesson.__name__}.{name}")
        for lesson in _lessons()
        for name in sorted(found.name for found in pkgutil.iter_modules(lesson.__path__))
        if name.startswith(prefixes) and name not in getattr(lesson, "ON_REQUEST", ())
    ]


def _lessons():
    folders = importlib.import_module(LESSONS).__path__
    names = sorted(found.name for found in pkgutil.iter_modules(folders))
    return [importlib.import_module(f"{LESSONS}.{name}") for name in names]
