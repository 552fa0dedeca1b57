"""Claims about a*W instead of W in front of batch norm: the same output, another gradient.

Weights have shape (out, in); a row w_k makes one output. Everything is checked on one batch of
digits, first with eps = 0, where the statements are exact, then with the eps that is in use.
"""

from dataclasses import dataclass

import numpy as np

from bnlab.batchnorm import batchnorm_forward
from bnlab.course.experiments import panels
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.course.experiments.panels import log_dots
from bnlab.course.experiments.rule import Part, exact
from bnlab.course.lessons.nb04.redundant_bias import loss_and_backward, network
from bnlab.data import load_digits
from bnlab.gradcheck import relative_error

EXACT = 1e-9
HUNDREDTH = 0.01  # what the usual eps may change


@dataclass(frozen=True)
class ScaledWeights:
    """One layer, one batch; takes some milliseconds."""

    rows: int = 128
    features: int = 32
    scales: tuple[float, ...] = (0.1, 3.0, 100.0, -2.0)  # of the weights, with a negative one
    eps: tuple[float, ...] = (0.0, 1e-5)  # the first plays no part, the last is in use
    seed: int = 0


# B2: the output.


def _run_b2(config):
    rng = np.random.default_rng(config.seed)
    x = load_digits().x_train[: config.rows]
    weight = rng.normal(0, np.sqrt(2 / 64), (config.features, 64))
    gamma, beta = rng.uniform(0.5, 2, config.features), rng.normal(size=config.features)

    def output(scale, eps, sign=1.0):
        return batchnorm_forward(x @ (scale * weight).T, sign * gamma, beta, eps)[0]

    def table(other):
        changes = [[output(a, eps) - other(a, eps) for a in config.scales] for eps in config.eps]
        return np.abs(changes).max(axis=(2, 3))  # (len(eps), len(scales))

    return {
        "scales": np.array(config.scales),
        "eps": np.array(config.eps),
        "change": table(lambda a, eps: output(1.0, eps)),
        "change_of_shrunk_eps": table(lambda a, eps: output(1.0, eps / a**2, np.sign(a))),
    }


def _judge_b2(arrays):
    positive = np.array(arrays["scales"]) > 0
    ideal, in_use = arrays["change"][0], arrays["change"][-1]
    return [
        _stays("with eps = 0 and a > 0 the output stays", ideal[positive], EXACT),
        _stays("with eps = 0 and a < 0 it stays", ideal[~positive], EXACT),
        _stays("with the usual eps and a > 0 it stays to a hundredth", in_use[positive], HUNDREDTH),
    ]


def _stays(criterion, change, tolerance):
    return Part(criterion, bool(change.max() <= tolerance), f"changed by up to {change.max():.2g}")


def _draw_b2(arrays):
    groups = {
        f"of y, eps = {arrays['eps'][0]:g}": arrays["change"][0],
        f"of y, eps = {arrays['eps'][-1]:g}": arrays["change"][-1],
        "from sign(a) and eps / a^2": arrays["change_of_shrunk_eps"][-1],
    }
    limits = [(EXACT, "equal: 1e-9"), (HUNDREDTH, "nearly: 1e-2")]
    names = [f"a = {a:g}" for a in arrays["scales"]]
    return log_dots(names, groups, "largest difference of the output", limits)


B2_SCALED_WEIGHTS = Experiment(
    Claim(
        "B2",
        "BN((aW)u) = BN(Wu) for every number a.",
        "For a > 0 and a^2 Var >> eps; exactly, scaling by a is dividing eps by a^2. A negative a "
        "turns x_hat into -x_hat.",
        "identity",
        "04",
        "Ioffe & Szegedy 2015, section 3.3; algebra",
    ),
    ScaledWeights(),
    run=_run_b2,
    judge=_judge_b2,
    draw=_draw_b2,
    setting="float64, {rows} digits, {features} features, a = {scales}, eps {eps}",
)


# B3: the gradients.


def gradients(config, scale=1.0, eps=0.0):
    """Loss of `redundant_bias.network` at scale * W, gradient dx (rows, 64), model with its grads.

    `scale` is one factor or (features, 1), one for each row of W.
    """
    digits = load_digits()
    x, labels = digits.x_train[: config.rows], digits.y_train[: config.rows]
    model = network(config.features, bias=False, seed=config.seed, eps=eps)
    model[1].weight[...] = np.random.default_rng(config.seed).uniform(0.5, 2, config.features)
    model[0].weight *= scale
    return *loss_and_backward(model, x, labels), model


def row_cosines(weight, gradient):
    """Cosine of the angle between each row of weight and its gradient, (out,)."""
    lengths = np.linalg.norm(weight, axis=1) * np.linalg.norm(gradient, axis=1)
    return (weight * gradient).sum(axis=1) / lengths


def _left_over(config, eps):
    """What eps leaves of the row products <w_k, dL/dw_k>: by our formula, and as measured."""
    _, _, model = gradients(config, eps=eps)
    linear, norm = model[0], model[1]
    var = (load_digits().x_train[: config.rows] @ linear.weight.T).var(axis=0)
    formula = norm.weight * norm.grads["weight"] * eps / (var + eps)
    return formula, (linear.weight * linear.grads["weight"]).sum(axis=1)


def _run_b3(config):
    exact, in_use = config.eps[0], config.eps[-1]
    factors = np.random.default_rng(config.seed).uniform(0.1, 10, (config.features, 1))
    positive = [a for a in config.scales if a > 0]
    _, dx, model = gradients(config, eps=exact)

    def error_of_rule(a, eps=exact):
        there, here = (gradients(config, scale, eps)[2].grads["0.weight"] for scale in (a, 1.0))
        return relative_error(a * there, here)

    return {
        "to_weights": np.array([error_of_rule(a) for a in positive]),
        "to_input": np.array([relative_error(gradients(config, a)[1], dx) for a in positive]),
        "by_row": error_of_rule(factors),
        "cosine": np.abs(row_cosines(model[0].weight, model.grads["0.weight"])).max(),
        "negative": min(error_of_rule(a) for a in config.scales if a < 0),
        "to_weights_in_use": max(error_of_rule(a, in_use) for a in positive),
        "left_over": relative_error(*_left_over(config, in_use)),
    }


def _judge_b3(arrays):
    in_use = arrays["to_weights_in_use"]
    rule = [*np.atleast_1d(arrays["to_weights"]), arrays["by_row"]]
    return [
        exact("the gradient to the input stays, for every a > 0", arrays["to_input"], EXACT),
        exact("that to the weights is 1/a of it, for every a > 0 and row by row", rule, EXACT),
        Part(
            "with the usual eps it is 1/a of it to a hundredth",
            bool(in_use <= HUNDREDTH),
            f"relative difference {in_use:.0e}",
        ),
    ]


def _draw_b3(arrays):
    values = {
        "to the input, unchanged": arrays["to_input"],
        "to the weights, 1/a": arrays["to_weights"],
        "to the weights, 1/a row by row": arrays["by_row"],
        "cosine with its row of weights": arrays["cosine"],
        "to the weights, 1/a, usual eps": arrays["to_weights_in_use"],
        "to the weights, 1/a, a < 0": arrays["negative"],
    }
    return panels.errors(values, tolerance=EXACT, xlabel="largest relative difference")


B3_SCALED_GRADIENT = Experiment(
    Claim(
        "B3",
        "With a*W for W, a > 0, the gradient to the layer's input is the same and the gradient to "
        "the weights is 1/a of what it was.",
        "Yes, where a^2 Var >> eps; not for a < 0. Differentiate f(aW) = f(W) in W: "
        "a f'(aW) = f'(W). Differentiate it in a at a = 1: the gradient of each row is orthogonal "
        "to the row.",
        "identity",
        "04",
        "Ioffe & Szegedy 2015, section 3.3; algebra",
    ),
    ScaledWeights(),
    run=_run_b3,
    judge=_judge_b3,
    draw=_draw_b3,
    setting="float64, {rows} digits, {features} features, a = {scales}, eps {eps}",
)
