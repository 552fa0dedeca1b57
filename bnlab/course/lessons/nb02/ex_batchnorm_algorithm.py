"""Exercise of notebook 02: Algorithm 1 by hand, and the many ways to get it slightly wrong."""

import numpy as np

from bnlab.course.exercises.exercise import Case, Exercise

ONE_PASS = (
    "E[x^2] - E[x]^2 subtracts two large, nearly equal numbers when the mean is large; "
    "subtract the mean first and square afterwards."
)


def batchnorm_forward(x, gamma, beta, eps):
    """Algorithm 1 for x of shape (N, C)."""
    mean = x.mean(axis=0)  # (C,)
    var = ((x - mean) ** 2).mean(axis=0)  # (C,), divided by m
    x_hat = (x - mean) / np.sqrt(var + eps)
    return gamma * x_hat + beta


def batch(n, c, eps=1e-5, mean=0.0, std=1.0):
    """Make a draw of (x, gamma, beta, eps); each channel has its own mean, std and gamma."""

    def draw(rng):
        x = mean + rng.normal(0, 2, c) + std * rng.uniform(0.5, 2, c) * rng.normal(size=(n, c))
        return x, rng.uniform(0.5, 2, c), rng.normal(size=c), eps

    return draw


def _signed_gamma(rng):
    x, _, beta, eps = batch(6, 4)(rng)
    return x, np.array([-1.5, 0.0, 2.0, -0.3]), beta, eps


def small_variance(rng):
    """Draw a batch in which feature 1 has a variance near eps."""
    x, gamma, beta, eps = batch(9, 3)(rng)
    x[:, 1] = 0.7 + 3e-3 * rng.normal(size=9)  # variance about 1e-5
    return x, gamma, beta, eps


def constant_feature(rng):
    """Draw a batch in which feature 0 is constant."""
    x, gamma, beta, eps = batch(5, 3)(rng)
    x[:, 0] = 0.25
    return x, gamma, beta, eps


FORWARD = Exercise(
    name="batchnorm_forward",
    notebook="02",
    reference=batchnorm_forward,
    outputs=("y",),
    cases=(
        Case("a typical batch", batch(8, 5)),
        Case("odd sizes and another eps", batch(7, 3, eps=1e-3), seed=1),
        Case("two examples", batch(2, 4), seed=2),
        Case("a negative gamma and a gamma of zero", _signed_gamma, seed=3),
        Case("a feature whose variance is near eps", small_variance, seed=4),
        Case("a constant feature", constant_feature, seed=5),
        Case("a large eps", batch(10, 2, eps=0.5), seed=6),
        Case("a large mean", batch(64, 3, mean=1e4), seed=7),
    ),
    hints=(
        "One mean and one variance for each column: which axis do they run over?",
        "Algorithm 1 divides the sum of squares by m, and eps stands inside the square root.",
        "mean = x.mean(axis=0), then x - mean, then the mean of its square over the same axis. "
        "Broadcasting does the rest: gamma and beta have shape (C,).",
    ),
    minutes=8,
    difficulty=1,
    about_precision=ONE_PASS,
)


def _x_hat(x, eps):
    return batchnorm_forward(x, 1.0, 0.0, eps)


@FORWARD.misconception(
    "unbiased_variance",
    "You divide the sum of squares by m - 1; Algorithm 1 divides by m. (The m - 1 comes back "
    "at test time, notebook 05.)",
)
def _(x, gamma, beta, eps):
    return gamma * (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0, ddof=1) + eps) + beta


@FORWARD.misconception(
    "eps_outside_root",
    "You add eps to the standard deviation; it belongs to the variance, inside the square root.",
)
def _(x, gamma, beta, eps):
    return gamma * (x - x.mean(axis=0)) / (x.std(axis=0) + eps) + beta


@FORWARD.misconception(
    "eps_forgotten",
    "You leave eps out: a constant feature then gives 0 / 0. Add it to the variance.",
)
def _(x, gamma, beta, eps):
    return gamma * (x - x.mean(axis=0)) / x.std(axis=0) + beta


@FORWARD.misconception(
    "eps_fixed",
    "You always use 1e-5; use the argument eps, which other libraries set to 1e-3.",
)
def _(x, gamma, beta, eps):
    return gamma * _x_hat(x, 1e-5) + beta


@FORWARD.misconception(
    "wrong_axis",
    "Your statistics run over the features of one example (axis=1). Here examples are rows, so "
    "they run over axis=0. (What you wrote is the normalization of layer norm.)",
)
def _(x, gamma, beta, eps):
    return gamma * _x_hat(x.T, eps).T + beta


@FORWARD.misconception(
    "one_statistic_for_all",
    "You take one mean and one variance over the whole array; each feature has its own (axis=0).",
)
def _(x, gamma, beta, eps):
    return gamma * (x - x.mean()) / np.sqrt(x.var() + eps) + beta


@FORWARD.misconception(
    "divides_by_variance",
    "You divide by the variance; divide by its square root, the standard deviation.",
)
def _(x, gamma, beta, eps):
    return gamma * (x - x.mean(axis=0)) / (x.var(axis=0) + eps) + beta


@FORWARD.misconception(
    "not_centred",
    "You divide by the standard deviation but do not subtract the mean first.",
)
def _(x, gamma, beta, eps):
    return gamma * x / np.sqrt(x.var(axis=0) + eps) + beta


@FORWARD.misconception(
    "one_mean_for_all",
    "Your mean is a single number for the whole array; each feature has its own: x.mean needs "
    "axis=0.",
)
def _(x, gamma, beta, eps):
    centred = x - x.mean()
    return gamma * centred / np.sqrt((centred**2).mean(axis=0) + eps) + beta


@FORWARD.misconception(
    "one_variance_for_all",
    "You centre each feature by its own mean, but divide all of them by one variance: the mean of "
    "the squares needs axis=0 as well.",
)
def _(x, gamma, beta, eps):
    centred = x - x.mean(axis=0)
    return gamma * centred / np.sqrt((centred**2).mean() + eps) + beta


@FORWARD.misconception(
    "sum_of_squares",
    "You divide by the root of the *sum* of squares; the variance is their mean, so divide the "
    "sum by m first.",
)
def _(x, gamma, beta, eps):
    centred = x - x.mean(axis=0)
    return gamma * centred / np.sqrt((centred**2).sum(axis=0) + eps) + beta


@FORWARD.misconception(
    "not_scaled",
    "You subtract the mean but never divide by the standard deviation.",
)
def _(x, gamma, beta, eps):
    return gamma * (x - x.mean(axis=0)) + beta


@FORWARD.misconception(
    "parentheses_forgotten",
    "You divide the mean alone: x - mean / std is x - (mean / std). Put x - mean in parentheses.",
)
def _(x, gamma, beta, eps):
    return gamma * (x - x.mean(axis=0) / np.sqrt(x.var(axis=0) + eps)) + beta


@FORWARD.misconception(
    "eps_added_after_division",
    "You add eps to the quotient; it belongs to the variance, inside the square root, where it "
    "keeps the division from being 0 / 0.",
)
def _(x, gamma, beta, eps):
    return gamma * ((x - x.mean(axis=0)) / x.std(axis=0) + eps) + beta


@FORWARD.misconception(
    "scales_x",
    "You scale and shift x itself; gamma and beta act on the normalized x_hat.",
)
def _(x, gamma, beta, eps):
    return gamma * x + beta


@FORWARD.misconception(
    "double_centring",
    "What you divide by is var + mean^2. Either the mean is subtracted twice (once from x, once "
    "more inside the variance of the centred x), or you take the mean of x^2 for the variance.",
)
def _(x, gamma, beta, eps):
    mean = x.mean(axis=0)
    centred = x - mean
    return gamma * centred / np.sqrt(((centred - mean) ** 2).mean(axis=0) + eps) + beta


@FORWARD.misconception(
    "subtracts_beta",
    "You subtract beta; the algorithm adds it: y = gamma * x_hat + beta.",
)
def _(x, gamma, beta, eps):
    return gamma * _x_hat(x, eps) - beta


@FORWARD.misconception(
    "beta_inside_gamma",
    "You multiply beta by gamma as well; scale first, then shift: y = gamma * x_hat + beta.",
)
def _(x, gamma, beta, eps):
    return gamma * (_x_hat(x, eps) + beta)


@FORWARD.misconception(
    "gamma_and_beta_swapped",
    "gamma and beta are swapped: gamma is the factor, beta is what is added.",
)
def _(x, gamma, beta, eps):
    return beta * _x_hat(x, eps) + gamma


@FORWARD.misconception(
    "no_scale_and_shift",
    "You return x_hat; the last line of Algorithm 1 is missing: y = gamma * x_hat + beta.",
)
def _(x, gamma, beta, eps):
    return _x_hat(x, eps)


@FORWARD.misconception(
    "gamma_scales_the_variance",
    "You multiply by the root of gamma. gamma multiplies x_hat itself, so it scales the standard "
    "deviation, and it may be negative.",
)
def _(x, gamma, beta, eps):
    return np.sqrt(gamma) * _x_hat(x, eps) + beta
