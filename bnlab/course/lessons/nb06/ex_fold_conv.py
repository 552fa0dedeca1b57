"""Exercise of notebook 06: fold batch norm into the convolution before it."""

import numpy as np

from bnlab.course.exercises.exercise import Case, Exercise
from bnlab.course.lessons.nb05.ex_fold_linear import add_mistakes_of_any_fold, unfolded
from bnlab.course.lessons.nb05.ex_inference import signed_gamma, small_variances, trained


def fold_conv(weight, bias, gamma, beta, running_mean, running_var, eps):
    """Weight and bias of one convolution that does the work of convolution and batch norm."""
    bias = 0.0 if bias is None else bias
    scale = gamma / np.sqrt(running_var + eps)  # (out,)
    new_weight = scale[:, None, None, None] * weight  # (out, in, kh, kw)
    new_bias = beta + (bias - running_mean) * scale
    return new_weight, new_bias


FOLD = Exercise(
    name="fold_conv",
    notebook="06",
    reference=fold_conv,
    outputs=("weight", "bias"),
    cases=(
        Case("3 x 3 kernels, more outputs than inputs", unfolded(trained(4), 2, 3, 3)),
        Case("all four axes of the same size", unfolded(trained(3), 3, 3, 3), seed=1),
        Case("1 x 1 kernels, and another eps", unfolded(trained(2, eps=1e-3), 5, 1, 1), seed=2),
        Case("without a bias (bias is None)", unfolded(trained(5), 1, 2, 3, bias=False), seed=3),
        Case("a negative gamma and a gamma of zero", unfolded(signed_gamma, 2, 3, 1), seed=4),
        Case(
            "running variances near eps and far below it",
            unfolded(small_variances, 4, 2, 2),
            seed=5,
        ),
        Case("a large eps", unfolded(trained(2, eps=0.5), 3, 1, 4), seed=6),
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
)


FOLD.add_mistakes(
    ("weight", "bias"),
    eps_forgotten=(
        "You leave eps out. It is part of the factor, and for a channel with a small running "
        "variance it decides: the scale is gamma / sqrt(running_var + eps).",
        {"scale": "gamma / np.sqrt(running_var)"},
    ),
)
FOLD.add_mistakes(
    ("weight",),
    # resize: cut or repeated where the sizes differ and broadcasting would fail
    input_channels_scaled=(
        "You scale the input channels. The weight is (out, in, kh, kw) and batch norm comes after "
        "it, so each output channel, axis 0, has its factor.",
        {"new_weight": "np.resize(scale, weight.shape[1])[:, None, None] * weight"},
    ),
    kernel_columns_scaled=(
        "scale * weight broadcasts the scale against the last axis, the columns of the kernel. It "
        "belongs to the output channels, axis 0: give it the shape (out, 1, 1, 1).",
        {"new_weight": "np.resize(scale, weight.shape[3]) * weight"},
    ),
    kernel_rows_scaled=(
        "scale[:, None] broadcasts against the rows of the kernel. The output channels are axis "
        "0, so the scale needs the shape (out, 1, 1, 1).",
        {"new_weight": "np.resize(scale, weight.shape[2])[:, None] * weight"},
    ),
    weight_not_scaled=(
        "You leave the weight as it is. The scale multiplies what the convolution computes, so "
        "the weight changes too.",
        {"new_weight": "weight"},
    ),
    only_gamma_on_the_weight=(
        "You multiply the weight by gamma alone. The factor of the convolution is the whole "
        "scale, gamma / sqrt(running_var + eps).",
        {"new_weight": "gamma[:, None, None, None] * weight"},
    ),
)
FOLD.add_mistakes(
    ("bias",),
    mean_times_kernel=(
        "You multiply the running mean by the sum of the kernel, as if batch norm came before the "
        "convolution. It comes after: the mean is subtracted from the convolution's output.",
        {"new_bias": "beta + (bias - running_mean * weight.sum(axis=(1, 2, 3))) * scale"},
    ),
    bias_dropped=(
        "The old bias is missing: batch norm gets the convolution plus b, so b - running_mean is "
        "what is scaled.",
        {"new_bias": "beta - running_mean * scale"},
    ),
    bias_not_scaled=(
        "You add the old bias as it is. It goes into batch norm with the convolution, so it is "
        "scaled too.",
        {"new_bias": "beta + bias - running_mean * scale"},
    ),
)
add_mistakes_of_any_fold(FOLD)
FOLD.add_slips(
    **{
        f"scale_meets_the_{axis}": (
            f"An array of shape {shape}, such as scale{index}, meets the {axis} of the kernels. "
            "The output channels are axis 0: scale[:, None, None, None] * weight.",
            {"new_weight": f"scale{index} * weight"},
        )
        for axis, shape, index in (
            ("columns", "(out,)", ""),
            ("rows", "(out, 1)", "[:, None]"),
            ("inputs", "(out, 1, 1)", "[:, None, None]"),
        )
    }
)
