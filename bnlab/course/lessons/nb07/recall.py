"""Closed-book questions of notebook 07, about notebooks 00, 05 and 06."""

from bnlab.course.exercises.exercise import Mistake, Question, again
from bnlab.course.lessons.nb04.recall import TIMES_TEN

TIMES_TEN_AGAIN = again(TIMES_TEN, "07")

LOOK = Question(
    name="changed_by_a_look",
    notebook="07",
    taught="05",
    answer="b",
    choices=("a", "b", "c"),
    explanation="In training mode every forward pass moves the running averages, with or without "
    "a gradient. Gamma and beta wait for an optimizer.",
    hints=("Two things are updated in training. Which of them needs no gradient?",),
    minutes=1,
    difficulty=1,
    mistakes=(
        Mistake(
            "nothing",
            "In training mode the forward pass itself moves the running averages; no gradient is "
            "needed.",
            "a",
        ),
        Mistake(
            "parameters",
            "Gamma and beta change when an optimizer uses their gradients, and nobody called "
            "backward.",
            "c",
        ),
    ),
)

VALUES = Question(
    name="values_in_a_mean",
    notebook="07",
    taught="06",
    answer=128,
    rtol=1e-9,
    explanation="Each channel has one mean, over all images and all pixels: 8 * 4 * 4 = 128.",
    hints=("Which axis is left when the means are taken?",),
    minutes=1,
    difficulty=1,
    mistakes=(
        Mistake(
            "images_alone", "The pixels of a channel share one mean too, not the images alone.", 8
        ),
        Mistake(
            "one_image", "These are the pixels of one image; all images of the batch share it.", 16
        ),
        Mistake(
            "all_of_one_image",
            "That is one mean for each image, over its channels. Batch norm has one for each "
            "channel.",
            48,
        ),
        Mistake("the_whole_batch", "That is one mean for everything; each channel has one.", 384),
        Mistake("images_and_channels", "Channels are kept apart; pixels are not.", 24),
        Mistake("how_many_means", "That is how many means there are. Count the values in one.", 3),
    ),
)
