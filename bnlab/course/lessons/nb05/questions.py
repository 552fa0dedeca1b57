"""Questions of notebook 05: two predictions, one translation, and an error in some notes."""

from bnlab.course.exercises.exercise import Mistake, Question

SORTED = Question(
    name="sorted_test_batches",
    notebook="05",
    answer="c",
    choices=("a", "b", "c"),
    explanation="In a batch of one class, or of a few, the mean holds what these images have in "
    "common, which is what tells the class, and batch norm subtracts it. What is left looks like a "
    "mixture of all classes.",
    hints=("A batch of 60 images of the digit 4: what does its mean over the batch contain?",),
    minutes=2,
    difficulty=1,
    mistakes=(
        Mistake(
            "order_does_not_matter",
            "The images are the same, but the batches are not: each image is normalized together "
            "with 59 others, and these show only a few digits now.",
            "a",
        ),
        Mistake(
            "a_little_noise",
            "Shuffled batches cost a little, because their statistics are noisy. Sorted ones "
            "differ from what the network was trained on in every batch, and always against the "
            "class that is asked for.",
            "b",
        ),
    ),
)

KERAS = Question(
    name="torch_momentum",
    notebook="05",
    answer=0.003,
    explanation="In Keras, momentum multiplies the old value, so the new one gets 1 - 0.997 = "
    "0.003. With 0.997 in PyTorch the averages would be little more than the last batch.",
    hints=(
        "Write both rules down: what multiplies the old value, what multiplies the new one?",
        "The two weights add up to 1. PyTorch asks for the weight of the new value.",
    ),
    minutes=1,
    difficulty=1,
    mistakes=(
        Mistake(
            "copied",
            "In PyTorch momentum multiplies the new value: 0.997 would make the averages forget "
            "everything but the last batch.",
            0.997,
        ),
        Mistake(
            "default",
            "0.1 is PyTorch's default, a weight of 0.9 on the old value; the Keras layer keeps "
            "0.997 of it.",
            0.1,
        ),
        Mistake("percent", "That is 0.3 percent; give it as a number.", 0.3),
        Mistake("zero_too_many", "Nearly: 1 - 0.997 has two zeros after the point.", 0.0003),
        Mistake("default_translated", "That is for 0.99, the default of Keras.", 0.01),
        Mistake("one_zero_lost", "Nearly: 1 - 0.997 has two zeros after the point, not one.", 0.03),
    ),
)

SHIFT = Question(
    name="shift_undone",
    notebook="05",
    answer="b",
    choices=("a", "b", "c"),
    explanation="Less contrast is x -> c x + d with c > 0, the same for every pixel: each "
    "activation of the first layer is scaled and offset, and its own mean and standard deviation "
    "take exactly that away. Inversion has c = -1: the offset is undone, the sign is not. A "
    "rotation moves ink from pixel to pixel, which no scale or offset of a feature describes.",
    hints=(
        "What does normalization do to a x + d if it sees the mean and the standard deviation of "
        "just these values?",
        "Look at the sign of a: batch norm of -x is minus batch norm of x.",
    ),
    minutes=3,
    difficulty=2,
    mistakes=(
        Mistake(
            "inversion",
            "1 - x is an offset and a factor of -1. Fresh statistics take the offset away, but "
            "they divide by a standard deviation, which is positive: the sign stays wrong.",
            "a",
        ),
        Mistake(
            "rotation",
            "A rotation mixes pixels. Fresh statistics can only offset and rescale each feature, "
            "so they repair it in part at best.",
            "c",
        ),
    ),
)

NOTES = Question(
    name="error_in_the_test_notes",
    notebook="05",
    answer="d",
    choices=("a", "b", "c", "d"),
    explanation="A test example must get the same answer in any company. The statistics of the "
    "test batch would tie the examples together; the averages from training do not, and with them "
    "even a single example can be asked.",
    hints=(
        "Three of the lines are tested in this notebook, and they hold.",
        "For which line would the order of the test set matter?",
    ),
    minutes=4,
    difficulty=2,
    mistakes=(
        Mistake(
            "forward_pass",
            "This line is right: the averages move in the forward pass of a training batch, and "
            "no gradient changes them.",
            "a",
        ),
        Mistake(
            "unbiased",
            "This line is right of PyTorch: the running variance estimates the variance of all "
            "examples, and the biased variance of a batch is too small for that by the factor (m "
            "- 1)/m.",
            "b",
        ),
        Mistake(
            "folding",
            "This line is right: with fixed numbers batch norm is a factor and an offset for each "
            "feature, and two affine maps in a row are one.",
            "c",
        ),
    ),
)
