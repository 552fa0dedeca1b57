"""What the figures of this notebook share: names, panels side by side, a magnified part."""

NAMES = {"relu": "ReLU", "tanh": "tanh", "sigmoid": "sigmoid"}
WITHOUT, WITH = "without batch norm", "with batch norm"


def row_of_axes(titles, *, width=4.2, height=3.4, **shared):
    """Return an Axes a title, side by side; `shared` is as in `matplotlib.pyplot.subplots`.

    >>> axes = row_of_axes(["ReLU", "tanh"], sharey=True)
    >>> [ax.get_title() for ax in axes]
    ['ReLU', 'tanh']
    """
    import matplotlib.pyplot as plt

    size = (width * len(titles), height)
    options = {"figsize": size, "squeeze": False, "layout": "constrained"}
    _, axes = plt.subplots(1, len(titles), **options, **shared)
    for ax, title in zip(axes[0], titles, strict=True):
        ax.set_title(title)
    return axes[0]


def legend_for_labels(ax, **place):
    """Put a legend in the place of labels at the ends of lines, where panels stand close."""
    for text in [text for text in ax.texts if text.get_gid() == "line label"]:
        text.remove()
    return ax.legend(**place)


def magnified(ax, place, low, high):
    """Draw the lines of an Axes again in an inset that shows only heights from low to high.

    `place` is left, bottom, width and height in shares of the Axes.

    >>> ax = row_of_axes(["accuracy"])[0]
    >>> _ = ax.plot([0, 1], [10, 95])
    >>> magnified(ax, (0.5, 0.1, 0.4, 0.4), 90, 100).get_ylim()
    (np.float64(90.0), np.float64(100.0))
    """
    inset = ax.inset_axes(place)
    for line in ax.lines:
        look = {"color": line.get_color(), "linestyle": line.get_linestyle()}
        inset.plot(*line.get_data(), **look)
    inset.set(xlim=ax.get_xlim(), ylim=(low, high))
    inset.set_title(f"the same, {low:g} to {high:g}", fontsize="small")
    inset.tick_params(labelsize="small")
    return inset
