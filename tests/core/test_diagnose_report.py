"""What `diagnose` and `bnlab diagnose` print, and what they see in a file."""

import doctest
from pathlib import Path

import pytest
import torch
from diagnose_cases import Untraceable, after, batch, small
from torch import nn
from typer.testing import CliRunner

from bnlab.diagnose import ADVICE, Finding, Report, diagnose, diagnose_checkpoint
from bnlab.tools.cli import app

# The report.


def test_findings_are_grouped_and_the_worst_comes_first():
    pairs = [("a", "redundant bias"), ("b", "eps of 0"), ("c", "redundant bias"), ("b", "eps of 0")]
    report = Report.of(pairs, "3 batch norm layers")
    assert report == [Finding("eps of 0", ("b",)), Finding("redundant bias", ("a", "c"))]
    lines = str(report).splitlines()
    assert lines[0] == "2 findings in 3 batch norm layers:"
    assert lines[1] == f"- eps of 0 (b): {ADVICE['eps of 0']}"
    assert lines[2] == f"- redundant bias (a, c): {ADVICE['redundant bias']}"
    assert repr(report) == str(report)


@pytest.mark.parametrize(
    ("count", "names"),
    [(1, "0"), (8, "0, 1, 2, 3, 4, 5, 6, 7"), (9, "0, 1, 2, 3, 4, 5, 6, 7 and 1 more")],
)
def test_at_most_eight_names_are_printed_and_all_are_kept(count, names):
    report = Report.of([(str(k), "momentum") for k in range(count)], "some layers")
    assert f"momentum ({names}):" in str(report)
    assert report[0].layers == tuple(map(str, range(count)))


def test_a_clean_report_says_at_what_was_looked():
    assert str(diagnose(small())) == "Nothing found in 1 batch norm layer"
    assert str(diagnose(nn.BatchNorm1d(3))) == "Nothing found in 1 batch norm layer"
    two = nn.Sequential(*small(), nn.Linear(8, 4, bias=False), *small())
    assert str(diagnose(two)) == "Nothing found in 2 batch norm layers"


def test_a_report_says_what_could_not_be_followed():
    class Split(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear, self.norm = nn.Linear(4, 8), nn.BatchNorm1d(8)

        def forward(self, x):
            return self.norm(self.linear(x)) if x.sum() > 0 else x

    unseen = "; what lies below could not be followed for norm"
    assert str(diagnose(Split())) == f"Nothing found in 1 batch norm layer{unseen}"
    assert unseen not in str(diagnose(Untraceable(*small())))


def test_a_report_is_a_list_of_findings():
    report = diagnose(nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8)))
    assert [finding.problem for finding in report] == ["redundant bias"]
    assert len(report) == 1
    assert report != []
    assert diagnose(small()) == []


def test_html_names_everything_and_brings_no_colours():
    page = Report.of([("a<b>", "momentum"), ("c", "eps of 0")], "2 layers")._repr_html_()
    assert "<p>2 findings in 2 layers:</p>" in page
    assert page.index("eps of 0") < page.index("<b>momentum</b> <code>a&lt;b&gt;</code>")
    assert "1 - momentum" in page
    assert not any(word in page for word in ("color", "background", "<style", "<b>a"))


# Checkpoints.


@pytest.fixture
def save(tmp_path):
    def save(content):
        torch.save(content, tmp_path / "model.pt")
        return tmp_path / "model.pt"

    return save


def found(path):
    return {finding.problem: finding.layers for finding in diagnose_checkpoint(path)}


def test_a_trained_state_dict_has_nothing(save):
    report = diagnose_checkpoint(save(after(50, small()).state_dict()))
    assert report == []
    assert str(report).startswith("Nothing found in 1 layer of ")


def test_a_bare_layer_is_seen(save):
    assert found(save(nn.BatchNorm1d(3).state_dict())) == {"untouched statistics": ("",)}


@pytest.mark.parametrize(
    ("statistic", "value", "problem"),
    [
        ("running_mean", torch.nan, "non-finite statistics"),
        ("running_var", torch.inf, "non-finite statistics"),
        ("running_var", -0.1, "negative variance"),
        ("running_var", 0.0, "constant channel"),
    ],
)
def test_what_the_numbers_show_is_found_in_a_file(save, statistic, value, problem):
    model = after(50, small())
    getattr(model[1], statistic)[3] = value
    assert found(save(model.state_dict())) == {problem: ("1",)}


def test_state_dicts_are_found_inside(save):
    model, average = after(50, small()), small()
    optimizer = {"state": {0: {"step": torch.zeros(())}}, "param_groups": [{}]}
    content = {"epoch": 3, "model": model.state_dict(), "optimizer": optimizer}
    content["ema"] = {"state_dict": average.state_dict()}
    assert found(save(content)) == {"untouched statistics": ("ema.state_dict.1",)}


def test_few_batches_are_found_in_a_file(save):
    assert found(save(after(2, small()).state_dict())) == {"few batches": ("1",)}
    assert found(save(after(7, small()).state_dict())) == {}


def test_shared_memory_is_found_in_a_file(save):
    model = nn.Sequential(nn.BatchNorm1d(3), nn.BatchNorm1d(3))
    model[1].running_mean = model[0].running_mean
    model(batch(32, 3))
    assert "shared buffers" in found(save(model.state_dict()))


def test_a_file_without_statistics_says_so(save):
    report = diagnose_checkpoint(save(nn.Linear(2, 2).state_dict()))
    assert [finding.problem for finding in report] == ["no batch norm layer seen"]


class Harmful:
    def __reduce__(self):
        return print, ("it was executed",)


def test_nothing_in_a_file_is_executed(save, capsys):
    with pytest.raises(ValueError, match=r"tensors and plain values .* save model\.state_dict\(\)"):
        diagnose_checkpoint(save({"model": Harmful()}))
    assert "executed" not in capsys.readouterr().out


def test_a_whole_model_is_refused_with_a_sentence(save):
    with pytest.raises(ValueError, match=r"call diagnose\(model\) where the model is"):
        diagnose_checkpoint(save(small()))


def test_other_files_are_refused_with_a_sentence(tmp_path):
    (tmp_path / "notes.txt").write_text("no checkpoint")
    with pytest.raises(ValueError, match="is no file of tensors"):
        diagnose_checkpoint(tmp_path / "notes.txt")
    with pytest.raises(ValueError, match="there is no file"):
        diagnose_checkpoint(tmp_path / "missing.pt")


# The page about it, and the command.


def test_the_page_shows_what_is_printed():
    page = Path(__file__).parents[2] / "docs" / "diagnose.md"
    if not page.is_file():
        pytest.skip("bnlab is installed without its repository")
    test = doctest.DocTestParser().get_doctest(
        page.read_text("utf-8").replace("```", ""), {}, page.name, None, 0
    )
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    assert runner.run(test) == doctest.TestResults(failed=0, attempted=5)


def test_the_command_prints_the_report_and_fails_if_something_was_found(save):
    path = save(after(50, small()).state_dict())
    good = CliRunner().invoke(app, ["diagnose", str(path)])
    assert [good.exit_code, good.output] == [0, f"Nothing found in 1 layer of {path}\n"]
    bad = CliRunner().invoke(app, ["diagnose", str(save(small().state_dict()))])
    assert bad.exit_code == 1
    assert bad.output == f"{diagnose_checkpoint(path)}\n"


def test_the_command_refuses_with_a_sentence(tmp_path):
    result = CliRunner().invoke(app, ["diagnose", str(tmp_path / "missing.pt")])
    assert result.exit_code == 1
    assert "there is no file" in result.output
    assert "Traceback" not in result.output
