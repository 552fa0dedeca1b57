"""Closed-book questions of notebook 08, about notebooks 02, 04 and 06."""

from bnlab.course.exercises.exercise import Mistake, Question

LARGEST = Question(
    name="largest_normalized_value",
    notebook="08",
    taught="02",
    answer=4,
    explanation="One value far away from 16 equal ones is the worst that can happen, and it gets "
    "sqrt(m - 1) = sqrt(16), however far away it is.",
    hints=("Let 16 values be 0. Does it matter how large the last one is?",),
    minutes=1,
    difficulty=2,
    mistakes=(
        Mistake(
            "root_of_m",
            "The squares of all 17 sum to 17, but the other 16 cannot all be 0: the mean has to "
            "be.",
            17**0.5,
        ),
        Mistake("not_the_root", "That is the square of the answer: take the root of m - 1.", 16),
        Mistake(
            "all_of_m",
            "The squares sum to 17; a single value has at most 16 of it, and then take the root.",
            17,
        ),
        Mistake(
            "three_deviations",
            "Three standard deviations are rare for a normal distribution, but nothing forbids "
            "more.",
            3,
        ),
        Mistake("one", "1 is the standard deviation of all; a single value may lie beyond it.", 1),
    ),
)

LENGTH = Question(
    name="length_after_a_step",
    notebook="08",
    taught="04",
    answer="b",
    explanation="The gradient is at a right angle to the row, so a step along it is the short side "
    "of a right triangle, and the new row is its long side.",
    hints=("What is the angle between such a row and its gradient?",),
    minutes=1,
    difficulty=1,
    choices=("a", "b", "c"),
    mistakes=(
        Mistake(
            "shorter",
            "Without weight decay nothing pulls the row towards 0: its gradient has no part along "
            "the row.",
            "a",
        ),
        Mistake(
            "the_same",
            "The output does not depend on the length, but a step at a right angle changes it.",
            "c",
        ),
    ),
)

AXES = Question(
    name="axes_of_image_statistics",
    notebook="08",
    taught="06",
    answer="b",
    explanation="One mean and one variance for each channel: all axes but the channel's.",
    hints=("What shape must the means have?",),
    minutes=1,
    difficulty=1,
    choices=("a", "b", "c"),
    mistakes=(
        Mistake(
            "each_pixel",
            "That keeps a mean for each channel and each pixel; the pixels of a feature map share "
            "one.",
            "a",
        ),
        Mistake(
            "each_image",
            "That normalizes each image by itself: there the batch would play no part.",
            "c",
        ),
    ),
)
