"""Exercise of notebook 07: the noise of a batch mean, sampled without replacement."""

import numpy as np

from bnlab.course.exercises.exercise import Case, Exercise


def predicted_noise(m, n):
    """Noise of the mean of m values drawn from n, in standard deviations."""
    return np.sqrt((n - m) / ((n - 1) * m))


def _numbers(m, n):
    """NumPy's integers: where they divide by 0 there is an inf, and the other cases still count."""
    return lambda rng: (np.int64(m), np.int64(n))


NOISE = Exercise(
    name="predicted_noise",
    notebook="07",
    reference=predicted_noise,
    outputs=("noise",),
    cases=(
        Case("32 of 1145", _numbers(32, 1145)),
        Case("3 of 5", _numbers(3, 5)),
        Case("half of the set", _numbers(50, 100)),
        Case("two of many", _numbers(2, 60_000)),
        Case("one value", _numbers(1, 7)),
        Case("the whole set", _numbers(64, 64)),
    ),
    hints=(
        "Check the two ends: one value misses the mean by one standard deviation (rms), and the "
        "mean of all n values does not miss it at all.",
        "With replacement the variance of the mean is 1 / m. Without replacement it is multiplied "
        "by (n - m) / (n - 1). Noise is a standard deviation.",
    ),
    minutes=3,
    difficulty=1,
)

NOISE.add_mistakes(
    with_replacement=(
        "1 / sqrt(m) holds if a value may be drawn twice. A mini-batch holds each example once, "
        "so the noise has to fall to 0 at m = n. Each two values have a covariance: find c, and "
        "put it into the variance of the sum.",
        {"return": "1 / np.sqrt(m)"},
    ),
    variance_for_noise=(
        "This is the variance of the batch mean; the noise, as a standard deviation, is its root.",
        {"return": "(n - m) / ((n - 1) * m)"},
    ),
    n_for_n_minus_1=(
        "Your variance is (n - m) / (n * m), or 1 / m - 1 / n; the divisor needs n - 1. Check m = "
        "1: a single value misses the mean by exactly one standard deviation (rms).",
        {"return": "np.sqrt((n - m) / (n * m))"},
    ),
    swapped_arguments=(
        "m and n are swapped: m is the batch, n the set it is drawn from.",
        {"return": "predicted_noise(n, m)"},
    ),
    m_forgotten=(
        "You have the correction for a finite set alone; the variance of a mean of m values is "
        "also divided by m.",
        {"return": "np.sqrt((n - m) / (n - 1))"},
    ),
    m_outside_root=(
        "Your noise is divided by m; the variance of a mean falls as 1 / m, so the noise falls as "
        "1 / sqrt(m).",
        {"return": "np.sqrt((n - m) / (n - 1)) / m"},
    ),
    root_forgotten_for_the_correction=(
        "You multiply the standard deviation 1 / sqrt(m) by (n - m) / (n - 1); this factor "
        "belongs to the variance, so its root belongs to the noise.",
        {"return": "(n - m) / (n - 1) / np.sqrt(m)"},
    ),
    m_minus_1=(
        "Your divisor holds m - 1 in place of m. The minus 1 belongs to n, the size of the set.",
        {"return": "np.sqrt((n - m) / ((n - 1) * (m - 1)))"},
    ),
    parentheses_forgotten=(
        "n - 1 * m is n - m: put n - 1 in parentheses.",
        {"return": "np.sqrt((n - m) / (n - 1 * m))"},
    ),
    one_over_m=(
        "1 / m is the variance of a mean of values drawn *with* replacement. The noise is a "
        "standard deviation, so take the root, and a batch is drawn without replacement.",
        {"return": "1 / m"},
    ),
    unused_share=(
        "You multiply 1 / sqrt(m) by the share of the set that is not in the batch, 1 - m / n. "
        "The factor is (n - m) / (n - 1), and its root belongs to the noise.",
        {"return": "(1 - m / n) / np.sqrt(m)"},
    ),
    noises_subtracted=(
        "You subtract 1 / sqrt(n). It is 0 at m = n, as it should be, but standard deviations do "
        "not subtract; multiply the variance 1 / m by (n - m) / (n - 1).",
        {"return": "1 / np.sqrt(m) - 1 / np.sqrt(n)"},
    ),
    multiplied_by_m=(
        "You multiply by m, but the mean of more values is less noisy: divide by m. (Without "
        "parentheses, / (n - 1) * m multiplies.)",
        {"return": "np.sqrt((n - m) / (n - 1) * m)"},
    ),
    root_of_the_divisor=(
        "You take the root of the divisor alone; the root goes over the whole fraction.",
        {"return": "(n - m) / np.sqrt((n - 1) * m)"},
    ),
    share_left_out=(
        "1 - m / n is the share that is left out. The variance of a mean of m values is (n - m) / "
        "(n - 1), divided by m.",
        {"return": "np.sqrt(1 - m / n)"},
    ),
    n_plus_1=("n + 1 should be n - 1.", {"return": "np.sqrt((n - m) / ((n + 1) * m))"}),
    both_one_too_large=(
        "Your variance is (n - m + 1) / (n * m): both differences are one too large. Check m = n.",
        {"return": "np.sqrt((n - m + 1) / (n * m))"},
    ),
    one_too_few_left=(
        "Your numerator is the size of n - m - 1; it is n - m, the number of values left out.",
        {"return": "np.sqrt(abs(n - m - 1) / ((n - 1) * m))"},
    ),
    of_n_values=("The batch has m values, not n.", {"return": "1 / np.sqrt(n)"}),
    negative=("No standard deviation is negative.", {"return": "-predicted_noise(m, n)"}),
    whole_numbers=("// or int() cuts the fraction off.", {"return": "predicted_noise(m, n) // 1"}),
    root_taken_twice=("You take the root twice.", {"return": "np.sqrt(predicted_noise(m, n))"}),
    whole_set_apart=(
        "All is right but m = n, where you return 1. The whole set misses its own mean by 0.",
        {"return": "1.0 if m == n else predicted_noise(m, n)"},
    ),
    upside_down=("Your fraction is upside down.", {"return": "1 / predicted_noise(m, n)"}),
)
