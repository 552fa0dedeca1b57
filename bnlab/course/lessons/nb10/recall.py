"""Closed-book questions of notebook 10, about notebooks 03, 06 and 07."""

from bnlab.course.exercises.exercise import Mistake, Question, again
from bnlab.course.lessons.nb07.recall import VALUES

SHIFT = Question(
    name="constant_added_to_dy",
    notebook="10",
    taught="03",
    answer="a",
    choices=("a", "b", "c"),
    explanation="The mean of dy is subtracted, so a number that is added to all of dy goes with "
    "it.",
    hints=("What is the first thing that is subtracted from dy in the formula for dx?",),
    minutes=1,
    difficulty=1,
    mistakes=(
        Mistake(
            "shifted_too",
            "dx holds dy minus its mean, and the mean grows by 1 as well. (dbeta does grow.)",
            "b",
        ),
        Mistake(
            "along_x_hat",
            "A number that is added to all of dy has no part along x_hat, because x_hat sums to "
            "0. Its mean is subtracted, and nothing is left of it.",
            "c",
        ),
    ),
)

VALUES_AGAIN = again(VALUES, "10")

GHOST_MEANS = Question(
    name="means_of_ghosts",
    notebook="10",
    taught="07",
    answer=500,
    rtol=1e-9,
    explanation="60 / 12 = 5 ghosts, and each of them has a mean for each of the 100 features.",
    hints=("How many ghosts are there, and how many means has one of them?",),
    minutes=1,
    difficulty=1,
    mistakes=(
        Mistake("one_batch", "That is the whole batch; each ghost has means of its own.", 100),
        Mistake("how_many_ghosts", "So many ghosts there are; each has 100 features.", 5),
        Mistake(
            "size_for_number",
            "12 is how many rows a ghost has, not how many ghosts there are.",
            1200,
        ),
        Mistake("every_value", "That is how many values there are; 12 of them share a mean.", 6000),
        Mistake("one_ghost", "That is how many rows share one mean.", 12),
    ),
)
