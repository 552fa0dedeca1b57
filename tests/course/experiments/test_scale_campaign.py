"""Many runs at scale: resumed, interrupted and out of time."""

import dataclasses
import functools
import json
import re

import pytest

torch = pytest.importorskip("torch")

from small_cifar import write_small  # noqa: E402

from bnlab.course.experiments.at_scale import FULL, Size, plans  # noqa: E402
from bnlab.course.experiments.campaign_at_scale import (  # noqa: E402
    choose_at_scale,
    run_at_scale,
)
from bnlab.course.experiments.files import ResultsError  # noqa: E402
from bnlab.course.experiments.scale import campaign, cifar, training  # noqa: E402
from bnlab.course.experiments.scale.campaign import Place, run_all  # noqa: E402
from bnlab.course.experiments.scale.runs import Run, changed, read, write  # noqa: E402

RUNS = [Run(), Run(seed=1), Run(norm="none", lr=0.3)]
MADE = {"torch": "2.11.0", "images": "six files", "device": "a GPU", "code": "abc"}


def finds(run):
    """Numbers that tell runs apart."""
    share = run.lr / 10 + run.seed / 100
    numbers = {"validation": [0.1, share], "test": [share] * 4, "train": share, "seconds": 1.5}
    return numbers | {"early": [share, share], "late": [share, share]}


class FakeTrain:
    """Training that takes no time, and remembers which runs it was asked for."""

    __module__ = training.train.__module__  # whose code is the fingerprint

    def __init__(self):
        self.asked, self.interrupts = [], []

    def __call__(self, run, folder, device):
        self.asked.append(run)
        if run in self.interrupts:
            raise KeyboardInterrupt
        return finds(run)


@pytest.fixture
def train(monkeypatch):
    fake = FakeTrain()
    monkeypatch.setattr(campaign, "train", fake)
    return fake


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setattr(cifar, "check", lambda folder: None)  # it wants 10,000 test images
    return write_small(tmp_path / "cifar", monkeypatch)


@pytest.fixture
def place(tmp_path, data):
    return Place.of(tmp_path / "runs", data, "cpu")


# What a run is


def test_only_what_is_not_the_default_is_written():
    assert changed(Run()) == {}
    assert changed(Run(lr=0.3, norm="none")) == {"lr": 0.3, "norm": "none"}


def test_runs_come_back_from_their_file(tmp_path):
    found = {run: finds(run) for run in RUNS}
    write(tmp_path / "scale.json", found, **MADE)
    assert read(tmp_path / "scale.json") == (found, MADE)
    assert len((tmp_path / "scale.json").read_text().splitlines()) == len(RUNS) + 2  # a run a line


def test_no_runs_come_back_as_none(tmp_path):
    write(tmp_path / "scale.json", {}, **MADE)
    assert read(tmp_path / "scale.json") == ({}, MADE)


# Running


def test_all_are_run_once(place, train):
    ticks = []
    assert run_all(RUNS, place, tick=lambda: ticks.append(1)) == {run: finds(run) for run in RUNS}
    assert (train.asked, len(ticks)) == (RUNS, 3)
    assert run_all(RUNS, place) == {run: finds(run) for run in RUNS}
    assert train.asked == RUNS


def test_a_kept_run_says_what_it_was_made_from(place, train):
    run_all(RUNS[:1], place)
    (path,) = place.folder.iterdir()
    about = json.loads(path.read_text())
    assert about.pop("found") == finds(RUNS[0])
    assert about == {
        "run": {}, "images": cifar.which_copy(place.data), "device": "cpu",
        "code": about["code"], "torch": torch.__version__,
    }  # fmt: skip
    assert re.fullmatch("[0-9a-f]{12}", about["code"])


def test_an_interruption_leaves_what_is_finished_and_the_next_goes_on(place, train):
    train.interrupts = [RUNS[1]]
    with pytest.raises(KeyboardInterrupt):
        run_all(RUNS, place)
    assert [run for run in RUNS if place.kept(run)] == RUNS[:1]
    train.interrupts = []
    assert run_all(RUNS, place) == {run: finds(run) for run in RUNS}
    assert train.asked == [RUNS[0], RUNS[1], *RUNS[1:]]


@pytest.mark.parametrize(
    "other", [{"device": "mps"}, {"copy": "six files, sha256 0123456789ab"}], ids=["device", "copy"]
)
def test_elsewhere_a_run_is_made_again(place, train, other):
    run_all(RUNS, place)
    run_all(RUNS, dataclasses.replace(place, **other))
    assert train.asked == 2 * RUNS
    assert len(list(place.folder.iterdir())) == 6


def test_with_other_code_a_run_is_made_again(place, train, monkeypatch):
    run_all(RUNS, place)
    monkeypatch.setattr(campaign, "fingerprint_of", lambda function: "another code")
    run_all(RUNS, place)
    assert train.asked == 2 * RUNS


def test_with_another_rate_only_that_run_is_made(place, train):
    run_all(RUNS, place)
    run_all([*RUNS, Run(lr=0.7)], place)
    assert train.asked == [*RUNS, Run(lr=0.7)]


def test_a_budget_of_nothing_begins_nothing(place, train):
    assert run_all(RUNS, place, minutes=0) == {}
    assert train.asked == []


def test_a_budget_of_nothing_still_tells_what_is_finished(place, train):
    run_all(RUNS[1:], place)
    assert run_all(RUNS, place, minutes=0) == {run: finds(run) for run in RUNS[1:]}


def test_no_run_begins_after_the_budget(place, train, monkeypatch):
    clock = iter([0.0, 10.0, 59.0, 61.0, 62.0, 63.0])
    monkeypatch.setattr(campaign.time, "monotonic", lambda: next(clock))
    assert list(run_all(RUNS, place, minutes=1)) == RUNS[:2]


def test_a_folder_that_cannot_be_written_gets_a_sentence(place, train):
    place.folder.write_text("a file where the folder should be")
    with pytest.raises(ResultsError, match=r"cannot be written in .*runs .* goes on from what"):
        run_all(RUNS, place)


@pytest.mark.parametrize("fields", [{"dropout": 0.5}, {"norm": "noise", "noise": 0.5}], ids=str)
def test_what_ran_before_does_not_change_a_run(tmp_path, data, monkeypatch, fields):
    monkeypatch.setattr(training, "VALIDATION", 100)
    small = functools.partial(Run, images=128, tests=64, epochs=1, width=4, batch=32, **fields)
    run = small()
    alone, after = (Place.of(tmp_path / name, data, "cpu") for name in ("alone", "after"))
    found = [run_all([run], alone)[run], run_all([small(seed=5), run], after)[run]]
    assert found[0] | {"seconds": 0} == found[1] | {"seconds": 0}


# Where an earlier test left its small workers, joblib takes them for leaking once the images are
# in their memory, and replaces them with this warning; as an error it would end joblib's thread.
@pytest.mark.filterwarnings("ignore:A worker stopped while:UserWarning")
@pytest.mark.slow
def test_two_at_the_same_time_find_the_same(tmp_path):
    """Real training, in processes of their own, on files of the published size."""
    for name in cifar.TRAIN + cifar.TEST:
        with (tmp_path / name).open("wb") as file:
            file.truncate(cifar.BYTES)
    runs = [Run(images=64, tests=64, width=4, epochs=1, batch=16, seed=seed) for seed in range(3)]
    one, two = (
        run_all(runs, Place.of(tmp_path / str(jobs), tmp_path, "cpu"), jobs) for jobs in (1, 2)
    )
    for found in (*one.values(), *two.values()):
        found.pop("seconds")
    assert one == two


# The claims


TWO_RUNS = Size((0,), 1)  # W1: a rate and a seed a side


def go(data, out, train, names=("W1",), **how):
    entries = [plans()[name] for name in names]
    evidence, done, of = run_at_scale(entries, out, data, "cpu", **{"size": TWO_RUNS} | how)
    return [e.verdict for e in evidence], done, of


def test_names_choose_plans_in_any_case():
    assert choose_at_scale("w11") == [plans()["W11"]]
    assert choose_at_scale("SCALE") == list(plans().values())


def test_a_claim_without_a_plan_gets_a_sentence():
    with pytest.raises(ValueError, match=r"S1 has no plan for CIFAR-10; choose one of W1, W11, .*"):
        choose_at_scale("S1")


def test_runs_and_verdicts_are_in_the_folder(tmp_path, data, train, capsys):
    assert go(data, tmp_path / "out", train) == (["CANNOT TELL"], 2, 2)
    found, made = read(tmp_path / "out" / "scale.json")
    assert found == {run: finds(run) for run in plans()["W1"].runs(TWO_RUNS)}
    assert (made["device"], made["torch"]) == ("cpu", torch.__version__)
    assert made["images"] == cifar.which_copy(data)
    told = (tmp_path / "out" / "W1.txt").read_text()
    assert "1 seed, 2 of 2 runs" in told
    assert "Verdict: CANNOT TELL" in " ".join(told.split())
    assert "W1, notebook 08" in capsys.readouterr().out


def test_runs_that_claims_share_are_made_once(tmp_path, data, train):
    go(data, tmp_path / "out", train, ("W1", "W11", "W7"))
    assert len(train.asked) == 2


def test_the_same_command_goes_on_to_the_same_table(tmp_path, data, train):
    verdicts = go(data, tmp_path / "whole", train, size=FULL)
    train.interrupts = train.asked[20:21]
    with pytest.raises(KeyboardInterrupt):
        go(data, tmp_path / "out", train, size=FULL)
    assert not (tmp_path / "out" / "scale.json").exists()
    train.interrupts, before = [], len(train.asked)
    assert go(data, tmp_path / "out", train, size=FULL) == verdicts
    assert len(train.asked) - before == 36 - 20
    for name in ("scale.json", "W1.txt"):
        assert (tmp_path / "out" / name).read_text() == (tmp_path / "whole" / name).read_text()


def test_without_time_the_verdict_is_left_open(tmp_path, data, train):
    assert go(data, tmp_path / "out", train, minutes=0) == (["CANNOT TELL"], 0, 2)
    assert "no run yet" in (tmp_path / "out" / "W1.txt").read_text()


def test_a_device_that_is_not_there_gets_a_sentence(tmp_path, data, train):
    with pytest.raises(ValueError, match=r"torch \S+ has no device 'cuda:99' here; choose cuda, m"):
        run_at_scale([plans()["W1"]], tmp_path / "out", data, "cuda:99")
    assert train.asked == []


def test_images_that_are_not_cifar10_are_refused_before_any_run(tmp_path, train):
    with pytest.raises(cifar.DataError, match=r"data_batch_1.bin is not in"):
        run_at_scale([plans()["W1"]], tmp_path / "out", tmp_path, "cpu")
    assert train.asked == []
