"""Exercise of notebook 03: measure a gradient instead of deriving it.

Two kinds of cases work together. In the smooth ones every sensible step agrees, forward or central,
to the exercise's tolerance. At a corner a one-sided difference sees one slope and a central one the
mean of both, whatever the step, so that the mistake is recognised for any step.
"""

import numpy as np

from bnlab.batchnorm import batchnorm_forward
from bnlab.course.exercises.exercise import Case, Exercise


def numerical_gradient(f, x, dy):
    """Central differences of sum(dy * f(x)), one element of x at a time."""
    h = 1e-5
    gradient = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[i] = h  # only this element moves
        slope = np.sum(dy * (f(x + step) - f(x - step))) / (2 * h)
        gradient[i] = slope
    return gradient


def _batch_norm(rng):
    gamma, beta = rng.uniform(0.5, 2, 3), rng.normal(size=3)

    def f(x):
        return batchnorm_forward(x, gamma, beta)[0]

    return f, rng.normal(0, 1.5, (6, 3)), rng.normal(size=(6, 3))


def _elementwise(rng):
    return np.tanh, rng.normal(size=5), rng.normal(size=5)


def _another_shape(rng):
    weight = rng.normal(size=(2, 3))

    def f(x):
        return np.sin(x @ weight.T)

    return f, rng.normal(size=(4, 3)), rng.normal(size=(4, 2))


def _one_number(rng):
    def f(x):
        return (x**2).sum()

    return f, rng.normal(size=(2, 3, 2)), -1.7


def _corner(rng):
    weight = rng.normal(size=(4, 3))

    def f(x):
        z = x @ weight.T
        return np.maximum(z, 0.2 * z)

    return f, np.zeros((2, 3)), rng.normal(size=(2, 4)) + 1.0


def _large_value(rng):
    def f(x):
        return 1e4 + np.sin(x)

    return f, rng.uniform(-1, 1, 4), rng.normal(size=4)


NUMERICAL_GRADIENT = Exercise(
    name="numerical_gradient",
    notebook="03",
    reference=numerical_gradient,
    outputs=("gradient",),
    cases=(
        Case("batch norm", _batch_norm),
        Case("tanh of a vector", _elementwise, seed=1),
        Case("f(x) of another shape than x", _another_shape, seed=2),
        Case("f(x) is one number", _one_number, seed=3),
        Case("x on the corner of a leaky ReLU", _corner, seed=4),
        Case("small changes of a large f(x)", _large_value, seed=5),
    ),
    hints=(
        "np.ndindex(x.shape) runs over the indices of an array of any shape. For each of them, "
        "move this one element up and down by h, and look at sum(dy * f).",
        "The result has the shape of x, one slope for each element. Start with np.zeros_like(x) "
        "and work on x.copy(), so that x stays as it came.",
        "h = 1e-5 is a good step. Between x - h and x + h lie two steps, so that is what the "
        "difference of sum(dy * f) is divided by.",
    ),
    minutes=8,
    difficulty=2,
    # Measured gradients: wide enough for any step from 1e-9 to 0.02.
    rtol=2.5e-3,
    quiet=1e-5,
    about_precision="The error of a central difference grows like h^2, and what f(x + h) and "
    "f(x - h) have in common costs digits where h is small: 1e-5 lies between.",
)


def _left(x, i, way):
    """A copy of x in which each element before i has been moved and not put back."""
    return x + way * (np.arange(x.size).reshape(x.shape) < np.ravel_multi_index(i, x.shape))


NUMERICAL_GRADIENT.add_mistakes(
    forward_difference=(
        "You compare f(x + h) with f(x), which sees the slope on the right of x alone. Take f(x + "
        "h) - f(x - h) over 2h: its error shrinks like h^2, not like h.",
        {"slope": "np.sum(dy * (f(x + step) - f(x))) / h"},
    ),
    backward_difference=(
        "You compare f(x) with f(x - h), which sees the slope on the left of x alone. Take f(x + "
        "h) - f(x - h) over 2h: its error shrinks like h^2, not like h.",
        {"slope": "np.sum(dy * (f(x) - f(x - step))) / h"},
    ),
    divided_by_one_step=(
        "Your gradient is twice too large: from x - h to x + h it is two steps, so divide by 2h.",
        {"slope": "np.sum(dy * (f(x + step) - f(x - step))) / h"},
    ),
    upstream_ignored=(
        "You measure the gradient of sum(f(x)) and never use dy. With ones in place of dy the "
        "gradient of batch norm is zero, whatever x is.",
        {"slope": "np.sum(f(x + step) - f(x - step)) / (2 * h)"},
    ),
    mean_for_sum=(
        "You average dy * f(x) where the task sums it: use np.sum.",
        {"slope": "np.mean(dy * (f(x + step) - f(x - step))) / (2 * h)"},
    ),
    all_elements_at_once=(
        "You move all elements of x together; move one at a time, and put the others back.",
        {"step": "np.full_like(x, h)"},
    ),
    not_put_back=(
        "After you have moved an element you do not put it back, so the next elements are "
        "measured at another place. Restore the old value, or make a new copy each time.",
        {"slope": "np.sum(dy * (f(_left(x, i, -h) + step) - f(_left(x, i, -h) - step))) / (2 * h)"},
    ),
    one_sided_and_not_put_back=(
        "You compare f after each move with f before it, on one side of x, and do not put the "
        "element back. Move it to both sides, then restore it, or make a new copy each time.",
        {"slope": "np.sum(dy * (f(_left(x, i, h) + step) - f(_left(x, i, h)))) / h"},
    ),
    step_relative_to_x=(
        "Your step is a fraction of x itself, so it is zero where x is zero, and 0 / 0 is not a "
        "slope. Use a fixed step, or a fraction of max(1, |x|).",
        {"slope": "np.sum(dy * (f(x + step * x) - f(x - step * x))) / (2 * h * x[i])"},
    ),
    wrong_sign=(
        "Your gradient has the wrong sign: it is f above x minus f below x.",
        {"slope": "np.sum(dy * (f(x - step) - f(x + step))) / (2 * h)"},
    ),
    not_divided=(
        "You return the differences themselves; a slope is the difference divided by the way, 2h.",
        {"slope": "np.sum(dy * (f(x + step) - f(x - step)))"},
    ),
    one_step_divided_by_two=(
        "You compare f(x + h) with f(x), one step, but divide by 2h: take f(x + h) - f(x - h).",
        {"slope": "np.sum(dy * (f(x + step) - f(x))) / (2 * h)"},
    ),
    no_difference=(
        "Your gradient is 0 everywhere. Is each slope stored in it? If so, f got the same numbers "
        "twice: up = x gives x a second name and no copy, write up = x.copy(). (Or h is so small "
        "that x + h is x.)",
        {"slope": "0"},
    ),
    upstream_summed_alone=(
        "You multiply the sum of dy by the sum of f(x): first multiply each f by its dy, then sum.",
        {"slope": "np.sum(dy) * (np.sum(f(x + step)) - np.sum(f(x - step))) / (2 * h)"},
    ),
    upstream_twice=(
        "You multiply by dy twice; the loss is sum(dy * f(x)), with dy once.",
        {"slope": "np.sum(dy**2 * (f(x + step) - f(x - step))) / (2 * h)"},
    ),
    rows_at_once=(
        "You move a whole row of x at a time: range(len(x)) counts rows. np.ndindex(x.shape) runs "
        "over the elements.",
        {"step": "h * (np.indices(x.shape)[0] == i[0])"},
    ),
)
