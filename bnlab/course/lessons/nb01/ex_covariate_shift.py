"""Exercises of notebook 01: which shift is it, how activations drift, what sigmoids leave over."""

import numpy as np

from bnlab.course.exercises.exercise import Case, Exercise, Mistake, Question

WHICH_SHIFT = Question(
    name="which_shift",
    notebook="01",
    answer="b",
    choices=("a", "b", "c"),
    explanation="Nothing came from outside: the update moved the weights of the first layer, and "
    "with them the inputs of the second. That is internal covariate shift; a is covariate shift, "
    "and in c the relation between x and y itself has changed.",
    hints=(
        "Internal means inside the network, between two layers.",
        "Internal covariate shift needs no new data: ask of each story whether training itself is "
        "the cause.",
    ),
    minutes=1,
    difficulty=1,
    mistakes=(
        Mistake(
            "covariate_shift",
            "Thicker pens change P(x) at the door of the network: covariate shift, but not the "
            "internal one, which the network's own updates cause.",
            "a",
        ),
        Mistake(
            "concept_shift",
            "Here P(y given x) changes: the same image should now get another label. Neither kind "
            "of covariate shift does that.",
            "c",
        ),
    ),
)


def activation_percentiles(a):
    """The 15th, 50th and 85th percentile of each feature over the batch, (3, C)."""
    return np.percentile(a, [15, 50, 85], axis=0)


def _skewed(n, c, scale=1.0, offset=0.0):
    """Draws a (n, c) whose mean, median and quantiles all differ."""

    def draw(rng):
        shape = rng.uniform(0.7, 2, c)
        return (offset + scale * (rng.gamma(shape, size=(n, c)) - rng.normal(size=c)),)

    return draw


def _one_constant(rng):
    (a,) = _skewed(9, 3)(rng)
    a[:, 1] = -0.5
    return (a,)


PERCENTILES = Exercise(
    name="activation_percentiles",
    notebook="01",
    reference=activation_percentiles,
    outputs=("percentiles",),
    cases=(
        Case("a typical batch", _skewed(60, 5)),
        Case("percentiles between two examples", _skewed(8, 3), seed=1),
        Case("percentiles that are examples", _skewed(21, 4), seed=2),
        Case("two examples", _skewed(2, 4), seed=3),
        Case("as many examples as features", _skewed(6, 6), seed=4),
        Case("a constant feature", _one_constant, seed=5),
        Case("a large mean", _skewed(30, 3, offset=1e4), seed=6),
    ),
    hints=(
        "Sort the values of one feature. Half of them lie below the 50th percentile; how many lie "
        "below the 15th?",
        "np.percentile takes several percentages at once and puts them on the first axis.",
        "Percentages go from 0 to 100, and axis=0 runs over the batch.",
    ),
    minutes=3,
    difficulty=1,
)


def _mean_in_the_middle(a):
    low, _, high = activation_percentiles(a)
    return np.stack([low, a.mean(axis=0), high])


PERCENTILES.add_mistakes(
    fractions_for_percent=(
        "np.percentile counts from 0 to 100, so that 0.15 is the 0.15th percentile, almost the "
        "smallest value. Pass 15, 50 and 85, or use np.quantile.",
        {"return": "np.percentile(a, [0.15, 0.50, 0.85], axis=0)"},
    ),
    mean_and_std=(
        "You return mean - std, mean and mean + std. For a normal distribution that is nearly the "
        "same; activations are skewed, and then it is not.",
        {"return": "np.stack([a.mean(axis=0) + k * a.std(axis=0) for k in (-1, 0, 1)])"},
    ),
    mean_for_median=(
        "Your middle row is the mean; the 50th percentile is the median, which one extreme value "
        "cannot move.",
        _mean_in_the_middle,
    ),
    minimum_and_maximum=(
        "Your outer rows are the minimum and the maximum, the 0th and the 100th percentile.",
        {"return": "np.percentile(a, [0, 50, 100], axis=0)"},
    ),
    quartiles=(
        "These are the 25th, 50th and 75th percentile; the 15th and the 85th were asked.",
        {"return": "np.percentile(a, [25, 50, 75], axis=0)"},
    ),
    outer_tenths=(
        "Your outer rows are the 10th and the 90th percentile; take the 15th and 85th.",
        {"return": "np.percentile(a, [10, 50, 90], axis=0)"},
    ),
    one_standard_deviation=(
        "Your outer rows are the 16th and the 84th percentile, one standard deviation from the "
        "middle of a normal distribution. The paper's figure takes the 15th and the 85th.",
        {"return": "np.percentile(a, [16, 50, 84], axis=0)"},
    ),
    highest_first=(
        "The rows are upside down: the 15th percentile comes first, the 85th last.",
        {"return": "np.percentile(a, [85, 50, 15], axis=0)"},
    ),
    not_interpolated=(
        "You take the sorted value at place int(q * N). Most percentiles fall between two "
        "examples: their place is q * (N - 1), and the value there is interpolated, as "
        "np.percentile does.",
        {"return": "np.sort(a, axis=0)[[int(q * len(a)) for q in (0.15, 0.50, 0.85)]]"},
    ),
    rounded_down=(
        "You take the sorted value just below the place q * (N - 1). Where the place falls "
        "between two examples, interpolate between them, as np.percentile does by default.",
        {"return": "np.percentile(a, [15, 50, 85], axis=0, method='lower')"},
    ),
    nearest_example=(
        "You take the example nearest to each percentile. Where a percentile falls between two "
        "examples, interpolate between them, as np.percentile does by default.",
        {"return": "np.percentile(a, [15, 50, 85], axis=0, method='nearest')"},
    ),
    of_the_magnitudes=(
        "You take the percentiles of |a|; the sign of an activation counts.",
        {"return": "np.percentile(np.abs(a), [15, 50, 85], axis=0)"},
    ),
    not_sorted=(
        "You take the rows at 15, 50 and 85 percent of the batch as they come; the values of each "
        "feature have to be sorted first.",
        {"return": "a[[int(q * len(a)) for q in (0.15, 0.50, 0.85)]]"},
    ),
    outer_twentieths=(
        "Your outer rows are the 5th and the 95th percentile; take the 15th and 85th.",
        {"return": "np.percentile(a, [5, 50, 95], axis=0)"},
    ),
)


LARGEST_FACTOR = Question(
    name="largest_factor",
    notebook="01",
    answer=0.25**5,
    explanation="The slope s(1 - s) of a sigmoid is at most 1/4, at input 0, and slopes along a "
    "path multiply: (1/4)^5, just under a thousandth. Away from 0 it is less still.",
    hints=(
        "The slope of the sigmoid is s(1 - s), where s is its output. Where is it largest?",
        "The chain rule multiplies one slope for each sigmoid on the way.",
    ),
    minutes=1,
    difficulty=1,
    mistakes=(
        Mistake(
            "one_sigmoid", "That is the factor of one sigmoid; the gradient passes five.", 0.25
        ),
        Mistake("added", "You add the slopes of five sigmoids; the chain rule multiplies.", 1.25),
        Mistake(
            "output_for_slope",
            "You multiply outputs (0.5 at input 0); the gradient passes through slopes, s(1 - s).",
            0.5**5,
        ),
        Mistake(
            "slope_of_one",
            "A slope of 1 would let the gradient through unchanged. The sigmoid is nowhere that "
            "steep: look at s(1 - s).",
            1.0,
        ),
        Mistake("four_sigmoids", "That is (1/4)^4, for four sigmoids; there are five.", 0.25**4),
        Mistake("six_sigmoids", "That is (1/4)^6, for six sigmoids; there are five.", 0.25**6),
        Mistake("percent", "That is the factor in percent; give it as a number.", 100 * 0.25**5),
        Mistake("inverse", "By that the gradient is divided; the factor is 1 over it.", 4.0**5),
        Mistake("divided_by_five", "You divide 1/4 by 5; five slopes are multiplied.", 0.05),
        Mistake("zero", "Small, but not 0: multiply five slopes of at most 1/4.", 0.0),
    ),
)
