"""Exercise of notebook 05: batch norm with given statistics, and what people use instead."""

import numpy as np

from bnlab.course.exercises.exercise import Case, Exercise
from bnlab.course.lessons.nb04.ex_redundant_bias import LAST_LINES, mistakes_of_algorithm_1


def batchnorm_inference(x, gamma, beta, running_mean, running_var, eps):
    """Batch norm of x, shape (N, C), with the statistics collected in training."""
    x_hat = (x - running_mean) / np.sqrt(running_var + eps)
    return gamma * x_hat + beta


def trained(c, eps=1e-5, mean=0.0):
    """Make a draw of (gamma, beta, running_mean, running_var, eps) of a trained layer."""

    def draw(rng):
        gamma, beta = rng.uniform(0.5, 2, c), rng.normal(size=c)
        return gamma, beta, mean + rng.normal(0, 2, c), rng.uniform(0.25, 4, c), eps

    return draw


def signed_gamma(rng):
    """Draw a trained layer with a negative gamma and one that is zero."""
    _, *rest = trained(4)(rng)
    return np.array([-1.5, 0.0, 2.0, -0.3]), *rest


def small_variances(rng):
    """Draw a trained layer with one running variance near eps and one far below it."""
    gamma, beta, running_mean, running_var, eps = trained(3)(rng)
    running_var[:2] = 1.3e-5, 1e-9
    return gamma, beta, running_mean, running_var, eps


def _asked(n, draw_layer):
    """Add the test examples: near the running statistics, but not exactly of them."""

    def draw(rng):
        layer = draw_layer(rng)
        running_mean, running_var = layer[2:4]
        noise = rng.normal(size=(n, len(running_mean)))
        return running_mean + 0.5 + 1.3 * np.sqrt(running_var) * noise, *layer

    return draw


INFERENCE = Exercise(
    name="batchnorm_inference",
    notebook="05",
    reference=batchnorm_inference,
    outputs=("y",),
    cases=(
        Case("a typical test batch", _asked(8, trained(5))),
        Case("a single example", _asked(1, trained(4)), seed=1),
        Case("odd sizes and another eps", _asked(7, trained(3, eps=1e-3)), seed=2),
        Case("two examples", _asked(2, trained(4)), seed=3),
        Case("a negative gamma and a gamma of zero", _asked(6, signed_gamma), seed=4),
        Case("running variances near eps and far below it", _asked(5, small_variances), seed=5),
        Case("a large eps", _asked(10, trained(2, eps=0.5)), seed=6),
        Case("a large mean", _asked(16, trained(3, mean=1e4)), seed=7),
    ),
    hints=(
        "Which lines of Algorithm 1 compute something from the batch? They are gone.",
        "Take the last two lines of Algorithm 1 and put the running mean and the running variance "
        "where the mean and the variance of the batch were.",
        "eps is added to the running variance before the root is taken; the N/(N-1) is in the "
        "running variance already.",
    ),
    minutes=4,
    difficulty=1,
    about_precision="x * scale - mean * scale subtracts two large, nearly equal numbers when the "
    "mean is large; subtract the mean from x first and scale afterwards.",
)


INFERENCE.add_mistakes(
    # other statistics
    batch_statistics=(
        "You normalize by the mean and the variance of x itself. At test time they are not used: "
        "the answer for one example must not depend on the others, and a single example has no "
        "variance.",
        {"x_hat": "(x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + eps)"},
    ),
    batch_mean=(
        "You subtract the mean of x itself; subtract the running mean.",
        {"x_hat": "(x - x.mean(axis=0)) / np.sqrt(running_var + eps)"},
    ),
    batch_variance=(
        "You divide by the standard deviation of x itself; use the running variance.",
        {"x_hat": "(x - running_mean) / np.sqrt(x.var(axis=0) + eps)"},
    ),
    statistics_moved=(
        "You let x move the running statistics before you use them. They move in training only; "
        "at test time nothing that is asked may change the answers that follow.",
        lambda x, gamma, beta, mean, var, eps: batchnorm_inference(
            x, gamma, beta, 0.9 * mean + 0.1 * x.mean(axis=0), 0.9 * var + 0.1 * x.var(axis=0), eps
        ),
    ),
    corrected_again=(
        "You multiply the running variance by N/(N-1). That was done in training, before it was "
        "stored; at test time N has no meaning.",
        # for a single example the array becomes inf
        {"x_hat": "(x - running_mean) / np.sqrt(running_var * len(x) / (len(x) - 1) + eps)"},
    ),
    # eps, the root and the parentheses
    eps_forgotten=(
        "You leave eps out. The network was trained with it, and a feature that never varied has "
        "a running variance of 0: add eps to the variance.",
        {"x_hat": "(x - running_mean) / np.sqrt(running_var)"},
    ),
    # the last line
    # signs and variances
    mean_added=(
        "You add the running mean; normalizing subtracts it.",
        {"x_hat": "(x + running_mean) / np.sqrt(running_var + eps)"},
    ),
    variance_squared=(
        "You square running_var, as if it were a standard deviation. It is the variance already.",
        {"x_hat": "(x - running_mean) / np.sqrt(running_var**2 + eps)"},
    ),
    correction_undone=(
        "You multiply the running variance by (N-1)/N, to make it biased again. It is used as it "
        "is; at test time N has no meaning.",
        {"x_hat": "(x - running_mean) / np.sqrt(running_var * (len(x) - 1) / len(x) + eps)"},
    ),
    unbiased_batch_statistics=(
        "You normalize by the mean and the unbiased variance of x itself. The unbiased variance "
        "that is meant was collected in training: running_var.",
        {"x_hat": "(x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) * len(x) / (len(x) - 1) + eps)"},
    ),
)
INFERENCE.add_mistakes(
    **mistakes_of_algorithm_1(
        LAST_LINES,
        but=("eps_forgotten", "divides_eps_by_m"),
        mean="running_mean",
        var="running_var",
    )
)
INFERENCE.add_mistakes(
    mean_moved=(
        "You let x move the running mean before you subtract it. It moves in training only.",
        lambda x, gamma, beta, mean, *rest: batchnorm_inference(
            x, gamma, beta, 0.9 * mean + 0.1 * x.mean(axis=0), *rest
        ),
    ),
    half_from_the_batch=(
        "You average the running statistics and those of x. At test time x has no part in them.",
        lambda x, gamma, beta, mean, var, eps: batchnorm_inference(
            x, gamma, beta, (mean + x.mean(axis=0)) / 2, (var + x.var(axis=0)) / 2, eps
        ),
    ),
    mean_and_variance_swapped=(
        "The running mean and the running variance are swapped: the mean is subtracted, the root "
        "of the variance divides.",
        {"x_hat": "(x - running_var) / np.sqrt(running_mean + eps)"},
    ),
    returns_x=("You return x as it came.", {"return": "x"}),
)
