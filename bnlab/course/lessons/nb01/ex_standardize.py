"""Exercise of notebook 01: standardize the inputs, which is batch norm without gamma and beta."""

import numpy as np

from bnlab.course.exercises.exercise import Case, Exercise


def standardize(x, eps):
    """Give each feature of x, shape (N, C), mean 0 and variance 1 up to eps."""
    mean = x.mean(axis=0)  # (C,)
    var = ((x - mean) ** 2).mean(axis=0)  # (C,), divided by N
    return (x - mean) / np.sqrt(var + eps)


def features(n, c, eps=1e-5, mean=0.0):
    """Draws (x, eps); the features are correlated and differ in mean and in std."""

    def draw(rng):
        mixing = np.eye(c) + 0.5 * rng.normal(size=(c, c)) / np.sqrt(c)
        noise = rng.normal(size=(n, c)) @ mixing
        return mean + rng.normal(0, 2, c) + rng.uniform(0.5, 2, c) * noise, eps

    return draw


def constant_feature(rng):
    """(x, eps) with a feature that never changes."""
    x, eps = features(12, 3)(rng)
    x[:, 0] = 0.25
    return x, eps


def small_variance(rng):
    """(x, eps) with a feature whose variance is about 1e-5."""
    x, eps = features(9, 3)(rng)
    x[:, 1] = 0.7 + 3e-3 * rng.normal(size=9)
    return x, eps


STANDARDIZE = Exercise(
    name="standardize",
    notebook="01",
    reference=standardize,
    outputs=("z",),
    cases=(
        Case("a typical data set", features(12, 5)),
        Case("odd sizes and another eps", features(7, 3, eps=1e-3), seed=1),
        Case("two examples", features(2, 4), seed=2),
        Case("a constant feature", constant_feature, seed=3),
        Case("a feature whose variance is near eps", small_variance, seed=4),
        Case("a large eps", features(10, 2, eps=0.5), seed=5),
        Case("a large mean", features(64, 3, mean=1e4), seed=6),
    ),
    hints=(
        "Examples are rows, features are columns: each column gets its own mean and variance.",
        "The variance is the mean of the squared distances from the mean, and eps is added to it "
        "before the root is taken.",
    ),
    minutes=3,
    difficulty=1,
    about_precision="E[x^2] - E[x]^2 subtracts two large, nearly equal numbers when the mean is "
    "large; subtract the mean first and square afterwards.",
)


STANDARDIZE.add_mistakes(
    unbiased_variance=(
        "You divide the sum of squares by N - 1; the exercise (and batch norm) divides by N.",
        {"var": "x.var(axis=0, ddof=1)"},
    ),
    eps_outside_root=(
        "You add eps to the standard deviation; it belongs to the variance, inside the square "
        "root.",
        {"return": "(x - mean) / (np.sqrt(var) + eps)"},
    ),
    eps_forgotten=(
        "You leave eps out, which keeps a constant feature from 0 / 0. Add it to the variance.",
        {"return": "(x - mean) / np.sqrt(var)"},
    ),
    eps_fixed=(
        "You always use 1e-5; use the argument eps.",
        {"return": "(x - mean) / np.sqrt(var + 1e-5)"},
    ),
    wrong_axis=(
        "Your statistics run over the features of one example (axis=1). Examples are rows, so "
        "they run over axis=0.",
        {"mean": "x.mean(axis=1, keepdims=True)", "var": "x.var(axis=1, keepdims=True)"},
    ),
    one_statistic_for_all=(
        "You take one mean and one variance over the whole array; each feature has its own "
        "(axis=0).",
        {"mean": "x.mean()", "var": "x.var()"},
    ),
    divides_by_variance=(
        "You divide by the variance; divide by its square root, the standard deviation.",
        {"return": "(x - mean) / (var + eps)"},
    ),
    not_centred=(
        "You divide by the standard deviation but do not subtract the mean first.",
        {"return": "x / np.sqrt(var + eps)"},
    ),
    only_centred=(
        "You subtract the mean but do not divide by the standard deviation.",
        {"return": "x - mean"},
    ),
    mean_square_for_variance=(
        "You divide by the root of the mean of x^2. The variance is the mean of (x - mean)^2: "
        "square the centred x.",
        {"var": "(x**2).mean(axis=0)"},
    ),
    sum_for_mean=(
        "You divide by the length of the centred column, the root of a sum of squares. The "
        "variance is their mean: divide the sum by N.",
        {"var": "((x - mean) ** 2).sum(axis=0)"},
    ),
    range_from_0_to_1=(
        "You map the smallest value to 0 and the largest to 1. That is another scaling: here the "
        "mean becomes 0 and the variance 1.",
        {"return": "(x - x.min(axis=0)) / (np.ptp(x, axis=0) + eps)"},
    ),
    one_mean_for_all=(
        "Your mean is a single number for the whole array; each feature has its own: x.mean needs "
        "axis=0.",
        {"return": "(x - x.mean()) / np.sqrt(var + eps)"},
    ),
    one_variance_for_all=(
        "You centre each feature by its own mean, but divide all of them by one variance: it "
        "needs axis=0 as well.",
        {"var": "x.var()"},
    ),
    parentheses_forgotten=(
        "You divide the mean alone: x - mean / std is x - (mean / std). Put x - mean in "
        "parentheses.",
        {"return": "x - mean / np.sqrt(var + eps)"},
    ),
    multiplied=(
        "You multiply by the standard deviation; to bring it to 1, divide by it.",
        {"return": "(x - mean) * np.sqrt(var + eps)"},
    ),
    root_taken_twice=(
        "You take the root of the standard deviation, which is a root already. Inside the square "
        "root stands the variance.",
        {"return": "(x - mean) / np.sqrt(np.sqrt(var) + eps)"},
    ),
    eps_as_floor=(
        "You take eps where it is larger than the variance. Here it is added to every variance.",
        {"return": "(x - mean) / np.sqrt(np.maximum(var, eps))"},
    ),
    constant_divided_by_one=(
        "You leave eps out, and treat a standard deviation of 0 or near it apart, as scikit-learn "
        "does. Batch norm has no such exception: it adds eps to every variance.",
        {"return": "(x - mean) / np.sqrt(np.where(var == 0, 1, var))"},
    ),
    mean_distance=(
        "You divide by the mean distance from the mean. The variance is the mean of the *squared* "
        "distances, and its root is the standard deviation.",
        {"return": "(x - mean) / (np.abs(x - mean).mean(axis=0) + eps)"},
    ),
    examples_to_unit_length=(
        "You scale each example to length 1. That looks along a row; standardizing looks down "
        "each column, over the examples.",
        {"return": "x / np.sqrt((x**2).sum(axis=1, keepdims=True) + eps)"},
    ),
    doubles_eps=(
        "You add eps twice to the variance; add it once.",
        {"return": "(x - mean) / np.sqrt(var + 2 * eps)"},
    ),
    squares_eps=(
        "You square eps, as if it were a standard deviation; it is added as it is.",
        {"return": "(x - mean) / np.sqrt(var + eps**2)"},
    ),
    subtracts_eps=(
        "You subtract eps, and the root of a negative number may be left; add it.",
        {"return": "(x - mean) / np.sqrt(var - eps)"},
    ),
    divides_eps_by_n=(
        "Your eps is divided by N, as if it were one more square in the sum; add it to their mean.",
        {"return": "(x - mean) / np.sqrt(var + eps / len(x))"},
    ),
    adds_eps_to_x=(
        "You add eps to x - mean; it belongs to the variance alone.",
        {"return": "(x - mean + eps) / np.sqrt(var + eps)"},
    ),
    median_for_mean=(
        "You subtract the median of each feature; subtract its mean.",
        {"return": "(x - np.median(x, axis=0)) / np.sqrt(var + eps)"},
    ),
)
STANDARDIZE.add_slips(
    one_for_each_example=(
        "Something has one number for each example, as x.mean(axis=1) has. Each feature has its "
        "own mean and variance: axis=0.",
        {"mean": "x.mean(axis=1)"},
    ),
)
