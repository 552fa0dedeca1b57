"""Figures that many experiments share: groups side by side, lines, errors of identities.

Names of groups and axes are nouns with units.
"""

import numpy as np

__all__ = ["errors", "lines", "log_dots", "strip"]

LEAST = 1e-18  # where zero is drawn
ABOVE = {"xytext": (0, 3), "textcoords": "offset points", "ha": "center", "fontsize": "small"}
TOP = {"xycoords": ("data", "axes fraction"), "xytext": (0, 3), "textcoords": "offset points",
       "ha": "center", "color": "0.3"}  # fmt: skip
# Right of the axes, where no data are.
BESIDE = {"xytext": (4, 0), "textcoords": "offset points", "va": "center", "color": "0.3",
          "fontsize": "small", "annotation_clip": False}  # fmt: skip


def strip(groups, ylabel, *, limit=None, ax=None):
    """Draw groups side by side: a point a seed, a bar at the mean; seeds are joined across groups.

    Parameters
    ----------
    groups : dict
        Name -> values (S,), or one number.
    ylabel : str
        With its unit.
    limit : tuple of (float, str), optional
        A dotted line, and what it says.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> ax = strip({"none": [90, 92], "batch norm": [95, 96]}, "test accuracy, %")
    >>> [label.get_text() for label in ax.get_xticklabels()]
    ['none', 'batch norm']
    """
    beside = 0.08 * len(limit[1]) if limit else 0.0  # inches for the words
    ax = ax or _new_axes((1.5 + 1.3 * len(groups) + beside, 3.4))
    columns = [np.atleast_1d(np.asarray(values, float)) for values in groups.values()]
    places = range(len(columns))
    if len({len(column) for column in columns}) == 1:
        for seed in zip(*columns, strict=True):
            ax.plot(places, seed, color="0.8", lw=1, zorder=1)
    for place, column in zip(places, columns, strict=True):
        color = f"C{place % 10}"
        ax.plot([place] * len(column), column, "o", color=color, alpha=0.6, zorder=2)
        ax.hlines(column.mean(), place - 0.25, place + 0.25, color=color, lw=3, zorder=3)
    ax.set_xticks(places, list(groups))
    ax.set(ylabel=ylabel, xlim=(-0.6, len(columns) - 0.4))
    if limit is not None:
        value, name = limit
        ax.axhline(value, color="0.4", lw=1, ls=":")
        ax.annotate(name, (1, value), xycoords=("axes fraction", "data"), **BESIDE)
    return ax


def lines(x, groups, xlabel, ylabel, *, limit=None, ax=None, **axes):
    """Draw a line a group: the median of its seeds with a band from the smallest to the largest.

    Parameters
    ----------
    x : array_like, shape (T,)
    groups : dict
        Name -> values (S, T), or (T,).
    xlabel, ylabel : str
        With their units.
    limit : tuple of (float, str), optional
        A dotted line, and what it says, at its end as of the others.
    **axes
        Further properties of the Axes, such as ``xscale="log"``.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> ax = lines([0, 1], {"loss": [[2, 1], [3, 2]]}, "step", "training loss")
    >>> ax.lines[0].get_ydata(), ax.get_xlabel()
    (array([2.5, 1.5]), 'step')
    """
    from bnlab.plots import curves_with_band, lines_labelled

    ax = ax or _new_axes((5.6, 3.4))
    ax.set(**axes)  # before the labels, whose places depend on the scale
    for k, (name, runs) in enumerate(groups.items()):
        style = ("-", "--", "-.", (0, (1, 1)), (0, (5, 1)), (0, (3, 1, 1, 1, 1, 1)))[k % 6]
        curves_with_band(x, np.atleast_2d(np.asarray(runs, float)), name, ax, f"C{k}", style)
        ax.lines[-1].set_marker("o" if len(x) <= 12 else "")
    ax.set(xlabel=xlabel, ylabel=ylabel)
    if limit is not None:
        value, name = limit
        ax.plot([x[0], x[-1]], [value, value], color="0.4", lw=1, ls=":", label=name)
        lines_labelled(ax)
    return ax


def errors(values, *, tolerance, xlabel="largest difference", ax=None):
    """Draw a dot a comparison on a logarithmic axis, and the tolerance that each has to keep.

    Parameters
    ----------
    values : dict
        What is compared -> the largest difference; zero is drawn at 1e-17.
    tolerance : float, or sequence of one for each
    xlabel : str

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> ax = errors({"dx against torch": 3e-16, "without eps": 1e-4}, tolerance=1e-12)
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['dx against torch', 'without eps']
    """
    ax = ax or _new_axes((6, 1.3 + 0.4 * len(values)))
    largest = np.maximum([float(np.max(np.abs(v))) for v in values.values()], 1e-17)
    kept = largest <= np.asarray(tolerance)
    for keeps, marker, color, name in ((True, "o", "C0", "within"), (False, "D", "C1", "beyond")):
        places = np.flatnonzero(kept == keeps)
        ax.plot(largest[places], places, marker, color=color, label=f"{name} the tolerance")
    ax.set(xscale="log", xlabel=xlabel, ylim=(len(values) - 0.5, -0.5))
    ax.set_yticks(range(len(values)), list(values))
    return _tolerated(ax, tolerance, len(values))


def _tolerated(ax, tolerance, rows):
    """A dotted line at the tolerance of all rows, or a piece of one in each row."""
    if np.ndim(tolerance):
        ends = np.arange(rows) - 0.4, np.arange(rows) + 0.4
        ax.vlines(tolerance, *ends, color="0.4", ls=":")
        corner = {"xycoords": "axes fraction", "ha": "right"}
        ax.annotate("dotted: the tolerance of each", (1, 1), **TOP | corner)
    else:
        ax.axvline(tolerance, color="0.4", ls=":")
        ax.annotate(f"tolerance {tolerance:.0e}", (tolerance, 1), **TOP)
    return ax


def log_dots(names, groups, xlabel, limits=(), ax=None):
    """Draw a row a name and in it a marker a group; limits are dotted lines that say what they are.

    Parameters
    ----------
    names : sequence of K str
    groups : dict
        Name -> values (K,); nan where there is none.
    xlabel : str
    limits : sequence of (float, str)

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> ax = log_dots(["dx"], {"by torch": [0.0]}, "relative difference", [(1e-10, "equal")])
    >>> ax.lines[0].get_xdata(), ax.texts[0].get_text()
    (array([1.e-18]), 'equal')
    """
    ax = ax or _new_axes((6.4 + 2.6 * (len(groups) > 1), 1.4 + 0.42 * len(names)))
    places = np.arange(len(names))
    for k, (name, values) in enumerate(groups.items()):
        values = np.maximum(np.abs(np.asarray(values, float)), LEAST)
        beside = 0.15 * (k - (len(groups) - 1) / 2)  # so that equal values are all seen
        ax.plot(values, places + beside, "oDsv^"[k], color=f"C{k}", ls="", label=name, zorder=3)
    for value, text in limits:
        ax.axvline(value, color="0.4", ls=":", lw=1.5)
        ax.annotate(text, (value, 1), xycoords=("data", "axes fraction"), **ABOVE)
    ax.set(xscale="log", xlabel=xlabel, ylim=(len(names) - 0.5, -0.5))
    ax.set_yticks(places, list(names))
    ax.grid(axis="y", color="0.9")
    if len(groups) > 1:
        ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def _new_axes(size):
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=size)[1]
