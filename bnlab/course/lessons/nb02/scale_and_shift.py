"""Claims about gamma and beta: what they can undo, and how often and with which sign they appear.

The batches are activations of the digits, as in `bnlab.course.lessons.nb02.algorithm`.
"""

import numpy as np

from bnlab.batchnorm import batchnorm_backward, batchnorm_forward
from bnlab.course.experiments.bench import EXACT, digits_activations, plain_batchnorm
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.course.experiments.panels import errors, strip
from bnlab.course.experiments.rule import Part, exact
from bnlab.course.lessons.nb02.algorithm import SETTING, Batch
from bnlab.gradcheck import numerical_gradient, relative_error

PASSES = 1e-6  # largest relative error with which a gradient check passes

# A7: the shift subtracted.


def _run_a7(config):
    z, _ = digits_activations(config.rows, config.features, config.seed)
    rng = np.random.default_rng(config.seed)
    gamma, beta = rng.normal(size=(2, config.features))
    dy = rng.normal(size=z.shape)
    x_hat, _ = plain_batchnorm(z, config.eps)
    y, cache = batchnorm_forward(z, gamma, -beta, config.eps)
    _, _, dshift = batchnorm_backward(dy, cache)  # of what is added
    numerical = numerical_gradient(lambda beta: gamma * x_hat - beta, beta, dy)
    return {
        "difference": np.abs(gamma * x_hat - beta - y).max(),
        "error_minus": relative_error(-dshift, numerical),
        "error_plus": relative_error(dshift, numerical),
    }


def _judge_a7(arrays):
    def passes(dbeta, error):
        criterion = f"a gradient check passes with {dbeta}"
        return Part(criterion, bool(error < PASSES), f"relative error {error:.0e}")

    return [
        exact("the outputs are those of Algorithm 1 with -beta", arrays["difference"]),
        passes("dbeta = -sum(dy)", arrays["error_minus"]),
        passes("the paper's backward pass, dbeta = sum(dy)", arrays["error_plus"]),
    ]


def _draw_a7(arrays):
    off = {"dbeta = -sum(dy)": arrays["error_minus"], "dbeta = sum(dy)": arrays["error_plus"]}
    return errors(off, tolerance=PASSES, xlabel="relative error of the gradient check")


A7_SUBTRACTED_SHIFT = Experiment(
    Claim(
        "A7",
        "The last line of the forward pass is y = gamma * x_hat - beta.",
        "A legal change of parameters, if the backward pass says dbeta = -sum(dy). With "
        "dbeta = sum(dy) the shift is trained uphill; a gradient check shows it.",
        "identity",
        "02",
        "Ioffe & Szegedy 2015, Algorithm 1; algebra",
    ),
    Batch(rows=16, features=5),
    run=_run_a7,
    judge=_judge_a7,
    setting=SETTING,
    draw=_draw_a7,
)


# A8: the parameters that give the input back.


def _run_a8(config):
    z, _ = digits_activations(config.rows, config.features, config.seed)
    ones, mean, var = np.ones(config.features), z.mean(axis=0), z.var(axis=0)
    std = np.sqrt(var + config.eps)
    pairs = {"said": (ones, 0 * ones), "paper": (np.sqrt(var), mean), "exact": (std, mean)}
    outputs = {name: batchnorm_forward(z, *pair, config.eps)[0] for name, pair in pairs.items()}
    return {name: np.abs(y - z).max() for name, y in outputs.items()}


def _judge_a8(arrays):
    said, paper, right = (float(arrays[name]) for name in ("said", "paper", "exact"))
    return [
        Part(
            "with gamma = 1 and beta = 0 every output equals its input",
            said <= EXACT,
            f"largest difference {said:.1f}; {paper:.0e} with the paper's (sqrt(Var), mean), "
            f"{right:.0e} with (sqrt(Var + eps), mean)",
        )
    ]


def _draw_a8(arrays):
    off = {
        "gamma = 1, beta = 0": arrays["said"],
        "gamma = sqrt(Var), beta = mean": arrays["paper"],
        "gamma = sqrt(Var + eps), beta = mean": arrays["exact"],
    }
    return errors(off, tolerance=EXACT, xlabel="largest difference of output and input")


A8_IDENTITY = Experiment(
    Claim(
        "A8",
        "With gamma = 1 and beta = 0 batch norm is the identity.",
        "With gamma = sqrt(Var + eps) and beta = the mean, as long as the statistics are those; "
        "the paper's gamma = sqrt(Var) is right up to eps.",
        "identity",
        "02",
        "Ioffe & Szegedy 2015, section 3",
    ),
    Batch(),
    run=_run_a8,
    judge=_judge_a8,
    setting=SETTING,
    draw=_draw_a8,
)


# A15: two affine maps, and batch norm on the logits.


def _run_a15(config):
    z, labels = digits_activations(config.rows, config.features, config.seed)
    rng = np.random.default_rng(config.seed)
    gamma, beta, g, b = rng.normal(size=(4, config.features))
    twice = g * batchnorm_forward(z, gamma, beta, config.eps)[0] + b
    once = batchnorm_forward(z, g * gamma, g * beta + b, config.eps)[0]
    logits = 5.0 * np.eye(10)[labels] + rng.normal(size=(len(labels), 10))  # of a good classifier
    threes = logits[labels == 3]
    return {
        "difference": np.abs(twice - once).max(),
        "threes": (threes.argmax(axis=1) == 3).mean(),
        "threes_normalized": (plain_batchnorm(threes, config.eps)[0].argmax(axis=1) == 3).mean(),
    }


def _judge_a15(arrays):
    threes, normalized = float(arrays["threes"]), float(arrays["threes_normalized"])
    return [
        exact("a second pair is harmless: one pair gives the same outputs", arrays["difference"]),
        Part(
            "normalized logits are harmless: in a batch of one class as many of it are found as "
            "without, up to 5 points",
            normalized > threes - 0.05,
            f"{normalized:.0%}, without {threes:.0%}",
        ),
    ]


def _draw_a15(arrays):
    found = {
        "logits\nas they are": 100 * arrays["threes"],
        "normalized\nlogits": 100 * arrays["threes_normalized"],
    }
    ax = strip(found, "threes found\nin a batch of threes, %")
    ax.set_ylim(0, 105)
    return ax


A15_TWO_AFFINES = Experiment(
    Claim(
        "A15",
        "Each layer scales and shifts inside batch norm and once more after it, and the logits "
        "are normalized like every other layer.",
        "One pair (gamma, beta) per feature suffices, and batch norm belongs to the hidden layers.",
        "identity",
        "02",
        "Ioffe & Szegedy 2015, section 4.1",
    ),
    Batch(rows=1000),
    run=_run_a15,
    judge=_judge_a15,
    setting=SETTING,
    draw=_draw_a15,
)
