"""Closed-book questions of notebook 09, about notebooks 05, 07 and 08."""

from bnlab.course.exercises.exercise import Mistake, Question

STILL_THERE = Question(
    name="share_of_the_first_batch",
    notebook="09",
    taught="05",
    answer=0.081,
    explanation="It came in with weight 0.1, and each of the two batches after it left 0.9 of "
    "that: 0.1 * 0.9 * 0.9.",
    hints=("With which weight does a batch come in, and what does the next one do to it?",),
    minutes=1,
    difficulty=1,
    mistakes=(
        Mistake("not_decayed", "It came in with 0.1; the later batches shrink that.", 0.1),
        Mistake(
            "of_the_start",
            "That is what is left of the value from before the first batch, 0.9 three times.",
            0.729,
        ),
        Mistake("once_too_few", "Two batches came after it, not one.", 0.09),
        Mistake("once_too_many", "Only two batches came after it.", 0.0729),
        Mistake(
            "plain_mean", "That would be the mean of three batches; momentum forgets faster.", 1 / 3
        ),
    ),
)

DROPPED = Question(
    name="variance_behind_dropout",
    notebook="09",
    taught="07",
    answer="a",
    choices=("a", "b", "c"),
    explanation="Zeros and enlarged values keep the mean and widen the variance; evaluation drops "
    "nothing, so what batch norm stored in training is too large there.",
    hints=("Values are set to 0 or multiplied by 1 / (1 - p). What does that do to x squared?",),
    minutes=1,
    difficulty=1,
    mistakes=(
        Mistake(
            "same",
            "Dropout keeps the mean, not the variance: the square of an enlarged value grows more "
            "than the zeros take away.",
            "b",
        ),
        Mistake(
            "smaller", "The other way round: zeros beside enlarged values are spread wider.", "c"
        ),
    ),
)

FOUND_BY = Question(
    name="what_finds_a_wrong_gradient",
    notebook="09",
    taught="08",
    answer="b",
    choices=("a", "b", "c"),
    explanation="Networks with wrong gradients trained as well as the right one. Only a "
    "comparison with numerical gradients, or with another implementation, tells.",
    hints=("How far apart were the accuracies of the right function and the wrong ones?",),
    minutes=1,
    difficulty=1,
    mistakes=(
        Mistake(
            "accuracy",
            "The accuracies of right and wrong were equal up to a few tenths of a point.",
            "a",
        ),
        Mistake("loss", "The loss falls with a wrong gradient too; it only falls elsewhere.", "c"),
    ),
)
