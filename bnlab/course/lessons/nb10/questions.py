"""Questions of notebook 10: a batch of two, two shards with a pencil, and what travels."""

from bnlab.course.exercises.exercise import Mistake, Question

PAIR = Question(
    name="a_batch_of_two",
    notebook="10",
    answer=1.0,
    explanation="With 3 and 1000 the mean is 501.5 and the standard deviation 498.5, so the output "
    "is 1, as it was with 3 and 11. In a batch of two, the larger value becomes +1 and the "
    "smaller one -1, whatever they are.",
    hints=(
        "Compute the first batch: the mean of 3 and 11 is 7. How far are both from it?",
        "Write the two values as mean + d and mean - d. What is their standard deviation?",
    ),
    minutes=2,
    difficulty=1,
    mistakes=(
        Mistake(
            "old_statistics",
            "You keep the mean and the standard deviation of the first batch. The new value is "
            "part of the batch: both statistics move with it.",
            (1000 - 7) / 4,
        ),
        Mistake(
            "unbiased_variance",
            "You divide the sum of squares by m - 1 = 1; batch norm divides by m = 2.",
            0.5**0.5,
        ),
        Mistake(
            "no_change_of_x",
            "The question is about the output of the second row, not about how far it moves.",
            0.0,
        ),
        Mistake("the_other_row", "That is the output of the first row, the smaller value.", -1.0),
        Mistake(
            "not_divided",
            "Subtract the mean, 501.5, and divide by the standard deviation, which is 498.5.",
            498.5,
        ),
        Mistake("old_deviation", "4 was the standard deviation; it moves too.", 498.5 / 4),
        Mistake("divided_by_variance", "You divide by the variance; take its root.", 1 / 498.5),
        Mistake("not_centred", "Subtract 501.5, the mean of the new batch, first.", 1000 / 498.5),
    ),
)

SHARDS = Question(
    name="variance_of_two_shards",
    notebook="10",
    answer=10.0,
    rtol=2e-3,
    explanation="The common mean is 0.9 * 2 + 0.1 * 12 = 3. The first shard's mean is 1 away from "
    "it, the second one's is 9 away: 1 + 0.9 * 1 + 0.1 * 81 = 10.",
    hints=(
        "Nine rows in ten have the mean 2. What is the mean of all 100 rows?",
        "The common mean is 3. Each row's squared distance from 3 is, on average, its shard's "
        "variance plus the squared distance of its shard's mean from 3.",
    ),
    minutes=2,
    difficulty=2,
    mistakes=(
        Mistake(
            "mean_of_variances",
            "Within each shard the variance is 1, but the two means are 10 apart: the rows of one "
            "shard are far from the mean of all.",
            1.0,
        ),
        Mistake(
            "shards_count_alike",
            "This is right for shards of equal size. Here one has 90 rows and the other 10: the "
            "common mean is 3, not 7.",
            26.0,
        ),
        Mistake(
            "unbiased_variance",
            "You divide by 99; the biased variance divides by all 100 rows.",
            1000 / 99,
        ),
        Mistake(
            "between_alone",
            "That is the variance of the means, weighted by counts. The rows also vary within "
            "their shard.",
            9.0,
        ),
        Mistake(
            "variances_added",
            "You add the two variances: the rule for a sum of independent numbers. Here the rows "
            "stand side by side.",
            2.0,
        ),
        Mistake(
            "standard_deviation",
            "That is the standard deviation; its square was asked for.",
            10.0**0.5,
        ),
        Mistake("mean", "That is the mean of all rows.", 3.0),
        Mistake("mean_of_squares", "Subtract the square of the mean, 9.", 19.0),
        Mistake("sum_of_squares", "Divide by the number of rows, 100.", 1000.0),
        Mistake("distances_unweighted", "Nine rows in ten have the smaller distance.", 42.0),
        Mistake("distances_added_up", "Average the squared distances 1 and 81, weighted.", 83.0),
        Mistake("distances_not_squared", "The distances from the mean are squared.", 2.8),
    ),
)

TRAVELS = Question(
    name="what_travels",
    notebook="10",
    answer="c",
    choices=("a", "b", "c", "d"),
    explanation="The forward pass needs the mean and the variance of all rows. Each replica's rows "
    "have a part in them, so the gradients of these statistics have to be summed as well. Two "
    "numbers per feature in each direction are enough; no row leaves its replica.",
    hints=(
        "In the closed form of the backward pass there are means over the batch. Over which one?",
    ),
    minutes=2,
    difficulty=2,
    mistakes=(
        Mistake(
            "gradients_only",
            "That is what plain data-parallel training does. Each replica then normalizes by its "
            "own rows, in the forward pass already: no sum afterwards can undo it.",
            "a",
        ),
        Mistake(
            "running_averages",
            "The running averages play no part while training; equal averages do not change one "
            "output or gradient.",
            "b",
        ),
        Mistake(
            "all_rows",
            "For the forward pass it would do, but sums are enough: the mean and the variance "
            "need two numbers per feature from each replica. And gradients have to travel as well.",
            "d",
        ),
    ),
)
