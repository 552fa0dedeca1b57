"""Figures are read back from what they drew; nobody has to look at them."""

import subprocess
import sys
from unittest import mock

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex

from bnlab import plots


def fixed(values):
    """An array that raises when somebody writes into it, even in a test that does not look."""
    values.setflags(write=False)
    return values


STEPS = fixed(np.arange(0.0, 50.0, 10.0))
RUNS = fixed(np.random.default_rng(0).random((4, 5)))
PICTURES = fixed(np.random.default_rng(1).random((5, 64)))

# Each function with arguments that fit it; the arrays in them must come back unchanged.
CALLS = {
    "digits_grid": (plots.digits_grid, (PICTURES, list("abcde"))),
    "histogram_pair": (plots.histogram_pair, (RUNS, fixed(RUNS + 0.3), ["before", "after"])),
    "curves_with_band": (plots.curves_with_band, (STEPS, RUNS, "loss")),
    "percentile_lines": (plots.percentile_lines, (STEPS, fixed(np.sort(RUNS[:3], axis=0)))),
    "heat_map": (plots.heat_map, (RUNS, list("abcd"), list("ABCDE"))),
    "dot_intervals": (plots.dot_intervals, (list("abcde"), RUNS[0], RUNS[1], RUNS[2])),
}


@pytest.fixture(autouse=True)
def fresh_matplotlib():
    plt.close("all")  # doctests leave their figures open
    with plt.rc_context():
        yield
    plt.close("all")


def written(ax):
    return [text.get_text() for text in ax.texts]


# What all of them promise


@pytest.mark.parametrize(("draw", "arguments"), CALLS.values(), ids=CALLS)
def test_a_figure_goes_into_the_axes_given(draw, arguments):
    _, (left, right) = plt.subplots(1, 2)
    assert draw(*arguments, ax=right) is right
    assert right.has_data()
    assert not left.has_data()
    assert len(plt.get_fignums()) == 1


@pytest.mark.parametrize(("draw", "arguments"), CALLS.values(), ids=CALLS)
def test_a_figure_makes_its_own_axes_if_none_are_given(draw, arguments):
    first, second = draw(*arguments), draw(*arguments)
    assert isinstance(first, plt.Axes)
    assert first.figure is not second.figure
    assert len(plt.get_fignums()) == 2


@pytest.mark.parametrize(("draw", "arguments"), CALLS.values(), ids=CALLS)
def test_a_figure_changes_no_input_shows_nothing_and_can_be_drawn(draw, arguments):
    before = [np.copy(argument) for argument in arguments]
    with mock.patch.object(plt, "show") as show, mock.patch.object(plt.Figure, "show") as own_show:
        ax = draw(*arguments)
        ax.figure.draw_without_rendering()
    assert not show.called
    assert not own_show.called
    for now, then in zip(arguments, before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_no_other_module_loads_matplotlib():
    program = (
        "import pkgutil, sys, bnlab, importlib\n"
        "for name in ('batchnorm', 'idx', 'data'): importlib.import_module('bnlab.' + name)\n"
        "print('matplotlib' in sys.modules); import bnlab.plots; print('matplotlib' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.stdout.split() == ["False", "True"], run.stderr


# use_style


def test_the_style_pairs_petroffs_colours_with_line_styles():
    plots.use_style()
    cycle = plt.rcParams["axes.prop_cycle"].by_key()
    with plt.style.context("petroff10"):
        assert cycle["color"] == plt.rcParams["axes.prop_cycle"].by_key()["color"]
    assert len({str(style) for style in cycle["linestyle"][:5]}) == 5
    assert plt.rcParams["figure.dpi"] == 100


def test_curves_in_the_style_differ_in_colour_and_line_style():
    plots.use_style()
    ax = None
    for i in range(5):
        ax = plots.curves_with_band(STEPS, RUNS + i, f"run {i}", ax=ax)
    assert len({to_hex(line.get_color()) for line in ax.lines}) == 5
    # get_linestyle() calls every dashed line "--"; the pattern tells them apart.
    assert len({str(line._unscaled_dash_pattern) for line in ax.lines}) == 5


# digits_grid


@pytest.mark.parametrize("shape", [(5, 64), (5, 8, 8), (5, 1, 8, 8)])
def test_digits_grid_draws_every_image_on_the_same_grey_scale(shape):
    ax = plots.digits_grid(PICTURES.reshape(shape))
    assert len(ax.images) == 5
    for image, picture in zip(ax.images, PICTURES, strict=True):
        np.testing.assert_array_equal(image.get_array(), picture.reshape(8, 8))
        assert image.get_clim() == (0, 1)
        assert image.get_cmap().name == "gray_r"


def test_digits_grid_goes_from_left_to_right_and_then_down():
    ax = plots.digits_grid(PICTURES, titles=[0, 0, 0, 0, 0], columns=3)
    left, _, bottom, top = np.array([image.get_extent() for image in ax.images]).T
    assert left[0] == left[3] < left[1] == left[4] < left[2]
    assert top[0] == top[1] == top[2] < bottom[0] < top[3] == top[4]
    assert ax.yaxis_inverted()
    assert min(left) >= ax.get_xlim()[0]
    assert max(left) + 1 <= ax.get_xlim()[1]
    assert max(bottom) <= ax.get_ylim()[0]


def test_digits_grid_writes_titles_above_their_images_without_touching_another():
    ax = plots.digits_grid(PICTURES, titles=["one", 2, 0, "d", "e"], columns=2)
    assert written(ax) == ["one", "2", "0", "d", "e"]
    ax.figure.draw_without_rendering()
    images = [image.get_window_extent() for image in ax.images]
    for text, own in zip(ax.texts, images, strict=True):
        box = text.get_window_extent()
        assert box.y0 >= own.y1
        assert abs((box.x0 + box.x1) / 2 - (own.x0 + own.x1) / 2) < 2
        assert not any(box.overlaps(image) for image in images)


def test_digits_grid_wants_one_title_per_image():
    with pytest.raises(ValueError, match=r"digits_grid needs titles of shape \(5,\) .* got \(2,\)"):
        plots.digits_grid(PICTURES, titles=["a", "b"])


# histogram_pair


def test_histogram_pair_uses_the_same_bins_and_area_one_for_both():
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(10, 30)), rng.normal(3, 2, size=50)
    ax = plots.histogram_pair(a, b, ["before", "after"], bins=12)
    edges = np.histogram_bin_edges(np.append(a, b), 12)
    bars, outline = ax.patches[:-1], ax.patches[-1]
    np.testing.assert_allclose([bar.get_x() for bar in bars], edges[:-1])
    np.testing.assert_allclose(
        [bar.get_height() for bar in bars], np.histogram(a, edges, density=True)[0]
    )
    heights = outline.get_xy()[1:-1:2, 1]
    np.testing.assert_allclose(heights, np.histogram(b, edges, density=True)[0])
    np.testing.assert_allclose([sum(heights * np.diff(edges))], [1])


def test_histogram_pair_tells_the_two_apart_without_colour():
    ax = plots.histogram_pair([0, 1], [1, 2], ["before", "after"])
    filled, outline = ax.get_legend().get_patches()
    assert (filled.get_fill(), outline.get_fill()) == (True, False)
    assert len(set(ax.patches[-1].get_linestyle()[1])) == 2  # dashes and gaps, not "solid"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["before", "after"]


def test_histogram_pair_wants_two_labels():
    with pytest.raises(
        ValueError, match=r"histogram_pair needs labels of shape \(2,\) .* got \(3,\)"
    ):
        plots.histogram_pair([0], [1], ["a", "b", "c"])


# curves_with_band


def test_curves_with_band_draws_the_median_and_the_range():
    ax = plots.curves_with_band(STEPS, RUNS, "loss")
    (line,), (band,) = ax.lines, ax.collections
    np.testing.assert_array_equal(line.get_xdata(), STEPS)
    np.testing.assert_allclose(line.get_ydata(), np.sort(RUNS, axis=0)[1:3].mean(axis=0))
    corners = {tuple(point) for point in band.get_paths()[0].vertices.round(12)}
    expected = {*zip(STEPS, RUNS.min(axis=0).round(12), strict=True)}
    expected |= {*zip(STEPS, RUNS.max(axis=0).round(12), strict=True)}
    assert corners == expected
    assert to_hex(band.get_facecolor()[0]) == to_hex(line.get_color())


def test_curves_with_band_labels_all_lines_so_far_once():
    ax = plots.curves_with_band(STEPS, RUNS, "first")
    plots.curves_with_band(STEPS, RUNS + 1, "second", ax=ax)
    assert written(ax) == ["first", "second"]
    assert ax.get_legend() is None


def test_curves_with_band_takes_colour_and_line_style():
    ax = plots.curves_with_band(STEPS, RUNS, "loss", color="black", linestyle=":")
    assert (ax.lines[0].get_color(), ax.lines[0].get_linestyle()) == ("black", ":")
    assert to_hex(ax.collections[0].get_facecolor()[0]) == "#000000"


def test_a_run_that_diverged_ends_the_line_where_it_did():
    runs = RUNS.copy()
    runs[2, 3:] = np.nan
    ax = plots.curves_with_band(STEPS, runs, "loss")
    assert np.isfinite(ax.lines[0].get_ydata()).tolist() == [True, True, True, False, False]
    assert ax.texts[0].xy[0] == STEPS[2]
    ax.figure.draw_without_rendering()


@pytest.mark.parametrize("shape", [(5,), (5, 4), (1, 4, 5)])
def test_curves_with_band_wants_one_row_for_each_seed(shape):
    with pytest.raises(
        ValueError, match=rf"needs runs of shape \({shape[0]}, 5\) .* got \({shape[0]}"
    ):
        plots.curves_with_band(STEPS, np.zeros(shape), "loss")


# percentile_lines


def test_percentile_lines_draw_three_rows_and_mark_the_median():
    percentiles = np.sort(RUNS[:3], axis=0)
    ax = plots.percentile_lines(STEPS, percentiles)
    assert [line.get_label() for line in ax.lines] == ["15th", "median", "85th"]
    for line, row in zip(ax.lines, percentiles, strict=True):
        np.testing.assert_array_equal(line.get_xdata(), STEPS)
        np.testing.assert_array_equal(line.get_ydata(), row)
    assert [line.get_linestyle() for line in ax.lines] == [":", "-", ":"]
    assert sorted(written(ax)) == ["15th", "85th", "median"]


def test_percentile_lines_want_three_rows():
    with pytest.raises(ValueError, match=r"needs percentiles of shape \(3, 5\) .* got \(5, 3\)"):
        plots.percentile_lines(STEPS, np.zeros((5, 3)))


# heat_map


def test_heat_map_draws_and_writes_each_value_in_its_cell():
    values = np.array([[0.0, 0.5, 1.0], [-1.25, np.nan, 2.0]])
    ax = plots.heat_map(values, ["r0", "r1"], ["c0", "c1", "c2"])
    np.testing.assert_array_equal(ax.images[0].get_array().filled(np.nan), values)
    found = {text.get_position(): text.get_text() for text in ax.texts}
    assert found == {
        (0, 0): "0.00", (1, 0): "0.50", (2, 0): "1.00",
        (0, 1): "-1.25", (1, 1): "nan", (2, 1): "2.00",
    }  # fmt: skip
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["r0", "r1"]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["c0", "c1", "c2"]


def test_heat_map_writes_so_that_it_can_be_read_on_dark_light_and_empty_cells():
    ax = plots.heat_map([[0, 1, np.nan]], ["r"], ["dark", "light", "empty"])
    assert [text.get_color() for text in ax.texts] == ["white", "black", "black"]


def test_heat_map_without_numbers_has_a_colour_bar():
    ax = plots.heat_map(RUNS, "abcd", "ABCDE", annotate=False)
    assert written(ax) == []
    assert ax.images[0].colorbar is not None
    assert plots.heat_map(RUNS, "abcd", "ABCDE").images[0].colorbar is None


def test_heat_map_wants_a_label_for_each_row_and_column():
    for rows, columns in ("abcde", "ABCDE"), ("abcd", "ABCD"):
        expected = (
            rf"heat_map needs values of shape \({len(rows)}, {len(columns)}\) .* got \(4, 5\)"
        )
        with pytest.raises(ValueError, match=expected):
            plots.heat_map(RUNS, rows, columns)


# dot_intervals


def test_dot_intervals_draw_from_the_top_down_with_a_line_at_zero():
    ax = plots.dot_intervals(["a", "b"], [0.1, -0.2], [0.0, -0.5], [0.3, 0.1])
    zero, dots = ax.lines
    assert list(zero.get_xdata()) == [0, 0]
    np.testing.assert_array_equal(dots.get_xydata(), [[0.1, 0], [-0.2, 1]])
    np.testing.assert_array_equal(
        ax.collections[0].get_segments(), [[[0, 0], [0.3, 0]], [[-0.5, 1], [0.1, 1]]]
    )
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["a", "b"]
    assert ax.yaxis_inverted()


def test_dot_intervals_want_equal_lengths():
    with pytest.raises(ValueError, match=r"dot_intervals needs lows of shape \(2,\) .* got \(1,\)"):
        plots.dot_intervals(["a", "b"], [1, 2], [0], [3, 4])


# lines_labelled


def three_lines(ends, scale="linear"):
    _, ax = plt.subplots()
    for name, end in zip("abc", ends, strict=True):
        ax.plot([0, 1, 2], [1, 1, end], label=name)
    ax.set_yscale(scale)
    return plots.lines_labelled(ax)


def boxes(ax):
    ax.figure.draw_without_rendering()
    return [text.get_window_extent() for text in sorted(ax.texts, key=lambda t: t.get_text())]


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_labels_that_have_room_stand_at_the_ends_of_their_lines(scale):
    ends = [1, 30, 100]
    ax = three_lines(ends, scale)
    assert written(ax) == ["a", "b", "c"]
    points = ax.transData.transform([(2, end) for end in ends])
    for box, (x, y) in zip(boxes(ax), points, strict=True):
        assert 0 < box.x0 - x < 10
        assert box.y0 < y < box.y1


@pytest.mark.parametrize(
    "ends", [[1, 1.01, 1.02], [5, 5, 5], [1, 1.02, 9], [1, 8.9, 9], [9, 1.02, 1], [1.01, 9, 1]]
)
def test_labels_are_moved_apart_in_the_order_of_the_lines(ends):
    found = boxes(three_lines(ends))
    low, middle, high = (found[i] for i in np.argsort(ends, kind="stable"))
    assert low.y1 <= middle.y0
    assert middle.y1 <= high.y0


def test_labels_move_as_little_as_possible():
    """No other places that keep the gap are nearer, in the sense of least squares."""
    places, gap = [0.0, 1.0, 1.5, 7.0], 2.0
    moved = plots._apart(places, gap)
    np.testing.assert_allclose(moved, [-7 / 6, 5 / 6, 17 / 6, 7.0])
    assert (np.diff(moved) >= gap - 1e-12).all()
    best = np.square(moved - places).sum()
    rng = np.random.default_rng(0)
    for _ in range(2000):
        other = np.sort(moved + rng.normal(0, 0.3, 4))
        if (np.diff(other) >= gap).all():
            assert np.square(other - places).sum() > best


def test_labels_move_with_their_lines_when_the_limits_change():
    ax = three_lines([1, 30, 100])
    ax.set_ylim(-100, 500)
    points = ax.transData.transform([(2, end) for end in (1, 30, 100)])
    for box, (_, y) in zip(boxes(ax), points, strict=True):
        assert box.y0 < y < box.y1


def test_labels_are_written_anew_and_other_text_stays():
    ax = three_lines([1, 5, 9])
    ax.text(0, 0, "a note")
    ax.lines[0].set_label("renamed")
    plots.lines_labelled(plots.lines_labelled(ax))
    assert sorted(written(ax)) == ["a note", "b", "c", "renamed"]


def test_lines_without_a_label_or_a_finite_point_are_left_out():
    _, ax = plt.subplots()
    ax.plot([0, 1], [0, 1])
    ax.plot([0, 1], [np.nan, np.nan], label="nothing")
    ax.plot([0, 1, 2], [3, 4, np.inf], label="stops")
    plots.lines_labelled(ax)
    assert written(ax) == ["stops"]
    assert ax.texts[0].xy == (1, 4)


def test_axes_without_lines_stay_as_they_are():
    _, ax = plt.subplots()
    assert plots.lines_labelled(ax) is ax
    assert written(ax) == []
