"""Exercise of notebook 06: fold batch norm into the convolution before it."""

import numpy as np

from bnlab.course.exercises.exercise import Case, Exercise
from bnlab.course.lessons.nb05.ex_inference import signed_gamma, small_variances, trained


def fold_conv(weight, bias, gamma, beta, running_mean, running_var, eps):
    """Weight and bias of one convolution that does the work of convolution and batch norm."""
    bias = 0.0 if bias is None else bias
    scale = gamma / np.sqrt(running_var + eps)  # (out,)
    new_weight = scale[:, None, None, None] * weight  # (out, in, kh, kw)
    new_bias = beta + (bias - running_mean) * scale
    return new_weight, new_bias


def _conv(n_in, kernel, draw_layer, bias=True):
    """Make a draw of (weight, bias, gamma, beta, running_mean, running_var, eps)."""

    def draw(rng):
        layer = draw_layer(rng)
        out = len(layer[0])
        weight = rng.normal(size=(out, n_in, *kernel))
        return weight, rng.normal(size=out) if bias else None, *layer

    return draw


FOLD = Exercise(
    name="fold_conv",
    notebook="06",
    reference=fold_conv,
    outputs=("weight", "bias"),
    cases=(
        Case("3 x 3 kernels, more outputs than inputs", _conv(2, (3, 3), trained(4))),
        Case("all four axes of the same size", _conv(3, (3, 3), trained(3)), seed=1),
        Case("1 x 1 kernels, and another eps", _conv(5, (1, 1), trained(2, eps=1e-3)), seed=2),
        Case("without a bias (bias is None)", _conv(1, (2, 3), trained(5), bias=False), seed=3),
        Case("a negative gamma and a gamma of zero", _conv(2, (3, 1), signed_gamma), seed=4),
        Case("running variances near eps and far below it",
             _conv(4, (2, 2), small_variances), seed=5),
        Case("a large eps", _conv(3, (1, 4), trained(2, eps=0.5)), seed=6),
    ),
    hints=(
        "An output pixel is a sum of weight * input over in, kh and kw, plus b: for one output "
        "channel o the rest is as in the linear layer of notebook 05.",
        "Call gamma / sqrt(running_var + eps) the scale: one number for each output channel. "
        "Which axis of the weight, (out, in, kh, kw), are the output channels?",
        "scale of shape (out,) would broadcast against kw; three times None behind it makes it "
        "(out, 1, 1, 1). In the bias, beta stands alone; b and the running mean are scaled.",
    ),
    minutes=6,
    difficulty=2,
)  # fmt: skip


def _scale(gamma, running_var, eps):
    return gamma / np.sqrt(running_var + eps)


def _or_zero(bias):
    return 0.0 if bias is None else bias


@FOLD.mistake(
    "eps_forgotten",
    "You leave eps out. It is part of the factor, and for a channel with a small running variance "
    "it decides: the scale is gamma / sqrt(running_var + eps).",
)
def _(weight, bias, gamma, beta, running_mean, running_var, eps):
    return fold_conv(weight, bias, gamma, beta, running_mean, running_var, 0.0)


@FOLD.mistake(
    "eps_outside_root",
    "You add eps to the standard deviation; it belongs to the variance, inside the square root.",
)
def _(weight, bias, gamma, beta, running_mean, running_var, eps):
    scale = gamma / (np.sqrt(running_var) + eps)
    return scale[:, None, None, None] * weight, beta + (_or_zero(bias) - running_mean) * scale


@FOLD.mistake(
    "eps_fixed",
    "You always use 1e-5; use the argument eps, the one the network was trained with.",
)
def _(weight, bias, gamma, beta, running_mean, running_var, eps):
    return fold_conv(weight, bias, gamma, beta, running_mean, running_var, 1e-5)


@FOLD.mistake(
    "input_channels_scaled",
    "You scale the input channels. The weight is (out, in, kh, kw) and batch norm comes after it, "
    "so each output channel, axis 0, has its factor.",
)
def _(weight, bias, gamma, beta, running_mean, running_var, eps):
    _, new_bias = fold_conv(weight, bias, gamma, beta, running_mean, running_var, eps)
    # Cut or repeated where the sizes differ and broadcasting would fail.
    scale = np.resize(_scale(gamma, running_var, eps), weight.shape[1])
    return weight * scale[:, None, None], new_bias


@FOLD.mistake(
    "kernel_columns_scaled",
    "scale * weight broadcasts the scale against the last axis, the columns of the kernel. It "
    "belongs to the output channels, axis 0: give it the shape (out, 1, 1, 1).",
)
def _(weight, bias, gamma, beta, running_mean, running_var, eps):
    _, new_bias = fold_conv(weight, bias, gamma, beta, running_mean, running_var, eps)
    return weight * np.resize(_scale(gamma, running_var, eps), weight.shape[3]), new_bias


@FOLD.mistake(
    "kernel_rows_scaled",
    "scale[:, None] broadcasts against the rows of the kernel. The output channels are axis 0, so "
    "the scale needs the shape (out, 1, 1, 1).",
)
def _(weight, bias, gamma, beta, running_mean, running_var, eps):
    _, new_bias = fold_conv(weight, bias, gamma, beta, running_mean, running_var, eps)
    return weight * np.resize(_scale(gamma, running_var, eps), weight.shape[2])[:, None], new_bias


@FOLD.mistake(
    "mean_times_kernel",
    "You multiply the running mean by the sum of the kernel, as if batch norm came before the "
    "convolution. It comes after: the mean is subtracted from the convolution's output.",
)
def _(weight, bias, gamma, beta, running_mean, running_var, eps):
    scale = _scale(gamma, running_var, eps)
    mean = running_mean * weight.sum(axis=(1, 2, 3))
    return scale[:, None, None, None] * weight, beta + (_or_zero(bias) - mean) * scale


@FOLD.mistake(
    "bias_dropped",
    "The old bias is missing: batch norm gets the convolution plus b, so b - running_mean is what "
    "is scaled.",
)
def _(weight, bias, gamma, beta, running_mean, running_var, eps):
    return fold_conv(weight, None, gamma, beta, running_mean, running_var, eps)


@FOLD.mistake(
    "bias_not_scaled",
    "You add the old bias as it is. It goes into batch norm with the convolution, so it is scaled "
    "too.",
)
def _(weight, bias, gamma, beta, running_mean, running_var, eps):
    scale = _scale(gamma, running_var, eps)
    new_bias = beta + _or_zero(bias) - running_mean * scale
    return scale[:, None, None, None] * weight, new_bias


@FOLD.mistake(
    "mean_not_scaled",
    "You subtract the running mean as it is. It is subtracted before the division, so it is "
    "scaled as well.",
)
def _(weight, bias, gamma, beta, running_mean, running_var, eps):
    scale = _scale(gamma, running_var, eps)
    return scale[:, None, None, None] * weight, beta + _or_zero(bias) * scale - running_mean


@FOLD.mistake(
    "mean_and_bias_not_scaled",
    "You scale neither the old bias nor the running mean. Both come before the division, so the "
    "scale multiplies b - running_mean.",
)
def _(weight, bias, gamma, beta, running_mean, running_var, eps):
    scale = _scale(gamma, running_var, eps)
    return scale[:, None, None, None] * weight, beta + _or_zero(bias) - running_mean


@FOLD.mistake(
    "mean_forgotten",
    "The running mean is missing from the bias: batch norm subtracts it before it scales.",
)
def _(weight, bias, gamma, beta, running_mean, running_var, eps):
    return fold_conv(weight, bias, gamma, beta, 0.0 * running_mean, running_var, eps)


@FOLD.mistake(
    "mean_added",
    "The running mean has the wrong sign: batch norm subtracts it.",
)
def _(weight, bias, gamma, beta, running_mean, running_var, eps):
    return fold_conv(weight, bias, gamma, beta, -running_mean, running_var, eps)


@FOLD.mistake(
    "beta_forgotten",
    "beta is missing from the bias: it is added last, after the scaling.",
)
def _(weight, bias, gamma, beta, running_mean, running_var, eps):
    return fold_conv(weight, bias, gamma, 0.0 * beta, running_mean, running_var, eps)


@FOLD.mistake(
    "beta_scaled",
    "You scale beta too. It is added after the scaling, so it stands alone in the new bias.",
)
def _(weight, bias, gamma, beta, running_mean, running_var, eps):
    scale = _scale(gamma, running_var, eps)
    new_bias = (beta + _or_zero(bias) - running_mean) * scale
    return scale[:, None, None, None] * weight, new_bias


@FOLD.mistake(
    "gamma_forgotten",
    "Your scale is 1 / sqrt(running_var + eps): gamma is missing from it.",
)
def _(weight, bias, gamma, beta, running_mean, running_var, eps):
    return fold_conv(weight, bias, np.ones_like(gamma), beta, running_mean, running_var, eps)


@FOLD.mistake(
    "divides_by_variance",
    "You divide by the running variance; divide by its square root.",
)
def _(weight, bias, gamma, beta, running_mean, running_var, eps):
    scale = gamma / (running_var + eps)
    return scale[:, None, None, None] * weight, beta + (_or_zero(bias) - running_mean) * scale


@FOLD.mistake(
    "weight_not_scaled",
    "You leave the weight as it is. The scale multiplies what the convolution computes, so the "
    "weight changes too.",
)
def _(weight, bias, gamma, beta, running_mean, running_var, eps):
    return weight, fold_conv(weight, bias, gamma, beta, running_mean, running_var, eps)[1]


@FOLD.mistake(
    "gamma_and_beta_swapped",
    "gamma and beta are swapped: gamma is part of the scale, beta is added.",
)
def _(weight, bias, gamma, beta, running_mean, running_var, eps):
    return fold_conv(weight, bias, beta, gamma, running_mean, running_var, eps)


@FOLD.mistake(
    "sign_turned",
    "Your sign is turned round: batch norm gets the old bias and subtracts the running mean, so "
    "b - running_mean is what is scaled.",
)
def _(weight, bias, gamma, beta, running_mean, running_var, eps):
    new_weight, _ = fold_conv(weight, None, gamma, beta, running_mean, running_var, eps)
    shift = (running_mean - _or_zero(bias)) * _scale(gamma, running_var, eps)
    return new_weight, beta + shift


@FOLD.mistake(
    "only_beta",
    "Your new bias is beta alone. The old bias and the running mean are constants too, so they "
    "belong in it, both scaled.",
)
def _(weight, bias, gamma, beta, running_mean, running_var, eps):
    return fold_conv(weight, None, gamma, beta, 0.0 * running_mean, running_var, eps)


@FOLD.mistake(
    "only_gamma_on_the_weight",
    "You multiply the weight by gamma alone. The factor of the convolution is the whole scale, "
    "gamma / sqrt(running_var + eps).",
)
def _(weight, bias, gamma, beta, running_mean, running_var, eps):
    _, new_bias = fold_conv(weight, bias, gamma, beta, running_mean, running_var, eps)
    return gamma[:, None, None, None] * weight, new_bias


@FOLD.mistake(
    "inverse",
    "You multiply by the standard deviation; batch norm divides by it.",
)
def _(weight, bias, gamma, beta, running_mean, running_var, eps):
    scale = gamma * np.sqrt(running_var + eps)
    return scale[:, None, None, None] * weight, beta + (_or_zero(bias) - running_mean) * scale


@FOLD.mistake(
    "bias_left_alone",
    "Your new bias is the old one. beta, the running mean and the scale all change it.",
)
def _(weight, bias, gamma, beta, running_mean, running_var, eps):
    new_weight, _ = fold_conv(weight, bias, gamma, beta, running_mean, running_var, eps)
    return new_weight, _or_zero(bias) + 0.0 * beta


@FOLD.mistake(
    "nothing_folded",
    "You return the layer as it came. Batch norm's scale goes into the weight, its offset into "
    "the bias.",
)
def _(weight, bias, gamma, beta, running_mean, running_var, eps):
    return weight, _or_zero(bias) + 0.0 * beta


@FOLD.mistake(
    "beta_subtracted",
    "You subtract beta; batch norm adds it.",
)
def _(weight, bias, gamma, beta, running_mean, running_var, eps):
    return fold_conv(weight, bias, gamma, -beta, running_mean, running_var, eps)
