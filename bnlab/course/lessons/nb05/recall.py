"""Closed-book questions of notebook 05, about notebooks 02 and 04."""

from bnlab.course.exercises.exercise import Mistake, Question, again
from bnlab.course.lessons.nb03.recall import LEARNED

SCATTER = Question(
    name="scatter_in_larger_batches",
    notebook="05",
    taught="02",
    answer="b",
    choices=("a", "b", "c"),
    explanation="The output still depends on the batch, but the mean and the variance of 128 "
    "images differ less from batch to batch: it was 0.10.",
    hints=("What happens to the mean of a batch, from draw to draw, when the batch is larger?",),
    minutes=1,
    difficulty=1,
    mistakes=(
        Mistake(
            "no_scatter",
            "Even 128 images have their own mean and variance, and these differ from batch to "
            "batch.",
            "a",
        ),
        Mistake(
            "same_scatter",
            "The statistics of a larger batch vary less, so the output does too.",
            "c",
        ),
    ),
)

LEARNED_AGAIN = again(LEARNED, "05")

LONGER = Question(
    name="rate_of_longer_weights",
    notebook="05",
    taught="04",
    answer=100,
    explanation="The gradient is a tenth, and a row that is ten times as long needs ten times the "
    "step to turn as far: 10 times 10.",
    hints=("The length enters twice: in the gradient, and in how far a step turns the row.",),
    minutes=1,
    difficulty=1,
    mistakes=(
        Mistake(
            "one_of_two",
            "The length enters twice: the gradient is a tenth, and a row that is ten times as "
            "long needs ten times the step to turn as far.",
            10,
        ),
        Mistake(
            "no_effect",
            "The output does not change, but the gradient does, and so does the angle by which a "
            "step turns a row.",
            1,
        ),
        Mistake(
            "smaller",
            "It must grow: the gradient at the longer weights is smaller, and they are harder to "
            "turn.",
            0.01,
        ),
    ),
)
