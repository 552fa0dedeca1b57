"""A real IPython, whose cells define functions as those of a notebook do."""

from types import ModuleType

import pytest

from bnlab.course.exercises import mine

HEAD = "import numpy as np\nfrom bnlab.course import check, mine, progress"


@pytest.fixture(scope="session")
def _ipython(tmp_path_factory):
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    place = str(tmp_path_factory.mktemp("ipython"))
    config = Config({"HistoryManager": {"enabled": False}})
    shell = InteractiveShell(config=config, ipython_dir=place, user_module=ModuleType("learner"))
    return shell, dict(shell.user_ns)


@pytest.fixture
def restart(_ipython, monkeypatch):
    """A new kernel: no name is defined and nothing was checked."""
    shell, at_first = _ipython

    def again():
        shell.user_ns.clear()
        shell.user_ns.update(at_first)
        monkeypatch.setattr(mine, "_last", {})
        monkeypatch.setattr(mine, "_passed", {})
        shell.run_cell(HEAD).raise_error()

    return again


@pytest.fixture
def cell(_ipython, restart):
    """Run a cell, and raise what it raises."""

    def run(source):
        _ipython[0].run_cell(source).raise_error()

    restart()
    return run


@pytest.fixture
def names(_ipython):
    """What the cells have defined, by name."""
    return _ipython[0].user_ns
