"""Claim N2: the statistics of a batch can be had from the statistics of its shards."""

from dataclasses import dataclass

import numpy as np

from bnlab.course.experiments import panels
from bnlab.course.experiments.bench import EXACT, digits_activations
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.course.experiments.rule import Part, exact

CLEAR = 0.01  # an error that no rounding explains


def shard_statistics(shards):
    """Counts (R,), means (R, C) and biased variances (R, C) of R arrays of rows.

    >>> shard_statistics([np.array([[1.0], [3.0]]), np.array([[8.0]])])
    (array([2, 1]), array([[2.], [8.]]), array([[1.], [0.]]))
    """
    counts = np.array([len(rows) for rows in shards])
    means = np.array([rows.mean(axis=0) for rows in shards])
    return counts, means, np.array([rows.var(axis=0) for rows in shards])


def pooled_statistics(counts, means, variances):
    r"""Mean and biased variance of all rows, from those of the shards.

    .. math:: \mu = \sum_r \frac{n_r}{N} \mu_r, \quad
              \sigma^2 = \sum_r \frac{n_r}{N} \left( \sigma_r^2 + (\mu_r - \mu)^2 \right)

    Chan, Golub & LeVeque 1983, for two shards at a time.

    >>> pooled_statistics(np.array([2, 1]), np.array([[2.0], [8.0]]), np.array([[1.0], [0.0]]))
    (array([4.]), array([8.66666667]))
    """
    share = counts / counts.sum()
    mean = share @ means
    return mean, share @ (variances + (means - mean) ** 2)


@dataclass(frozen=True)
class Shards:
    """Activations of the digits, cut into shards in two ways; milliseconds."""

    equal: tuple[int, ...] = (32, 32, 32, 32)
    unequal: tuple[int, ...] = (100, 20, 5, 3)
    features: int = 100
    seed: int = 0


def cut(x, counts):
    """Consecutive rows of x as a list of arrays with these numbers of rows."""
    return np.split(x, np.cumsum(counts)[:-1])


def sorted_activations(config):
    """Activations (N, C) of the digits, sorted by feature 0, so that consecutive shards differ."""
    z, _ = digits_activations(sum(config.equal), config.features, config.seed)
    return z[np.argsort(z[:, 0])]


def _run(config):
    z = sorted_activations(config)
    equal, unequal = (shard_statistics(cut(z, n)) for n in (config.equal, config.unequal))
    counts, _, variances = unequal
    return {
        "equal": _error(z, _plain_averages(*equal)),
        "weighted": _error(z, pooled_statistics(*unequal)),
        "two_at_a_time": _error(z, _one_after_the_other(*unequal)),
        "unweighted": _error(z, _plain_averages(*unequal)),
        "forgotten": 1 - ((counts / len(z)) @ variances / z.var(axis=0)).min(),
    }


def _error(z, statistics):
    """Largest error of mean and variance, in standard deviations and in variances."""
    mean, var = statistics
    off = np.abs(mean - z.mean(axis=0)) / z.std(axis=0), np.abs(var / z.var(axis=0) - 1)
    return max(o.max() for o in off)


def _plain_averages(counts, means, variances):
    """Mean of the means, mean of the variances plus variance of the means: not by counts."""
    return means.mean(axis=0), variances.mean(axis=0) + means.var(axis=0)


def _one_after_the_other(counts, means, variances):
    """Keep one running count, mean and variance, and merge the next shard into them."""
    count, mean, var = counts[0], means[0], variances[0]
    for n, m, v in zip(counts[1:], means[1:], variances[1:], strict=True):
        mean, var = pooled_statistics(np.array([count, n]), np.array([mean, m]), np.array([var, v]))
        count += n
    return mean, var


def _judge(arrays):
    return [
        exact(
            "for equal shards the plain averages give mean and variance of the batch",
            arrays["equal"],
        ),
        exact(
            "for others averages weighted by counts do, all at once and one after the other",
            max(arrays["weighted"], arrays["two_at_a_time"]),
        ),
        Part(
            "for others plain averages are off by over a hundredth",
            bool(arrays["unweighted"] > CLEAR),
            f"by {arrays['unweighted']:.2f}; without the variance of the means up to "
            f"{100 * arrays['forgotten']:.0f}% of a variance is lost",
        ),
    ]


def _draw(arrays):
    names = {
        "equal": "equal shards, plain averages",
        "weighted": "others, weighted by counts",
        "two_at_a_time": "others, one after the other",
        "unweighted": "others, plain averages",
        "forgotten": "others, means forgotten",
    }
    values = {text: arrays[name] for name, text in names.items()}
    return panels.errors(values, tolerance=EXACT, xlabel="largest relative error")


N2_MERGE = Experiment(
    Claim(
        "N2",
        "For equal shards the mean of the batch is the mean of the means, and its variance is the "
        "mean of the variances plus the variance of the means; for others, weight by counts.",
        "Yes, exactly. Counts, means and variances are all that has to be known of a shard.",
        "identity",
        "10",
        "Chan, Golub & LeVeque 1983",
    ),
    Shards(),
    run=_run,
    judge=_judge,
    draw=_draw,
    setting="float64, {features} activations of the digits in shards of {equal} and of {unequal}",
)
