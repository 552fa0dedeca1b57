"""The page "Test your own batch norm": its adapter is run as it stands there."""

import doctest
import re
import sys
from pathlib import Path

import pytest

from bnlab.conform import conform

PAGE = Path(__file__).parents[2] / "docs" / "conform.md"
pytestmark = pytest.mark.skipif(not PAGE.is_file(), reason="installed without the docs")


def blocks(language):
    text = PAGE.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def write(folder, repaired=False):
    """The two files of the page, the layer as it stands there or with the third term."""
    files = {re.match(r"# (\w+\.py)\n", b).group(1): b for b in blocks("python") if b[:2] == "# "}
    if repaired:
        (line,) = [b.strip() for b in blocks("python") if b.startswith("dx = ")]
        files["their_norm.py"] = re.sub(r"dx = .*", line, files["their_norm.py"])
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")


@pytest.fixture
def report(tmp_path, monkeypatch, request):
    write(tmp_path, repaired=request.param)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "their_norm", raising=False)
    yield conform(f"{tmp_path / 'their_adapter.py'}:Theirs")
    sys.modules.pop("their_norm", None)


@pytest.mark.parametrize(("report", "number"), [(False, 0), (True, 1)], indirect=["report"])
def test_the_adapter_finds_what_the_page_says(report, number):
    told = blocks("text")[number].strip()
    (broken,) = [str(row) for row in report.rows if row.verdict == "broken"]
    assert broken.startswith(told)


@pytest.mark.parametrize("report", [False], indirect=True)
def test_the_number_of_conventions(report):
    assert report.count["convention"] == 6
    assert "shows six conventions" in PAGE.read_text(encoding="utf-8")


def test_the_number_of_promises():
    from bnlab.layers import BatchNorm

    assert f"{len(conform(BatchNorm).rows)} promises" in PAGE.read_text(encoding="utf-8")


def test_the_examples_in_python():
    parser = doctest.DocTestParser()
    (code,) = [b for b in blocks("python") if b.startswith(">>>")]
    test = parser.get_doctest(code, {}, "conform.md", str(PAGE), 0)
    assert doctest.DocTestRunner().run(test).failed == 0
