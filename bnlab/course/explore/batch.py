"""Exploration "batch": a few values of one feature, and what batch norm makes of them."""

import numpy as np

from bnlab.batchnorm import batchnorm_forward
from bnlab.course.explore.exploring import Exploration

__all__ = ["BATCH"]

FEWEST, MOST = 3, 12
# name, how far the line reaches, its ticks, its marks: as in batch.js
LINES = [("x", 10, 5, "o"), ("x_hat", 3.6, 1, "s"), ("y", 10, 5, "^")]


def _check(state):
    if not FEWEST <= len(state["x"]) <= MOST:
        raise ValueError(f"x has {FEWEST} to {MOST} values, got {len(state['x'])}")
    if not state["eps"] > 0:
        raise ValueError(f"eps is above 0, got {state['eps']}")


def normalized(state):
    """The three lines of the picture: x, x_hat and y, each (m,)."""
    x = np.array(state["x"], dtype=float)[:, None]  # (m, 1)
    gamma, beta = (np.array([float(state[name])]) for name in ("gamma", "beta"))
    y, cache = batchnorm_forward(x, gamma, beta, eps=state["eps"])
    return [values.ravel() for values in (x, cache.x_hat, y)]


def _still(state):
    import matplotlib.pyplot as plt

    lines, bound = normalized(state), np.sqrt(len(state["x"]) - 1)
    limits = f", bound √({len(state['x'])} − 1) = {bound:.2f}"
    figure = plt.figure(figsize=(6.4, 3.2), layout="none")
    ax = figure.add_axes((0.01, 0, 0.98, 1), xlim=(-1.06, 1.06), ylim=(-2.45, 0.55))
    for row, ((name, reach, every, marker), values) in enumerate(zip(LINES, lines, strict=True)):
        places = np.clip(values / reach, -1, 1)
        said = f"{name}: mean {round(values.mean(), 2) + 0:.2f}, deviation {values.std():.2f}"
        ax.plot([-1, 1], [-row, -row], "-", color="0.5", lw=1, zorder=0)
        ax.plot(places, np.full(len(values), -row), marker, color=f"C{row}", ms=9, mec="white")
        ax.text(-1.04, 0.32 - row, said + limits * (name == "x_hat"))
        for tick in np.arange(-(reach // every) * every, reach + 0.1, every):
            ax.text(tick / reach, -0.28 - row, f"{tick:.0f}", ha="center", color="0.35")
    pairs = np.transpose(
        [np.clip(v / line[1], -1, 1) for v, line in zip(lines, LINES, strict=True)]
    )
    ax.plot(pairs.T, [0, -1, -2], "-", color="0.75", lw=1, zorder=0)  # from x_i to x_hat_i to y_i
    for place in np.array([-bound, bound]) / LINES[1][1]:
        ax.plot([place, place], [-1.15, -0.85], ":", color="0.1")
    ax.set_axis_off()
    return figure


BATCH = Exploration(
    name="batch",
    state={"x": [-1, 0, 0.5, 1, 2], "gamma": 1, "beta": 0, "eps": 1e-5},
    alt="Three lines, one below the other, with the values x of one feature in one batch, the "
    "x_hat of each and the y of each. Thin lines join what belongs together. Dashed bars on the "
    "line of x_hat stand at plus and minus the square root of m - 1.",
    first="Drag the value on the right as far as it goes, then press “Add an outlier”. How close "
    "does x_hat come to the dashed bar? What do the others do meanwhile? Hollow marks "
    "show the batch before.",
    seen="One x moves, and every x_hat moves: mean and deviation belong to the whole batch. "
    "However far the outlier is, its x_hat stays within the bound, and all others are pressed "
    "together at -1/√(m - 1). gamma stretches y, beta shifts it; eps counts once it is not small "
    "against the variance.",
    still=_still,
    check=_check,
)
