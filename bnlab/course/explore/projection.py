"""Exploration "projection": three rows, and what the backward pass takes away from dy."""

import math

import numpy as np

from bnlab.batchnorm import batchnorm_backward, batchnorm_forward
from bnlab.course.explore.exploring import Exploration

__all__ = ["PROJECTION", "steps"]


def steps(state):
    """x_hat, and dy on its way to dx: minus its mean, minus its part along x_hat, times gamma / r.

    >>> x_hat, way = steps({"x": [1, 2, 6], "dy": [1, -0.5, 2.5], "gamma": 1, "eps": 1e-5})
    >>> way.round(2)
    array([[ 1.  , -0.5 ,  2.5 ],
           [ 0.  , -1.5 ,  1.5 ],
           [ 0.86, -1.07,  0.21],
           [ 0.4 , -0.5 ,  0.1 ]])
    """
    x, dy = (np.array(state[name], dtype=float)[:, None] for name in ("x", "dy"))  # (3, 1)
    _, cache = batchnorm_forward(x, np.array([state["gamma"]]), np.zeros(1), state["eps"])
    dx, _, _ = batchnorm_backward(dy, cache)
    centred = dy - dy.mean()
    left = centred - cache.x_hat * np.mean(dy * cache.x_hat)
    return cache.x_hat.ravel(), np.hstack([dy, centred, left, dx]).T


def projected(vectors, turn, tilt):
    """Where vectors (..., 3) stand on paper, (..., 2): right and up; angles in degrees.

    At tilt 0 the direction (1, 1, 1) points up, at tilt 90 to the reader.

    >>> projected(np.ones(3), turn=40, tilt=0).round(3)
    array([0.   , 1.732])
    """
    turn, tilt = math.radians(turn), math.radians(tilt)
    frame = np.array([[1, -1, 0], [1, 1, -2], [1, 1, 1]]) / np.sqrt([[2], [6], [3]])
    east, north, up = np.moveaxis(np.asarray(vectors, dtype=float) @ frame.T, -1, 0)
    away = east * math.sin(turn) + north * math.cos(turn)
    right = east * math.cos(turn) - north * math.sin(turn)
    return np.stack([right, up * math.cos(tilt) + away * math.sin(tilt)], axis=-1)


def _check(state):
    for name in ("x", "dy"):
        if len(state[name]) != 3:
            raise ValueError(f"{name} has a value for each of 3 rows, got {len(state[name])}")
    if not state["eps"] > 0:
        raise ValueError(f"eps is above 0, got {state['eps']}")
    if state["step"] not in (0, 1, 2, 3):
        raise ValueError(f"step is 0, 1, 2 or 3, got {state['step']}")


def _still(state):
    """All four arrows at once, seen as the state says."""
    import matplotlib.pyplot as plt

    def at(vectors):
        return projected(vectors, state["turn"], state["tilt"])

    figure, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
    x_hat, way = steps(state)
    radius = 1.15 * max(3**0.5, *np.linalg.norm(way[1:], axis=1))
    angles = np.linspace(0, 2 * np.pi, 100)
    rim = (
        np.outer(np.cos(angles), [1, -1, 0]) / 2**0.5
        + np.outer(np.sin(angles), [1, 1, -2]) / 6**0.5
    )
    ax.fill(*at(radius * rim).T, facecolor="0.95", edgecolor="0.5", lw=1)
    left = np.cross(np.ones(3), x_hat)
    for along, look in ((np.ones(3), "0.5"), (x_hat, "C2"), (left, "C1")):
        unit = radius * along / (np.linalg.norm(along) or 1)
        ax.plot(*at(np.array([-unit, unit])).T, "--", color=look, lw=1)
    ax.plot(*at(way[:3]).T, ":", color="0.2")
    names, colours = (
        ["dy", "on the plane", "what is left", "dx", "x̂"],
        ("C0", "0.4", "C1", "C1", "C2"),
    )
    for name, vector, colour in zip(names, [*way, x_hat], colours, strict=True):
        arrow = {"arrowstyle": "-|>", "color": colour, "lw": 2.5, "shrinkA": 0, "shrinkB": 0}
        ax.annotate("", at(vector), (0, 0), arrowprops=arrow)
        aside = (-6, 6) if at(vector)[1] > 0 else (0, -14)
        ax.annotate(name, at(vector), aside, textcoords="offset points", ha="center")
    ax.text(*at(radius * np.ones(3) / 3**0.5), " (1, 1, 1)", color="0.4")
    ax.set(aspect="equal", frame_on=False, xticks=[], yticks=[])
    return figure


PROJECTION = Exploration(
    name="projection",
    state={
        "x": [1, 2, 6],
        "dy": [1, -0.5, 2.5],
        "gamma": 1,
        "eps": 1e-5,
        "step": 0,
        "turn": 45,
        "tilt": 30,
    },
    alt="A gradient dy of three rows is an arrow in space. A disc is the plane at right angles to "
    "(1, 1, 1), and x̂ is an arrow in it. First dy drops onto the plane, along (1, 1, 1). In the "
    "plane it then moves along x̂ to the one line that is at right angles to both. There it is "
    "made longer or shorter: that is dx.",
    first="Press Next step three times. Then set the tilt to 90, so that (1, 1, 1) points at you, "
    "and to 0. Drag the picture or use the sliders. At last change dy and x.",
    seen="The first step goes straight along (1, 1, 1): at tilt 90 it moves nothing, at tilt 0 dy "
    "drops onto the plane. The second step stays in the plane. Whatever dy is, with three rows "
    "what is left lies on one line, at right angles to (1, 1, 1) and to x̂. Two of three directions "
    "are lost; of m rows it would be two of m.",
    still=_still,
    check=_check,
)
