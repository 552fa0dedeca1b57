"""Questions of notebook 06: a batch of one, a reshape, and an error in some notes."""

from bnlab.course.exercises.exercise import Mistake, Question

ONE = Question(
    name="batch_of_one",
    notebook="06",
    answer="b",
    choices=("a", "b", "c", "d"),
    explanation="Behind the pooling a channel has one value per image. With one image the mean is "
    "that value itself, and x_hat is 0 whatever the image shows: PyTorch refuses it, Keras and "
    "Flax return beta. The two layers on maps have 1024 and 64 values per channel.",
    hints=(
        "How many values does each of the three layers have per channel when N is 1?",
        "What is the variance of a single number?",
    ),
    minutes=3,
    difficulty=1,
    mistakes=(
        Mistake(
            "small_maps_fail",
            "One image with maps of 8 x 8 still has 64 values for each channel: noisy statistics, "
            "but statistics. Look for a layer with a single one.",
            "a",
        ),
        Mistake(
            "all_fail",
            "Only if a channel has one value. The first two layers have 1024 and 64 values per "
            "channel from a single image.",
            "c",
        ),
        Mistake(
            "none_fails",
            "After global pooling a channel has one value per image, so one in all for N = 1: its "
            "variance is 0 and x_hat is 0 whatever the image shows.",
            "d",
        ),
    ),
)

RESHAPE = Question(
    name="who_shares_a_mean",
    notebook="06",
    answer="c",
    choices=("a", "b", "c", "d"),
    explanation="In memory the last axis runs fastest: four neighbours in an image row make one "
    "row of the table. Since 4 divides the width 8, column k gets the image columns k and k + 4, "
    "of every channel and every image.",
    hints=(
        "reshape moves nothing. Which four numbers come first in memory: four channels of one "
        "pixel, or four pixels of one channel?",
        "Try it on np.arange(2 * 4 * 8).reshape(1, 2, 4, 8) and two columns.",
    ),
    minutes=3,
    difficulty=2,
    mistakes=(
        Mistake(
            "reshape_finds_the_channels",
            "That needs a transpose first. reshape knows nothing of channels: it counts through "
            "the memory, where the width runs fastest.",
            "a",
        ),
        Mistake(
            "one_image_each",
            "Each row of the table holds four neighbours of one image, but a column collects one "
            "of them from every row, so from every image.",
            "b",
        ),
        Mistake(
            "rows_of_the_image",
            "Nearly: but the last axis, the width, runs fastest in memory, so it is image columns "
            "that end in the same column of the table.",
            "d",
        ),
    ),
)

NOTES = Question(
    name="error_in_the_conv_notes",
    notebook="06",
    answer="c",
    choices=("a", "b", "c", "d"),
    explanation="Batch norm comes after the convolution and acts on its output pixel by pixel, at "
    "the border as in the middle: folding is exact everywhere. Line d is the case where zeros do "
    "get in the way, because there the padding comes after batch norm.",
    hints=(
        "Which of the lines depends on the order of batch norm and convolution?",
        "In lines c and d, ask which comes first, the padding with zeros or batch norm.",
    ),
    minutes=3,
    difficulty=3,
    mistakes=(
        Mistake(
            "bias_needed",
            "This line is right: a bias per output channel shifts all N*H*W values of its channel "
            "alike, and the mean takes it off again.",
            "a",
        ),
        Mistake(
            "parameters_per_pixel",
            "This line is right: 32 channels have 32 gammas and 32 betas, however large the maps "
            "are. The paper wants every place of a map treated alike.",
            "b",
        ),
        Mistake(
            "other_order",
            "This line is right: a zero of the padding does not pass through batch norm, so at "
            "the border its shift is missing, and one bias for all pixels cannot say that.",
            "d",
        ),
    ),
)
