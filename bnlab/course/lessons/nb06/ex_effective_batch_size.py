"""Exercise of notebook 06: how many values a mean and a variance are made of."""

from bnlab.course.exercises.exercise import Case, Exercise


def effective_batch_size(n, h, w):
    """Number of values of one channel in a batch of n feature maps of h x w pixels."""
    return n * h * w


SIZE = Exercise(
    name="effective_batch_size",
    notebook="06",
    reference=effective_batch_size,
    outputs=("m",),
    cases=(
        Case("32 maps of 28 x 28", lambda rng: (32, 28, 28)),
        Case("maps that are wider than high", lambda rng: (5, 3, 11)),
        Case("maps that are higher than wide", lambda rng: (4, 9, 2)),
        Case("a single image", lambda rng: (1, 7, 6)),
        Case("maps of a single pixel, as in a dense layer", lambda rng: (64, 1, 1)),
    ),
    hints=(
        "One mean per channel: which values of x, of shape (N, C, H, W), take part in it?",
        "Check with a dense layer: it is a map of one pixel, and there the answer is n.",
    ),
    minutes=2,
    difficulty=1,
)


SIZE.add_mistakes(
    batch_only=(
        "Your number is that of the images. Every pixel of the map contributes a value to its "
        "channel's mean.",
        {"return": "n"},
    ),
    pixels_only=(
        "You count the pixels of one map. All images of the batch share the mean.",
        {"return": "h * w"},
    ),
    square_by_height=(
        "You take the width to be the height; maps need not be square.",
        {"return": "n * h * h"},
    ),
    square_by_width=(
        "You take the height to be the width; maps need not be square.",
        {"return": "n * w * w"},
    ),
    minus_one=(
        "You subtract one value, as for an unbiased variance. Batch norm divides by all of them.",
        {"return": "n * h * w - 1"},
    ),
    sides_added=(
        "You add the sides. A map of h rows with w pixels each has h times w pixels.",
        {"return": "n * (h + w)"},
    ),
    one_side_only=(
        "You count the rows of each map. Each of the h rows has w pixels: h times w in all.",
        {"return": "n * h"},
    ),
    columns_only=(
        "You count the columns of each map. Each of the w columns has h pixels: h times w in all.",
        {"return": "n * w"},
    ),
    images_added=(
        "You add the number of images. Each of the n images has h times w pixels, so multiply.",
        {"return": "n + h * w"},
    ),
    one_image_less=("You leave one image out; all n have a part.", {"return": "(n - 1) * h * w"}),
    root=(
        "You take the root of it, by which the error of a mean shrinks; the number was asked.",
        lambda n, h, w: (n * h * w) ** 0.5,
    ),
    larger_number=(
        "You take the larger of n and h * w; each of the n images has h * w pixels, so multiply.",
        {"return": "max(n, h * w)"},
    ),
)
