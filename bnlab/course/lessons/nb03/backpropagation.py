"""Claims about the derivation: six staged gradients, the closed form, and a term that is zero."""

from dataclasses import dataclass

import numpy as np

from bnlab.batchnorm import batchnorm_backward, batchnorm_forward
from bnlab.course.experiments import panels
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.course.experiments.panels import log_dots
from bnlab.course.experiments.rule import Part, exact
from bnlab.course.lessons.nb03.ex_backpropagation import (
    batchnorm_backward_staged as staged_gradients,
)
from bnlab.gradcheck import numerical_gradient, relative_error

MEASURED = 1e-7  # relative error that central differences in float64 can promise
EXACT = 1e-10  # relative error of two float64 formulas for the same thing
SETTING = "float64, one batch of {rows} rows and {features} features, eps {eps}"


@dataclass(frozen=True)
class Batch:
    """One batch of (rows, features), drawn from a seed; milliseconds."""

    rows: int = 8
    features: int = 5
    eps: float = 1e-5
    seed: int = 0


def drawn_batch(config):
    """Random dy, x, gamma and beta; each feature of x has a mean and a std of its own.

    >>> dy, x, gamma, beta = drawn_batch(Batch(rows=4, features=3))
    >>> dy.shape, gamma.shape
    ((4, 3), (3,))
    """
    rng = np.random.default_rng(config.seed)
    shape = config.rows, config.features
    x = rng.normal(rng.normal(0, 2, shape[1]), rng.uniform(0.5, 2, shape[1]), shape)
    gamma = rng.uniform(0.5, 2, shape[1]) * rng.choice([-1, 1], shape[1])  # both signs
    return rng.normal(size=shape), x, gamma, rng.normal(size=shape[1])


def functions_of_nodes(x, gamma, beta, eps):
    """Name of each gradient -> the output as a function of its node, and the value of the node.

    What depends on the node follows it, everything else is held fixed: as a function of the mean,
    the variance moves along; as a function of the variance, the mean stays.

    >>> nodes = functions_of_nodes(np.array([[1.0], [5.0]]), np.ones(1), np.zeros(1), eps=0.0)
    >>> y_of_var, var = nodes["dvar"]
    >>> y_of_var(var), y_of_var(4 * var)
    (array([[-1.], [ 1.]]), array([[-0.5], [ 0.5]]))
    """
    mean, var = x.mean(axis=0), x.var(axis=0)
    x_hat = (x - mean) / np.sqrt(var + eps)

    def output(x, mean, var, gamma, beta):
        return gamma * (x - mean) / np.sqrt(var + eps) + beta

    return {
        "dx_hat": (lambda node: gamma * node + beta, x_hat),
        "dvar": (lambda node: output(x, mean, node, gamma, beta), var),
        "dmean": (lambda node: output(x, node, ((x - node) ** 2).mean(0), gamma, beta), mean),
        "dx": (lambda node: output(node, node.mean(0), node.var(0), gamma, beta), x),
        "dgamma": (lambda node: output(x, mean, var, node, beta), gamma),
        "dbeta": (lambda node: output(x, mean, var, gamma, node), beta),
    }


def torch_gradients(dy, x, gamma, beta, eps):
    """The same six, by name, from torch's automatic differentiation of Algorithm 1 in float64.

    >>> x, dy = np.array([[1.0], [2.0], [6.0]]), np.array([[1.0], [0.0], [0.0]])
    >>> torch_gradients(dy, x, np.ones(1), np.zeros(1), eps=0.0)["dvar"].round(4)
    array([0.0992])
    """
    import torch

    x, gamma, beta = (torch.tensor(a, requires_grad=True) for a in (x, gamma, beta))
    mean = x.mean(dim=0)
    var = ((x - mean) ** 2).mean(dim=0)
    x_hat = (x - mean) / torch.sqrt(var + eps)
    for node in (mean, var, x_hat):
        node.retain_grad()  # torch keeps the gradients of inputs only, unless asked
    (gamma * x_hat + beta).backward(torch.from_numpy(dy))
    nodes = {"dx_hat": x_hat, "dvar": var, "dmean": mean, "dx": x, "dgamma": gamma, "dbeta": beta}
    return {name: node.grad.numpy() for name, node in nodes.items()}


# D1: each intermediate gradient by name.


def _run_d1(config):
    dy, *batch = drawn_batch(config)
    stages = staged_gradients(dy, *batch, config.eps)
    nodes = functions_of_nodes(*batch, config.eps)
    by_torch = torch_gradients(dy, *batch, config.eps)
    measured = {name: numerical_gradient(f, value, dy) for name, (f, value) in nodes.items()}
    return {
        "names": list(stages),
        "from_measured": [relative_error(stages[n], measured[n]) for n in stages],
        "from_torch": [relative_error(stages[n], by_torch[n]) for n in stages],
    }


def _judge_d1(arrays):
    measured, by_torch = (np.max(arrays[f"from_{how}"]) for how in ("measured", "torch"))
    return [
        Part(
            "each of the six is the slope that finite differences measure, to 1e-7, and the "
            "gradient that torch finds, to 1e-10",
            bool(measured <= MEASURED and by_torch <= EXACT),
            f"largest relative differences {measured:.0e} and {by_torch:.0e}",
        )
    ]


def _draw_d1(arrays):
    groups = {"by finite differences": "from_measured", "by torch": "from_torch"}
    return log_dots(
        arrays["names"],
        {name: arrays[key] for name, key in groups.items()},
        "relative difference from the staged gradient",
        [(EXACT, "torch: 1e-10"), (MEASURED, "differences: 1e-7")],
    )


D1_STAGES = Experiment(
    Claim(
        "D1",
        "The gradients of batch norm are the six of the paper: of x_hat, the variance, the mean, "
        "x, gamma and beta.",
        "Yes; each of them equals the slope that is measured when its node is moved.",
        "identity",
        "03",
        "Ioffe & Szegedy 2015, section 3",
    ),
    Batch(),
    run=_run_d1,
    judge=_judge_d1,
    draw=_draw_d1,
    setting=SETTING,
)


# D2: the closed form.


def _run_d2(config):
    dy, x, gamma, beta = drawn_batch(config)
    stages = staged_gradients(dy, x, gamma, beta, config.eps)
    by_torch = torch_gradients(dy, x, gamma, beta, config.eps)
    _, cache = batchnorm_forward(x, gamma, beta, config.eps)
    closed = dict(zip(("dx", "dgamma", "dbeta"), batchnorm_backward(dy, cache), strict=True))
    return {
        "from_stages": max(relative_error(closed[n], stages[n]) for n in closed),
        "from_torch": max(relative_error(closed[n], by_torch[n]) for n in closed),
    }


def _judge_d2(arrays):
    errors = [arrays["from_stages"], arrays["from_torch"]]
    return [exact("it equals the six stages and torch's gradients, to 1e-10", errors, EXACT)]


def _draw_d2(arrays):
    names = {"the six stages": "from_stages", "torch": "from_torch"}
    return panels.errors(
        {f"closed form against {name}": arrays[key] for name, key in names.items()},
        tolerance=EXACT,
        xlabel="largest relative difference",
    )


D2_CLOSED_FORM = Experiment(
    Claim(
        "D2",
        "dx = gamma / sqrt(var + eps) * (dy - mean(dy) - x_hat * mean(dy * x_hat)).",
        "Yes: the three ways from x to y add up to this one line.",
        "identity",
        "03",
        "algebra, from section 3 of Ioffe & Szegedy 2015",
    ),
    Batch(),
    run=_run_d2,
    judge=_judge_d2,
    draw=_draw_d2,
    setting=SETTING,
)


# D4: the way from the mean through the variance.


def _run_d4(config):
    dy, x, gamma, beta = drawn_batch(config)
    right = staged_gradients(dy, x, gamma, beta, config.eps)
    second = -2 * right["dvar"] * (x - x.mean(axis=0)).mean(axis=0)
    mistake = -100 * second  # another sign and another factor
    return {
        "share": np.abs(second).max() / np.abs(right["dmean"]).max(),
        "change": relative_error(right["dx"], right["dx"] + (mistake - second) / config.rows),
    }


def _judge_d4(arrays):
    criterion = (
        "beside the first term it is 0, and its factor times -100 leaves dx as it is, to 1e-10"
    )
    return [exact(criterion, [arrays["share"], arrays["change"]], EXACT)]


def _draw_d4(arrays):
    return panels.errors(
        {
            "second term, as a share of the first": arrays["share"],
            "change of dx if it is multiplied by -100": arrays["change"],
        },
        tolerance=EXACT,
        xlabel="relative size",
    )


D4_ZERO_TERM = Experiment(
    Claim(
        "D4",
        "The second term in the gradient of the mean, the way through the variance, is always 0.",
        "Yes: deviations from the mean add up to zero. A wrong sign or factor in this term cannot "
        "be seen.",
        "identity",
        "03",
        "algebra, from section 3 of Ioffe & Szegedy 2015",
    ),
    Batch(),
    run=_run_d4,
    judge=_judge_d4,
    draw=_draw_d4,
    setting=SETTING,
)
