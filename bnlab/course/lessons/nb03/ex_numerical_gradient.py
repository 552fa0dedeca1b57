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
    # Measured gradients: wide enough for any step from 1e-7 to 1e-4.
    rtol=1e-3,
    about_precision="",
)


NUMERICAL_GRADIENT.add_mistakes(
    forward_difference=(
        "You compare f(x + h) with f(x), a forward difference: it sees only the slope on the "
        "right of x. Its error shrinks like h, that of a central difference, f(x + h) - f(x - h) "
        "over 2h, like h^2.",
        {"slope": "np.sum(dy * (f(x + step) - f(x))) / h"},
    ),
    backward_difference=(
        "You compare f(x) with f(x - h): it sees only the slope on the left of x. A central "
        "difference takes f(x + h) - f(x - h) over 2h, and its error shrinks like h^2 instead "
        "of h.",
        {"slope": "np.sum(dy * (f(x) - f(x - step))) / h"},
    ),
    divided_by_one_step=(
        "Your gradient is twice as large as it should be: from x - h to x + h it is two steps, so "
        "divide by 2h.",
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
        "You move all elements of x together. That is one slope for the whole array; move one "
        "element at a time, and put the others back.",
        {"step": "np.full_like(x, h)"},
    ),
)


@NUMERICAL_GRADIENT.mistake(
    "not_put_back",
    "After you have moved an element you do not put it back, so the next elements are measured at "
    "another place. Restore the old value, or make a new copy each time.",
)
def _(f, x, dy):
    x, gradient = x.copy(), np.zeros_like(x)
    for i in np.ndindex(x.shape):
        x[i] += 1e-5
        above = f(x)
        x[i] -= 2e-5
        gradient[i] = np.sum(dy * (above - f(x))) / 2e-5
    return gradient


NUMERICAL_GRADIENT.add_mistakes(
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
        "You compare f(x + h) with f(x), one step, but divide by 2h. A central difference takes "
        "both steps: f(x + h) - f(x - h).",
        {"slope": "np.sum(dy * (f(x + step) - f(x))) / (2 * h)"},
    ),
    no_difference=(
        "Your gradient is 0 everywhere. Is each slope stored in it? If so, f got the same numbers "
        "twice: up = x gives x a second name and no copy, write up = x.copy(). (Or h is so small "
        "that x + h is x.)",
        {"slope": "0"},
    ),
    upstream_summed_alone=(
        "You multiply the sum of dy by the sum of f(x). Each output has its own dy: multiply "
        "first, then sum the products.",
        {"slope": "np.sum(dy) * (np.sum(f(x + step)) - np.sum(f(x - step))) / (2 * h)"},
    ),
)


@NUMERICAL_GRADIENT.mistake(
    "rows_at_once",
    "You move a whole row of x at a time: range(len(x)) counts rows. np.ndindex(x.shape) runs "
    "over the elements.",
)
def _(f, x, dy):
    gradient = np.zeros_like(x)
    for i in range(len(x)):
        step = np.zeros_like(x)
        step[i] = 1e-5
        gradient[i] = np.sum(dy * (f(x + step) - f(x - step))) / 2e-5
    return gradient
