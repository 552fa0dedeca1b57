"""Exercise of notebook 05: move the running statistics after one training batch."""

import numpy as np

from bnlab.course.exercises.exercise import Case, Exercise
from bnlab.course.lessons.nb02.ex_batchnorm_algorithm import ONE_PASS


def update_running_stats(running_mean, running_var, x, momentum):
    """Running mean and variance after one more training batch x of shape (N, C)."""
    mean = x.mean(axis=0)  # (C,)
    var = x.var(axis=0, ddof=1)  # (C,), unbiased: divided by N - 1
    new_mean = (1 - momentum) * running_mean + momentum * mean
    new_var = (1 - momentum) * running_var + momentum * var
    return new_mean, new_var


def _stream(n, c, momentum, mean=0.0):
    """Make a draw of (running_mean, running_var, x, momentum) from the middle of training."""

    def draw(rng):
        centre, std = mean + rng.normal(0, 2, c), rng.uniform(0.5, 2, c)
        running_mean = centre + rng.normal(0, 1, c)
        running_var = std**2 * rng.uniform(0.5, 2, c)
        return running_mean, running_var, centre + std * rng.normal(size=(n, c)), momentum

    return draw


def _first_batch(rng):
    _, _, x, momentum = _stream(8, 4, 0.1)(rng)
    return np.zeros(4), np.ones(4), x, momentum


def _constant_feature(rng):
    running_mean, running_var, x, momentum = _stream(6, 3, 0.2)(rng)
    x[:, 1] = 0.25
    return running_mean, running_var, x, momentum


UPDATE = Exercise(
    name="update_running_stats",
    notebook="05",
    reference=update_running_stats,
    outputs=("running_mean", "running_var"),
    cases=(
        Case("the very first batch", _first_batch),
        Case("the middle of training", _stream(8, 5, 0.1), seed=1),
        Case("odd sizes and another momentum", _stream(7, 3, 0.3), seed=2),
        Case("two examples", _stream(2, 4, 0.25), seed=3),
        Case("a constant feature", _constant_feature, seed=4),
        Case("momentum 1: only the last batch counts", _stream(9, 2, 1.0), seed=5),
        Case("a large mean", _stream(64, 3, 0.05, mean=1e4), seed=6),
    ),
    hints=(
        "Three steps: the mean of each feature, its unbiased variance, and a weighted mean of old "
        "and new for both.",
        "np.var divides by N; its argument ddof=1 makes it divide by N - 1.",
        "The weights are 1 - momentum for what was there and momentum for the batch, as in torch. "
        "Return two new arrays; do not write into the old ones.",
    ),
    minutes=6,
    difficulty=1,
    about_precision=ONE_PASS,
)


MEAN, VAR, BOTH = ("running_mean",), ("running_var",), ("running_mean", "running_var")

UPDATE.add_mistakes(
    BOTH,
    momentum_reversed=(
        "Your momentum multiplies the old value. That is the rule of Keras; here, as in torch, "
        "momentum is the weight of the new value.",
        {
            "new_mean": "momentum * running_mean + (1 - momentum) * mean",
            "new_var": "momentum * running_var + (1 - momentum) * var",
        },
    ),
    no_average=(
        "You return the statistics of the batch. They should move the running ones by the share "
        "momentum, and no further.",
        {"return": "mean, var"},
    ),
    old_value_not_shrunk=(
        "You add momentum times the new value and leave the old one whole, so the sum grows for "
        "ever. The weights have to add up to 1: the old value gets 1 - momentum.",
        {"new_mean": "running_mean + momentum * mean", "new_var": "running_var + momentum * var"},
    ),
    plain_mean=(
        "You take the mean of old and new, whatever momentum says. The new value's weight is "
        "momentum.",
        {"new_mean": "(running_mean + mean) / 2", "new_var": "(running_var + var) / 2"},
    ),
    momentum_fixed=(
        "You always use 0.1, which is torch's default; use the argument momentum.",
        {"new_mean": "0.9 * running_mean + 0.1 * mean", "new_var": "0.9 * running_var + 0.1 * var"},
    ),
    one_statistic_for_all=(
        "You take one mean and one variance over the whole array; each feature has its own "
        "(axis=0).",
        {"mean": "x.mean()", "var": "x.var(ddof=1)"},
    ),
    outputs_swapped=(
        "You return them in the wrong order: the running mean comes first, then the variance.",
        {"return": "new_var, new_mean"},
    ),
    nothing_moves=(
        "You return the running statistics as they came. That is what evaluation does; a training "
        "batch moves both.",
        {"return": "running_mean, running_var"},
    ),
)
UPDATE.add_mistakes(
    VAR,
    biased_variance=(
        "You feed the biased variance, divided by N, to the running variance. It normalizes the "
        "training batch; what is kept for test time is the unbiased one, divided by N - 1.",
        {"var": "x.var(axis=0)"},
    ),
    about_the_old_mean=(
        "Your squared distances are taken from the running mean. The variance of a batch is taken "
        "about the mean of that batch; from any other point it comes out too large.",
        {"var": "((x - running_mean) ** 2).mean(axis=0)"},
    ),
    about_the_new_mean=(
        "Your squared distances are taken from the updated running mean. The variance of a batch "
        "is taken about the mean of that batch; from any other point it comes out too large.",
        {"new_var": "(1 - momentum) * running_var + momentum * ((x - new_mean) ** 2).mean(axis=0)"},
    ),
    standard_deviation=(
        "You average the standard deviation. What is stored is the variance; its root is taken at "
        "test time, after eps has been added.",
        {"var": "x.std(axis=0, ddof=1)"},
    ),
    corrected_every_time=(
        "You multiply the whole running variance by N/(N-1), the old part included, so the factor "
        "is applied again at every step. It belongs to the variance of the new batch only.",
        {"var": "x.var(axis=0)", "return": "new_mean, new_var * len(x) / (len(x) - 1)"},
    ),
    correction_inverted=(
        "You multiply the biased variance by (N-1)/N, which makes it smaller still. Dividing the "
        "sum of squares by N - 1 in the place of N is a factor of N/(N-1).",
        {"var": "x.var(axis=0) * (len(x) - 1) / len(x)"},
    ),
    counts_features=(
        "Your factor counts the features: it is N/(N-1) with N examples, x.shape[0], not "
        "x.shape[1].",
        {"var": "x.var(axis=0) * x.shape[1] / (x.shape[1] - 1)"},
    ),
    mean_of_squares=(
        "What you average in the place of the variance is the mean of x squared: the mean has to "
        "be subtracted before squaring.",
        {"var": "(x**2).mean(axis=0)"},
    ),
    variance_left_alone=(
        "Your running variance does not move. It moves at every step, by the share momentum.",
        {"new_var": "running_var"},
    ),
    unbiased_about_the_old_mean=(
        "You divide by N - 1, and take the squared distances from the running mean. The variance "
        "of a batch is taken about the mean of that batch; from any other point it comes out too "
        "large.",
        {"var": "((x - running_mean) ** 2).sum(axis=0) / (len(x) - 1)"},
    ),
    unbiased_about_the_new_mean=(
        "You divide by N - 1, and take the squared distances from the updated running mean. The "
        "variance of a batch is taken about the mean of that batch.",
        {
            "new_var": "(1 - momentum) * running_var"
            " + momentum * ((x - new_mean) ** 2).sum(axis=0) / (len(x) - 1)"
        },
    ),
    biased_standard_deviation=(
        "You average the standard deviation, and the biased one. What is stored is the variance, "
        "and the unbiased one, divided by N - 1.",
        {"var": "x.std(axis=0)"},
    ),
    sum_of_squares=(
        "You feed the sum of the squared distances; divide it by N - 1.",
        {"var": "((x - mean) ** 2).sum(axis=0)"},
    ),
    spread_of_the_means_added=(
        "You add the squared distance of the two means, as if two data sets were merged. The "
        "running variance is an average of batch variances and leaves that out.",
        {"return": "new_mean, new_var + momentum * (1 - momentum) * (mean - running_mean) ** 2"},
    ),
    variance_not_averaged=(
        "Your running variance is the variance of the batch alone. It should move by the share "
        "momentum.",
        {"new_var": "var"},
    ),
    one_variance_for_all=(
        "You take one variance over the whole array; each feature has its own (axis=0).",
        {"var": "x.var(ddof=1)"},
    ),
    momentum_reversed_in_the_variance=(
        "In your running variance momentum multiplies the old value; here, as in torch, it is the "
        "weight of the new one.",
        {"new_var": "momentum * running_var + (1 - momentum) * var"},
    ),
)
UPDATE.add_mistakes(
    MEAN,
    mean_left_alone=(
        "Your running mean does not move. It moves at every step, by the share momentum.",
        {"new_mean": "running_mean"},
    ),
    mean_not_averaged=(
        "Your running mean is the mean of the batch alone. It should move by the share momentum.",
        {"new_mean": "mean"},
    ),
    one_mean_for_all=(
        "You take one mean over the whole array; each feature has its own (axis=0).",
        {"mean": "x.mean()"},
    ),
    momentum_reversed_in_the_mean=(
        "In your running mean momentum multiplies the old value; here, as in torch, it is the "
        "weight of the new one.",
        {"new_mean": "momentum * running_mean + (1 - momentum) * mean"},
    ),
)
UPDATE.add_mistakes(
    BOTH,
    rule_of_keras=(
        "Your momentum multiplies the old values, and the variance that you feed is the biased "
        "one, divided by N: that is how Keras 3 does it. Here, as in torch, momentum is the "
        "weight of the new value, and the variance that is kept is unbiased, divided by N - 1.",
        {
            "var": "x.var(axis=0)",
            "new_mean": "momentum * running_mean + (1 - momentum) * mean",
            "new_var": "momentum * running_var + (1 - momentum) * var",
        },
    ),
    old_value_dropped=(
        "You return momentum times the new values alone. The old ones count too, with the weight "
        "1 - momentum.",
        {"new_mean": "momentum * mean", "new_var": "momentum * var"},
    ),
    momentum_squared=(
        "Your new values get the weight momentum squared; their weight is momentum.",
        {"return": "update_running_stats(running_mean, running_var, x, momentum**2)"},
    ),
)
UPDATE.add_mistakes(
    VAR,
    corrected_twice=(
        "You make up for the biased variance twice, as by ddof=1 and a factor N/(N-1). Once makes "
        "it unbiased.",
        {"var": "x.var(axis=0, ddof=1) * len(x) / (len(x) - 1)"},
    ),
    deviations_averaged=(
        "You average standard deviations and square the result. Average the variances: the square "
        "of a mean is not the mean of the squares.",
        {"new_var": "((1 - momentum) * np.sqrt(running_var) + momentum * np.sqrt(var)) ** 2"},
    ),
    one_more_in_the_divisor=(
        "You divide the sum of squares by N + 1; the unbiased variance divides by N - 1.",
        {"var": "x.var(axis=0) * len(x) / (len(x) + 1)"},
    ),
)
UPDATE.add_mistakes(
    MEAN,
    median_for_mean=(
        "You feed the median of the batch to the running mean; feed the mean.",
        {"new_mean": "(1 - momentum) * running_mean + momentum * np.median(x, axis=0)"},
    ),
    last_example=(
        "You feed the last example alone to the running mean (does a loop overwrite where it "
        "should add?). Feed the mean over axis=0.",
        {"new_mean": "(1 - momentum) * running_mean + momentum * x[-1]"},
    ),
)
UPDATE.add_slips(
    one_for_each_example=(
        "Something has one number for each example, as x.mean(axis=1) has. The running statistics "
        "have one for each feature: axis=0.",
        {"mean": "x.mean(axis=1)"},
    ),
)
