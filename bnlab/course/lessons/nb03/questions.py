"""Questions of notebook 03: two predictions, and the false line in a page of notes."""

from bnlab.course.exercises.exercise import Mistake, Question

ONES = Question(
    name="upstream_of_ones",
    notebook="03",
    answer="c",
    choices=("a", "b", "c"),
    explanation="With dy = 1 the loss is sum(y) = sum(gamma * x_hat + beta). x_hat sums to zero "
    "whatever x is, so the loss does not depend on x at all.",
    hints=("With ones upstream the loss is the sum of all y. What is the sum of x_hat?",),
    minutes=2,
    difficulty=1,
    mistakes=(
        Mistake(
            "the_identity",
            "That would be right for y = x + constant. Here each x also moves the mean, which is "
            "subtracted from all the others.",
            "a",
        ),
        Mistake(
            "detached_statistics",
            "gamma / sqrt(var + eps) times dy is only the first of the three ways from x to y: "
            "the ways through the mean and the variance are missing.",
            "b",
        ),
    ),
)

SHARE = Question(
    name="share_that_is_lost",
    notebook="03",
    answer=6.25,
    rtol=5e-3,
    explanation="Two of the 32 directions are taken away, and a random dy has the same share in "
    "each direction: 2 / 32 = 6.25%.",
    hints=(
        "How many of the 32 directions of dy does the projection take away?",
        "On average a random vector of length m has 1/m of its squared length in each direction.",
    ),
    minutes=3,
    difficulty=2,
    mistakes=(
        Mistake(
            "only_the_mean",
            "That is one direction of 32, the mean. The variance takes away another one, the "
            "direction of x_hat.",
            3.125,
        ),
        Mistake(
            "what_is_left",
            "That is the share that gets through; the question asks for the share that is lost.",
            93.75,
        ),
        Mistake("a_fraction", "Right as a fraction; the question asks for per cent.", 0.0625),
        Mistake(
            "length_for_square",
            "That is what the length loses. The question asks for the squared length, where the "
            "shares of all directions add up to 100%.",
            100 * (1 - (30 / 32) ** 0.5),
        ),
        Mistake("a_count", "Two directions are lost, yes; as per cent of all 32?", 2.0),
        Mistake("off_by_one", "You divide by 31; two of all 32 directions are lost.", 200 / 31),
        Mistake("of_the_rest", "You divide by the 30 that are left; the share is of 32.", 20 / 3),
        Mistake("left_by_the_mean", "So much gets past the mean; how much do both take?", 96.875),
        Mistake("one_as_a_fraction", "That is one of 32; two are lost, in per cent.", 1 / 32),
        Mistake("rest_as_a_fraction", "That gets through; what is lost, in per cent?", 30 / 32),
    ),
)

FALSE_NOTE = Question(
    name="false_note",
    notebook="03",
    answer="c",
    choices=("a", "b", "c", "d", "e"),
    explanation="With two rows the closed form leaves nothing but a remainder that eps makes. A "
    "good check takes m = 3 rows or more, a variance far above eps, and a random dy.",
    hints=(
        "Write the closed form down and read each note as a change of one letter in it.",
        "Ask of each note: what does it say for the smallest m, and for eps = 0?",
    ),
    minutes=5,
    difficulty=3,
    mistakes=(
        Mistake(
            "gamma",
            "This note is true: gamma stands in front of the whole of dx, and dgamma holds only "
            "dy and x_hat.",
            "a",
        ),
        Mistake(
            "constant_upstream",
            "This note is true: a constant is its own mean, and it has no part along x_hat, so "
            "both dy - mean(dy) and mean(dy * x_hat) stay.",
            "b",
        ),
        Mistake(
            "scale_of_x",
            "This note is true: x_hat stays and the standard deviation is ten times larger, so dx "
            "is ten times smaller.",
            "d",
        ),
        Mistake(
            "second_term",
            "This note is true: whatever stands in front of it, the sum of x - mean is zero.",
            "e",
        ),
    ),
)
