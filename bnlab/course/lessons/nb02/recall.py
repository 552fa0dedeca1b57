"""Closed-book questions of notebook 02, about notebook 00."""

from bnlab.course.exercises.exercise import Mistake, Question

WHY = Question(
    name="why_the_loss_stayed",
    notebook="02",
    taught="00",
    answer="a",
    choices=("a", "b", "c"),
    explanation="Small weights make the signal smaller in each layer. At the end all images look "
    "alike, so the network gives each of ten classes the same probability: ln 10 = 2.303.",
    hints=("Think of the histograms of the layers: did they become wider or narrower?",),
    minutes=1,
    difficulty=1,
    mistakes=(
        Mistake(
            "saturated",
            "The flat ends need large values, as at s = 1. At s = 0.03 the values are close to 0, "
            "where tanh is steepest.",
            "b",
        ),
        Mistake(
            "too_few_images",
            "The same network learns from the same batches as soon as it has batch norm.",
            "c",
        ),
    ),
)

GAIN = Question(
    name="gain_at_a_good_start",
    notebook="02",
    taught="00",
    answer="b",
    choices=("a", "b", "c"),
    explanation="Both reach about 96%. Batch norm did not make this network better; it made the "
    "choice of s matter much less.",
    hints=("Where on the axis of s do the two lines of accuracy meet?",),
    minutes=1,
    difficulty=1,
    mistakes=(
        Mistake(
            "always_better",
            "The gain is large where s is badly chosen. At s = 0.14 the network without batch norm "
            "is as accurate.",
            "a",
        ),
        Mistake(
            "in_the_way",
            "It does no harm there: at s = 0.14 both reach about 96%.",
            "c",
        ),
    ),
)

WHICH = Question(
    name="means_to_subtract",
    notebook="02",
    taught="00",
    answer="b",
    choices=("a", "b", "c"),
    explanation="One mean for each feature, over the 60 images: axis 0 disappears, and the shape "
    "is (100,).",
    hints=("Which of the three has 100 values?",),
    minutes=1,
    difficulty=1,
    mistakes=(
        Mistake(
            "one_for_all",
            "That is one number for the whole array; each feature has a mean of its own.",
            "a",
        ),
        Mistake(
            "each_image",
            "That is one mean for each image, shape (60, 1); it mixes the features of the image.",
            "c",
        ),
    ),
)
