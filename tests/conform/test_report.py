"""What a report looks like: in a terminal, in a notebook, as JSON, and its exit status."""

import json
import re

import layers
import pytest
from typer.testing import CliRunner

from bnlab.conform import conform
from bnlab.conform.report import FILLS, Report, Row
from bnlab.conform.subject import stored
from bnlab.layers import BatchNorm
from bnlab.tools.cli import app

ROWS = (
    Row("one", "kept", "As it should be."),
    Row("two", "broken", "You forgot <b>.", 0.25, "x = [[1.0]]: y is [[0.]]", "a_mistake"),
    Row("three", "convention", "As in Keras.", value="old"),
    Row("four", "does not apply", "Not yet."),
    Row("five", "does not apply", "Not yet."),
)
REPORT = Report("my_batchnorm.py", ROWS, {"f": "yours", "g": "missing"})


def test_ok_is_that_nothing_is_broken():
    assert not REPORT.ok
    assert Report("all right", (ROWS[0], ROWS[2], ROWS[3])).ok


def test_a_row_in_words():
    assert str(ROWS[0]) == "✓ one: kept. As it should be."
    assert ROWS[1].text == (
        "You forgot <b>. Largest difference: 0.25. It shows with x = [[1.0]]: y is [[0.]]."
    )
    assert Row("", "broken", "It is nan.", float("inf")).text == "It is nan."


def test_text_summary_badge_and_conventions():
    assert repr(REPORT).splitlines()[:4] == [
        "my_batchnorm.py: 1 kept, 1 convention, 1 broken",
        "yours: f",
        "missing: g",
        "✓ one: kept. As it should be.",
    ]
    assert re.fullmatch(
        r"\*\*batch norm ✗\*\* `my_batchnorm\.py`: 1 kept, 1 convention, 1 broken "
        r"\(bnlab conform [\d.]+\)",
        REPORT.badge,
    )
    assert REPORT.conventions == {"three": "old"}
    assert REPORT["two"] is ROWS[1]


def test_html_is_escaped_and_puts_the_rest_at_the_end():
    text = REPORT._repr_html_()
    assert "&lt;b&gt;" in text
    assert "four<br>five" in text
    assert text.count("<tr>") == 4


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("colour", FILLS.values())
def test_labels_can_be_read_on_any_paper(colour):
    """A label brings its own paper, so the notebook's does not matter."""
    assert 1.05 / (luminance(colour) + 0.05) >= 4.5


def test_json_says_everything():
    found = json.loads(REPORT.to_json())
    assert found["ok"] is False
    assert found["rows"][1]["mistake"] == "a_mistake"
    assert found["conventions"] == {"three": "old"}
    endless = Report("x", (Row("a", "broken", "nan", float("inf")),))
    assert json.loads(endless.to_json())["rows"][0]["difference"] is None


def test_every_row_has_a_part_and_a_sentence():
    report = conform(BatchNorm)
    assert len({row.name for row in report.rows}) == len(report.rows) == 31
    assert all(row.sentence.endswith((".", ")")) for row in report.rows), report


@pytest.mark.parametrize("value", [5.0, 5.01, -4.99, 1e-3, 3.4e4, 0.0])
def test_bfloat16_is_rounded_as_torch_does(value):
    torch = pytest.importorskip("torch")
    import numpy as np

    want = torch.tensor([value]).to(torch.bfloat16).float().numpy()
    assert stored(np.array([value]), "bfloat16") == want


# The command


def run(*words):
    return CliRunner().invoke(app, ["conform", *words], env={"COLUMNS": "200"})


def test_command_kept():
    ran = run("torch.nn:BatchNorm1d")
    assert ran.exit_code == 0
    assert "✓ kept" in ran.output
    assert "27 kept, 0 conventions, 0 broken" in ran.output


def test_command_broken(tmp_path):
    path = tmp_path / "layers_of_mine.py"
    path.write_text((layers.__loader__.get_data(layers.__file__)).decode())
    ran = run(f"{path}:DetachedMean")
    assert ran.exit_code == 1
    assert "✗ broken" in ran.output
    assert "leaves out the way through the mean" in ran.output


def test_command_json():
    ran = run("bnlab.layers:BatchNorm", "--json")
    assert ran.exit_code == 0
    assert json.loads(ran.output)["ok"] is True


def test_command_without_a_target_that_can_be_loaded():
    ran = run("nothing_here:BatchNorm")
    assert ran.exit_code == 2
    assert ran.stderr.startswith("nothing_here is not installed here")
    assert len(ran.stderr.splitlines()) == 1
    assert ran.stdout == ""
