"""Exercise of notebook 05: fold batch norm into the linear layer before it."""

import numpy as np

from bnlab.course.exercises.exercise import Case, Exercise
from bnlab.course.lessons.nb05.ex_inference import signed_gamma, small_variances, trained


def fold_linear(weight, bias, gamma, beta, running_mean, running_var, eps):
    """Weight and bias of one linear layer that does the work of linear and batch norm."""
    bias = 0.0 if bias is None else bias
    scale = gamma / np.sqrt(running_var + eps)  # (out,)
    new_weight = scale[:, None] * weight  # (out, in): one factor for each row
    new_bias = beta + (bias - running_mean) * scale
    return new_weight, new_bias


def _linear(n_in, draw_layer, bias=True):
    """Make a draw of (weight, bias, gamma, beta, running_mean, running_var, eps)."""

    def draw(rng):
        layer = draw_layer(rng)
        out = len(layer[0])
        return rng.normal(size=(out, n_in)), rng.normal(size=out) if bias else None, *layer

    return draw


FOLD = Exercise(
    name="fold_linear",
    notebook="05",
    reference=fold_linear,
    outputs=("weight", "bias"),
    cases=(
        Case("as many inputs as outputs", _linear(4, trained(4))),
        Case("more inputs than outputs", _linear(6, trained(3)), seed=1),
        Case("one output, and another eps", _linear(5, trained(1, eps=1e-3)), seed=2),
        Case("a layer without a bias (bias is None)", _linear(3, trained(5), bias=False), seed=3),
        Case("a negative gamma and a gamma of zero", _linear(2, signed_gamma), seed=4),
        Case("running variances near eps and far below it", _linear(4, small_variances), seed=5),
        Case("a large eps", _linear(3, trained(2, eps=0.5)), seed=6),
    ),
    hints=(
        "Write y = gamma * (W u + b - running_mean) / sqrt(running_var + eps) + beta and sort it "
        "into something times u, plus something.",
        "Call gamma / sqrt(running_var + eps) the scale, one number for each output. Which axis "
        "of W, of shape (out, in), are the outputs?",
        "scale[:, None] has shape (out, 1) and multiplies the rows of W. In the bias, beta stands "
        "alone; b and the running mean are both scaled. A bias of None counts as 0.",
    ),
    minutes=5,
    difficulty=2,
)


def _scale(gamma, running_var, eps):
    return gamma / np.sqrt(running_var + eps)


def _or_zero(bias):
    return 0.0 if bias is None else bias


@FOLD.mistake(
    "eps_forgotten",
    "You leave eps out. It is part of the factor, and for a feature with a small running variance "
    "it decides: the scale is gamma / sqrt(running_var + eps).",
)
def _(weight, bias, gamma, beta, running_mean, running_var, eps):
    return fold_linear(weight, bias, gamma, beta, running_mean, running_var, 0.0)


@FOLD.mistake(
    "eps_outside_root",
    "You add eps to the standard deviation; it belongs to the variance, inside the square root.",
)
def _(weight, bias, gamma, beta, running_mean, running_var, eps):
    scale = gamma / (np.sqrt(running_var) + eps)
    return scale[:, None] * weight, beta + (_or_zero(bias) - running_mean) * scale


@FOLD.mistake(
    "eps_fixed",
    "You always use 1e-5; use the argument eps, the one the network was trained with.",
)
def _(weight, bias, gamma, beta, running_mean, running_var, eps):
    return fold_linear(weight, bias, gamma, beta, running_mean, running_var, 1e-5)


@FOLD.mistake(
    "columns_scaled",
    "You scale the columns of the weight. Its shape is (out, in) and batch norm comes after it, "
    "so each row, one output, has its factor: scale[:, None] * weight.",
)
def _(weight, bias, gamma, beta, running_mean, running_var, eps):
    scale = _scale(gamma, running_var, eps)
    # Cut or repeated where the numbers of inputs and outputs differ and broadcasting would fail.
    by_column = weight * np.resize(scale, weight.shape[1])
    return by_column, beta + (_or_zero(bias) - running_mean) * scale


@FOLD.mistake(
    "bias_dropped",
    "The old bias is missing: batch norm gets W u + b, so b - running_mean is what is scaled.",
)
def _(weight, bias, gamma, beta, running_mean, running_var, eps):
    return fold_linear(weight, None, gamma, beta, running_mean, running_var, eps)


@FOLD.mistake(
    "bias_not_scaled",
    "You add the old bias as it is. It goes into batch norm with W u, so it is scaled too.",
)
def _(weight, bias, gamma, beta, running_mean, running_var, eps):
    scale = _scale(gamma, running_var, eps)
    return scale[:, None] * weight, beta + _or_zero(bias) - running_mean * scale


@FOLD.mistake(
    "mean_not_scaled",
    "You subtract the running mean as it is. It is subtracted before the division, so it is "
    "scaled as well.",
)
def _(weight, bias, gamma, beta, running_mean, running_var, eps):
    scale = _scale(gamma, running_var, eps)
    return scale[:, None] * weight, beta + _or_zero(bias) * scale - running_mean


@FOLD.mistake(
    "mean_and_bias_not_scaled",
    "You scale neither the old bias nor the running mean. Both come before the division, so the "
    "scale multiplies b - running_mean.",
)
def _(weight, bias, gamma, beta, running_mean, running_var, eps):
    scale = _scale(gamma, running_var, eps)
    return scale[:, None] * weight, beta + _or_zero(bias) - running_mean


@FOLD.mistake(
    "mean_forgotten",
    "The running mean is missing from the bias: batch norm subtracts it before it scales.",
)
def _(weight, bias, gamma, beta, running_mean, running_var, eps):
    return fold_linear(weight, bias, gamma, beta, 0.0 * running_mean, running_var, eps)


@FOLD.mistake(
    "mean_added",
    "The running mean has the wrong sign: batch norm subtracts it.",
)
def _(weight, bias, gamma, beta, running_mean, running_var, eps):
    return fold_linear(weight, bias, gamma, beta, -running_mean, running_var, eps)


@FOLD.mistake(
    "beta_forgotten",
    "beta is missing from the bias: it is added last, after the scaling.",
)
def _(weight, bias, gamma, beta, running_mean, running_var, eps):
    return fold_linear(weight, bias, gamma, 0.0 * beta, running_mean, running_var, eps)


@FOLD.mistake(
    "beta_scaled",
    "You scale beta too. It is added after the scaling, so it stands alone in the new bias.",
)
def _(weight, bias, gamma, beta, running_mean, running_var, eps):
    scale = _scale(gamma, running_var, eps)
    return scale[:, None] * weight, (beta + _or_zero(bias) - running_mean) * scale


@FOLD.mistake(
    "gamma_forgotten",
    "Your scale is 1 / sqrt(running_var + eps): gamma is missing from it.",
)
def _(weight, bias, gamma, beta, running_mean, running_var, eps):
    return fold_linear(weight, bias, np.ones_like(gamma), beta, running_mean, running_var, eps)


@FOLD.mistake(
    "divides_by_variance",
    "You divide by the running variance; divide by its square root.",
)
def _(weight, bias, gamma, beta, running_mean, running_var, eps):
    scale = gamma / (running_var + eps)
    return scale[:, None] * weight, beta + (_or_zero(bias) - running_mean) * scale


@FOLD.mistake(
    "inverse",
    "You multiply by the standard deviation; batch norm divides by it.",
)
def _(weight, bias, gamma, beta, running_mean, running_var, eps):
    scale = gamma * np.sqrt(running_var + eps)
    return scale[:, None] * weight, beta + (_or_zero(bias) - running_mean) * scale


@FOLD.mistake(
    "weight_not_scaled",
    "You leave the weight as it is. The scale multiplies W u as well, so the weight changes too.",
)
def _(weight, bias, gamma, beta, running_mean, running_var, eps):
    return weight, fold_linear(weight, bias, gamma, beta, running_mean, running_var, eps)[1]


@FOLD.mistake(
    "gamma_and_beta_swapped",
    "gamma and beta are swapped: gamma is part of the scale, beta is added.",
)
def _(weight, bias, gamma, beta, running_mean, running_var, eps):
    return fold_linear(weight, bias, beta, gamma, running_mean, running_var, eps)


@FOLD.mistake(
    "sign_turned",
    "Your sign is turned round: batch norm gets the old bias and subtracts the running mean, so "
    "b - running_mean is what is scaled.",
)
def _(weight, bias, gamma, beta, running_mean, running_var, eps):
    new_weight, _ = fold_linear(weight, None, gamma, beta, running_mean, running_var, eps)
    shift = (running_mean - _or_zero(bias)) * _scale(gamma, running_var, eps)
    return new_weight, beta + shift


@FOLD.mistake(
    "only_beta",
    "Your new bias is beta alone. The old bias and the running mean are constants too, so they "
    "belong in it, both scaled.",
)
def _(weight, bias, gamma, beta, running_mean, running_var, eps):
    return fold_linear(weight, None, gamma, beta, 0.0 * running_mean, running_var, eps)


@FOLD.mistake(
    "only_gamma_on_the_weight",
    "You multiply the weight by gamma alone. What stands before u is the whole scale, "
    "gamma / sqrt(running_var + eps).",
)
def _(weight, bias, gamma, beta, running_mean, running_var, eps):
    _, new_bias = fold_linear(weight, bias, gamma, beta, running_mean, running_var, eps)
    return gamma[:, None] * weight, new_bias


@FOLD.mistake(
    "beta_subtracted",
    "You subtract beta; batch norm adds it.",
)
def _(weight, bias, gamma, beta, running_mean, running_var, eps):
    return fold_linear(weight, bias, gamma, -beta, running_mean, running_var, eps)


@FOLD.mistake(
    "mean_times_weight",
    "You multiply the running mean by the weights, as if batch norm came before the linear layer. "
    "It comes after: the mean is subtracted from the layer's output.",
)
def _(weight, bias, gamma, beta, running_mean, running_var, eps):
    mean = running_mean * weight.sum(axis=1)
    return fold_linear(weight, bias, gamma, beta, mean, running_var, eps)


@FOLD.mistake(
    "bias_left_alone",
    "Your new bias is the old one. beta, the running mean and the scale all change it.",
)
def _(weight, bias, gamma, beta, running_mean, running_var, eps):
    new_weight, _ = fold_linear(weight, bias, gamma, beta, running_mean, running_var, eps)
    return new_weight, _or_zero(bias) + 0.0 * beta


@FOLD.mistake(
    "nothing_folded",
    "You return the layer as it came. Batch norm's scale goes into the weight, its offset into "
    "the bias.",
)
def _(weight, bias, gamma, beta, running_mean, running_var, eps):
    return weight, _or_zero(bias) + 0.0 * beta
