"""Closed-book questions of notebook 06, about notebooks 03, 04 and 05."""

from bnlab.course.exercises.exercise import Mistake, Question

ROWS = Question(
    name="rows_of_dx_that_change",
    notebook="06",
    taught="03",
    answer="c",
    choices=("a", "b", "c"),
    explanation="dy of image 0 stands in mean(dy) and in mean(dy x_hat), and both are subtracted "
    "in every row.",
    hints=("Two means are subtracted in the formula for dx. Over what are they taken?",),
    minutes=1,
    difficulty=1,
    mistakes=(
        Mistake(
            "none_of_them",
            "dx depends on dy: if dy changes, dx does, and not in row 0 alone.",
            "a",
        ),
        Mistake(
            "its_own_row",
            "That holds where each row is computed for itself. Here two means over the rows are "
            "subtracted, so row 0 reaches all of them.",
            "b",
        ),
    ),
)

WEIGHTS = Question(
    name="numbers_in_front_of_batchnorm",
    notebook="06",
    taught="04",
    answer=5000,
    rtol=1e-9,
    explanation="100 times 50 weights, and no bias: the subtraction of the mean would remove it.",
    hints=("Which number of a linear layer does the subtraction of the mean remove?",),
    minutes=1,
    difficulty=1,
    mistakes=(
        Mistake(
            "with_a_bias",
            "That is with a bias for each output. Batch norm subtracts the mean, and the bias "
            "with it.",
            5050,
        ),
        Mistake(
            "gamma_and_beta",
            "gamma and beta belong to the batch norm; the question is about the linear layer.",
            5100,
        ),
        Mistake(
            "all_of_them",
            "You count a bias, which batch norm subtracts again, and gamma and beta, which belong "
            "to the batch norm.",
            5150,
        ),
        Mistake(
            "added",
            "Each of the 50 outputs has a weight for each of the 100 inputs: multiply.",
            150,
        ),
    ),
)

AFTER_ONE_STEP = Question(
    name="running_mean_after_one_step",
    notebook="06",
    taught="05",
    answer=1,
    explanation="0.9 times 0, plus 0.1 times 10: momentum is the weight of the new value, here as "
    "in PyTorch.",
    hints=("Which of the two, the old value or the new one, does momentum multiply here?",),
    minutes=1,
    difficulty=1,
    mistakes=(
        Mistake(
            "reversed_momentum",
            "There momentum multiplies the old value, as in Keras. Here and in PyTorch it is the "
            "weight of the new one.",
            9,
        ),
        Mistake("replaced", "That is the new value; a tenth of it is taken.", 10),
        Mistake("not_moved", "The layer is in training mode, so its average moves.", 0),
        Mistake("momentum_itself", "momentum multiplies the mean of the batch, 10.", 0.1),
    ),
)
