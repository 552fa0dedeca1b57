"""Exercise of notebook 02: the gamma and beta that undo the normalization."""

import numpy as np

from bnlab.course.exercises.exercise import Case, Exercise
from bnlab.course.lessons.nb02.ex_batchnorm_algorithm import (
    batch,
    constant_feature,
    small_variance,
    wrong_roots,
)


def identity_parameters(x, eps):
    """The gamma and beta with which batch norm gives x back."""
    gamma = np.sqrt(x.var(axis=0) + eps)
    beta = x.mean(axis=0)
    return gamma, beta


def _only_x(draw):
    def draw_x(rng):
        x, _, _, eps = draw(rng)
        return x, eps

    return draw_x


IDENTITY = Exercise(
    name="identity_parameters",
    notebook="02",
    reference=identity_parameters,
    outputs=("gamma", "beta"),
    cases=(
        Case("a typical batch", _only_x(batch(8, 5))),
        Case("odd sizes and a large eps", _only_x(batch(7, 3, eps=0.5)), seed=1),
        Case("two examples", _only_x(batch(2, 4)), seed=2),
        Case("a feature whose variance is near eps", _only_x(small_variance), seed=3),
        Case("a constant feature", _only_x(constant_feature), seed=4),
    ),
    hints=(
        "Write y = x and solve gamma * x_hat + beta = x for gamma and beta.",
        "x = (standard deviation) * x_hat + mean: read gamma and beta off, and remember what "
        "x_hat was divided by.",
    ),
    minutes=4,
    difficulty=2,
)


IDENTITY.add_mistakes(
    ("gamma",),
    # gamma alone, before the pairs that have the same gamma
    gamma_of_one=(
        "gamma = 1 keeps the standard deviation 1 of x_hat; gamma has to undo the division.",
        {"gamma": "np.ones(x.shape[1])"},
    ),
    negative_gamma=(
        "Your gamma has the wrong sign: it mirrors x about its mean.",
        {"gamma": "-np.sqrt(x.var(axis=0) + eps)"},
    ),
    eps_forgotten=(
        "sqrt(Var) is the paper's answer and right up to eps. x_hat was divided by sqrt(Var + "
        "eps), so that exactly this undoes it.",
        {"gamma": "np.sqrt(x.var(axis=0))"},
    ),
    inverse=(
        "Your gamma divides a second time; it has to undo the division, so it multiplies.",
        {"gamma": "1 / np.sqrt(x.var(axis=0) + eps)"},
    ),
    unbiased_variance=(
        "You divide the sum of squares by m - 1; the forward pass divided by m.",
        {"gamma": "np.sqrt(x.var(axis=0, ddof=1) + eps)"},
    ),
    mean_for_gamma=(
        "Your gamma is the mean. gamma is the factor: the root of Var + eps.",
        {"gamma": "x.mean(axis=0)"},
    ),
    **wrong_roots(lambda root: {"gamma": root.replace("var", "x.var(axis=0)")}, ["eps_forgotten"]),
)

IDENTITY.add_mistakes(
    ("gamma", "beta"),
    ones_and_zeros=(
        "gamma = 1 and beta = 0 give x_hat, not x: that is where training starts.",
        {"gamma": "np.ones(x.shape[1])", "beta": "np.zeros(x.shape[1])"},
    ),
    gamma_and_beta_swapped=(
        "You return them in the wrong order: gamma, the factor, comes first, then beta.",
        {"return": "beta, gamma"},
    ),
    normalizing_map=(
        "gamma = 1 / std with beta = -mean / std is the map from x to x_hat. The way back is "
        "wanted: solve x_hat = (x - mean) / std for x.",
        {"gamma": "1 / np.sqrt(x.var(axis=0) + eps)", "beta": "-x.mean(axis=0) * gamma"},
    ),
)

IDENTITY.add_mistakes(
    ("beta",),
    minus_the_mean=(
        "Your beta has the wrong sign: the mean was subtracted, so beta adds it again.",
        {"beta": "-x.mean(axis=0)"},
    ),
    beta_in_standard_deviations=(
        "Your beta is the mean over the standard deviation; it has the units of x: the mean alone.",
        {"beta": "x.mean(axis=0) / gamma"},
    ),
    beta_of_zero=(
        "With beta = 0 the output keeps the mean 0 of x_hat; beta has to add the mean again.",
        {"beta": "np.zeros(x.shape[1])"},
    ),
)
