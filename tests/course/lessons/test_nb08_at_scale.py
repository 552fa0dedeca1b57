"""The judges of the claims at scale, on planted tables: each verdict, each threshold."""

import numpy as np
import pytest

from bnlab.course.experiments.at_scale import FULL, SMALL, Table, plans
from bnlab.course.experiments.ledger import ledger
from bnlab.course.experiments.rule import Part, verdict
from bnlab.course.experiments.scale.runs import NOISE
from bnlab.course.lessons.nb08.at_scale import (
    AFTER,
    ALONE,
    DEEP,
    PLAIN_SIGMOID,
    PLAIN_SLOW,
    SCALED,
    SIGMOID,
    SLOW,
    X5,
    X30,
)
from bnlab.course.lessons.nb08.scale_parts import BATCH, PLAIN, WHOLE
from bnlab.course.lessons.nb08.scale_statistics import (
    BARE,
    BARE_GHOSTS,
    DROPOUT,
    GHOSTS,
    GROUP,
    LESS_DECAY,
    NOISY,
)

SEEDS = np.array([-0.4, 0.1, 0.3])  # points that a seed adds to all sides: pairs cancel them
OPEN = np.array([-8.0, 8.0, 0.0])  # points that leave any comparison open
YES, NO, TIED = True, False, None


def see(side, test=50.0, *, by_rate=None, lost=0.0, fit=90.0, curve=(), early=(50, 50), late=None):
    """Runs of a side that find these points, the same for all seeds or three, one a seed.

    `by_rate` (R, 3) is what they end with on the validation images, `lost` (3, 4) what noise costs.
    """
    test = np.broadcast_to(test, 3)
    ends = np.broadcast_to(test if by_rate is None else by_rate, (len(side.lrs), 3))
    levels = test[:, None] - np.broadcast_to(lost, (3, len(NOISE)))
    early = np.broadcast_to(early, (3, 2))
    late = early if late is None else np.broadcast_to(late, (3, 2))
    fit = np.broadcast_to(fit, 3)
    return {
        run: {
            "validation": share([*curve, ends[r, seed]], seed),
            "test": share(levels[seed], seed),
            "train": share(fit, seed)[seed],
            "early": share(early[seed], seed),
            "late": share(late[seed], seed),
        }
        for r, lr in enumerate(side.lrs)
        for seed, run in enumerate(FULL.runs(side, lr))
    }


def share(points, seed):
    return [(point + SEEDS[seed]) / 100 for point in points]


def reaching(side, low, high):
    """Runs of a side that reach 70% at the rates from low to high; each is one, or one a seed."""
    lrs = np.array(side.lrs)[:, None]
    works = (lrs >= np.broadcast_to(low, 3)) & (lrs <= np.broadcast_to(high, 3))
    return see(side, by_rate=np.where(works, 70.5, 69.6))


def w1(plain, bn):
    return reaching(PLAIN, *plain) | reaching(BATCH, *bn)


def w11(*lost):
    """Without: 76% and what noise costs there; with: 85% and this."""
    lost = np.stack(np.broadcast_arrays(0.0, *lost, np.zeros(3))[:-1], axis=1)  # (3, 4)
    return see(PLAIN, 76, lost=(0, 1, 5, 20)) | see(BATCH, 85, lost=lost)


def n1(two, group):
    rest = see(GHOSTS[4], 10) | see(GHOSTS[8], 90) | see(GHOSTS[32], 10)
    return see(WHOLE, 80) | see(GHOSTS[2], two) | see(GROUP, group) | rest


def w3(**points):
    sides = {f"{norm}{layers}": side for (layers, norm), side in DEEP.items()}
    assert points.keys() == sides.keys()
    return merged(see(sides[name], value) for name, value in points.items())


def w10(norm, random, last):
    alone = zip(ALONE.values(), (norm, random, last), strict=True)
    return see(DEEP[20, "batch"], 80) | merged(see(side, value) for side, value in alone)


def t5(early, late):
    """Points gained by recomputing."""
    early, late = (50 + np.stack([np.zeros(3), np.broadcast_to(g, 3)], 1) for g in (early, late))
    return see(BATCH, early=early, late=late)


def r2(fit, test):
    whole = see(BARE, 80, fit=99) | see(BARE_GHOSTS[32], 10, fit=10)
    return whole | see(BARE_GHOSTS[8], test, fit=fit)


def w6(small, large):
    return see(PLAIN, 70) | see(BATCH, 80) | see(NOISY[0.1], small) | see(NOISY[0.5], large)


NEVER, LATE, SOON = (10, 20), (30, 50, 60), (75,)  # at 70%: without batch norm at the third look


def w8(slow, x5, x30, *, test=80, sigmoid=75):
    """The looks of each side before the last one, at which it has 70% unless it is `NEVER`."""

    def side(side, curve, test):
        end = 20 if curve is NEVER else 72
        return see(side, test, by_rate=end, curve=curve)

    batch = side(SLOW, slow, test) | side(X5, x5, 50) | side(X30, x30, 50)
    sigmoids = see(PLAIN_SIGMOID, 10) | see(SIGMOID, sigmoid)
    return see(PLAIN_SLOW, 70, curve=(30, 50)) | batch | sigmoids


def w7(curve, test):
    end = 20 if curve is NEVER else 72
    return see(PLAIN, 70, curve=(30, 50)) | see(BATCH, test, by_rate=end, curve=curve)


def a12(before):
    return see(BATCH, before) | see(AFTER, 80)


def r3(dropout, less):
    return see(WHOLE, 80) | see(DROPOUT, dropout) | see(LESS_DECAY, less)


def w2(small, large):
    """Points that smaller and larger first weights cost without batch norm; with it, one."""
    plain = see(SCALED["none", 0.3], 70 - small) | see(SCALED["none", 2.0], 70 - large)
    bn = see(SCALED["batch", 0.3], 79) | see(SCALED["batch", 2.0], 79)
    return see(PLAIN, 70) | see(BATCH, 80) | plain | bn


def merged(parts):
    return {run: numbers for part in parts for run, numbers in part.items()}


# Claim, runs, which parts hold. Numbers stand close to both sides of each threshold.
CASES = [
    ("W1", w1((0.01, 0.03), (0.01, 1.0)), [YES, YES]),
    ("W1", w1((0.03, 0.03), (0.03, 0.3)), [YES, YES]),
    ("W1", w1((9, 9), (0.1, 1.0)), [YES, YES]),  # no rate without
    ("W1", w1((9, 9), (0.1, 0.1)), [NO, YES]),
    ("W1", w1((0.01, 0.03), (0.01, 0.1)), [NO, YES]),  # half a decade
    ("W1", w1((0.01, 0.1), (0.1, 1.0)), [NO, YES]),
    ("W1", w1((0.1, 0.3), (0.01, 0.3)), [YES, NO]),
    ("W1", w1((0.01, 1.0), (0.01, 0.1)), [NO, NO]),
    ("W1", w1((9, 9), (9, 9)), [NO, NO]),
    ("W1", w1((0.01, 0.03), (0.01, [1.0, 1.0, 0.01])), [TIED, TIED]),
    ("W11", w11(10.1, 14.1, 29.1), [YES, YES, YES]),
    ("W11", w11(9.9, 13.9, 28.9), [NO, NO, NO]),
    ("W11", w11(9.9, 13.9, 29.1), [NO, NO, YES]),
    ("W11", w11(9.9, 13.9, 29 + OPEN), [NO, NO, TIED]),
    ("N1", n1(78.9, 79.0), [YES, YES]),
    ("N1", n1(79.1, 79.0), [NO, NO]),
    ("N1", n1(70.0, 60.0), [YES, NO]),
    ("N1", n1(75 + OPEN, 60.0), [TIED, TIED]),
    ("T5", t5(1.1, 0.4), [YES, YES]),
    ("T5", t5(1.1, -0.4), [YES, YES]),
    ("T5", t5(0.9, 0.6), [NO, NO]),
    ("T5", t5(0.9, -0.6), [NO, NO]),
    ("T5", t5(1.1, 0.6), [YES, NO]),
    ("T5", t5(5 + OPEN, OPEN), [TIED, TIED]),
    ("W7", w7(SOON, 70.1), [YES, YES]),
    ("W7", w7(LATE, 69.9), [NO, NO]),
    ("W7", w7((30, 50), 69.9), [NO, NO]),  # as many steps
    ("W7", w7(NEVER, 70.1), [NO, YES]),
    ("W7", w7(SOON, 70 + OPEN), [YES, TIED]),
    ("R2", r2(98.9, 80.6), [YES, YES]),
    ("R2", r2(99.1, 80.4), [NO, NO]),
    ("R2", r2(98.9, 80.4), [YES, NO]),
    ("R2", r2(99 + OPEN, 81 + OPEN), [TIED, TIED]),
    ("W6", w6(75.1, 75.1), [YES, YES]),
    ("W6", w6(74.9, 74.9), [NO, NO]),
    ("W6", w6(79.0, 60.0), [YES, NO]),
    ("W6", w6(79.0, 75 + OPEN), [YES, TIED]),
    ("W8", w8(LATE, NEVER, LATE, test=70.9, sigmoid=10.9), [YES] * 5),
    ("W8", w8(SOON, SOON, (30, 50), test=71.1, sigmoid=11.1), [NO] * 5),
    ("W8", w8(SOON, SOON, NEVER, test=68.9, sigmoid=75), [NO, NO, YES, NO, NO]),
    ("W8", w8(SOON, SOON, SOON, test=70 + OPEN, sigmoid=10 + OPEN), [NO, NO, NO, TIED, TIED]),
    ("A12", a12(80.6), [YES]),
    ("A12", a12(80.4), [NO]),
    ("A12", a12(81 + OPEN), [TIED]),
    ("R3", r3(80.4, 79.6), [YES, YES]),
    ("R3", r3(80.6, 79.4), [NO, NO]),
    ("R3", r3(80.6, 79.6), [NO, YES]),
    ("R3", r3(80.4, 80 + OPEN), [YES, TIED]),
    ("W10", w10(46, 45.9, 45.9), [YES, YES, YES]),  # half of everything is 45
    ("W10", w10(44, 44.1, 44.1), [NO, NO, NO]),
    ("W10", w10(44, 44.1, 24), [YES, NO, NO]),
    ("W10", w10(50 + OPEN, 49, 20), [YES, TIED, TIED]),
    (
        "W3",
        w3(batch20=70, skipinit20=68.9, none20=59.9, batch56=69.1, skipinit56=68, none56=59),
        [YES] * 5,
    ),
    (
        "W3",
        w3(batch20=70, skipinit20=69.1, none20=60.1, batch56=68.9, skipinit56=68, none56=59),
        [NO] * 5,
    ),
    (
        "W3",
        w3(batch20=70, skipinit20=70, none20=10, batch56=70, skipinit56=70, none56=10),
        [YES, NO, YES, NO, YES],
    ),
    (
        "W3",
        w3(batch20=70, skipinit20=60, none20=10, batch56=70 + OPEN, skipinit56=60, none56=10),
        [YES, YES, YES, TIED, TIED],
    ),
    ("W2", w2(6.1, 6.1), [YES, YES]),
    ("W2", w2(5.9, 5.9), [NO, NO]),
    ("W2", w2(6.1, 5.9), [YES, NO]),
    ("W2", w2(20.0, 6 + OPEN), [YES, TIED]),
]
VERDICTS = {
    (True,): "RIGHT", (False,): "WRONG", (None,): "CANNOT TELL", (False, True): "IMPRECISE",
    (None, True): "CANNOT TELL", (None, False): "CANNOT TELL", (None, False, True): "IMPRECISE",
}  # fmt: skip


def expected(holds):
    return next(v for answers, v in VERDICTS.items() if set(answers) == set(holds))


def holds(name, found):
    return [part.holds for part in plans()[name].judge(Table(found, FULL))]


@pytest.mark.parametrize(
    ("name", "found", "answers"), CASES, ids=[f"{name}-{a}" for name, _, a in CASES]
)
def test_a_judge_follows_the_runs(name, found, answers):
    plan = plans()[name]
    assert found.keys() == set(plan.runs())
    assert holds(name, found) == answers
    evidence = plan.evidence(found)
    assert [part.holds for part in evidence.parts] == answers
    parts = [Part("", answer, "") for answer in answers]
    assert evidence.verdict == plan.in_short(found) == verdict(parts, evidence.claim.published)
    assert "no run yet" not in evidence.measured


@pytest.mark.parametrize("name", plans())
def test_each_verdict_of_each_claim_is_planted(name):
    seen = {expected(answers) for claim_id, _, answers in CASES if claim_id == name}
    one_part = {len(answers) for claim_id, _, answers in CASES if claim_id == name} == {1}
    assert seen >= {"RIGHT", "WRONG", "CANNOT TELL"} | (set() if one_part else {"IMPRECISE"})


@pytest.mark.parametrize("name", plans())
def test_without_runs_each_part_is_left_open_and_says_so(name):
    parts = plans()[name].judge(Table({}, FULL))
    assert {part.holds for part in parts} == {None}
    assert all("no run yet" in part.measured for part in parts)
    assert plans()[name].in_short({}) == "no run yet"


@pytest.mark.parametrize("name", plans())
def test_without_a_side_no_judge_fails_and_some_part_is_open(name):
    found = next(found for claim_id, found, _ in CASES if claim_id == name)
    for side in plans()[name].sides:
        runs = {run for lr in side.lrs for run in FULL.runs(side, lr)}
        rest = {run: numbers for run, numbers in found.items() if run not in runs}
        parts = plans()[name].judge(Table(rest, FULL))
        if side in (GHOSTS[4], GHOSTS[8], GHOSTS[32], BARE_GHOSTS[32]):  # told beside the others
            assert None not in {part.holds for part in parts}
        else:
            assert None in {part.holds for part in parts}
        assert any("no run yet" in part.measured for part in parts)


def test_a_criterion_says_what_is_claimed_and_not_the_opposite():
    """The verdict is one on the claim as it is said."""
    assert ledger()["W8"].claim.said.startswith("Batch norm makes training take longer")
    assert "more steps" in plans()["W8"].judge(Table({}, FULL))[0].criterion
    assert ledger()["W11"].claim.said.startswith("Batch norm makes a network less robust")
    assert "lower with batch norm" in plans()["W11"].judge(Table({}, FULL))[0].criterion


def test_a_small_run_counts_the_rates_it_tried():
    """0.03 and 0.3 are a decade apart; with one seed no part is decided."""
    tried = SMALL.rates_of(BATCH)
    found = {
        run: {"validation": [0.8 if run.norm == "batch" else 0.2]}
        for run in plans()["W1"].runs(SMALL)
    }
    parts = plans()["W1"].judge(Table(found, SMALL))
    assert tried == (0.03, 0.3)
    assert [part.holds for part in parts] == [None, None]
    assert [part.measured for part in parts] == ["no rate and 1.0 decades", "no rate and 0.3"]


@pytest.mark.parametrize("name", plans())
def test_a_small_run_decides_nothing(name):
    """With one seed there is no interval, whatever it finds."""
    numbers = {"train": 0.5, "test": [0.5] * 4, "early": [0.1, 0.5], "late": [0.5, 0.5]}
    found = {run: numbers | {"validation": [0.1, run.lr / 10]} for run in plans()[name].runs(SMALL)}
    assert plans()[name].evidence(found, SMALL).verdict == "CANNOT TELL"
