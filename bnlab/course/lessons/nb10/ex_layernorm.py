"""Exercise of notebook 10: layer norm, the same formula over the other axis."""

import numpy as np

from bnlab.course.exercises.exercise import Case, Exercise
from bnlab.course.lessons.nb02.ex_batchnorm_algorithm import ONE_PASS
from bnlab.course.lessons.nb07.ex_ghost_batches import divided_wrongly, scaled_wrongly


def layernorm_forward(x, gamma, beta, eps):
    """Layer norm for x of shape (N, C): each row by its own statistics."""
    mean = x.mean(axis=1, keepdims=True)  # (N, 1)
    var = ((x - mean) ** 2).mean(axis=1, keepdims=True)  # (N, 1), divided by C
    x_hat = (x - mean) / np.sqrt(var + eps)
    return gamma * x_hat + beta


def rows(n, c, eps=1e-5, mean=0.0):
    """Make a draw of (x, gamma, beta, eps); rows and columns have their own means and spreads."""

    def draw(rng):
        offset = mean + rng.normal(0, 2, (n, 1)) + rng.normal(size=c)
        x = offset + rng.uniform(0.5, 2, (n, 1)) * rng.normal(size=(n, c))
        return x, rng.uniform(0.5, 2, c), rng.normal(size=c), eps

    return draw


def _signed_gamma(rng):
    x, _, beta, eps = rows(6, 4)(rng)
    return x, np.array([-1.5, 0.0, 2.0, -0.3]), beta, eps


def _quiet_row(rng):
    x, gamma, beta, eps = rows(4, 6)(rng)
    x[1] = 0.7 + 3e-3 * rng.normal(size=6)  # variance about 1e-5
    return x, gamma, beta, eps


def _constant_row(rng):
    x, gamma, beta, eps = rows(5, 3)(rng)
    x[2] = 0.25
    return x, gamma, beta, eps


LAYERNORM = Exercise(
    name="layernorm_forward",
    notebook="10",
    reference=layernorm_forward,
    outputs=("y",),
    cases=(
        Case("a typical batch", rows(8, 5)),
        Case("odd sizes and another eps", rows(3, 7, eps=1e-3), seed=1),
        Case("a single example", rows(1, 6), seed=2),
        Case("two features", rows(4, 2), seed=3),
        Case("a negative gamma and a gamma of zero", _signed_gamma, seed=4),
        Case("a row whose variance is near eps", _quiet_row, seed=5),
        Case("a constant row", _constant_row, seed=6),
        Case("a large eps", rows(2, 10, eps=0.5), seed=7),
        Case("a large mean", rows(3, 64, mean=1e4), seed=8),
    ),
    hints=(
        "One mean and one variance for each example: which axis do they run over?",
        "A mean over axis 1 has shape (N,) and does not fit beside (N, C). Which argument of mean "
        "keeps the axis, with length 1?",
        "gamma and beta belong to the features, as in batch norm: shape (C,). Only the axis of "
        "the two means is another one.",
    ),
    minutes=4,
    difficulty=1,
    about_precision=ONE_PASS,
)

LAYERNORM.add_mistakes(
    batch_norm=(
        "Your statistics run over the batch (axis 0): this is batch norm. Layer norm takes the "
        "mean and the variance of each example over its features (axis 1).",
        {"mean": "x.mean(axis=0)", "var": "x.var(axis=0)"},
    ),
    one_statistic_for_all=(
        "You take one mean and one variance over the whole array; each example has its own (axis "
        "1).",
        {"mean": "x.mean()", "var": "x.var()"},
    ),
    mean_of_the_batch=(
        "Your variance belongs to the example, but your mean runs over the batch: both take axis "
        "1.",
        {"mean": "x.mean(axis=0)", "var": "x.var(axis=1, keepdims=True)"},
    ),
    variance_of_the_batch=(
        "Your mean belongs to the example, but your variance runs over the batch: both take axis "
        "1.",
        {"var": "x.var(axis=0)"},
    ),
    unbiased_variance=(
        "You divide the sum of squares by C - 1; layer norm divides by C, the number of features.",
        {"var": "x.var(axis=1, keepdims=True, ddof=1)"},
    ),
    root_mean_square=(
        "You divide by the root of the mean square and never subtract the mean. That method "
        "exists (RMSNorm); layer norm centres each example first.",
        {"mean": "0"},
    ),
    not_centred=(
        "You divide by the standard deviation but do not subtract the mean first.",
        {"x_hat": "x / np.sqrt(var + eps)"},
    ),
    sum_of_squares=(
        "You divide by the root of the *sum* of squares; the variance is their mean, so divide "
        "the sum by C first.",
        {"var": "((x - mean) ** 2).sum(axis=1, keepdims=True)"},
    ),
    scaled_first=(
        "You scale and shift x, then normalize. gamma and beta come last, or the normalization "
        "takes part of their effect away.",
        {"return": "layernorm_forward(gamma * x + beta, 1, 0, eps)"},
    ),
    parentheses_forgotten=(
        "You divide the mean alone: x - mean / std is x - (mean / std). Put the difference in "
        "parentheses.",
        {"return": "gamma * x - mean / np.sqrt(var + eps) + beta"},
    ),
    mean_square_for_variance=(
        "You subtract the mean above, but the variance below is the mean of x^2: take the squares "
        "of the distances from the mean.",
        {"var": "(x**2).mean(axis=1, keepdims=True)"},
    ),
    eps_added_after_division=(
        "You add eps after the division, so it is a part of the shift. It belongs to the "
        "variance, inside the square root.",
        {"x_hat": "(x - mean) / np.sqrt(var)", "return": "gamma * x_hat + eps + beta"},
    ),
    **divided_wrongly("(x - mean)"),
    **scaled_wrongly("x_hat"),
    unit_length=(
        "You divide each row by its length and never subtract its mean; layer norm divides by the "
        "standard deviation.",
        {"x_hat": "x / np.linalg.norm(x, axis=1, keepdims=True)"},
    ),
    softmax=(
        "You take the softmax of each row; layer norm subtracts the mean and divides by the "
        "standard deviation.",
        {"x_hat": "np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)"},
    ),
    x_hat_normalized_twice=(
        "You normalize x_hat once more: where eps counts, that changes it.",
        {"return": "layernorm_forward(x_hat, gamma, beta, eps)"},
    ),
)

LAYERNORM.add_slips(
    statistics_lack_an_axis=(
        "A mean or a variance over axis 1 has shape (N,) and does not fit beside x, (N, C): "
        "keepdims=True keeps the axis, with length 1.",
        {"mean": "x.mean(axis=1)"},
    ),
    gamma_as_a_column=(
        "gamma and beta belong to the features, the last axis: (C,) fits beside (N, C) as it is.",
        {"return": "gamma[:, None] * x_hat"},
    ),
)
