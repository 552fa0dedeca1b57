"""Exercise of notebook 10: the statistics of a batch from those of its shards."""

import numpy as np

from bnlab.course.exercises.exercise import Case, Exercise


def merge_stats(counts, means, variances):
    """Mean and biased variance of all rows together, from those of R shards."""
    share = (counts / counts.sum())[:, None]  # (R, 1)
    mean = (share * means).sum(axis=0)  # (C,)
    between = (means - mean) ** 2  # (R, C)
    var = (share * (variances + between)).sum(axis=0)
    return mean, var


def shards(counts, c, mean=0.0, apart=2.0):
    """Make a draw of (counts, means, variances) from rows; the shards' means lie apart."""

    def draw(rng):
        rows = [mean + apart * rng.normal(size=c) + rng.normal(size=(n, c)) for n in counts]
        return _statistics(rows)

    return draw


def _statistics(rows):
    """Counts (R,), means (R, C) and biased variances (R, C) of a list of shards."""
    means, variances = ([f(shard, axis=0) for shard in rows] for f in (np.mean, np.var))
    return np.array([len(shard) for shard in rows]), np.array(means), np.array(variances)


def _constant_feature(rng):
    rows = [rng.normal(size=(n, 2)) for n in (4, 9)]
    for shard in rows:
        shard[:, 0] = 0.25
    return _statistics(rows)


MERGE = Exercise(
    name="merge_stats",
    notebook="10",
    reference=merge_stats,
    outputs=("mean", "var"),
    cases=(
        Case("three shards of unequal size", shards((5, 20, 11), 4)),
        Case("equal shards", shards((8, 8, 8, 8), 3), seed=1),
        Case("two shards, one of them small", shards((64, 3), 2), seed=2),
        Case("a shard of one row", shards((1, 6, 4), 5), seed=3),
        Case("only one shard", shards((7,), 3), seed=4),
        Case("means far apart", shards((9, 4, 30), 2, apart=100.0), seed=5),
        Case("a constant feature", _constant_feature, seed=6),
        Case("a large mean", shards((40, 25, 10), 3, mean=1e4), seed=7),
    ),
    hints=(
        "How many rows stand behind each mean? A shard with twice the rows counts twice.",
        "The common variance is the mean square distance of all rows from the *common* mean. Part "
        "of this distance is from the row to the mean of its shard; what is the rest?",
        "share = counts / counts.sum() as a column weights the R rows of means. For the variance, "
        "add the squared distance of each shard's mean from the common mean to the shard's own "
        "variance, and weight again.",
    ),
    minutes=5,
    difficulty=2,
    about_precision=(
        "Subtracting the squared mean from a mean of squares loses digits when the mean is large; "
        "use the distances of the shards' means from the common mean."
    ),
)

MERGE.add_mistakes(
    ("mean", "var"),
    shards_count_alike=(
        "You give each shard the same weight. A shard with twice the rows counts twice: weight "
        "the mean by counts, and the variance too.",
        {"share": "1 / len(counts)"},
    ),
    plain_averages=(
        "You average the means and the variances of the shards as they are. Two things are "
        "missing: the weight of each shard, and the distances between their means.",
        {"share": "1 / len(counts)", "between": "0"},
    ),
    divided_by_the_number_of_shards=(
        "You multiply by counts and then divide by the number of shards; divide by the number of "
        "rows, counts.sum().",
        {"share": "counts[:, None] / len(counts)"},
    ),
    mean_of_means=(
        "Your variance is weighted by counts, but your mean is the plain mean of the means, and "
        "the distances start there. Weight the means by counts first.",
        {"mean": "means.mean(axis=0)"},
    ),
    sums_not_divided=(
        "You multiply by counts and add up, but do not divide by the number of rows, counts.sum().",
        {"return": "mean * counts.sum(), var * counts.sum()"},
    ),
    outputs_swapped=("Return mean first, then var.", {"return": "var, mean"}),
    first_shard_alone=(
        "You return the statistics of the first shard; the rows of the others count as well.",
        {"return": "means[0], variances[0]"},
    ),
    largest_shard_alone=(
        "You return the statistics of the largest shard; the rows of the others count as well.",
        {"return": "means[counts.argmax()], variances[counts.argmax()]"},
    ),
)

MERGE.add_mistakes(
    ("var",),
    variance_of_means_forgotten=(
        "You average the variances. Each is about the mean of its own shard; if the means differ, "
        "the rows lie further from the common mean. Add the squared distances of the means. "
        "(Without the square they would cancel.)",
        {"between": "0"},
    ),
    distances_unweighted=(
        "The average of the variances is weighted by counts, but the variance of the means is "
        "not: a distant mean of a small shard adds little.",
        {"var": "(share * variances).sum(axis=0) + means.var(axis=0)"},
    ),
    distances_from_the_mean_of_means=(
        "The distances in your variance start at the unweighted mean of the means. They start at "
        "the common mean, which is weighted by counts.",
        {"between": "(means - means.mean(axis=0)) ** 2"},
    ),
    pooled_variance=(
        "You use the pooled variance of statistics, with n - 1 for each shard: it estimates a "
        "variance that all shards share. Here the variance of all rows together is wanted, biased "
        "in and biased out.",
        {"var": "(counts - 1) @ variances / (counts - 1).sum()"},
    ),
    unbiased_out=(
        "You divide by the number of rows less one. Batch norm normalizes by the biased variance: "
        "divide by the number of rows.",
        {"return": "mean, var * counts.sum() / (counts.sum() - 1)"},
    ),
    unbiased_in=(
        "You multiply each variance by n - 1 to get its sum of squares back. The variances that "
        "come in are biased: multiply by n.",
        {"var": "((counts - 1) @ variances + counts @ between) / counts.sum()"},
    ),
    deviations_averaged=(
        "You average standard deviations and square the result. Squares add up, their roots do "
        "not: average the variances, and add the distances between the means.",
        {"var": "(share * np.sqrt(variances)).sum(axis=0) ** 2"},
    ),
    variances_added=(
        "You add the variances up. That is the rule for a sum of independent numbers; here the "
        "shards stand side by side, and the squares are averaged.",
        {"var": "variances.sum(axis=0)"},
    ),
    variance_as_for_equal_shards=(
        "Your variance is not weighted by counts: the mean of the variances plus the variance of "
        "the means is right for equal shards only.",
        {"var": "variances.mean(axis=0) + means.var(axis=0)"},
    ),
    variances_unweighted=(
        "The distances of the means are weighted by counts, the variances of the shards are not. "
        "Both are means over all rows.",
        {"var": "variances.mean(axis=0) + (share * between).sum(axis=0)"},
    ),
    distances_not_squared=(
        "You add the distances of the means from the common mean; add their squares.",
        {"between": "np.abs(means - mean)"},
    ),
    standard_deviation=(
        "You return the standard deviation; leave out the last square root.",
        {"return": "mean, np.sqrt(var)"},
    ),
    unbiased_in_and_out=(
        "You use the formula for unbiased variances, with n - 1. These are biased, those that "
        "come in and the one that goes out: n throughout.",
        {"var": "((counts - 1) @ variances + counts @ between) / (counts.sum() - 1)"},
    ),
    distances_subtracted=(
        "You subtract the squared distances of the means from the variances; add them.",
        {"var": "(share * (variances - between)).sum(axis=0)"},
    ),
    deviations_averaged_distances_kept=(
        "You average standard deviations and square the result. Average the variances; the "
        "distances of the means are right.",
        {"var": "(share * np.sqrt(variances)).sum(axis=0) ** 2 + (share * between).sum(axis=0)"},
    ),
    mean_of_squares=(
        "Your variance is the mean of the squares; the square of the common mean has to go.",
        {"between": "means**2"},
    ),
    distances_alone=("Add the variances of the shards.", {"var": "(share * between).sum(axis=0)"}),
    variance_left_at_zero=("var is all 0, but the rows vary.", {"return": "mean, 0 * var"}),
)

MERGE.add_mistakes(
    ("mean",),
    only_the_mean_unweighted=(
        "Your mean is the plain mean of the means. A shard with twice the rows counts twice: "
        "weight by counts.",
        {"return": "means.mean(axis=0), var"},
    ),
    weights_by_the_root=(
        "You weight the means by the roots of the counts; weight them by the counts.",
        {"share": "(np.sqrt(counts) / np.sqrt(counts).sum())[:, None]"},
    ),
)


@MERGE.mistake(
    "halves_each_time",
    "You merge one shard after the other and give the newcomer half of the weight each time, so "
    "the last shard counts most. Keep the number of rows that are already in.",
    ("mean", "var"),
)
def _(counts, means, variances):
    mean, var = means[0], variances[0]
    for new_mean, new_var in zip(means[1:], variances[1:], strict=True):
        var = (var + new_var) / 2 + ((new_mean - mean) / 2) ** 2
        mean = (mean + new_mean) / 2
    return mean, var


@MERGE.mistake(
    "distance_after_the_update",
    "You merge one shard after the other, and move the mean before you measure the distance to "
    "it. The distance is that of the two old means.",
    ("var",),
)
def _(counts, means, variances):
    rows, mean, var = counts[0], means[0], variances[0]
    for n, new_mean, new_var in zip(counts[1:], means[1:], variances[1:], strict=True):
        mean = mean + (new_mean - mean) * n / (rows + n)
        between = (new_mean - mean) ** 2 * rows * n / (rows + n)
        rows, var = rows + n, (rows * var + n * new_var + between) / (rows + n)
    return mean, var


MERGE.add_slips(
    counts_along_the_features=(
        "counts has shape (R,) and means (R, C): counts[:, None] puts the counts along the shards.",
        {"mean": "counts * means"},
    ),
)
