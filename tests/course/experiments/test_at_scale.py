"""Plans and tables at scale: which runs a claim needs, and what is read from those that are there.

Nothing here needs torch: who looks at stored runs does not, either.
"""

import subprocess
import sys

import numpy as np
import pytest

from bnlab.course import claim
from bnlab.course.experiments import at_scale, results
from bnlab.course.experiments.at_scale import (
    FULL,
    NO_RUN,
    SMALL,
    AtScale,
    Side,
    Size,
    Table,
    plans,
    stored_at_scale,
)
from bnlab.course.experiments.ledger import ledger
from bnlab.course.experiments.record import as_markdown, at_both_scales
from bnlab.course.experiments.results import evidence_of
from bnlab.course.experiments.rule import Part
from bnlab.course.experiments.scale.runs import NOISE, Run, write

A, B = Side((0.1, 0.3, 1.0), {}), Side((0.3,), {"norm": "none"})
TWO_SEEDS = Size((0, 1))


def numbers(final, *, test=0.5, train=0.9, curve=()):
    """What a run found that ends with this accuracy on the validation images."""
    recomputed = {"early": [0.2, final], "late": [final, final]}
    levels = [test - k / 10 for k in range(len(NOISE))]
    return {"validation": [*curve, final], "test": levels, "train": train} | recomputed


def table(*rows, size=TWO_SEEDS):
    """A table of side A from a list of finals a rate, a seed each."""
    runs = [run for lr in size.rates_of(A) for run in size.runs(A, lr)]
    finals = [final for row in rows for final in row]
    return Table({r: numbers(f, test=f - 0.1) for r, f in zip(runs, finals, strict=False)}, size)


# Sizes


def test_a_size_makes_a_run_a_seed():
    size = Size((0, 5), common={"width": 16})
    assert size.runs(B, 0.3) == [Run(norm="none", lr=0.3, seed=s, width=16) for s in (0, 5)]


def test_what_a_side_says_comes_before_what_all_have_in_common():
    (run,) = Size((0,), common={"width": 16}).runs(Side((0.1,), {"width": 32}), 0.1)
    assert run.width == 32


@pytest.mark.parametrize(
    ("lrs", "most", "tried"),
    [
        ((1, 2, 3, 4, 5, 6), 2, (2, 4)),
        ((1, 2, 3), 1, (2,)),
        ((1, 2), 2, (1, 2)),
        ((1,), 2, (1,)),
        ((1, 2, 3, 4, 5, 6), 9, (1, 2, 3, 4, 5, 6)),
    ],
)
def test_a_small_size_tries_fewer_rates(lrs, most, tried):
    assert Size(rates=most).rates_of(Side(lrs, {})) == tried


def test_a_small_run_is_small():
    (run,) = SMALL.runs(B, 0.3)
    assert (run.width, run.images, run.tests, run.epochs) == (16, 5000, 1000, 2)
    assert len(plans()["W1"].runs(SMALL)) == 4


# Plans


def test_each_plan_belongs_to_a_claim_and_has_runs_of_its_own_only():
    assert set(plans()) <= set(ledger())
    for name, plan in plans().items():
        runs = plan.runs()
        assert plan.claim == name
        assert len(runs) == len(set(runs)) > 0
        assert {run.seed for run in runs} == {0, 1, 2}


def test_the_most_important_claims_come_first():
    assert list(plans())[:3] == ["W1", "W11", "N1"]


def test_stored_runs_are_those_of_plans():
    found, made = stored_at_scale()
    assert found.keys() <= {run for plan in plans().values() for run in plan.runs()}
    assert {"images", "device", "code", "torch"} <= set(made)


# Tables


def test_accuracy_by_rate_has_a_row_a_seed():
    np.testing.assert_array_equal(
        table([0.1, 0.2], [0.3, 0.4], [0.5, 0.6]).by_rate(A), [[0.1, 0.3, 0.5], [0.2, 0.4, 0.6]]
    )


def test_the_best_rate_is_that_of_the_mean_over_seeds():
    found = table([0.7, 0.7], [0.9, 0.3], [0.5, 0.6])
    np.testing.assert_allclose(found.final(A), [0.7, 0.7])
    np.testing.assert_allclose(found.test(A), [60, 60])


def test_the_test_images_have_no_say_in_the_rate():
    runs = [r for lr in A.lrs for r in TWO_SEEDS.runs(A, lr)]
    finals, tests = [0.7, 0.7, 0.6, 0.6, 0.5, 0.5], [0.1, 0.2, 0.9, 0.9, 0.9, 0.9]
    found = {r: numbers(f, test=t) for r, f, t in zip(runs, finals, tests, strict=True)}
    np.testing.assert_allclose(Table(found, TWO_SEEDS).test(A), [10, 20])


def test_all_that_a_table_tells_has_the_seeds_first():
    found = table([0.5, 0.6], [0.8, 0.9], [0.1, 0.1])
    np.testing.assert_allclose(found.noisy(A)[1], [80, 70, 60, 50])
    np.testing.assert_allclose(found.fit(A), [90, 90])
    np.testing.assert_allclose(found.recomputed("early", A), [[20, 80], [20, 90]])
    np.testing.assert_allclose(found.recomputed("late", A), [[80, 80], [90, 90]])


@pytest.mark.parametrize("there", range(6))
def test_one_missing_run_leaves_a_side_without_rows(there):
    whole = table([0.5, 0.6], [0.8, 0.9], [0.1, 0.1])
    runs = list(whole.found)
    found = Table({r: whole.found[r] for r in runs if r != runs[there]}, TWO_SEEDS)
    assert found.by_rate(A).shape == (0, 3)
    assert found.noisy(A).shape == (0, len(NOISE))
    assert found.recomputed("late", A).shape == (0, 2)
    assert len(found.final(A)) == len(found.test(A)) == len(found.fit(A)) == 0
    assert len(found.steps_to([0.1, 0.1], A)) == 0


def test_steps_are_counted_to_the_first_look_at_the_goal():
    curves = [(0.1, 0.5, 0.4), (0.2, 0.2, 0.2)]
    runs = TWO_SEEDS.runs(B, 0.3)
    found = {r: numbers(0.5, curve=c) for r, c in zip(runs, curves, strict=True)}
    look = 45_000 // 128 // at_scale.LOOKS
    steps = Table(found, TWO_SEEDS).steps_to([0.45, 0.6], B)
    np.testing.assert_array_equal(steps, [2 * look, np.inf])


def test_steps_of_a_small_run_are_shorter():
    size = Size((0,), common={"images": 5000})
    (run,) = size.runs(B, 0.3)
    assert Table({run: numbers(0.5)}, size).steps_to([0.5], B) == [5000 // 128 // at_scale.LOOKS]


# Evidence


def judge(table):
    a, b = table.test(A), table.test(B)
    return [
        Part("a is there", True if len(a) else None, f"{len(a)} seeds"),
        Part("b is there", True if len(b) else None, f"{len(b)} seeds"),
    ]


def found_of(*sides):
    return {r: numbers(0.5) for s in sides for lr in s.lrs for r in FULL.runs(s, lr)}


def test_evidence_tells_each_part_and_how_many_runs():
    evidence = AtScale("W1", (A, B), judge).evidence(found_of(A))
    assert evidence.verdict == "CANNOT TELL"
    assert list(map(str, evidence.parts)) == [
        "a is there: holds (3 seeds)", "b is there: cannot tell (0 seeds)",
    ]  # fmt: skip
    assert evidence.setting == "CIFAR-10, 3 seeds, 9 of 12 runs"
    assert evidence.claim is ledger()["W1"].claim


def test_in_short_says_whether_there_is_a_run_that_decides():
    plan = AtScale("W1", (A, B), judge)
    assert plan.in_short({}) == NO_RUN
    assert plan.in_short(found_of(A)) == "CANNOT TELL"
    assert plan.in_short(found_of(A, B)) == "RIGHT"


def test_all_runs_that_decide_nothing_are_no_missing_runs():
    plan = AtScale("W1", (A, B), lambda table: [Part("more", None, "too wide")])
    assert plan.in_short(found_of(A, B)) == "CANNOT TELL"
    assert plan.in_short(found_of(A)) == NO_RUN


# What a notebook shows


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """Keep these runs in the place of those of the course."""
    folder = tmp_path / "results"
    monkeypatch.setattr(at_scale, "folder", lambda: folder)
    return lambda found: write(folder / "scale.json", found, images="six files")


def test_before_the_first_run_there_is_none(kept):
    assert stored_at_scale() == ({}, {})
    assert claim("W1").at_scale().verdict == "CANNOT TELL"
    assert {row[3] for row in at_both_scales().rows} == {NO_RUN}


def test_a_claim_is_told_from_the_runs_that_are_kept(kept):
    runs = plans()["W1"].runs()
    kept({run: numbers(0.1 if run.norm == "none" else 0.9) for run in runs})
    assert claim("W1").at_scale().verdict == "RIGHT"
    kept({run: numbers(0.9 if run.norm == "none" else 0.1) for run in runs})
    assert claim("W1").at_scale().verdict == "NOT REPRODUCED"


def test_a_claim_without_a_plan_says_which_have_one():
    for ask in (claim("S1").at_scale, claim("S1").draw_at_scale):
        with pytest.raises(ValueError, match=r"S1 has no plan for CIFAR-10; there is one for W1, "):
            ask()


def test_a_plan_without_a_figure_says_which_has_one():
    with pytest.raises(ValueError, match=r"N1 has no figure of both scales; there is one of W1$"):
        claim("N1").draw_at_scale()


def test_both_scales_are_a_row_a_plan(kept):
    runs = plans()["W1"].runs()
    kept({run: numbers(0.1 if run.norm == "none" else 0.9) for run in runs})
    lines = str(at_both_scales()).splitlines()
    assert [line.split()[0] for line in lines[1:]] == list(plans())
    assert lines[1].split()[:3] == ["W1", claim("W1").card().verdict, "RIGHT"]
    rows = at_both_scales()._repr_markdown_().splitlines()
    assert len(rows) == 2 + len(plans())
    assert "| RIGHT | RIGHT | rates that reach 70% span at least" in rows[2]
    row = next(row for row in rows if row.startswith("| R2 |"))
    assert row.endswith(f"| {NO_RUN} |  |")


def test_the_table_of_the_ledger_has_a_column_for_cifar10(kept):
    kept({run: numbers(0.1 if run.norm == "none" else 0.9) for run in plans()["W1"].runs()})
    lines = as_markdown({n: evidence_of(ledger()[n]) for n in ("W1", "R2", "S1")}).splitlines()
    assert lines[0].endswith("| verdict | on CIFAR-10 |")
    assert lines[2].endswith("| RIGHT | RIGHT |")
    assert lines[3].endswith(f"| {NO_RUN} |")
    assert lines[4].endswith("|  |")
    assert {line.count(" | ") for line in lines[2:]} == {5}


def test_stored_runs_are_shown_without_torch():
    code = (
        "import sys; from bnlab.course.experiments.record import at_both_scales;"
        "str(at_both_scales()); print({'torch', 'matplotlib'} & set(sys.modules))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert shown.stdout == "set()\n", shown.stderr


def test_the_course_keeps_them_beside_the_other_results():
    assert at_scale.folder() == results.folder()
