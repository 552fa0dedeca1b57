"""Exercises of notebook 00: the mean of each column, and how many means there are."""

from bnlab.course.exercises.exercise import Case, Exercise, Mistake, Question


def feature_means(x):
    """The mean of each column."""
    return x.mean(axis=0)


def _normal(n, c, mean=0.0):
    return lambda rng: (mean + rng.normal(size=(n, c)),)


FEATURE_MEANS = Exercise(
    name="feature_means",
    notebook="00",
    reference=feature_means,
    outputs=("means",),
    cases=(
        Case("five examples of three features", _normal(5, 3)),
        Case("as many examples as features", _normal(4, 4), seed=1),
        Case("one feature", _normal(6, 1), seed=2),
        Case("a large mean", _normal(7, 3, mean=1e4), seed=3),
    ),
    hints=(
        "Three features have three means, whatever the number of examples.",
        "x.mean() takes an argument axis: the axis that disappears from the shape.",
    ),
    minutes=3,
    difficulty=1,
)


FEATURE_MEANS.add_mistakes(
    unfinished_mean=(
        "You add the examples up but do not divide by their number; a mean is the sum divided by "
        "N.",
        {"return": "x.sum(axis=0)"},
    ),
    mean_of_magnitudes=(
        "You average the absolute values; a mean keeps the signs.",
        {"return": "np.abs(x).mean(axis=0)"},
    ),
    one_too_few=(
        "You divide by N - 1. That is for unbiased variances; a mean divides by N.",
        {"return": "x.sum(axis=0) / max(len(x) - 1, 1)"},
    ),
    median_for_mean=(
        "You take the median of each feature; batch norm uses the mean.",
        {"return": "np.median(x, axis=0)"},
    ),
    divided_by_features=(
        "You divide by x.shape[1], the number of features; the mean of a feature divides by the "
        "number of examples, x.shape[0] or len(x).",
        {"return": "x.sum(axis=0) / x.shape[1]"},
    ),
    divided_by_all=(
        "You divide by x.size, the number of all values; one feature has only N of them.",
        {"return": "x.sum(axis=0) / x.size"},
    ),
    one_mean_repeated=(
        "You repeat one mean of the whole array; each feature has its own: x.mean needs axis=0.",
        {"return": "np.full(x.shape[1], x.mean())"},
    ),
    rounded_down=(
        "// rounds the quotient down to a whole number; / divides.",
        {"return": "x.sum(axis=0) // len(x)"},
    ),
)


HOW_MANY_MEANS = Question(
    name="how_many_means",
    notebook="00",
    answer=100,
    rtol=1e-9,
    explanation="One mean for each of the 100 features, taken over the 32 examples.",
    hints=("Which axis of (32, 100) holds the features?",),
    minutes=2,
    difficulty=1,
    mistakes=(
        Mistake(
            "one_per_example",
            "32 would be one mean for each example. Examples are rows here, and batch norm "
            "averages over the examples.",
            32,
        ),
        Mistake(
            "one_for_all",
            "One single mean would mix features that have nothing to do with each other; each "
            "feature has its own.",
            1,
        ),
        Mistake(
            "one_per_number",
            "3200 is how many numbers the batch holds; a mean takes many of them together.",
            3200,
        ),
        Mistake("with_variances", "You count 100 variances too; only means were asked.", 200),
        Mistake("sides_added", "You add the sides; only one of them counts the features.", 132),
    ),
)
