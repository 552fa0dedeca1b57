"""Runs that are smaller than their experiment: they may say yes, not no, and say what they lack."""

import dataclasses
from dataclasses import dataclass

import numpy as np
import pytest

from bnlab.course import claim
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.course.experiments.ledger import runnable
from bnlab.course.experiments.reduced import reductions
from bnlab.course.experiments.reporting import paragraph
from bnlab.course.experiments.results import is_stored, stored
from bnlab.course.experiments.rule import Part
from bnlab.course.experiments.selection import with_seeds

CLAIM = Claim("R9", "Squares grow.", "They do.", "experiment", "07", "Euclid")


@dataclass(frozen=True)
class Config:
    """One field of each kind."""

    steps: int = 400
    late_steps: int = 20_000
    epochs: int = 8
    batches: int = 100
    budgets: tuple[int, ...] = (500, 1000)
    lrs: tuple[float, ...] = (0.1, 0.3, 1.0)
    plain_lrs: tuple[float, ...] = (0.1, 0.3)
    scales: tuple[float, ...] = (1.0, 2.0)
    seeds: tuple[int, ...] = (0, 1, 2, 3)
    lr: float = 0.1
    depth: int = 3
    batch_size: int = 60


def experiment(*answers, kind="experiment"):
    """An experiment whose parts have these answers, whatever is run."""
    return Experiment(
        dataclasses.replace(CLAIM, kind=kind), Config(), run=lambda config: {}, draw=None,
        judge=lambda arrays: [Part("a criterion", answer, "a number") for answer in answers],
    )  # fmt: skip


REDUCED = [
    ({"steps": 20}, "20 of 400 steps"),
    ({"late_steps": 10_000}, "10,000 of 20,000 late steps"),
    ({"epochs": 1}, "1 of 8 epochs"),
    ({"batches": 3}, "3 of 100 batches"),
    ({"budgets": (5, 10)}, "10 of 1,000 steps"),
    ({"lrs": (3.0,)}, "1 of 3 rates"),
    ({"plain_lrs": (3.0,)}, "1 of 2 rates without"),
    ({"scales": (3.0,)}, "1 of 2 sizes"),
]
WHOLE = [{}, {"steps": 500}, {"lrs": (1.0, 2.0, 3.0)}, {"lr": 0.01, "depth": 1, "batch_size": 8},
         {"budgets": (1000,)}, {"seeds": (9, 8, 7, 6)}]  # fmt: skip


@pytest.mark.parametrize(("changes", "said"), REDUCED, ids=str)
def test_less_of_a_run_opens_the_parts_that_do_not_hold(changes, said):
    evidence = experiment(True, False, None).evidence(**changes)
    assert [part.holds for part in evidence.parts] == [True, None, None]
    assert (evidence.verdict, evidence.reduced) == ("CANNOT TELL", said)
    assert experiment(False).evidence(**changes).verdict == "CANNOT TELL"
    assert experiment(True).evidence(**changes).verdict == "RIGHT"


@pytest.mark.parametrize("changes", WHOLE, ids=str)
def test_another_run_of_the_same_size_decides(changes):
    evidence = experiment(True, False, None).evidence(**changes)
    assert [part.holds for part in evidence.parts] == [True, False, None]
    assert (evidence.verdict, evidence.reduced) == ("IMPRECISE", "")


def test_fewer_seeds_are_told_and_their_interval_decides():
    evidence = experiment(True, False, None).evidence(seeds=(0, 1, 2))
    assert [part.holds for part in evidence.parts] == [True, False, None]
    assert evidence.reduced == "3 of 4 seeds"


def test_an_identity_is_exact_at_any_size():
    assert experiment(False, kind="identity").evidence(steps=1).verdict == "WRONG"


def test_a_config_of_an_older_version_is_compared_where_it_can_be():
    assert reductions({"steps": 2, "gone": 1}, {"steps": 3, "new": 2}) == {"steps": "2 of 3 steps"}


# What a reduced run says.


def lines_of(evidence):
    return [text for word, text in evidence.lines() if word == "this run"]


def test_a_reduced_run_says_on_its_card_and_in_its_report_what_it_cannot_tell():
    evidence = experiment(False, True, None).evidence(steps=20, seeds=(0, 1))
    said = "cannot tell parts (1), (3): it has 20 of 400 steps, 2 of 4 seeds"
    assert lines_of(evidence) == [said]
    assert f"this run:     {said}" in str(evidence)
    assert said in evidence._repr_html_()
    assert f"This run {said}." in " ".join(paragraph(evidence).split())


def test_one_part_is_one_part():
    evidence = experiment(None, True).evidence(steps=20)
    assert lines_of(evidence) == ["cannot tell part (1): it has 20 of 400 steps"]


@pytest.mark.parametrize(
    "evidence",
    [experiment(True, None).evidence(), experiment(True, True).evidence(steps=20)],
    ids=["a whole run", "a run that tells all"],
)
def test_other_cards_have_no_such_line(evidence):
    assert lines_of(evidence) == []


def test_fewer_seeds_from_the_command_line_are_told_too():
    entry = with_seeds(experiment(True, None), 2)
    assert entry.read({}).reduced == "2 of 4 seeds"
    assert dataclasses.replace(entry, config=Config(steps=7)).read({}).reduced == "7 of 400 steps"
    assert with_seeds(experiment(True, None), 9).read({}).reduced == ""


def test_no_kept_run_is_a_reduced_one():
    for name, entry in runnable().items():
        assert not is_stored(entry) or claim(name).card().reduced == ""


# Real experiments in which nothing has trained.


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("W1", {"steps": 2}),
        ("W2", {"steps": 2}),
        ("S8", {"steps": 2}),
        ("C6", {"steps": 2, "every": 1, "lrs": (0.1, 1.0)}),
        ("R5", {"steps": 20}),
        ("W4", {"steps": 2, "every": 1}),
        ("W5", {"steps": 2, "every": 1}),
        ("W7", {"steps": 2, "every": 1}),
        ("W9", {"steps": 2}),
        ("A12", {"steps": 2}),
        ("A16", {"steps": 2, "every": 1}),
        ("P12", {"steps": 2}),
    ],
)
def test_where_nothing_has_trained_nothing_is_wrong(name, changes):
    seeds = runnable()[name].config.seeds[:3]
    evidence = claim(name).run(**changes, seeds=seeds)
    assert evidence.verdict == "CANNOT TELL", evidence
    assert "-1.0" not in evidence.measured
    (said,) = lines_of(evidence)
    assert f"{changes['steps']} of {runnable()[name].config.steps:,} steps" in said


# Few seeds. The arrays are those that are kept, cut.

# What is no list of seeds in an experiment that puts such a list beside its own arrays.
FIXED = {"lrs", "steps", "depths", "stds", "inputs", "slopes", "sizes", "eps", "rms", "predicted"}
SEEDED = [name for name, entry in runnable().items()
          if is_stored(entry) and hasattr(entry.config, "seeds")]  # fmt: skip


def cut(entry, count):
    """The first seeds of the kept arrays."""
    arrays, made = stored(entry.claim.id)
    seeds = len(made["config"]["seeds"])
    fixed = FIXED if entry.one_seed is None else set()
    return {name: values[:count] if np.shape(values)[:1] == (seeds,) and name not in fixed
            else values for name, values in arrays.items()}  # fmt: skip


@pytest.mark.parametrize("name", SEEDED)
def test_one_seed_decides_nothing(name):
    evidence = runnable()[name].read(cut(runnable()[name], 1))
    assert evidence.verdict == "CANNOT TELL", evidence


# The interval of two seeds is 13 times their spread; a few differences are larger than that.
TWO_DECIDE = {"S2", "S3", "A12", "T2", "W3", "W5", "W10"}


@pytest.mark.parametrize("name", SEEDED)
def test_two_seeds_decide_only_by_an_interval(name):
    entry = runnable()[name]
    evidence = entry.read(cut(entry, 2))
    assert (evidence.verdict != "CANNOT TELL") == (name in TWO_DECIDE), evidence
    assert not evidence.open or "cannot tell" in str(evidence)


def test_with_one_seed_figure_one_of_the_paper_is_open():
    evidence = claim("W7").run(seeds=(200,), steps=20, every=10)
    assert (evidence.verdict, evidence.open) == ("CANNOT TELL", [1, 2])
