"""Exercises of notebook 04: weights whose length does not matter, and what it decides instead."""

import numpy as np

from bnlab.course.exercises.exercise import Case, Exercise


def rescaled_gradient(grad_w, a):
    """The gradient of the loss at the weights a*W, from the gradient at W."""
    return grad_w / a


def _gradient(n_out, n_in, a):
    def draw(rng):
        return rng.normal(size=(n_out, n_in)), a

    return draw


RESCALED = Exercise(
    name="rescaled_gradient",
    notebook="04",
    reference=rescaled_gradient,
    outputs=("gradient",),
    cases=(
        Case("a = 3", _gradient(4, 3, 3.0)),
        Case("small weights, a = 0.1", _gradient(2, 5, 0.1), seed=1),
        Case("large weights, a = 100", _gradient(3, 3, 100.0), seed=2),
        Case("a = 1 changes nothing", _gradient(3, 2, 1.0), seed=3),
        Case("one weight", _gradient(1, 1, 7.0), seed=4),
    ),
    hints=(
        "The loss is the same at W and at a*W. Is it flatter or steeper there? Think of a hill "
        "that is drawn on a map ten times as wide.",
        "The chain rule on f(aW) = f(W), both sides differentiated in W, gives a * f'(aW) = "
        "f'(W). You know f'(W) and want f'(aW).",
    ),
    minutes=3,
    difficulty=2,
)


RESCALED.add_mistakes(
    unchanged=(
        "You return the gradient unchanged. The *output* is the same at W and at a*W, but a step "
        "of the same size is a smaller part of a longer row, so the slope is another one.",
        {"return": "grad_w.copy()"},
    ),
    multiplied=(
        "You multiply by a. Then larger weights would have larger gradients; the chain rule says "
        "a * f'(aW) = f'(W), so it is the other way round.",
        {"return": "grad_w * a"},
    ),
    divided_twice=(
        "You divide by a squared. That is what happens to the *effective learning rate*, where "
        "the length of the row enters twice; the gradient takes it once.",
        {"return": "grad_w / a**2"},
    ),
    divided_by_the_root=(
        "You divide by the square root of a; no root appears in a * f'(aW) = f'(W).",
        {"return": "grad_w / np.sqrt(a)"},
    ),
    unit_length=(
        "You give the gradient the length 1. Its old length matters: a alone decides the factor "
        "by which it changes.",
        {"return": "grad_w / np.linalg.norm(grad_w)"},
    ),
    sign_flipped=(
        "You turn the gradient round. For a > 0 the way down is the same way at a*W.",
        {"return": "-grad_w / a"},
    ),
    no_gradient=(
        "You return zeros. The loss does not change if all of W is *scaled*; it does change if W "
        "turns, at a*W as at W.",
        {"return": "np.zeros_like(grad_w)"},
    ),
    multiplied_twice=(
        "You multiply by a squared. The chain rule brings one factor a, and on the side of "
        "f'(aW): a * f'(aW) = f'(W).",
        {"return": "grad_w * a**2"},
    ),
    length_lost=(
        "You divide by the length of the gradient too; a alone decides the factor.",
        {"return": "grad_w / a / np.linalg.norm(grad_w)"},
    ),
    signs_lost=(
        "You take absolute values; the signs of the gradient stay as they are.",
        {"return": "np.abs(grad_w) / a"},
    ),
    small_factors_left_out=(
        "You do not divide where a is below 1. There the gradient is larger than at W: divide too.",
        {"return": "grad_w / max(a, 1)"},
    ),
)


def effective_learning_rate(lr, weight):
    """How fast the direction of each row of weight moves; weight is (out, in)."""
    return lr / (weight**2).sum(axis=1)


def _rows(n_out, n_in, lr, scale=1.0):
    def draw(rng):
        lengths = scale * rng.uniform(0.5, 3, (n_out, 1))
        return lr, lengths * rng.normal(size=(n_out, n_in))

    return draw


def _positive_rows(rng):
    return 0.05, np.abs(_rows(3, 6, 0.05)(rng)[1])


EFFECTIVE = Exercise(
    name="effective_learning_rate",
    notebook="04",
    reference=effective_learning_rate,
    outputs=("rates",),
    cases=(
        Case("a typical layer", _rows(4, 6, 0.1)),
        Case("as many outputs as inputs", _rows(5, 5, 1.0), seed=1),
        Case("long rows", _rows(3, 4, 0.5, scale=100.0), seed=2),
        Case("short rows", _rows(2, 7, 0.01, scale=0.01), seed=3),
        Case("only positive weights", _positive_rows, seed=4),
        Case("one output with one input", _rows(1, 1, 0.3), seed=5),
    ),
    hints=(
        "What matters is the step relative to the length of the row, and the gradient itself "
        "already depends on that length.",
        "The relative step is lr * norm(g) / norm(w), and norm(g) is that of a row of length 1 "
        "divided by norm(w). Collect the powers of norm(w).",
        "One number for each row: the sum of squares runs over the inputs.",
    ),
    minutes=3,
    difficulty=2,
)


EFFECTIVE.add_mistakes(
    divided_once=(
        "You divide by the length of the row once. The gradient brings a second factor: it "
        "shrinks when the row grows, so the square of the length is needed.",
        {"return": "lr / np.linalg.norm(weight, axis=1)"},
    ),
    one_rate_for_all=(
        "You take the length of the whole matrix. Each output is normalized by itself, so each "
        "row has its own rate.",
        {"return": "np.full(len(weight), lr / (weight**2).sum())"},
    ),
    multiplied=(
        "You multiply by the squared length; longer rows turn more slowly, so divide.",
        {"return": "lr * (weight**2).sum(axis=1)"},
    ),
    mean_of_squares=(
        "You average the squares; the squared length is their sum.",
        {"return": "lr / (weight**2).mean(axis=1)"},
    ),
    square_of_the_sum=(
        "You square the sum of the weights; the squared length is the sum of the squares.",
        {"return": "lr / weight.sum(axis=1) ** 2"},
    ),
    sum_of_absolute_values=(
        "You use the sum of absolute values (the 1-norm). The length here is the 2-norm: the root "
        "of the sum of squares.",
        {"return": "lr / np.abs(weight).sum(axis=1) ** 2"},
    ),
    unchanged=(
        "You return lr for every row. That is what the optimizer uses; the row's length decides "
        "how far this turns it.",
        {"return": "np.full(len(weight), lr)"},
    ),
    matrix_once=(
        "You divide by the length of the whole matrix, and once. Each row has its own length, and "
        "it enters twice: in the step relative to the row, and in the gradient.",
        {"return": "np.full(len(weight), lr / np.linalg.norm(weight))"},
    ),
    fourth_power=(
        "You square the squared length. The sum of squares is norm(w)^2 already.",
        {"return": "lr / (weight**2).sum(axis=1) ** 2"},
    ),
    multiplied_once=(
        "You multiply by the length of the row. Longer rows turn more slowly: divide by its "
        "square.",
        {"return": "lr * np.linalg.norm(weight, axis=1)"},
    ),
    rate_forgotten=(
        "lr is missing: it is divided by the squared length of each row.",
        {"return": "1 / (weight**2).sum(axis=1)"},
    ),
    third_power=(
        "You divide by the length three times. It enters twice: in the step relative to the row, "
        "and in the gradient.",
        {"return": "lr / np.linalg.norm(weight, axis=1) ** 3"},
    ),
    distances_from_the_mean=(
        "You subtract the row's mean before you square. A length is measured from 0.",
        {"return": "lr / weight.var(axis=1) / weight.shape[1]"},
    ),
)
