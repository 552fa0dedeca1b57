"""`bnlab experiment run ... --at scale` and `experiment keep`: what a user types and sees."""

import pytest
from typer.testing import CliRunner

torch = pytest.importorskip("torch")

from small_cifar import write_small  # noqa: E402

from bnlab.course.experiments import results  # noqa: E402
from bnlab.course.experiments.scale import campaign, cifar, training  # noqa: E402
from bnlab.course.experiments.scale.runs import Run, read, write  # noqa: E402
from bnlab.tools import cli  # noqa: E402

FOUND = {
    "validation": [0.1, 0.5], "early": [0.4, 0.5], "late": [0.5, 0.5], "train": 0.5,
    "test": [0.5, 0.4, 0.3, 0.2], "seconds": 1.0,
}  # fmt: skip


@pytest.fixture
def experiment(tmp_path, monkeypatch):
    """`bnlab experiment ...` in an empty folder, with training that takes no time."""

    def train(run, folder, device):
        experiment.asked.append(run)
        if len(experiment.asked) == experiment.interrupt_at:
            raise KeyboardInterrupt
        return FOUND

    def experiment(*arguments):
        return CliRunner().invoke(cli.app, ["experiment", *map(str, arguments)])

    train.__module__ = training.train.__module__  # whose code is the fingerprint
    monkeypatch.setattr(campaign, "train", train)
    monkeypatch.setattr(results, "course_files", lambda: tmp_path / "course")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    experiment.asked, experiment.interrupt_at = [], None
    return experiment


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setattr(cifar, "check", lambda folder: None)  # it wants 10,000 test images
    return write_small(tmp_path / "cifar", monkeypatch)


def sentence(result):
    """The only line of what was refused; an exception of its own would have got past it."""
    assert isinstance(result.exception, SystemExit)
    assert result.exit_code == 1
    (line,) = result.output.splitlines()
    return line


def test_a_claim_is_run_on_cifar10_and_leaves_its_verdict(experiment, data, tmp_path):
    result = experiment("run", "w1", "--at", "scale", "--data", data, "--small", "--out", "there")
    assert result.exit_code == 0, result.output
    assert "W1, notebook 08. Said:" in result.output
    assert result.output.rstrip().endswith("4 of 4 runs and 1 verdicts are in there.")
    assert (tmp_path / "there" / "W1.txt").is_file()
    assert len(read(tmp_path / "there" / "scale.json")[0]) == 4
    assert [run.width for run in experiment.asked] == [16] * 4


def test_without_small_the_runs_are_those_of_the_course(experiment, data):
    assert experiment("run", "T5", "--at", "scale", "--data", data).exit_code == 0
    assert len(experiment.asked) == 6 * 3
    assert {(run.width, run.seed) for run in experiment.asked} == {(64, 0), (64, 1), (64, 2)}


def test_scale_runs_all_claims_that_have_a_plan(experiment, data):
    result = experiment("run", "scale", "--data", data, "--small", "--budget", 0)
    assert result.exit_code == 0
    assert "13 verdicts are in bnlab-results." in result.output
    assert experiment.asked == []


def test_ctrl_c_keeps_what_is_finished_and_the_same_command_goes_on(experiment, data, tmp_path):
    command = ("run", "W1", "--at", "scale", "--data", data, "--small", "--out")
    experiment(*command, "whole")
    experiment.asked, experiment.interrupt_at = [], 3
    result = experiment(*command, "there")
    assert result.exit_code == 130
    assert result.output.splitlines()[-1] == (
        "Stopped. What is finished is kept in there; the same command goes on there."
    )
    assert experiment(*command, "there").exit_code == 0
    assert len(experiment.asked) == 3 + 2
    for name in ("scale.json", "W1.txt"):
        there, whole = (tmp_path / folder / name for folder in ("there", "whole"))
        assert there.read_text() == whole.read_text()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["W1", "--at", "scale"], r"At scale the images are CIFAR-10's: --data DIR, the folder of"),
        (["scale"], "At scale the images are CIFAR-10's: --data DIR"),
        (["S1", "--at", "scale", "--data", "."], "S1 has no plan for CIFAR-10; choose one of W1, "),
        (["W1", "--at", "scale", "--data", "no-such"], "data_batch_1.bin is not in no-such; the"),
        (["W1", "--at", "scale", "--data", ".", "--jobs", "0"], "--jobs is the number of seeds"),
        (["W1", "--at", "large"], '--at is "digits" or "scale", got "large".'),
        (["scale", "--data", ".", "--seeds", "5"], "At scale the seeds are those of the plan, and"),
        (
            ["scale", "--data", ".", "--keep"],
            "At scale the seeds are those of the plan, and `bnlab",
        ),
        (["W1", "--small"], "--device, --budget and --small are for runs on CIFAR-10: add --at sc"),
        (["W1", "--budget", "3"], "--device, --budget and --small are for runs on CIFAR-10"),
        (["W1", "--device", "cuda"], "--device, --budget and --small are for runs on CIFAR-10"),
        (["W1", "--at", "scale", "--data", "~nobody-here"], "data_batch_1.bin is not in ~nobody"),
    ],
)
def test_what_cannot_be_run_gets_one_sentence(experiment, tmp_path, arguments, expected):
    assert sentence(experiment("run", *arguments)).startswith(expected)
    assert not (tmp_path / "bnlab-results").exists()


def test_a_truncated_file_gets_one_sentence(experiment, tmp_path):
    for name in cifar.TRAIN + cifar.TEST:
        (tmp_path / name).write_bytes(b"cut off")
    result = experiment("run", "W1", "--at", "scale", "--data", tmp_path)
    assert "data_batch_1.bin needs 30,730,000 bytes, got 7; unpack" in sentence(result)


def test_a_device_that_is_not_there_gets_one_sentence(experiment, data):
    command = ("run", "W1", "--at", "scale", "--data", data, "--device")
    for device in ("cuda:99", "gpu"):
        assert f"has no device '{device}' here; choose cuda, mps or cpu" in sentence(
            experiment(*command, device)
        )
    assert experiment.asked == []


def test_a_folder_that_cannot_be_written_gets_one_sentence(experiment, data, tmp_path):
    (tmp_path / "file").write_text("in the way")
    result = experiment("run", "W1", "--at", "scale", "--data", data, "--small", "--out", "file")
    assert isinstance(result.exception, SystemExit)
    assert "cannot be written in" in result.output.splitlines()[-1]


# keep


MADE = {"torch": "2.11.0", "images": "six files", "device": "a GPU", "code": "abc"}


def test_keep_says_how_many_there_are_now(experiment, tmp_path):
    write(tmp_path / "gpu" / "scale.json", {Run(): FOUND, Run(seed=1): FOUND}, **MADE)
    result = experiment("keep", "gpu")
    assert (result.exit_code, result.output) == (0, "2 runs at scale are kept now.\n")
    assert (tmp_path / "course" / "data" / "results" / "scale.json").is_file()


def test_keep_of_nothing_gets_one_sentence(experiment):
    line = sentence(experiment("keep", "nowhere"))
    assert line.startswith("nowhere/scale.json is not there; `bnlab experiment run scale --data")


def test_keep_of_runs_from_elsewhere_gets_one_sentence(experiment, tmp_path):
    for folder, device in (("one", "a GPU"), ("two", "another")):
        write(tmp_path / folder / "scale.json", {Run(): FOUND}, **MADE | {"device": device})
    assert experiment("keep", "one").exit_code == 0
    assert "have other images, devices or code; move that file away" in sentence(
        experiment("keep", "two")
    )
