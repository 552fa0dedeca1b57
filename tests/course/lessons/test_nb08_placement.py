"""Claim A12: verdicts and the figure on planted arrays."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from bnlab.course.experiments.rule import told
from bnlab.course.lessons.nb08.placement import A12_PLACE, intervals


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


YES, NO, OPEN = True, False, None

SEEDS = np.array([-1e-3, 0.0, 1e-3, 2e-3])  # what a seed adds to an accuracy

WIDE = np.array([-0.1, 0.2, 0.0, -0.1])  # an interval that decides nothing


def seeds_of(value):
    """A share of images for four seeds, alike but for a little; or these very four."""
    return value + SEEDS if np.ndim(value) == 0 else np.asarray(value)


def judged(experiment, arrays):
    """Whether each part holds, and the verdict."""
    evidence = experiment.read(arrays)
    return [part.holds for part in evidence.parts], evidence.verdict


def criteria(experiment, arrays):
    return [part.criterion for part in experiment.read(arrays).parts]


def placed(before, after):
    """Accuracies of two places with ReLU and tanh at one rate each."""
    sides = {"before": before, "after": after}
    swept = {
        f"{name}_{side}": seeds_of(values[k])[:, None]
        for side, values in sides.items()
        for k, name in enumerate(("relu", "tanh"))
    }
    return {"lrs": np.full((4, 1), 0.1)} | swept


@pytest.mark.parametrize(
    ("arrays", "holds", "verdict"),
    [
        (placed((0.97, 0.9), (0.1, 0.2)), [YES] * 4, "RIGHT"),
        (placed((0.97, 0.97), (0.96, 0.96)), [NO, NO, YES, YES], "CONTESTED"),
        (placed((0.97, 0.97), (0.967, 0.98)), [NO] * 4, "NOT REPRODUCED"),
        (placed((0.97, 0.97), (0.1, 0.96)), [YES, NO, YES, YES], "CONTESTED"),
        (placed((0.1, 0.97), (0.1, 0.1)), [OPEN, YES, NO, YES], "CONTESTED"),  # no ReLU net trains
        (placed((0.9, 0.9), (0.9 + WIDE, 0.96)), [NO, NO, OPEN, NO], "CONTESTED"),
        (
            placed((0.5, 0.5), (0.5 + WIDE, 0.5 + WIDE)),
            [OPEN] * 4,
            "CANNOT TELL",
        ),
    ],
)
def test_a12_follows_the_arrays(arrays, holds, verdict):
    assert judged(A12_PLACE, arrays) == (holds, verdict)
    assert criteria(A12_PLACE, arrays) == criteria(A12_PLACE, placed((0.9, 0.9), (0.9, 0.9)))


def test_a12_wants_the_failure_at_each_rate():
    arrays = placed((0.97, 0.97), (0.1, 0.1))
    arrays["lrs"] = np.full((4, 2), 0.1)
    for name in ("relu", "tanh"):
        fine = arrays[f"{name}_before"]
        arrays[f"{name}_before"] = np.concatenate([fine, fine], axis=1)
        arrays[f"{name}_after"] = np.concatenate([arrays[f"{name}_after"], fine], axis=1)
    assert judged(A12_PLACE, arrays)[0] == [NO, NO, YES, NO, YES, NO]


def test_the_figure_of_a12_has_the_intervals_that_are_judged():
    arrays = placed((0.97, 0.97), (0.96 + WIDE, 0.96))
    ax = A12_PLACE.draw(arrays)
    labels, means, halves = zip(*intervals(arrays), strict=True)
    assert labels == ("ReLU, rate 0.1", "tanh, rate 0.1")
    assert [label.get_text() for label in ax.get_yticklabels()] == list(labels)
    np.testing.assert_allclose(ax.lines[1].get_xdata(), means)
    assert told(100 * (arrays["relu_before"] - arrays["relu_after"])[:, 0]) == (
        f"{means[0]:+.1f} +- {halves[0]:.1f} points"
    )
    assert "half a point" in [text.get_text() for text in ax.texts]
