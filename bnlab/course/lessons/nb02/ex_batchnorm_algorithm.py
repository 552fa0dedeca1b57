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


# What stands in the place of sqrt(var + eps), for every exercise that has this root.
ROOTS = dict(
    eps_outside_root=(
        "You add eps to the standard deviation; it belongs to the variance, inside the root.",
        "np.sqrt(var) + eps",
    ),
    eps_forgotten=(
        "eps is not in your variance: a constant feature then gives 0 / 0. Add it to the variance.",
        "np.sqrt(var)",
    ),
    eps_fixed=(
        "You always use 1e-5; use the argument eps, which other libraries set to 1e-3.",
        "np.sqrt(var + 1e-5)",
    ),
    divides_by_variance=(
        "Where the standard deviation belongs you have the variance; take its square root.",
        "var + eps",
    ),
    root_taken_twice=(
        "You take the root twice: under the square root stands the variance, not its root.",
        "np.sqrt(np.sqrt(var) + eps)",
    ),
    eps_as_floor=(
        "You take eps where it is larger than the variance. Algorithm 1 adds it to every variance.",
        "np.sqrt(np.maximum(var, eps))",
    ),
    eps_as_standard_deviation=(
        "You add sqrt(eps) to the standard deviation. Add eps to the variance, then take one root.",
        "np.sqrt(var) + np.sqrt(eps)",
    ),
    variance_without_eps=(
        "Where sqrt(var + eps) belongs you have the variance alone: add eps, then take the root.",
        "var",
    ),
    subtracts_eps=(
        "You subtract eps from the variance; it is added, to keep what is under the root positive.",
        "np.sqrt(var - eps)",
    ),
    squares_eps=(
        "Your variance gets eps^2; add eps itself, once the squares are averaged.",
        "np.sqrt(var + eps**2)",
    ),
    adds_eps_twice=(
        "You add eps twice, inside the root and outside; it belongs inside only.",
        "np.sqrt(var + eps) + eps",
    ),
    divides_eps_by_m=(
        "Your eps is divided by m, as if it were one more square in the sum; add it to their mean.",
        "np.sqrt(var + eps / len(x))",
    ),
)


def wrong_roots(edit, but=(), note=""):
    """The table as mistakes of an exercise; `edit` makes the edit that puts a wrong root there."""
    return {n: (text + note, edit(root)) for n, (text, root) in ROOTS.items() if n not in but}


FORWARD.add_mistakes(
    # the statistics
    unbiased_variance=(
        "You divide the sum of squares by m - 1; Algorithm 1 divides by m. (The m - 1 comes back "
        "at test time, notebook 05.)",
        {"var": "x.var(axis=0, ddof=1)"},
    ),
    wrong_axis=(
        "Your statistics run over the features of one example (axis=1). Here examples are rows, "
        "so they run over axis=0. (What you wrote is the normalization of layer norm.)",
        {"mean": "x.mean(axis=1, keepdims=True)", "var": "x.var(axis=1, keepdims=True)"},
    ),
    one_statistic_for_all=(
        "You take one mean and one variance of the whole array; each feature has its own: axis=0.",
        {"mean": "x.mean()", "var": "x.var()"},
    ),
    not_centred=(
        "You divide by the standard deviation but do not subtract the mean first.",
        {"x_hat": "x / np.sqrt(var + eps)"},
    ),
    one_mean_for_all=(
        "Your mean is one number for the whole array; each feature has its own (axis=0).",
        {"mean": "x.mean()"},
    ),
    one_variance_for_all=(
        "You divide all features by one standard deviation; each has its own (axis=0).",
        {"var": "((x - mean) ** 2).mean()"},
    ),
    sum_of_squares=(
        "You divide by the root of the *sum* of squares; the variance is their mean: divide by m.",
        {"var": "((x - mean) ** 2).sum(axis=0)"},
    ),
    not_scaled=(
        "You subtract the mean but never divide by the standard deviation.",
        {"x_hat": "x - mean"},
    ),
    parentheses_forgotten=(
        "You divide the mean alone, x - (mean / std): put x - mean in parentheses.",
        {"x_hat": "x - mean / np.sqrt(var + eps)"},
    ),
    eps_added_after_division=(
        "You add eps to the quotient; it belongs to the variance, inside the square root.",
        {"x_hat": "(x - mean) / np.sqrt(var) + eps"},
    ),
    scales_x=(
        "You scale and shift x itself; gamma and beta act on the normalized x_hat.",
        {"x_hat": "x"},
    ),
    double_centring=(
        "What you divide by holds var + mean^2: there the mean comes off twice, or not at all.",
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
        "You multiply by the root of gamma; gamma itself multiplies x_hat, and may be negative.",
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
    # more of x_hat
    multiplied_by_std=(
        "You multiply by the standard deviation; to bring it to 1, divide by it.",
        {"x_hat": "(x - mean) * np.sqrt(var + eps)"},
    ),
    mirrored=(
        "Your x_hat has the wrong sign, or is subtracted: take x - mean, and add gamma * x_hat.",
        {"return": "beta - gamma * x_hat"},
    ),
    sum_for_mean=(
        "You subtract the sum of each feature; the mean is the sum divided by m.",
        {"x_hat": "(x - x.sum(axis=0)) / np.sqrt(var + eps)"},
    ),
    mean_distance=(
        "You divide by the mean distance from the mean; the variance averages *squared* distances.",
        {"x_hat": "(x - mean) / (np.abs(x - mean).mean(axis=0) + eps)"},
    ),
    std_of_the_variances=(
        "np.std(var) is one number: how far the variances lie apart. The root is np.sqrt.",
        {"x_hat": "(x - mean) / np.std(var + eps)"},
    ),
    corrected_twice=(
        "Your variance has a factor (m - 1) / m too many: x.var divides by m (torch's by m - 1).",
        {"var": "x.var(axis=0) * (len(x) - 1) / len(x)"},
    ),
    median_for_the_mean=(
        "You subtract the median of each feature; Algorithm 1 subtracts the mean.",
        {"x_hat": "(x - np.median(x, axis=0)) / np.sqrt(var + eps)"},
    ),
    minimum_and_maximum=(
        "You scale by minimum and range; Algorithm 1 takes the mean and the standard deviation.",
        {"x_hat": "(x - x.min(axis=0)) / (np.ptp(x, axis=0) + eps)"},
    ),
    last_row_left_out=(
        "The last row is not in your statistics: x[:-1], or a loop that stops one too early?",
        {"x_hat": "(x - x[:-1].mean(axis=0)) / np.sqrt(x[:-1].var(axis=0) + eps)"},
    ),
    # more of the last line
    gamma_without_its_sign=(
        "Your gamma has lost its sign. It may be negative, and mirrors x_hat then.",
        {"return": "np.abs(gamma) * x_hat + beta"},
    ),
    one_gamma_for_all=(
        "You scale all features by gamma[0]; each has a gamma of its own, so keep the array.",
        {"return": "gamma[0] * x_hat + beta"},
    ),
    relu_at_the_end=(
        "Your y is 0 where it should be negative: that is a ReLU, which is no part of batch norm.",
        {"return": "np.maximum(gamma * x_hat + beta, 0)"},
    ),
    returns_x=("You return x as it came.", {"return": "x"}),
)

FORWARD.add_mistakes(**wrong_roots(lambda root: {"x_hat": f"(x - mean) / ({root})"}))

FORWARD.add_slips(
    mean_of_each_image=(
        "Your mean is that of each image, shape (N,). Examples are rows here, so a feature is a "
        "column: average over axis=0.",
        {"mean": "x.mean(axis=1)"},
    ),
    features_in_a_column=(
        "A column, shape (C, 1), does not fit the rows of x: keep one value per feature, (C,).",
        {"return": "gamma[:, None] * x_hat + beta"},
    ),
)
