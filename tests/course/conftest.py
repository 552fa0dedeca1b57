"""Each test of an exercise has a home and a library of its own, and no grader is around."""

import pytest

from bnlab.course.exercises import mine


@pytest.fixture(autouse=True)
def _own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("BNLAB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("BNLAB_LIBRARY", str(tmp_path / "my_batchnorm.py"))
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)
    monkeypatch.setattr(mine, "_last", {})
    monkeypatch.setattr(mine, "_passed", {})
