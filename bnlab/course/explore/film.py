"""Exploration "film": what every tanh layer gives while a network trains, in 41 frames.

Six films of the network of notebook 01: three sizes s of its first weights, without and with batch
norm. `python -m bnlab.course.explore.film` makes them anew and writes data/film.npz.
"""

import base64
import functools

import numpy as np

from bnlab.course.explore.exploring import Exploration
from bnlab.data import course_files, load_digits, minibatches
from bnlab.layers import Tanh, mlp
from bnlab.optim import SGD
from bnlab.training import fit

__all__ = ["EDGES", "FILM", "SCALES", "SIDES", "STEPS", "film", "shoot"]

SCALES = (0.03, 0.14, 1.0)
SIDES = ("without batch norm", "with batch norm")
STEPS = tuple(range(0, 201, 5))
SATURATED = 0.97  # beyond it the slope of tanh is below 0.06
# 49 bins, so that one has 0 in its middle, between two that hold what is saturated.
EDGES = np.array([-1, *np.linspace(-SATURATED, SATURATED, 50), 1])
TOP = 2.5  # density at which a bar is cut
PATH = course_files() / "data" / "film.npz"


# The making of


def shoot(s, batchnorm, steps=STEPS[-1]):
    """Train one network and look at it every 5 steps: the arrays of one film.

    Parameters
    ----------
    s : float
        Standard deviation of the weights before training.
    batchnorm : bool
    steps : int
        Updates to make; 200 is the whole film.

    Returns
    -------
    dict
        For T frames: `counts` (T, 5, 51) of the outputs of 100 units for 202 images in each bin;
        `std` (T, 5), the standard deviation of a unit over the images, mean of the units;
        `right` (T,), percent of the test images, in shuffled batches of 60.
    """
    digits, sizes = load_digits(), [64, 100, 100, 100, 100, 100, 10]
    model = mlp(sizes, activation=Tanh, batchnorm=batchnorm, std=s, rng=np.random.default_rng(0))
    schedule = {"steps": steps, "batch_size": 60, "rng": np.random.default_rng(1)}
    history = fit(
        model, digits.x_train, digits.y_train, SGD(model, lr=0.3), **schedule,
        every=STEPS[1], measure=lambda model: _frame(model, digits),
    )  # fmt: skip
    counts, std, right = map(np.array, zip(*history.measured, strict=True))
    return {"counts": counts.astype(np.uint16), "std": std, "right": right}


def _frame(model, digits):
    outputs = _given(model, digits.x_val)  # (5 layers, 202 images, 100 units)
    counts = [np.histogram(layer, EDGES)[0] for layer in outputs]
    return counts, outputs.std(axis=1).mean(axis=1), _percent_right(model, digits)


def _given(model, x):
    """What each tanh gives for these images."""
    outputs = []
    for layer in model:
        x = layer(x)
        if isinstance(layer, Tanh):
            outputs.append(x)
    return np.array(outputs)


def _percent_right(model, digits):
    batches = minibatches(digits.x_test, digits.y_test, 60, np.random.default_rng(2))
    return 100 * np.mean([model(x).argmax(axis=1) == y for x, y in batches])


def _shoot_all():
    """The arrays of all six films, the first two axes: s, without or with batch norm."""
    films = [[shoot(s, batchnorm) for batchnorm in (False, True)] for s in SCALES]
    names = ("counts", "std", "right")
    return {name: np.array([[one[name] for one in pair] for pair in films]) for name in names}


# What is shown


@functools.cache
def film():
    """The stored arrays of the six films: `counts`, `std` and `right`, as in `shoot`.

    >>> film()["counts"].shape  # s, side, frame, layer, bin
    (3, 2, 41, 5, 51)
    """
    with np.load(PATH) as arrays:
        return dict(arrays)


def _data():
    """The film as the module reads it; the counts of a frame are a text, base64 of uint16."""
    arrays = film()
    frames = arrays["counts"].astype("<u2").reshape(len(SCALES), 2, len(STEPS), -1)
    counts = [[[base64.b64encode(f).decode() for f in side] for side in pair] for pair in frames]
    lists = {name: arrays[name].tolist() for name in ("std", "right")}
    fixed = {"scales": SCALES, "steps": STEPS, "edges": EDGES.tolist(), "sides": SIDES, "top": TOP}
    return {"film": {"counts": counts, **lists, **fixed}}


def _check(state):
    if state["s"] not in SCALES:
        raise ValueError(f"s is one of {', '.join(f'{s:g}' for s in SCALES)}, got {state['s']}")
    if state["step"] not in STEPS:
        raise ValueError(f"step is 0, 5, 10, ... or {STEPS[-1]}, got {state['step']}")


def _still(state):
    """How all six films end: layer 5 after the last step, dotted before training."""
    import matplotlib.pyplot as plt

    from bnlab.plots import use_style

    with plt.rc_context():
        use_style()
        figure, axes = plt.subplots(3, 2, sharex=True, sharey=True, figsize=(7, 5))
        figure.suptitle(f"Layer 5 after {STEPS[-1]} steps; dotted: before training")
        for at, side in np.ndindex(axes.shape):
            _draw_end(axes[at, side], at, side)
        for s, ax in zip(SCALES, axes[:, 0], strict=True):
            ax.set_ylabel(f"s = {s:g}")
        for name, ax in zip(SIDES, axes[0], strict=True):
            ax.set_title(name, pad=18)
        for ax in axes[-1]:
            ax.set_xlabel("output of tanh")
    return figure


def _draw_end(ax, at, side):
    counts, std, right = (film()[name][at, side] for name in ("counts", "std", "right"))
    density = counts / counts.sum(axis=-1, keepdims=True) / np.diff(EDGES)  # (T, 5, bins)
    look = {"color": ("C0", "C2")[side], "alpha": 0.45, "linestyle": "-"}
    ax.stairs(density[-1, 4], EDGES, fill=True, **look)
    ax.stairs(density[0, 4], EDGES, color="0.2", linestyle=":")
    words = f"{right[-1]:.0f}% right, std {std[-1, 4]:.4f}"
    ax.text(0, 1.02, words, fontsize=9, transform=ax.transAxes)
    ax.set(ylim=(0, TOP), yticks=[], xticks=[-1, 0, 1])


FILM = Exploration(
    name="film",
    state={"s": 1.0, "step": 0},
    alt="Histograms of what the fifth tanh layer gives after 200 steps, dotted before training. A "
    "row for each s, without batch norm on the left and with it on the right. Without it all "
    "outputs are near 0 at s = 0.03, and at s = 1 they stand at two walls, -1 and 1: both times 9% "
    "right. At 0.14 they are spread, 96% right. With it the three are alike, spread wide over the "
    "whole range, 91 to 96% right.",
    first="Play the film at s = 1 and read std in layer 5: how much the output of a unit differs "
    "from image to image. Then play 0.03 and 0.14.",
    seen="Without batch norm, s decides. At 1, layer 5 soon gives the same two walls for every "
    "image: each unit stays at one of them. At 0.03 it stays at 0. Both times std is near 0, layer "
    "5 hardly tells two images apart, and nothing is learned; at 0.14 it learns. With batch norm "
    "the three films begin alike, stay alike, and all three learn.",
    still=_still,
    data=_data,
    check=_check,
)


if __name__ == "__main__":
    np.savez(PATH, **_shoot_all())
    print(f"wrote {PATH}, {PATH.stat().st_size:,} bytes")
