"""The rule for verdicts: what parts make of it, and when an interval decides a part."""

import numpy as np
import pytest

from bnlab.course.experiments.rule import Part, in_every_seed, larger, verdict, within


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


# The 95% interval of three paired differences is 4.303 s / sqrt(3) to each side (Student's t).
# `paired_interval` approximates the 4.303 by 4.17; the margin has room for that.
HALF, MARGIN = 4.302653 / np.sqrt(3), 0.1


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
    narrow = np.array([-0.1, 0.0, 0.1])  # an interval of 0.25 to each side
    assert within(narrow, 0.3) is True
    assert within(narrow, 0.2) is None
    assert within(narrow + 0.1, 0.3) is None
    assert within(narrow - 0.1, 0.3) is None
    assert within(narrow + 1, 0.3) is False
    assert within(narrow - 1, 0.3) is False


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
