"""Questions of notebook 08: a fair comparison, a prediction, and two conclusions to draw."""

import math

from bnlab.course.exercises.exercise import Mistake, Question

FAIR = Question(
    name="fair_comparison",
    notebook="08",
    answer="c",
    explanation="Each side gets the rate that is best for it on images that are neither trained "
    "nor tested on, and everything else is shared.",
    hints=(
        "Which of the comparisons could each side's defender accept?",
        "A rate that suits one side may be hopeless for the other; and what must the test images "
        "not be used for?",
    ),
    minutes=1,
    difficulty=1,
    choices=("a", "b", "c"),
    mistakes=(
        Mistake(
            "same_rate",
            "The rate is equal, but it was chosen for one side. That compares a tuned network "
            "with one that was not tuned.",
            "a",
        ),
        Mistake(
            "chosen_on_the_test_images",
            "Both sides are tuned, but on the images that judge them: the best of six numbers is "
            "too good, and more so for the side that varies more.",
            "b",
        ),
    ),
)

GROWTH = Question(
    name="gradient_at_the_bottom",
    notebook="08",
    answer=1.2112**20,
    rtol=5e-2,
    explanation="Each layer multiplies: 1.2112 to the power of 20 is about 46. After 40 layers it "
    "is more than 2,000.",
    hints=(
        "Backpropagation multiplies by one factor for each layer.",
        "1.2112 ** 2 for two layers; and for twenty?",
    ),
    minutes=2,
    difficulty=1,
    mistakes=(
        Mistake(
            "no_growth",
            "Batch norm keeps the *outputs* at one size. The gradient is another quantity, and "
            "the text gives its factor.",
            1.0,
        ),
        Mistake(
            "added",
            "You multiply the factor by the number of layers; it applies once in each layer, so "
            "take a power.",
            20 * 1.2112,
        ),
        Mistake(
            "growth_added",
            "You add 21% twenty times, like simple interest; here the interest earns interest.",
            1 + 20 * 0.2112,
        ),
        Mistake(
            "forty_layers",
            "That is 40 factors. Twenty layers lie between the two places, and 1.2112 is the "
            "factor of the norm already, not of its square.",
            1.2112**40,
        ),
        Mistake(
            "shrinks",
            "You divide by the factor. Backward means downward: each layer further down makes the "
            "gradient larger.",
            1.2112**-20,
        ),
        Mistake(
            "one_layer_too_many",
            "That is one factor too many: twenty layers lie between the two places, so there are "
            "twenty factors.",
            1.2112**21,
        ),
        Mistake(
            "one_layer_too_few",
            "That is one factor too few, or a factor rounded to 1.2: twenty layers lie between "
            "the two places, and each multiplies by 1.2112.",
            1.2112**19,
        ),
        Mistake(
            "ten_layers",
            "That is ten factors: 1.2112 is already the root. Twenty layers multiply by it.",
            1.2112**10,
        ),
        Mistake("one_layer", "That is one layer. Twenty lie between the two places.", 1.2112),
        Mistake("growth_alone", "That is 21% added twenty times; take a power.", 20 * 0.2112),
        Mistake("logarithm", "That is the logarithm of the answer.", 20 * math.log(1.2112)),
        Mistake("percent", "That is in percent. Give the factor itself.", 100 * 1.2112**20),
    ),
)

SHIFT = Question(
    name="what_the_cosines_say",
    notebook="08",
    answer="b",
    explanation="A network in which the shift is larger trains better. So whatever batch norm does "
    "for training, lowering this shift cannot be all of it.",
    hints=(
        "Look at the second network alone: what happens to the cosine, and what to the loss?",
        "One counterexample is enough against 'because'; it is not enough for 'never'.",
    ),
    minutes=2,
    difficulty=2,
    choices=("a", "b", "c"),
    mistakes=(
        Mistake(
            "explanation_confirmed",
            "The first network would fit. In the second one the shift rises and training gets "
            "better all the same.",
            "a",
        ),
        Mistake(
            "no_explanation_at_all",
            "That is too much: the measure does not decide why batch norm works, it only shows "
            "that one explanation does not cover both networks.",
            "c",
        ),
    ),
)

BLIND = Question(
    name="test_that_finds_the_sign",
    notebook="08",
    answer="c",
    explanation="The outputs show the sign only where beta is not 0, and then they fit a "
    "parameter of the other sign. Only its gradient is wrong, and finite differences see it.",
    hints=(
        "Try each test in your mind on a layer that is right except for this sign.",
        "At beta = 0 plus and minus are the same.",
    ),
    minutes=1,
    difficulty=1,
    choices=("a", "b", "c"),
    mistakes=(
        Mistake(
            "accuracy",
            "Networks with this mistake are in the figure above: as accurate as those without.",
            "a",
        ),
        Mistake(
            "property",
            "At beta = 0 the output is the right one, so its mean and standard deviation are too.",
            "b",
        ),
    ),
)
