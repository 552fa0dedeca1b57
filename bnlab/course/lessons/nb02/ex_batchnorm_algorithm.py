"""Exercise of notebook 02: Algorithm 1 by hand, and the many ways to get it slightly wrong."""

import numpy as np

from bnlab.course.exercises.exercise import Case, Exercise

ONE_PASS = (
    "E[x^2] - E[x]^2 subtracts two large, nearly equal numbers when the mean is large; subtract "
    "the mean first and square afterwards."
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


FORWARD.add_mistakes(
    # the statistics
    unbiased_variance=(
        "You divide the sum of squares by m - 1; Algorithm 1 divides by m. (The m - 1 comes back "
        "at test time, notebook 05.)",
        {"var": "x.var(axis=0, ddof=1)"},
    ),
    eps_outside_root=(
        "You add eps to the standard deviation; it belongs to the variance, inside the square "
        "root.",
        {"x_hat": "(x - mean) / (np.sqrt(var) + eps)"},
    ),
    eps_forgotten=(
        "You leave eps out: a constant feature then gives 0 / 0. Add it to the variance.",
        {"x_hat": "(x - mean) / np.sqrt(var)"},
    ),
    eps_fixed=(
        "You always use 1e-5; use the argument eps, which other libraries set to 1e-3.",
        {"x_hat": "(x - mean) / np.sqrt(var + 1e-5)"},
    ),
    wrong_axis=(
        "Your statistics run over the features of one example (axis=1). Here examples are rows, "
        "so they run over axis=0. (What you wrote is the normalization of layer norm.)",
        {"mean": "x.mean(axis=1, keepdims=True)", "var": "x.var(axis=1, keepdims=True)"},
    ),
    one_statistic_for_all=(
        "You take one mean and one variance over the whole array; each feature has its own "
        "(axis=0).",
        {"mean": "x.mean()", "var": "x.var()"},
    ),
    divides_by_variance=(
        "You divide by the variance; divide by its square root, the standard deviation.",
        {"x_hat": "(x - mean) / (var + eps)"},
    ),
    not_centred=(
        "You divide by the standard deviation but do not subtract the mean first.",
        {"x_hat": "x / np.sqrt(var + eps)"},
    ),
    one_mean_for_all=(
        "Your mean is a single number for the whole array; each feature has its own: x.mean needs "
        "axis=0.",
        {"mean": "x.mean()"},
    ),
    one_variance_for_all=(
        "You centre each feature by its own mean, but divide all of them by one variance: the "
        "mean of the squares needs axis=0 as well.",
        {"var": "((x - mean) ** 2).mean()"},
    ),
    sum_of_squares=(
        "You divide by the root of the *sum* of squares; the variance is their mean, so divide "
        "the sum by m first.",
        {"var": "((x - mean) ** 2).sum(axis=0)"},
    ),
    not_scaled=(
        "You subtract the mean but never divide by the standard deviation.",
        {"x_hat": "x - mean"},
    ),
    parentheses_forgotten=(
        "You divide the mean alone: x - mean / std is x - (mean / std). Put x - mean in "
        "parentheses.",
        {"x_hat": "x - mean / np.sqrt(var + eps)"},
    ),
    eps_added_after_division=(
        "You add eps to the quotient; it belongs to the variance, inside the square root, where "
        "it keeps the division from being 0 / 0.",
        {"x_hat": "(x - mean) / np.sqrt(var) + eps"},
    ),
    scales_x=(
        "You scale and shift x itself; gamma and beta act on the normalized x_hat.",
        {"x_hat": "x"},
    ),
    double_centring=(
        "What you divide by is var + mean^2. Either the mean is subtracted twice (once from x, "
        "once more inside the variance of the centred x), or you take the mean of x^2 for the "
        "variance.",
        {"var": "((x - mean - mean) ** 2).mean(axis=0)"},
    ),
    # the last line
    subtracts_beta=(
        "You subtract beta; the algorithm adds it: y = gamma * x_hat + beta.",
        {"return": "gamma * x_hat - beta"},
    ),
    beta_inside_gamma=(
        "You multiply beta by gamma as well; scale first, then shift: y = gamma * x_hat + beta.",
        {"return": "gamma * (x_hat + beta)"},
    ),
    gamma_and_beta_swapped=(
        "gamma and beta are swapped: gamma is the factor, beta is what is added.",
        {"return": "beta * x_hat + gamma"},
    ),
    no_scale_and_shift=(
        "You return x_hat; the last line of Algorithm 1 is missing: y = gamma * x_hat + beta.",
        {"return": "x_hat"},
    ),
    gamma_scales_the_variance=(
        "You multiply by the root of gamma. gamma multiplies x_hat itself, so it scales the "
        "standard deviation, and it may be negative.",
        {"return": "np.sqrt(gamma) * x_hat + beta"},
    ),
    beta_forgotten=(
        "You scale by gamma but do not shift: add beta, y = gamma * x_hat + beta.",
        {"return": "gamma * x_hat"},
    ),
    gamma_forgotten=(
        "You shift by beta but do not scale: multiply x_hat by gamma, y = gamma * x_hat + beta.",
        {"return": "x_hat + beta"},
    ),
    divides_by_gamma=(
        "You divide x_hat by gamma; gamma multiplies it, and it may be 0.",
        {"return": "1 / gamma * x_hat + beta"},
    ),
    # roots, signs, and other spreads
    multiplied_by_std=(
        "You multiply by the standard deviation; to bring it to 1, divide by it.",
        {"x_hat": "(x - mean) * np.sqrt(var + eps)"},
    ),
    root_taken_twice=(
        "You take the root of the standard deviation, which is a root already. Inside the square "
        "root stands the variance.",
        {"x_hat": "(x - mean) / np.sqrt(np.sqrt(var) + eps)"},
    ),
    eps_as_floor=(
        "You take eps where it is larger than the variance. Algorithm 1 adds it to every variance.",
        {"x_hat": "(x - mean) / np.sqrt(np.maximum(var, eps))"},
    ),
    eps_as_standard_deviation=(
        "You add sqrt(eps) to the standard deviation. sqrt(a) + sqrt(b) is not sqrt(a + b): add "
        "eps to the variance, then take one root.",
        {"x_hat": "(x - mean) / (np.sqrt(var) + np.sqrt(eps))"},
    ),
    mirrored=(
        "Your x_hat has the wrong sign, or is subtracted: it is x minus the mean, and gamma * "
        "x_hat is added to beta.",
        {"return": "beta - gamma * x_hat"},
    ),
    sum_for_mean=(
        "You subtract the sum of each feature; the mean is the sum divided by m.",
        {"x_hat": "(x - x.sum(axis=0)) / np.sqrt(var + eps)"},
    ),
    mean_distance=(
        "You divide by the mean distance from the mean. The variance is the mean of the *squared* "
        "distances, and its root is the standard deviation.",
        {"x_hat": "(x - mean) / (np.abs(x - mean).mean(axis=0) + eps)"},
    ),
)
