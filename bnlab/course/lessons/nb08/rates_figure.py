"""The figure of W1 at both scales: accuracy against the learning rate, one panel a data set."""

import numpy as np

__all__ = ["draw_panels"]

WITHOUT, WITH = (
    ("C0", "--", "without\nbatch norm", "right"),
    ("C1", "-", "with\nbatch norm", "left"),
)


def draw_panels(*panels):
    r"""Draw ``(title, lrs (R,), without (S, R), with (S, R), target)`` a panel, shares of images.

    A point is a seed, the line is the mean over seeds; it ends where there is no run.

    Returns
    -------
    ndarray of matplotlib.axes.Axes

    Examples
    --------
    >>> none, bn = np.array([[0.5, 0.1]]), np.array([[0.9, 0.8]])
    >>> (ax,) = draw_panels(("digits", [0.1, 1.0], none, bn, 0.7))
    >>> ax.get_title(), [text.get_text() for text in ax.texts]
    ('digits', ['without\nbatch norm', 'with\nbatch norm', 'target 70%'])
    """
    import matplotlib.pyplot as plt

    shared = {"sharex": True, "sharey": True, "squeeze": False}
    _, axes = plt.subplots(1, len(panels), figsize=(4.8 * len(panels), 3.6), **shared)
    for ax, (title, lrs, without, with_bn, target) in zip(axes[0], panels, strict=True):
        _draw_side(ax, lrs, without, WITHOUT)
        _draw_side(ax, lrs, with_bn, WITH)
        ax.axhline(100 * target, color="0.55", lw=1, ls=":")
        place = {"xy": (1, 100 * target), "xycoords": ("axes fraction", "data")}
        ax.annotate(f"target {100 * target:g}%", **place, ha="right", va="bottom", color="0.4")
        ax.set(xscale="log", xlabel="learning rate", ylim=(0, 105), title=title)
    ax.set_xlim(right=100)  # room for the label
    axes[0, 0].set_ylabel("validation accuracy, %")
    return axes[0]


def _draw_side(ax, lrs, accuracy, look):
    """Seeds, their mean, and the name beside its steepest piece."""
    from matplotlib.colors import to_rgb

    color, style, name, side = look
    if not len(accuracy):
        return
    mean = 100 * accuracy.mean(axis=0)
    for seed in 100 * accuracy:
        ax.plot(lrs, seed, ".", color=color, alpha=0.5)
    ax.plot(lrs, mean, style, color=color)
    steep = np.abs(np.diff(mean)).argmax()
    middle = np.sqrt(lrs[steep] * lrs[steep + 1]), mean[steep : steep + 2].mean()
    dark = 0.65 * np.array(to_rgb(color))  # orange text is hard to read
    beside = {"textcoords": "offset points", "ha": side, "va": "center", "color": dark}
    ax.annotate(name, middle, (6 if side == "left" else -6, 0), **beside)
