"""Questions of notebook 07: how large, what else changed, what shifts, and what the noise moves."""

from bnlab.course.exercises.exercise import Mistake, Question

HALF = Question(
    name="half_the_noise",
    notebook="07",
    answer="b",
    choices=("a", "b", "c", "d"),
    explanation="With replacement it would take four times as many, 128. Without replacement the "
    "noise also falls because less of the set is left out: 117 are enough. From a very large set "
    "it would be 128.",
    hints=("The noise falls with the root of m. Then ask what the factor (n - m) / (n - 1) adds.",),
    minutes=2,
    difficulty=2,
    mistakes=(
        Mistake(
            "twice_as_many",
            "Twice as many values halve the *variance* of the mean; the noise is its root.",
            "a",
        ),
        Mistake(
            "with_replacement",
            "This is the answer of 1 / sqrt(m), for values that may be drawn twice. Drawn without "
            "replacement, a larger part of the set also leaves less to miss.",
            "c",
        ),
        Mistake(
            "the_whole_set",
            "With all 1000 in the batch nothing is left to miss: the noise is 0, not half.",
            "d",
        ),
    ),
)

CONFOUNDED = Question(
    name="what_else_changed",
    notebook="07",
    answer="c",
    choices=("a", "b", "c"),
    explanation="The batch size sets two noises at once, that of the statistics and that of the "
    "gradient, and the number of updates in an epoch too. To blame one, keep the others fixed.",
    hints=("List everything that changes in training when batch_size goes from 256 to 16.",),
    minutes=2,
    difficulty=1,
    mistakes=(
        Mistake(
            "noise_of_batch_norm",
            "It may be, but a network *without* batch norm may also do better with small batches: "
            "its gradients are noisier and it makes more updates. The comparison cannot tell.",
            "a",
        ),
        Mistake(
            "better_statistics",
            "Small batches estimate the mean and the variance worse, not better: that is the "
            "noise this notebook is about.",
            "b",
        ),
    ),
)

SHIFT = Question(
    name="dropped_variance",
    notebook="07",
    answer=1 / 3,
    rtol=0.02,
    explanation="In training the mean of the square is 0.5 * (2 z)^2 = 2 * (4 + 4) = 16 and the "
    "mean is still 2, so the variance is 16 - 4 = 12. At test time it is 4: a third.",
    hints=(
        "The variance is the mean of the square minus the square of the mean. The mean does not "
        "change.",
        "The mean of z^2 is 4 + 2^2 = 8. Half of the values become 0, the other half four times "
        "as large when squared.",
    ),
    minutes=2,
    difficulty=3,
    mistakes=(
        Mistake(
            "unchanged",
            "Doubling the kept values preserves the mean, not the variance: zeros and doubled "
            "values lie further apart.",
            1.0,
        ),
        Mistake(
            "mean_forgotten",
            "This would be right for a mean of 0. Dropout also scatters the mean: 2 becomes 0 or "
            "4.",
            0.5,
        ),
        Mistake(
            "training_variance",
            "12 is the variance in training. The question asks for test time divided by training.",
            12.0,
        ),
        Mistake(
            "upside_down",
            "This is training divided by test time; batch norm at test time sees the inverse.",
            3.0,
        ),
        Mistake(
            "square_for_variance",
            "You did not subtract the square of the mean from 16 in training.",
            0.25,
        ),
        Mistake(
            "not_doubled",
            "You zeroed half of the values without doubling the other half: inverted dropout "
            "divides what it keeps by 1 - p.",
            4 / 3,
        ),
        Mistake("not_doubled_inverse", "Double the kept half; divide test by training.", 3 / 4),
        Mistake("standard_deviations", "That is the ratio of standard deviations.", 3**-0.5),
        Mistake("percent", "That is in percent. Give the ratio itself.", 100 / 3),
        Mistake("test_variance", "4 is the variance at test time alone.", 4.0),
        Mistake("mean_square", "16 is a mean of squares; the variance is 4 less.", 16.0),
        Mistake("mean_forgotten_inverse", "The mean is not 0; divide test by training.", 2.0),
    ),
)

NOTES = Question(
    name="error_about_the_noise",
    notebook="07",
    answer="b",
    choices=("a", "b", "c", "d"),
    explanation="The noise sits in the mean and the variance of the batch. It moves every "
    "activation of the layer, and so the gradients of all weights below and above it.",
    hints=("Which symbols of Algorithm 1 are random because the batch is?",),
    minutes=1,
    difficulty=1,
    mistakes=(
        Mistake(
            "new_noise_each_step",
            "This line is right: another batch, another mean and variance.",
            "a",
        ),
        Mistake(
            "silent_at_test_time",
            "This line is right: at test time fixed statistics normalize, as dropout is off.",
            "c",
        ),
        Mistake(
            "strength_by_batch_size",
            "This line is right: the fewer rows share a mean, the noisier it is. (Ghost batches "
            "set that number without changing the batch of the gradient.)",
            "d",
        ),
    ),
)
