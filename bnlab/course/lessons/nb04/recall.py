"""Closed-book questions of notebook 04, about notebooks 00, 02 and 03."""

from bnlab.course.exercises.exercise import Mistake, Question, again
from bnlab.course.lessons.nb03.recall import CONSTANT

TIMES_TEN = Question(
    name="column_times_ten",
    notebook="04",
    taught="00",
    answer="a",
    choices=("a", "b", "c"),
    explanation="The distances from the mean are ten times as large, and so is the standard "
    "deviation that divides them.",
    hints=("What happens to the distances from the mean, and what to the standard deviation?",),
    minutes=1,
    difficulty=1,
    mistakes=(
        Mistake(
            "not_divided",
            "The distances are ten times as large, but the standard deviation that divides them "
            "is too.",
            "b",
        ),
        Mistake(
            "only_divided",
            "The standard deviation is ten times as large, but the distances that it divides are "
            "too.",
            "c",
        ),
    ),
)

CONSTANT_AGAIN = again(CONSTANT, "04")

SUM = Question(
    name="sum_of_dx",
    notebook="04",
    taught="03",
    answer="b",
    choices=("a", "b", "c"),
    explanation="The mean of dy is subtracted, so what is left sums to 0, and so does x_hat.",
    hints=("Two terms are subtracted in the formula for dx. What does each of them sum to?",),
    minutes=1,
    difficulty=1,
    mistakes=(
        Mistake(
            "sum_of_dy",
            "dbeta is the sum of dy. In dx the mean of dy is subtracted.",
            "a",
        ),
        Mistake(
            "straight_arrow_alone",
            "That is the sum over the straight arrow alone. The arrow through the mean brings as "
            "much, with the other sign.",
            "c",
        ),
    ),
)
