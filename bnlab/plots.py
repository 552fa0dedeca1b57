"""Figures of the course: arrays in, one axes out.

Every function draws into `ax`, or into new axes if `ax` is None, and returns the axes. None trains,
shows or saves anything, none changes its input; arrays that do not fit raise ValueError. Colours
are colour-blind safe, and a line style or a text always says the same as the colour.
"""

import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from matplotlib.colors import to_rgb

from bnlab.data import as_images

__all__ = ["curves_with_band", "dot_intervals", "heat_map", "histogram_pair", "percentile_lines"]
__all__ += ["digits_grid", "lines_labelled", "use_style"]


def use_style():
    """Set the course's look for all figures that follow.

    >>> with plt.rc_context():  # only here: a notebook calls use_style() and keeps it
    ...     use_style()
    ...     plt.rcParams["axes.spines.top"]
    False
    """
    colours = plt.style.library["petroff10"]["axes.prop_cycle"].by_key()["color"]
    line_styles = 2 * ["-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1))]
    own = {
        "axes.prop_cycle": cycler(color=colours, linestyle=line_styles),
        "axes.spines.right": False,
        "axes.spines.top": False,
        "figure.constrained_layout.use": True,
        "figure.dpi": 100,
        "figure.figsize": (6.0, 3.6),
        "font.size": 11,
        "legend.frameon": False,
        "lines.linewidth": 2,
    }
    plt.style.use(["petroff10", own])


def digits_grid(images, titles=None, ax=None, columns=10):
    """Draw images side by side, black ink on white paper, all on one grey scale from 0 to 1.

    Parameters
    ----------
    images : array_like, shape (N, S*S), (N, S, S) or (N, 1, S, S), in [0, 1]
    titles : sequence of N, written above the images, or None
    columns : int, the number of images in a row

    Returns
    -------
    ax : matplotlib.axes.Axes

    Examples
    --------
    >>> ax = digits_grid(np.zeros((3, 64)), titles=["a", "b", "c"])
    >>> len(ax.images), [text.get_text() for text in ax.texts]
    (3, ['a', 'b', 'c'])
    """
    pictures = as_images(np.asarray(images))[:, 0]  # (N, S, S)
    height = 1.15 if titles is None else 1.5  # of a row, in widths of an image
    titles = [""] * len(pictures) if titles is None else titles
    _check_shape("digits_grid", "titles", titles, (len(pictures),))
    columns, rows = min(columns, len(pictures)), -(-len(pictures) // columns)
    ax = _axes(ax, figsize=(0.9 * columns + 0.2, 0.8 * height * rows + 0.2))
    for i, (picture, title) in enumerate(zip(pictures, titles, strict=True)):
        left, top = 1.15 * (i % columns), height * (i // columns)
        ax.imshow(picture, cmap="gray_r", vmin=0, vmax=1, extent=(left, left + 1, top + 1, top))
        ax.text(left + 0.5, top - 0.05, str(title), ha="center", va="bottom")
    ax.set(xlim=(-0.05, 1.15 * columns - 0.1), ylim=(height * (rows - 1) + 1.05, 1 - height))
    ax.set_axis_off()
    return ax


def histogram_pair(a, b, labels, ax=None, bins=30):
    """Compare two distributions in the same bins: `a` filled, `b` as a dashed outline.

    Both histograms have area 1, so that samples of different size can be compared.

    Parameters
    ----------
    a, b : array_like of any shape, all values count alike
    labels : pair of str
    bins : int or sequence, as in `numpy.histogram`

    Returns
    -------
    ax : matplotlib.axes.Axes

    Examples
    --------
    >>> ax = histogram_pair([0, 0, 1], [1, 2], labels=["before", "after"], bins=2)
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['before', 'after']
    """
    _check_shape("histogram_pair", "labels", labels, (2,))
    a, b = np.ravel(a), np.ravel(b)
    edges = np.histogram_bin_edges(np.concatenate([a, b]), bins)
    ax = _axes(ax)
    ax.hist(a, edges, density=True, color="C0", alpha=0.45, label=labels[0])
    ax.hist(b, edges, density=True, histtype="step", color="C2", ls="--", lw=2, label=labels[1])
    ax.set_ylabel("density")
    ax.legend()
    return ax


def curves_with_band(x, runs, label, ax=None, color=None, linestyle=None):
    """Draw the median of several runs, and a band from the smallest to the largest value.

    All lines so far are labelled at their right ends. Where one run is nan, as training that
    diverged leaves it, line and band stop: the median of the survivors would hide the failure.

    Parameters
    ----------
    x : array_like, shape (T,)
    runs : array_like, shape (S, T), one row for each seed
    label : str
    color, linestyle : as in `matplotlib`, by default the next ones of the cycle

    Returns
    -------
    ax : matplotlib.axes.Axes

    Examples
    --------
    >>> ax = curves_with_band([0, 1], [[4, 2], [5, 1], [9, 3]], label="loss")
    >>> ax.lines[0].get_ydata()
    array([5., 2.])
    """
    runs = np.asarray(runs, dtype=float)
    _check_shape("curves_with_band", "runs", runs, (len(runs), len(x)))
    ax = _axes(ax)
    (line,) = ax.plot(x, np.median(runs, axis=0), label=label, color=color, linestyle=linestyle)
    ax.fill_between(x, runs.min(axis=0), runs.max(axis=0), color=line.get_color(), alpha=0.2, lw=0)
    return lines_labelled(ax)


def percentile_lines(steps, percentiles, ax=None):
    """Draw three percentiles over training, as Ioffe & Szegedy 2015 in figure 1 (b) and (c).

    Parameters
    ----------
    steps : array_like, shape (T,)
    percentiles : array_like, shape (3, T), one row each for 15, 50 and 85

    Returns
    -------
    ax : matplotlib.axes.Axes

    Examples
    --------
    >>> ax = percentile_lines([0, 1], [[-1, -2], [0, 0], [1, 2]])
    >>> [line.get_label() for line in ax.lines]
    ['15th', 'median', '85th']
    """
    percentiles = np.asarray(percentiles)
    _check_shape("percentile_lines", "percentiles", percentiles, (3, len(steps)))
    ax = _axes(ax)
    for row, label, style in zip(percentiles, ["15th", "median", "85th"], ":-:", strict=True):
        ax.plot(steps, row, label=label, color="C0", linestyle=style)
    return lines_labelled(ax)


def heat_map(values, row_labels, column_labels, ax=None, annotate=True):
    """Draw a table as colours, dark for small values, with the number in each cell.

    Parameters
    ----------
    values : array_like, shape (R, C); a cell that is nan stays white
    row_labels, column_labels : sequence of R and of C
    annotate : bool; False draws a colour bar in place of the numbers

    Returns
    -------
    ax : matplotlib.axes.Axes

    Examples
    --------
    >>> ax = heat_map([[0.5, 1], [0, 0.25]], ["plain", "BN"], ["lr 0.1", "lr 1"])
    >>> [text.get_text() for text in ax.texts]
    ['0.50', '1.00', '0.00', '0.25']
    """
    values = np.asarray(values, dtype=float)
    _check_shape("heat_map", "values", values, (len(row_labels), len(column_labels)))
    ax = _axes(ax)
    image = ax.imshow(values, cmap="cividis", aspect="auto")
    ax.set_xticks(range(len(column_labels)), column_labels)
    ax.set_yticks(range(len(row_labels)), row_labels)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    if annotate:
        _write_numbers(ax, image, values)
    else:
        ax.figure.colorbar(image, ax=ax)
    return ax


def _write_numbers(ax, image, values):
    """Write each value into its cell, white on dark cells and black on light ones."""
    for (row, column), value in np.ndenumerate(values):
        light = np.isnan(value) or np.dot(image.to_rgba(value)[:3], (0.2126, 0.7152, 0.0722)) > 0.5
        colour = "black" if light else "white"
        ax.text(column, row, f"{value:.2f}", ha="center", va="center", color=colour)


def dot_intervals(labels, estimates, lows, highs, ax=None):
    """Draw estimates with their intervals, one line each from the top down, and mark zero.

    Parameters
    ----------
    labels : sequence of K
    estimates, lows, highs : array_like, shape (K,); all are places on the axis

    Returns
    -------
    ax : matplotlib.axes.Axes

    Examples
    --------
    >>> ax = dot_intervals(["BN", "dropout"], [0.1, -0.2], [0.0, -0.5], [0.3, 0.1])
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['BN', 'dropout']
    """
    for name, values in {"estimates": estimates, "lows": lows, "highs": highs}.items():
        _check_shape("dot_intervals", name, values, (len(labels),))
    places = np.arange(len(labels))
    ax = _axes(ax, figsize=(6.0, 0.45 * len(labels) + 1.0))
    ax.axvline(0, color="0.55", linestyle="--", linewidth=1)
    ax.hlines(places, lows, highs, color="C0", linewidth=2)
    ax.plot(estimates, places, color="C0", marker="o", linestyle="none")
    ax.set(yticks=places, yticklabels=labels, ylim=(len(labels) - 0.5, -0.5))
    return ax


def lines_labelled(ax):
    """Write the label of each line at its right end, instead of a legend.

    Labels that would overlap are moved apart, each as little as possible. Called again, for
    example after a change of scale, it writes them anew.

    Parameters
    ----------
    ax : matplotlib.axes.Axes

    Returns
    -------
    ax : matplotlib.axes.Axes

    Examples
    --------
    >>> _, ax = plt.subplots()
    >>> _ = ax.plot([0, 1], [0, 2], label="upper"), ax.plot([0, 1], [0, 1], label="lower")
    >>> [text.get_text() for text in lines_labelled(ax).texts]
    ['lower', 'upper']
    """
    for text in [text for text in ax.texts if text.get_gid() == "line label"]:
        text.remove()
    ends = {line: _right_end(line) for line in ax.lines if not line.get_label().startswith("_")}
    ax.get_ylim()  # brings the limits up to date: transData alone does not know the newest line
    points = 72 / ax.figure.dpi
    heights = {line: ax.transData.transform(end)[1] * points for line, end in ends.items() if end}
    lines = sorted(heights, key=heights.get)
    apart = _apart([heights[line] for line in lines], gap=1.25 * plt.rcParams["font.size"])
    beside = {"textcoords": "offset points", "va": "center", "annotation_clip": False}
    for line, height in zip(lines, apart, strict=True):
        up = height - heights[line]
        dark = 0.65 * np.array(to_rgb(line.get_color()))  # yellow text is hard to read
        ax.annotate(line.get_label(), ends[line], (5, up), color=dark, gid="line label", **beside)
    return ax


def _right_end(line):
    """Return a line's last finite point, or None."""
    points = np.column_stack(line.get_data()).astype(float)
    points = points[np.isfinite(points).all(axis=1)]
    return tuple(points[-1].tolist()) if len(points) else None


def _apart(places, gap):
    """Sorted places moved as little as possible (least squares) to be a gap apart."""
    # Less the gaps, they must not fall: an isotonic regression, here by its min-max formula.
    shifts = gap * np.arange(len(places))
    free, n = np.asarray(places) - shifts, range(len(places))
    fitted = [max(min(free[j : k + 1].mean() for k in n[i:]) for j in n[: i + 1]) for i in n]
    return fitted + shifts


def _axes(ax, **figure):
    return plt.subplots(**figure)[1] if ax is None else ax


def _check_shape(function, name, values, shape):
    found = np.shape(values)
    if found != shape:
        raise ValueError(f"{function} needs {name} of shape {shape} to fit the rest, got {found}")
