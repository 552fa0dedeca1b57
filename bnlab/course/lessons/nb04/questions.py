"""Questions of notebook 04: two predictions, and the error in a page of notes."""

from bnlab.course.exercises.exercise import Mistake, Question

DETACHED = Question(
    name="detached_bias",
    notebook="04",
    answer=26.0,
    explanation="The loss does not change, so its gradient does not change either, and every "
    "step adds the same amount: 200 steps of 0.13 make 26.",
    hints=(
        "Does the output change when b changes? Then does the gradient of the next step?",
        "Every step is a copy of the first one.",
    ),
    minutes=2,
    difficulty=1,
    mistakes=(
        Mistake(
            "stops_after_one_step",
            "The loss did not move, so the gradient that made the first step is still there.",
            0.13,
        ),
        Mistake(
            "random_walk",
            "That is a random walk, with steps that change direction. Here nothing changes, so "
            "all steps go the same way.",
            0.13 * 200**0.5,
        ),
        Mistake(
            "comes_back_to_zero",
            "Nothing pulls b back: neither the loss nor its gradient depends on b.",
            0.0,
        ),
        Mistake("zero_lost", "A zero is lost: 200 steps of 0.13 make more than that.", 2.6),
        Mistake("zero_too_many", "A zero too many: 200 steps of 0.13 make less.", 260.0),
        Mistake("steps", "That is the number of steps; each of them adds 0.13.", 200.0),
        Mistake("negative", "The norm of b was asked, and a norm is not negative.", -26.0),
    ),
)

NOTES = Question(
    name="wrong_line_about_bias",
    notebook="04",
    answer="c",
    explanation="beta is added after the mean has been subtracted, so nothing takes it away; the "
    "layer needs it to choose where its activations lie.",
    hints=(
        "Ask of each constant: is it added before or after the mean is subtracted?",
        "One of the lines drops a parameter that nothing can replace.",
    ),
    minutes=1,
    difficulty=1,
    choices=("a", "b", "c", "d"),
    mistakes=(
        Mistake(
            "bias_is_needed",
            "That line is right: b is the same in all rows, so it is in the mean, and the "
            "subtraction takes it away.",
            "a",
        ),
        Mistake(
            "detached_bias_is_safe",
            "That line is right: section 2 of the paper warns of exactly this.",
            "b",
        ),
        Mistake(
            "last_bias_is_redundant",
            "That line is right: nothing is subtracted after the last layer, so its bias counts.",
            "d",
        ),
    ),
)

DECAY = Question(
    name="decay_under_batchnorm",
    notebook="04",
    answer="b",
    explanation="Shorter rows compute the same function, so the decay cannot make it simpler. It "
    "makes the rows shorter, and lr / norm(w)^2 larger.",
    hints=(
        "Multiply a row by 0.5: which of the layer's outputs change?",
        "The decay shrinks norm(w). Where does norm(w) stand in the effective learning rate?",
    ),
    minutes=2,
    difficulty=2,
    choices=("a", "b", "c"),
    mistakes=(
        Mistake(
            "simpler_function",
            "That is the usual reason for weight decay, and it needs a function that changes when "
            "its weights shrink. Behind this layer stands batch norm.",
            "a",
        ),
        Mistake(
            "no_effect",
            "It has none on the function at this moment, but the next gradient depends on the "
            "length of the row.",
            "c",
        ),
    ),
)
