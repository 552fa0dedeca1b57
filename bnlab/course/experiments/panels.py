"""A figure that fits the arrays of any experiment: one panel an array."""

import math

import numpy as np

__all__ = ["draw"]

MOST = 12  # panels; more cannot be read
LINES = 6  # in a panel


def draw(arrays):
    """Draw each array of numbers in a panel of its own, the first twelve of them.

    A number is written, one axis is drawn as dots. Of more axes the first one is the seeds in most
    experiments and the last one goes to the right: the line is the median over the first, the band
    goes from the smallest to the largest, and there is a line for each place in between, up to six.

    >>> ax = draw({"lr": 0.1, "error": [3.0, 2.5], "curve": np.ones((2, 5)), "name": "x"})
    >>> [panel.get_title() for panel in ax.figure.axes]
    ['lr', 'error', 'curve']
    """
    # Here and below: whoever only reads the ledger has no need of matplotlib.
    import matplotlib.pyplot as plt

    drawn = {name: np.asarray(a, float) for name, a in arrays.items() if _is_numeric(a)}
    chosen = list(drawn.items())[:MOST]
    columns = min(3, len(chosen)) or 1
    rows = math.ceil(len(chosen) / columns) or 1
    figure, axes = plt.subplots(rows, columns, figsize=(4 * columns, 2.6 * rows), squeeze=False)
    for ax, (name, array) in zip(axes.flat, chosen, strict=False):
        _panel(array, ax).set_title(name, fontsize="medium")
    for ax in axes.flat[max(len(chosen), 1) :]:
        ax.remove()
    if len(drawn) > MOST:
        figure.suptitle(f"the first {MOST} of {len(drawn)} arrays")
    return axes.flat[0]


def _is_numeric(array):
    array = np.asarray(array)
    return array.dtype.kind in "biuf" and array.size > 0


def _panel(array, ax):
    if array.ndim == 0:
        ax.text(0.5, 0.5, f"{array:.4g}", ha="center", va="center", fontsize="x-large")
        ax.set_axis_off()
    elif array.ndim == 1:
        ax.plot(array, linestyle="none", marker="o")
        ax.xaxis.get_major_locator().set_params(integer=True)
    else:
        _curves(array, ax)
    if array.ndim and _spans_decades(array):
        ax.set_yscale("log")
    return ax


def _curves(array, ax):
    """Runs over the first axis, the last one to the right, a line for each place in between."""
    from bnlab.plots import curves_with_band

    between = array.shape[1:-1]
    for place in list(np.ndindex(between))[:LINES]:
        runs = array[(slice(None), *place)]
        label = " ".join(map(str, place)) or "median"
        curves_with_band(np.arange(runs.shape[1]), runs, label=label, ax=ax)
    for line in ax.lines:
        line.set_marker("o" if array.shape[-1] <= 12 else "")


def _spans_decades(array):
    finite = array[np.isfinite(array)]
    return finite.size > 0 and finite.min() > 0 and finite.max() > 1000 * finite.min()
