"""The figure of W1 at both scales: the digits beside CIFAR-10."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from bnlab.course import claim
from bnlab.course.experiments.at_scale import FULL, Table, plans, stored_at_scale
from bnlab.course.lessons.nb08.scale_parts import BATCH, PLAIN, SWEEP

SEEDS = np.array([-0.4, 0.1, 0.3])  # points that a seed adds


def runs(side, points):
    """Runs of a side that end with these points, one a rate."""
    return {
        run: {"validation": [(point + SEEDS[run.seed]) / 100]}
        for lr, point in zip(side.lrs, points, strict=True)
        for run in FULL.runs(side, lr)
    }


NONE, BN = (70, 75, 50, 10, 10, 10), (79, 83, 85, 83, 78, 23)
FOUND = runs(PLAIN, NONE) | runs(BATCH, BN)


@pytest.fixture
def figure():
    with plt.rc_context():
        yield lambda found: plans()["W1"].draw(claim("W1").arrays, Table(found, FULL))
    plt.close("all")


def lines(ax):
    return [np.asarray(line.get_ydata()) for line in ax.lines if line.get_linestyle() != "None"]


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_the_figure_shows_the_means_and_each_seed(figure):
    left, right = figure(FOUND)
    arrays = claim("W1").arrays
    for line, name in zip(lines(left)[:2], ("relu_plain", "relu_bn"), strict=True):
        np.testing.assert_allclose(line, 100 * arrays[name][..., 0].mean(axis=0))
    none, bn, target = lines(right)
    np.testing.assert_allclose(none, NONE)
    np.testing.assert_allclose(bn, BN)
    assert target[0] == 70
    dots = [line for line in right.lines if line.get_linestyle() == "None"]
    assert len(dots) == 2 * 3
    np.testing.assert_allclose(dots[0].get_ydata(), none + SEEDS[0])
    np.testing.assert_allclose(dots[0].get_xdata(), SWEEP)


def test_both_panels_speak_one_language(figure):
    left, right = figure(FOUND)
    names = ["without\nbatch norm", "with\nbatch norm"]
    assert texts(left) == [*names, "target 95%"]
    assert texts(right) == [*names, "target 70%"]
    assert left.get_xscale() == right.get_xscale() == "log"
    assert left.get_ylim() == right.get_ylim()
    assert left.get_xlim() == right.get_xlim()
    styles = [
        [(line.get_color(), line.get_linestyle()) for line in ax.lines] for ax in (left, right)
    ]
    assert set(styles[0]) == set(styles[1])


def test_before_the_first_run_the_right_panel_is_empty(figure):
    left, right = figure({})
    assert len(lines(left)) == 3
    assert len(lines(right)) == 1
    assert texts(right) == ["target 70%"]


def test_the_notebook_draws_the_runs_that_are_kept():
    left, right = claim("W1").draw_at_scale()
    table = Table(stored_at_scale()[0], FULL)
    np.testing.assert_allclose(lines(right)[1], 100 * table.by_rate(BATCH).mean(axis=0))
    left.figure.draw_without_rendering()
    plt.close(left.figure)
