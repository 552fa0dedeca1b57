"""The rule for verdicts: what parts make of it, and when an interval decides a part."""

import numpy as np
import pytest

from bnlab.course.experiments.bench import paired_interval
from bnlab.course.experiments.rule import (
    Part,
    exact,
    in_every_seed,
    larger,
    told,
    verdict,
    within,
)


def parts(*answers):
    return [Part("a criterion", answer, "a number") for answer in answers]


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([True], "RIGHT"),
        ([True, True], "RIGHT"),
        ([False], "WRONG"),
        ([False, False], "WRONG"),
        ([True, False], "IMPRECISE"),
        ([None], "CANNOT TELL"),
        ([True, None], "CANNOT TELL"),
        ([False, None, False], "CANNOT TELL"),
        ([True, None, False], "IMPRECISE"),
    ],
)
def test_a_verdict_follows_from_its_parts_in_any_order(answers, expected):
    assert verdict(parts(*answers)) == expected
    assert verdict(parts(*reversed(answers))) == expected


@pytest.mark.parametrize(
    ("holds", "words"), [(True, "holds"), (False, "does not hold"), (None, "cannot tell")]
)
def test_a_part_is_told_with_its_criterion_and_its_numbers(holds, words):
    assert str(Part("more", holds, "2 > 1")) == f"more: {words} (2 > 1)"


# The 95% interval of three paired differences, over splits of the digits, to each side.
HALF, MARGIN = 4.302653 * np.sqrt(1 / 3 + 450 / 1145), 0.001


@pytest.mark.parametrize("edge", [0.0, 1.5, -2.0])
def test_larger_asks_the_whole_interval(edge):
    differences = np.array([-1.0, 0.0, 1.0]) + edge  # their standard deviation is 1
    assert larger(differences + HALF + MARGIN, edge) is True
    assert larger(differences + HALF - MARGIN, edge) is None
    assert larger(differences - HALF + MARGIN, edge) is None
    assert larger(differences - HALF - MARGIN, edge) is False


@pytest.mark.parametrize("differences", [[], [5.0]])
def test_one_seed_has_no_interval(differences):
    assert larger(differences) is None
    assert within(differences, 1.0) is None


def test_within_asks_both_ends():
    narrow = np.array([-0.1, 0.0, 0.1])  # an interval of 0.37 to each side
    assert within(narrow, 0.4) is True
    assert within(narrow, 0.3) is None
    assert within(narrow + 0.1, 0.4) is None
    assert within(narrow - 0.1, 0.4) is None
    assert within(narrow + 1, 0.4) is False
    assert within(narrow - 1, 0.4) is False


def test_runs_on_data_of_their_own_need_no_wider_interval():
    narrow = np.array([-0.1, 0.0, 0.1])  # 0.25 to each side
    assert within(narrow, 0.3, overlap=0.0) is True
    assert larger(narrow + 0.3, overlap=0.0) is True
    assert larger(narrow + 0.3) is None
    assert (told(narrow, "%", 0.0), told(narrow, "%")) == ("+0.0 +- 0.2 %", "+0.0 +- 0.4 %")


@pytest.mark.parametrize("count", [2, 3, 5, 21, 22, 40, 200])
def test_intervals_are_those_of_students_t(count):
    stats = pytest.importorskip("scipy.stats")
    d = np.random.default_rng(count).normal(1, 2, count)
    mean, half = paired_interval(d)
    assert mean == d.mean()
    assert half == pytest.approx(stats.t.ppf(0.975, count - 1) * stats.sem(d), rel=2e-4)
    _, wide = paired_interval(d, overlap=0.5)
    assert wide / half == pytest.approx(np.sqrt(1 + count / 2))


@pytest.mark.parametrize(
    ("answers", "published", "expected"),
    [
        ([False], "yes", "NOT REPRODUCED"),
        ([False, None], "yes", "CANNOT TELL"),
        ([False, True], "yes", "IMPRECISE"),
        ([False], "both ways", "NOT REPRODUCED"),
        ([False, True], "both ways", "CONTESTED"),
        ([False, None], "both ways", "CONTESTED"),
        ([None], "both ways", "CANNOT TELL"),
        ([True], "both ways", "RIGHT"),
    ],
)
def test_what_others_measured_counts_where_ours_do_not_say_yes(answers, published, expected):
    assert verdict(parts(*answers), published) == expected


@pytest.mark.parametrize(("error", "holds"), [(1e-13, True), (1e-11, False), (np.nan, False)])
def test_an_identity_holds_up_to_rounding(error, holds):
    assert exact("a = b", np.array([0, error])).holds is holds


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([True] * 3, True),
        ([False] * 3, False),
        ([True, True, False], None),
        ([True, True], None),
        ([False], None),
        ([], None),
        (np.array([True, True, True]), True),
        (np.zeros(4, bool), False),
    ],
)
def test_in_every_seed_needs_three_that_agree(answers, expected):
    assert in_every_seed(answers) is expected


@pytest.mark.parametrize("answer", [True, False])
def test_in_every_seed_there_is_something_to_compare(answer):
    answers = np.full(3, answer)
    assert in_every_seed(answers, np.array([True, True, True])) is answer
    assert in_every_seed(answers, np.array([True, False, True])) is None


@pytest.mark.parametrize("differences", [[-0.02, -0.03, 0.01], [-0.04], [0.0, -0.0]])
def test_no_difference_has_no_sign_that_says_less(differences):
    assert told(differences).startswith("+0.0 ")
    assert told([-0.06]) == "-0.1 points"
