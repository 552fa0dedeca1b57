"""Questions of notebook 09: name the mistake of each broken layer of `broken_layers`."""

from bnlab.course.exercises.exercise import Mistake, Question
from bnlab.course.lessons.nb09.broken_layers import MISTAKES


def _hunt(number, answer, explanation, hints, not_these, difficulty):
    """Make the question about one layer; `not_these`: another name -> what speaks against it."""
    return Question(
        name=f"bug_hunt_{number}",
        notebook="09",
        answer=answer,
        choices=tuple(MISTAKES),
        explanation=explanation,
        hints=hints,
        minutes=4,
        difficulty=difficulty,
        mistakes=tuple(
            Mistake(f"not_{other.replace(' ', '_')}", sentence, other)
            for other, sentence in not_these.items()
        ),
    )


HUNT_1 = _hunt(
    1,
    "momentum reversed",
    "After one batch the running mean is 0.9 of the batch mean. With momentum 0.1 in torch's "
    "sense, 0.1 multiplies the new value, so it should be 0.1 of it.",
    (
        "Training output and gradients are right. Which state does a training batch change?",
        "Pass one batch through a new layer, then divide its running mean by the batch mean.",
    ),
    {
        "updates twice": "Two updates would leave 1 - 0.9 * 0.9 = 0.19 of the first batch mean; "
        "measure the share again.",
        "biased running variance": "The running mean is off as well, and it knows nothing of "
        "m and m - 1.",
        "updates in eval": "Compare state_dict() before and after a forward pass in evaluation "
        "mode: nothing moves there.",
        "eval ignored": "In evaluation mode one row gets the same answer in any company. It is "
        "what evaluation relies on that is odd.",
    },
    difficulty=1,
)

HUNT_2 = _hunt(
    2,
    "eval ignored",
    "In evaluation mode the output of one row changes with the other rows, and every batch comes "
    "out with mean beta and standard deviation gamma: it is normalized by its own statistics.",
    (
        "The running statistics are right. Who uses them?",
        "In evaluation mode, pass one batch, then the first half of it. Compare the first row.",
    ),
    {
        "updates in eval": "The running statistics do not move in evaluation mode; compare "
        "state_dict() before and after. They are not used either.",
        "momentum reversed": "After one batch the running mean is 0.1 of the batch mean: right.",
        "unbiased": "In training mode the output agrees with the healthy layer. Look at "
        "evaluation.",
    },
    difficulty=1,
)

HUNT_3 = _hunt(
    3,
    "detached statistics",
    "A column of dx must sum to 0, because adding a constant to all rows changes nothing. Here dx "
    "is gamma * dy / sqrt(var + eps): the two terms that come through mean and variance are "
    "missing.",
    (
        "All outputs are right, in both modes. What is left to compare?",
        "Draw a random dy. What does each column of dx sum to, here and in the healthy layer?",
    ),
    {
        "gamma missing": "Divide dx by that of the healthy layer: without gamma, all rows of a "
        "column would have the same ratio, 1 / gamma. They have not.",
        "mean gradients": "dgamma and dbeta agree with the healthy layer; dx does not.",
        "unbiased": "The outputs of both modes agree with the healthy layer to the last digit.",
    },
    difficulty=2,
)

HUNT_4 = _hunt(
    4,
    "updates in eval",
    "num_batches_tracked and the running statistics change during a forward pass in evaluation "
    "mode, so asking the same question twice gives two answers.",
    (
        "Training mode is in order. Ask the same question twice in evaluation mode.",
        "Compare state_dict() before and after a forward pass in evaluation mode.",
    ),
    {
        "eval ignored": "The output of an evaluation batch has neither mean beta nor standard "
        "deviation gamma: running statistics are used. But do they stay where they are?",
        "updates twice": "One training batch counts one: num_batches_tracked says so.",
        "momentum reversed": "After one training batch the running mean is 0.1 of the batch mean, "
        "as it should be.",
    },
    difficulty=1,
)

HUNT_5 = _hunt(
    5,
    "positions apart",
    "For images each position (h, w) comes out with mean beta over the batch, so a channel's "
    "structure in space is gone: a bright corner is as dark as the rest. A convolution layer's "
    "batch norm has one mean and one variance per channel, over N, H and W.",
    (
        "Nothing is wrong for inputs (N, C). Try images (N, C, H, W).",
        "Give the images a bright corner. Is the corner still bright in the training output?",
    ),
    {
        "reshape": "Change the images of one channel only: the other channels' outputs stay, so "
        "nothing is mixed across channels. Look within a channel.",
        "one pass": "It happens with a mean of 0 as well, so it is no matter of digits.",
        "unbiased": "A wrong divisor changes y - beta by one factor in the whole channel. Compare "
        "the ratio at different positions.",
        "eval ignored": "The layer is odd in training mode already; evaluation agrees with the "
        "statistics it was fed.",
    },
    difficulty=2,
)

HUNT_6 = _hunt(
    6,
    "biased running variance",
    "After one batch the running variance is 0.9 + 0.1 * var with the variance divided by m. "
    "torch feeds it the unbiased one, m / (m - 1) times as large: twice as large at m = 2, and "
    "hard to see at m = 64.",
    (
        "The training output and the running mean are right. One array is left.",
        "Use batches of two rows. Subtract 0.9 from the running variance after the first batch.",
    ),
    {
        "unbiased": "The training output agrees with the healthy layer, so the divisor there is "
        "right. It is the stored variance that differs.",
        "momentum reversed": "The running mean is 0.1 of the batch mean after one batch, as it "
        "should be; with a reversed momentum it would be 0.9 of it.",
        "updates twice": "The running mean agrees with the healthy layer, and "
        "num_batches_tracked too.",
        "one pass": "It shows with a mean of 0 too, where one pass loses nothing.",
    },
    difficulty=2,
)

HUNT_7 = _hunt(
    7,
    "eps missing",
    "After training with a constant feature the running variance of that feature is nearly 0, and "
    "evaluation multiplies a small deviation by far more than 1 / sqrt(eps) = 316. With variances "
    "near 1 nothing can be seen.",
    (
        "With ordinary data nothing shows. Which feature needs eps?",
        "Train 300 batches in which one feature is constant, then evaluate a row in which it "
        "deviates by 0.01. The healthy layer multiplies the deviation by 316 * gamma.",
    ),
    {
        "eps outside": "With eps outside the root a deviation would be multiplied by at most "
        "1 / eps = 100,000. Train longer on a constant feature: here the factor grows on.",
        "one pass": "The variance of a training batch is right even with a mean of 10,000. Look "
        "at evaluation.",
        "biased running variance": "The running variance agrees with the healthy layer. Look at "
        "what is done with it.",
    },
    difficulty=3,
)

HUNT_8 = _hunt(
    8,
    "mean gradients",
    "dgamma and dbeta are smaller than those of the healthy layer by exactly the number of values "
    "per channel. dbeta is the *sum* of dy over the batch; a mean belongs in the loss.",
    (
        "All outputs are right, and so is dx. What else does a backward pass give?",
        "Compare layer.grads['bias'] with dy.sum(axis=0), for two batch sizes.",
    ),
    {
        "gamma missing": "dx agrees with the healthy layer, and gamma has no place in dgamma and "
        "dbeta.",
        "detached statistics": "dx agrees with the healthy layer: its columns sum to 0.",
        "unbiased": "The outputs agree with the healthy layer in both modes. Look at grads.",
    },
    difficulty=1,
)

HUNT_9 = _hunt(
    9,
    "one pass",
    "With a mean near 0 all is right. With a mean of 1e8 and a standard deviation of 1 the "
    "training output has a standard deviation that is not gamma: E[x^2] - E[x]^2 subtracts two "
    "numbers near 1e16, which float64 knows to within 2 only.",
    (
        "With ordinary data nothing shows. What does subtracting the mean first protect from?",
        "Add 1e8 to the input. Batch norm should hardly notice.",
    ),
    {
        "eps outside": "Then a large mean would change nothing, and a small variance would. Here "
        "it is the other way round.",
        "unbiased": "With a mean near 0 the training output agrees with the healthy layer; a wrong "
        "divisor would show there.",
        "eps missing": "It shows with variance 1, where eps hardly counts. Which data bring "
        "it out, those of small variance or those of large mean?",
    },
    difficulty=3,
)

HUNT_10 = _hunt(
    10,
    "unbiased",
    "The training output's standard deviation is gamma * sqrt((m - 1) / m) where gamma is right: "
    "0.71 gamma at m = 2. It was divided by the unbiased variance. Gradients fit this forward "
    "pass, so a gradient check passes.",
    (
        "Compare the standard deviation of the training output with gamma, at several batch sizes.",
        "At m = 2 a feature can only take the values beta + gamma and beta - gamma, up to eps.",
    ),
    {
        "biased running variance": "The running variance agrees with the healthy layer; the "
        "training output does not.",
        "eps outside": "The factor depends on the batch size, not on the variance.",
        "one pass": "It shows with a mean of 0, where one pass loses nothing.",
        "gamma missing": "The outputs are off already, before any gradient.",
    },
    difficulty=2,
)
