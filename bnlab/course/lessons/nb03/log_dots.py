"""A figure for identities: how far two ways to the same number are apart, on a logarithmic axis."""

import numpy as np

LEAST = 1e-18  # where zero is drawn
ABOVE = {"xytext": (0, 3), "textcoords": "offset points", "ha": "center", "fontsize": "small"}


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
    import matplotlib.pyplot as plt

    ax = ax or plt.subplots(figsize=(6.4 + 2.6 * (len(groups) > 1), 1.4 + 0.42 * len(names)))[1]
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
