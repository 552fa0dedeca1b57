"""Each experiment has a figure of its own, which says what it shows."""

import itertools
import re

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt

from bnlab.course.experiments import panels
from bnlab.course.experiments.evidence import Experiment
from bnlab.course.experiments.ledger import runnable
from bnlab.course.experiments.record import claim

DRAWN = [name for name, entry in runnable().items() if isinstance(entry, Experiment)]
SLOW = {"A1", "B5", "T6"}  # identities that are computed now and take seconds


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def texts_of(figure):
    """All that is written in a figure."""
    found = (text.get_text() for text in figure.findobj(mpl.text.Text))
    return [text for text in found if text.strip()]


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in DRAWN]
)
def test_a_figure_names_its_axes_and_groups(name):
    told = claim(name)
    arrays = told.arrays
    figure = told.entry.draw(arrays).figure
    figure.canvas.draw()
    drawn = [ax for ax in figure.axes if ax.has_data()]
    assert drawn
    for ax in drawn:
        assert ax.get_xlabel() or ax.get_ylabel() or ax.get_title(), f"{name}: an axis has no name"
    named = [text for ax in drawn for text in (ax.get_xlabel(), ax.get_ylabel(), ax.get_title())]
    assert any(named)
    for text in texts_of(figure):
        assert text not in {n for n in arrays if "_" in n}, f"{name}: {text!r} is an array's name"
    for ax in drawn:
        for label in ax.get_legend_handles_labels()[1]:
            assert not re.fullmatch(r"[\d. ]+", label), f"{name}: a legend says only {label!r}"


# The shared figures


def test_a_strip_has_a_point_for_each_seed_and_a_bar_at_the_mean():
    values = {"none": [90, 92.0], "batch norm": [95, 97.0], "one number": 4.0}
    ax = panels.strip(values, "accuracy, %", limit=(93, "target"))
    points = [line for line in ax.lines if line.get_marker() == "o"]
    assert [list(line.get_ydata()) for line in points] == [[90, 92], [95, 97], [4]]
    bars = [c.get_segments()[0][:, 1].tolist() for c in ax.collections]
    assert bars == [[91, 91], [96, 96], [4, 4]]
    assert ax.get_ylabel() == "accuracy, %"
    assert "target" in texts_of(ax.figure)


@pytest.mark.parametrize(
    "ax",
    [
        lambda: panels.strip({"a": [1.0, 1.0], "b": [1.1, 0.9]}, "y", limit=(1.0, "as before")),
        lambda: panels.lines([1, 2], {"a": [[1, 1.0]]}, "x", "y", limit=(1.0, "as before")),
    ],
    ids=["strip", "lines"],
)
def test_the_words_of_a_limit_stand_right_of_all_data(ax):
    ax = ax()
    ax.figure.canvas.draw()
    (words,) = [text for text in ax.texts if text.get_text() == "as before"]
    drawn = [line for line in ax.lines if line.get_linestyle() != ":"]
    last = max(ax.transData.transform((np.max(line.get_xdata()), 0))[0] for line in drawn)
    assert words.get_window_extent().x0 > last
    assert any(set(line.get_ydata()) == {1.0} and line.get_linestyle() == ":" for line in ax.lines)


def test_a_strip_joins_the_seeds_where_all_groups_have_them():
    def joined(groups):
        return sum(line.get_marker() == "None" for line in panels.strip(groups, "y").lines)

    assert joined({"a": [1, 2, 3], "b": [2, 3, 4]}) == 3
    assert joined({"a": [1, 2, 3], "b": [2, 3]}) == 0


def test_lines_show_the_median_and_differ_in_style():
    runs = np.array([[1, 2], [3, 9], [5, 4.0]])
    ax = panels.lines([1, 10], {"with": runs, "without": runs + 1}, "step", "loss", xscale="log")
    first, second = ax.lines
    np.testing.assert_array_equal(first.get_ydata(), [3, 4])
    assert first.get_linestyle() != second.get_linestyle()
    assert first.get_color() != second.get_color()
    assert (ax.get_xscale(), ax.get_xlabel(), ax.get_ylabel()) == ("log", "step", "loss")
    assert {"with", "without"} <= set(texts_of(ax.figure))


def test_one_run_is_a_line():
    (line,) = panels.lines([0, 1], {"loss": [3, 2]}, "step", "loss").lines
    np.testing.assert_array_equal(line.get_ydata(), [3, 2])


def test_each_row_can_have_a_tolerance_of_its_own():
    ax = panels.errors({"a": 0.05, "b": 0.05, "c": np.nan}, tolerance=(0.1, 0.01, 0.2))
    within, beyond = ax.lines
    assert (list(within.get_ydata()), list(beyond.get_ydata())) == ([0], [1, 2])
    pieces = np.array(ax.collections[0].get_segments())
    np.testing.assert_allclose(pieces[:, :, 0], [[0.1] * 2, [0.01] * 2, [0.2] * 2])
    np.testing.assert_allclose(pieces[:, :, 1].mean(axis=1), [0, 1, 2])


def test_errors_beyond_the_tolerance_look_different():
    values = {"exact": 0.0, "rounded": np.array([1e-16, -3e-13]), "wrong": 0.5}
    ax = panels.errors(values, tolerance=1e-12)
    within, beyond = ax.lines[:2]
    np.testing.assert_allclose(within.get_xdata(), [1e-17, 3e-13])
    np.testing.assert_allclose(beyond.get_xdata(), [0.5])
    assert within.get_marker() != beyond.get_marker()
    assert ax.lines[2].get_xdata() == [1e-12, 1e-12]
    assert "tolerance 1e-12" in texts_of(ax.figure)
    for a, b in itertools.pairwise(ax.get_yticks()):
        assert a < b
