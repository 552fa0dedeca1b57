"""Claims about mistakes in the backward pass: which tests see them, what they give."""

import numpy as np

from bnlab.batchnorm import batchnorm_backward, batchnorm_forward
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.course.lessons.nb03.backpropagation import MEASURED, Batch, drawn_batch
from bnlab.course.lessons.nb03.ex_closed_form import CLOSED_FORM
from bnlab.gradcheck import numerical_gradient, relative_error

NOTICED = 1e-6  # a gradient check that compares to six digits after the point
CLEAR = 0.01  # relative error of a gradient that no tolerance would let pass

REGISTERED = {mistake.name: mistake.answer for mistake in CLOSED_FORM.mistakes}

# Each takes (dy, cache); the first of what it returns is another dx than the true one.
MISTAKES = {
    "dx is zero": lambda dy, cache: (np.zeros_like(dy),),
    "gamma forgotten": REGISTERED["gamma_forgotten"],
    "inv_std forgotten": REGISTERED["inv_std_forgotten"],
    "way through the variance forgotten": REGISTERED["detached_variance"],
    "way through the variance added": REGISTERED["last_term_added"],
    "way through the mean forgotten": REGISTERED["detached_mean"],
}


def largest_differences(dy, x, gamma, beta, eps):
    """Largest absolute difference of dx from finite differences: of the right one, of each mistake.

    >>> batch = drawn_batch(Batch())
    >>> largest_differences(*batch, eps=1e-5)["dx is zero"] > 0.1
    True
    """
    _, cache = batchnorm_forward(x, gamma, beta, eps)
    measured = numerical_gradient(lambda x: batchnorm_forward(x, gamma, beta, eps)[0], x, dy)
    backwards = {"the right one": batchnorm_backward, **MISTAKES}
    return {n: float(np.abs(f(dy, cache)[0] - measured).max()) for n, f in backwards.items()}


# D5: an upstream gradient of ones.


def _run_d5(config):
    dy, x, gamma, beta = drawn_batch(config)
    y, cache = batchnorm_forward(x, gamma, beta, config.eps)
    upstream = {"ones": np.ones_like(dy), "squares": 2 * y, "random": dy}
    found = {n: largest_differences(u, x, gamma, beta, config.eps) for n, u in upstream.items()}
    return {
        "names": list(found["ones"]),
        **{n: np.array(list(differences.values())) for n, differences in found.items()},
        **{f"dx_{n}": np.abs(batchnorm_backward(u, cache)[0]).max() for n, u in upstream.items()},
    }


def _judge_d5(arrays):
    others = np.array(arrays["names"]) != "the right one"
    by_ones = int((arrays["ones"][others] > NOTICED).sum())
    by_random = int((arrays["random"][others] > NOTICED).sum())
    zero = arrays["dx_ones"] < NOTICED and arrays["dx_squares"] < 1e-3 * arrays["dx_random"]
    useless = zero and by_random == others.sum() and by_ones <= 1  # the last mistake
    passes = (arrays["random"][~others] < NOTICED).all()
    return (
        "RIGHT" if useless and passes else "WRONG",
        f"of {others.sum()} wrong backward passes ones notice {by_ones}, a random upstream notices "
        f"{by_random}; dx is 0 for ones and less than a thousandth of the usual size for "
        f"sum(y^2): {zero}",
        f"float64, finite differences, a difference above {NOTICED:g} is noticed",
    )


D5_ONES = Experiment(
    Claim(
        "D5",
        "An upstream gradient of ones is useless for testing a backward pass of batch norm, and "
        "the loss sum(y^2) is nearly so.",
        "Yes: both losses hardly depend on x, so dx is zero or nearly so and most errors vanish "
        "with it. Take a random upstream.",
        "identity",
        "03",
        "mean(x_hat) = 0 and mean(x_hat^2) = var / (var + eps)",
    ),
    Batch(),
    run=_run_d5,
    judge=_judge_d5,
)


# D7: statistics treated as constants.


def stopped_gradient(dy, x, gamma, beta, eps, stop=("mean", "var")):
    """Gradient of x by torch if "mean", "var" or both are detached, as if they were constants.

    >>> x, dy = np.array([[1.0], [2.0], [6.0]]), np.array([[1.0], [0.0], [0.0]])
    >>> stopped_gradient(dy, x, np.ones(1), np.zeros(1), eps=0.0).ravel().round(4)
    array([0.4629, 0.    , 0.    ])
    """
    import torch

    dy, gamma, beta = map(torch.from_numpy, (dy, gamma, beta))
    x = torch.tensor(x, requires_grad=True)
    mean, var = x.mean(dim=0), x.var(dim=0, unbiased=False)
    mean = mean.detach() if "mean" in stop else mean
    var = var.detach() if "var" in stop else var
    (gamma * (x - mean) / torch.sqrt(var + eps) + beta).backward(dy)
    return x.grad.numpy()


STOPS = {"both": ("mean", "var"), "mean": ("mean",), "variance": ("var",), "neither": ()}


def _run_d7(config):
    dy, x, gamma, beta = drawn_batch(config)
    measured = numerical_gradient(lambda x: batchnorm_forward(x, gamma, beta, config.eps)[0], x, dy)
    stopped = {n: stopped_gradient(dy, x, gamma, beta, config.eps, s) for n, s in STOPS.items()}
    return {n: relative_error(dx, measured) for n, dx in stopped.items()}


def _judge_d7(arrays):
    errors = [arrays[n] for n in ("both", "mean", "variance")]
    wrong, right = min(errors) > CLEAR, arrays["neither"] < MEASURED
    percent = ", ".join(f"{100 * e:.0f}" for e in errors)
    return (
        "RIGHT" if wrong and right else "WRONG",
        f"stopped at both, at the mean, at the variance: {percent}% away from finite differences; "
        f"stopped nowhere: equal to them: {right}",
        f"float64, relative to the largest element, within {MEASURED:g}",
    )


D7_STOPPED = Experiment(
    Claim(
        "D7",
        "Statistics that are treated as constants in the backward pass give another, wrong "
        "gradient.",
        "Yes: both the mean and the variance move with every x, and both have to pass the gradient "
        "on.",
        "identity",
        "03",
        "Ioffe & Szegedy 2015, section 2",
    ),
    Batch(),
    run=_run_d7,
    judge=_judge_d7,
)
