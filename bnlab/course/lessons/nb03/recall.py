"""Closed-book questions of notebook 03, about notebooks 00 and 02."""

from bnlab.course.exercises.exercise import Mistake, Question

VARIANCE = Question(
    name="variance_of_three_values",
    notebook="03",
    taught="00",
    answer=14 / 3,
    explanation="The mean is 3, the squared distances are 4, 1 and 9, and their mean is 14 / 3: "
    "batch norm divides by the number of values.",
    hints=("What is the mean of the three values, and how far is each of them from it?",),
    minutes=1,
    difficulty=1,
    mistakes=(
        Mistake("unbiased", "You divide by m - 1 = 2; batch norm divides by m = 3.", 7.0),
        Mistake("summed", "That is the sum of the squared distances; take their mean.", 14.0),
        Mistake(
            "root", "That is the standard deviation, the root of the variance.", (14 / 3) ** 0.5
        ),
        Mistake("unbiased_root", "That is a root of 14 / 2; the variance is 14 / 3.", 7**0.5),
        Mistake(
            "not_centred",
            "That is the mean of the squares. A variance takes distances from the mean first.",
            41 / 3,
        ),
    ),
)

LEARNED = Question(
    name="learned_numbers",
    notebook="03",
    taught="02",
    answer=200,
    rtol=1e-9,
    explanation="One gamma and one beta for each of the 100 features. The mean and the variance "
    "are computed from the batch, not learned.",
    hints=("Which letters of Algorithm 1 does gradient descent change?",),
    minutes=1,
    difficulty=1,
    mistakes=(
        Mistake("one_pair", "One pair serves one feature, not the whole layer.", 2),
        Mistake("one_of_two", "Each feature has a gamma and a beta.", 100),
        Mistake(
            "statistics_too",
            "The mean and the variance are computed from the batch; only gamma and beta are "
            "learned.",
            400,
        ),
        Mistake(
            "for_each_image",
            "You count a pair for each of the 60 images. The pairs belong to the features, and all "
            "images share them.",
            120,
        ),
        Mistake(
            "for_each_value",
            "You count a pair for each of the 6,000 values. All images share that of a feature.",
            12_000,
        ),
    ),
)

CONSTANT = Question(
    name="constant_feature",
    notebook="03",
    taught="02",
    answer="a",
    choices=("a", "b", "c", "d"),
    explanation="Each value is the mean: x_hat = 0 / sqrt(0 + eps) = 0, and y = gamma * 0 + beta.",
    hints=("What is x - mean in every row, and by what is it divided?",),
    minutes=1,
    difficulty=1,
    mistakes=(
        Mistake("kept", "The mean, 7, is subtracted: x_hat is 0.", "b"),
        Mistake("scaled", "The mean, 7, is subtracted before gamma multiplies: x_hat is 0.", "c"),
        Mistake(
            "divided_by_zero",
            "That is what eps is for: 0 is divided by sqrt(0 + eps), which is not 0.",
            "d",
        ),
    ),
)
