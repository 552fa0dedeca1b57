"""Questions of notebook 02: two predictions, and the errors in two pages of notes."""

import numpy as np

from bnlab.course.exercises.exercise import Mistake, Question

ROW = Question(
    name="one_row_in_two_batches",
    notebook="02",
    answer="b",
    choices=("a", "b", "c"),
    explanation="The other 31 rows take part in the mean and in the variance, so they move the "
    "output of this row too, although nothing about the row itself has changed.",
    hints=("Which quantities in Algorithm 1 carry the index B of the mini-batch?",),
    minutes=2,
    difficulty=1,
    mistakes=(
        Mistake(
            "same_input_same_output",
            "gamma, beta and x are the same, but Algorithm 1 also uses the mean and the variance "
            "of the batch, and 31 of its 32 rows are others now.",
            "a",
        ),
        Mistake(
            "only_the_shift",
            "The mean moves the row, but the variance comes from the batch as well: both the "
            "offset and the factor change.",
            "c",
        ),
    ),
)

OUTLIER = Question(
    name="largest_x_hat",
    notebook="02",
    answer=7.0,
    rtol=5e-3,
    explanation="The mean is 1000 / 50 = 20 and the variance (49 * 20^2 + 980^2) / 50 = 19600, so "
    "x_hat = 980 / 140 = 7 = sqrt(50 - 1). No value of a batch of 50 can get further out.",
    hints=(
        "The mean is 20. How far from it are the 49 zeros, and how far is the 1000?",
        "Divide the sum of the 50 squared distances by 50 and take the root: you get a round "
        "number.",
    ),
    minutes=3,
    difficulty=2,
    mistakes=(
        Mistake(
            "about_one",
            "A standard deviation of 1 is an average over the batch: the 49 zeros end near 0, so "
            "the one that is left is far above 1.",
            1.0,
        ),
        Mistake(
            "three_sigma",
            "Three standard deviations is a rule of thumb for a normal distribution; this batch "
            "is nothing like one.",
            3.0,
        ),
        Mistake(
            "unbiased_variance",
            "You divide the sum of squares by m - 1 = 49; Algorithm 1 divides it by m = 50.",
            980 / np.sqrt((49 * 20**2 + 980**2) / 49),
        ),
        Mistake(
            "root_of_m",
            "Close: you divide 1000 by the standard deviation, but the mean, 20, comes off first.",
            1000 / 140,
        ),
        Mistake(
            "not_scaled",
            "You subtract the mean; x_hat is also divided by the standard deviation.",
            980.0,
        ),
        Mistake(
            "divides_by_variance",
            "You divide by the variance; divide by its square root.",
            980 / 19600,
        ),
        Mistake("squared", "49 is 980^2 / 19600, or 980 / 20; divide 980 by sqrt(19600).", 49.0),
        Mistake("standard_deviation", "140 is the standard deviation: divide 980 by it.", 140.0),
        Mistake("length_of_x_hat", "sqrt(50) is the length of all 50, zeros included.", 50**0.5),
    ),
)

STATISTICS = Question(
    name="error_in_the_statistics",
    notebook="02",
    answer="b",
    choices=("a", "b", "c", "d"),
    explanation="The mean of (z - a)^2 is the variance plus (mean - a)^2, far too much while a is "
    "still far from the mean (at the first update a is 0). What is averaged is the variance of "
    "each batch about its own mean.",
    hints=(
        "Algorithm 1 has two lines of statistics. Compare each line of the notes with them.",
        "A variance is a mean of squared distances. Ask of each line: distances from what?",
    ),
    minutes=4,
    difficulty=2,
    mistakes=(
        Mistake(
            "per_layer",
            "This line is right: one pair for the whole layer would be the error. Look for a "
            "formula that is not a variance.",
            "a",
        ),
        Mistake(
            "unbiased_variance",
            "This line is right: Algorithm 1 normalizes with the biased variance. m - 1 appears "
            "only where a variance is stored for test time (notebook 05).",
            "c",
        ),
        Mistake(
            "after_the_gradient",
            "This line is right: y cannot be computed without the statistics, so they come before "
            "any gradient, and the gradient goes back through them (notebook 03).",
            "d",
        ),
    ),
)

NET = Question(
    name="error_in_the_network",
    notebook="02",
    answer="c",
    choices=("a", "b", "c", "d"),
    explanation="Two affine maps in a row are one: g * (gamma * x_hat + beta) + b equals "
    "(g * gamma) * x_hat + (g * beta + b). The second pair adds parameters to learn and nothing "
    "that the network could not do before.",
    hints=(
        "Three of the four lines are true. One promises something that it cannot give.",
        "Write each line as a formula for one number, and see which one can be made shorter.",
    ),
    minutes=4,
    difficulty=2,
    mistakes=(
        Mistake(
            "from_the_whole_sample",
            "This line is right: gamma and beta are parameters like the weights, learned by "
            "gradient descent. Only the mean and the variance are computed from data.",
            "a",
        ),
        Mistake(
            "minus_beta",
            "This line is right, unusual as it looks: -beta takes every value that +beta takes. "
            "The sign has to appear in the gradient too, and the line says so.",
            "b",
        ),
        Mistake(
            "logits_too",
            "This line is right: batch norm belongs to the hidden layers. On the logits it would "
            "give each class the same mean logit in every batch, whatever is in the batch.",
            "d",
        ),
    ),
)
