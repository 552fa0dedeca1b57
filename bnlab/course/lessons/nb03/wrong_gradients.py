"""Claims about mistakes in the backward pass: which tests see them, what they give."""

import numpy as np

from bnlab.batchnorm import batchnorm_backward, batchnorm_forward
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.course.experiments.panels import log_dots
from bnlab.course.experiments.rule import Part
from bnlab.course.lessons.nb03.backpropagation import MEASURED, SETTING, Batch, drawn_batch
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
    ones, squares, random = (arrays[f"dx_{name}"] for name in ("ones", "squares", "random"))
    return [
        Part(
            "with ones dx is 0, so that a backward pass that gives 0 passes the check",
            bool(ones <= NOTICED),
            f"largest dx {ones:.0e}",
        ),
        _blindness_of_ones(arrays),
        Part(
            "with sum(y^2) dx is less than a thousandth of what it is with a random upstream",
            bool(squares < 1e-3 * random),
            f"largest dx {squares:.0e} and {random:.1f}",
        ),
    ]


def _blindness_of_ones(arrays):
    others = np.array(arrays["names"]) != "the right one"
    ones, random = (np.array(arrays[name]) > NOTICED for name in ("ones", "random"))
    blind = ones[others].mean() < 0.5 and random[others].all() and not random[~others].any()
    return Part(
        "with ones most wrong backward passes pass the check; a random upstream notices each of "
        "them, and lets the right one pass",
        bool(blind),
        f"of {others.sum()} wrong ones {ones[others].sum()} and {random[others].sum()} are noticed",
    )


def _draw_d5(arrays):
    groups = {"ones": "ones", "of sum(y^2)": "squares", "random": "random"}
    return log_dots(
        arrays["names"],
        {f"upstream {name}": arrays[key] for name, key in groups.items()},
        "largest difference of dx from finite differences",
        [(NOTICED, "noticed from 1e-6")],
    )


D5_ONES = Experiment(
    Claim(
        "D5",
        "An upstream gradient of ones is useless for testing a backward pass of batch norm: dx is "
        "0, and with the loss sum(y^2) it nearly is.",
        "Yes: both losses hardly depend on x. With ones most errors vanish with dx; sum(y^2) still "
        "shows those in the ways through the mean and the variance. Take a random upstream.",
        "identity",
        "03",
        "mean(x_hat) = 0 and mean(x_hat^2) = var / (var + eps)",
    ),
    Batch(),
    run=_run_d5,
    judge=_judge_d5,
    draw=_draw_d5,
    setting=SETTING,
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
    errors = [arrays[name] for name in ("mean", "variance", "both")]
    percent = ", ".join(f"{100 * error:.0f}" for error in errors)
    return [
        Part(
            "stopped at the mean, at the variance or at both, dx is over a hundredth away from "
            "finite differences; stopped at neither, it equals them to 1e-7",
            bool(min(errors) > CLEAR and arrays["neither"] <= MEASURED),
            f"{percent}% away; stopped at neither, {arrays['neither']:.0e}",
        )
    ]


def _draw_d7(arrays):
    return log_dots(
        [f"stopped at {name}" for name in ("neither", "the mean", "the variance", "both")],
        {"dx": [arrays[name] for name in ("neither", "mean", "variance", "both")]},
        "relative difference of dx from finite differences",
        [(MEASURED, "equal up to 1e-7"), (CLEAR, "another from 1e-2")],
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
    draw=_draw_d7,
    setting=SETTING,
)
