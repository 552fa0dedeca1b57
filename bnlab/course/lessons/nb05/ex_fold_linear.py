"""Exercise of notebook 05: fold batch norm into the linear layer before it."""

import numpy as np

from bnlab.course.exercises.exercise import Case, Exercise
from bnlab.course.lessons.nb02.ex_batchnorm_algorithm import wrong_roots
from bnlab.course.lessons.nb05.ex_inference import signed_gamma, small_variances, trained


def fold_linear(weight, bias, gamma, beta, running_mean, running_var, eps):
    """Weight and bias of one linear layer that does the work of linear and batch norm."""
    bias = 0.0 if bias is None else bias
    scale = gamma / np.sqrt(running_var + eps)  # (out,)
    new_weight = scale[:, None] * weight  # (out, in): one factor for each row
    new_bias = beta + (bias - running_mean) * scale
    return new_weight, new_bias


def unfolded(draw_norm, *inputs, bias=True):
    """Make a draw of a layer, whose weight has the shape (out, *inputs), and its batch norm."""

    def draw(rng):
        norm = draw_norm(rng)
        out = len(norm[0])
        return rng.normal(size=(out, *inputs)), rng.normal(size=out) if bias else None, *norm

    return draw


FOLD = Exercise(
    name="fold_linear",
    notebook="05",
    reference=fold_linear,
    outputs=("weight", "bias"),
    cases=(
        Case("as many inputs as outputs", unfolded(trained(4), 4)),
        Case("more inputs than outputs", unfolded(trained(3), 6), seed=1),
        Case("one output, and another eps", unfolded(trained(1, eps=1e-3), 5), seed=2),
        Case("a layer without a bias (bias is None)", unfolded(trained(5), 3, bias=False), seed=3),
        Case("a negative gamma and a gamma of zero", unfolded(signed_gamma, 2), seed=4),
        Case("running variances near eps and far below it", unfolded(small_variances, 4), seed=5),
        Case("a large eps", unfolded(trained(2, eps=0.5), 3), seed=6),
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


FOLD.add_mistakes(
    ("weight", "bias"),
    eps_forgotten=(
        "You leave eps out. It is part of the factor, and for a feature with a small running "
        "variance it decides: the scale is gamma / sqrt(running_var + eps).",
        {"scale": "gamma / np.sqrt(running_var)"},
    ),
)
FOLD.add_mistakes(
    ("weight",),
    columns_scaled=(
        "You scale the columns of the weight. Its shape is (out, in) and batch norm comes after "
        "it, so each row, one output, has its factor: scale[:, None] * weight.",
        # resize: cut or repeated where the sizes differ and broadcasting would fail
        {"new_weight": "np.resize(scale, weight.shape[1]) * weight"},
    ),
    weight_not_scaled=(
        "You leave the weight as it is. The scale multiplies W u as well, so the weight changes "
        "too.",
        {"new_weight": "weight"},
    ),
    only_gamma_on_the_weight=(
        "You multiply the weight by gamma alone. What stands before u is the whole scale, gamma / "
        "sqrt(running_var + eps).",
        {"new_weight": "gamma[:, None] * weight"},
    ),
)
FOLD.add_mistakes(
    ("bias",),
    bias_dropped=(
        "The old bias is missing: batch norm gets W u + b, so b - running_mean is what is scaled.",
        {"new_bias": "beta - running_mean * scale"},
    ),
    bias_not_scaled=(
        "You add the old bias as it is. It goes into batch norm with W u, so it is scaled too.",
        {"new_bias": "beta + bias - running_mean * scale"},
    ),
    mean_times_weight=(
        "You multiply the running mean by the weights, as if batch norm came before the linear "
        "layer. It comes after: the mean is subtracted from the layer's output.",
        {"new_bias": "beta + (bias - running_mean * weight.sum(axis=1)) * scale"},
    ),
)


NONE = "A layer without a bias has None there: let it count as 0 before you compute with it."


def add_mistakes_of_any_fold(fold):
    """Register what is the same mistake whatever layer batch norm is folded into."""
    fold.add_mistakes(
        ("weight", "bias"),
        gamma_forgotten=(
            "Your scale is 1 / sqrt(running_var + eps): gamma is missing from it.",
            {"scale": "1 / np.sqrt(running_var + eps)"},
        ),
        inverse=(
            "You multiply by the standard deviation; batch norm divides by it.",
            {"scale": "gamma * np.sqrt(running_var + eps)"},
        ),
        gamma_and_beta_swapped=(
            "gamma and beta are swapped: gamma is part of the scale, beta is added.",
            {
                "scale": "beta / np.sqrt(running_var + eps)",
                "new_bias": "gamma + (bias - running_mean) * scale",
            },
        ),
    )
    fold.add_mistakes(
        ("bias",),
        mean_not_scaled=(
            "You subtract the running mean as it is. It is subtracted before the division, so it "
            "is scaled as well.",
            {"new_bias": "beta + bias * scale - running_mean"},
        ),
        mean_and_bias_not_scaled=(
            "You scale neither the old bias nor the running mean. Both come before the division, "
            "so the scale multiplies b - running_mean.",
            {"new_bias": "beta + bias - running_mean"},
        ),
        mean_forgotten=(
            "The running mean is missing from the bias: batch norm subtracts it before it scales.",
            {"new_bias": "beta + bias * scale"},
        ),
        mean_added=(
            "The running mean has the wrong sign: batch norm subtracts it.",
            {"new_bias": "beta + (bias + running_mean) * scale"},
        ),
        beta_forgotten=(
            "beta is missing from the bias: it is added last, after the scaling.",
            {"new_bias": "(bias - running_mean) * scale"},
        ),
        beta_scaled=(
            "You scale beta too. It is added after the scaling, so it stands alone in the new "
            "bias.",
            {"new_bias": "(beta + bias - running_mean) * scale"},
        ),
        sign_turned=(
            "Your sign is turned round: batch norm gets the old bias and subtracts the running "
            "mean, so b - running_mean is what is scaled.",
            {"new_bias": "beta + (running_mean - bias) * scale"},
        ),
        only_beta=(
            "Your new bias is beta alone. The old bias and the running mean are constants too, so "
            "they belong in it, both scaled.",
            {"new_bias": "beta"},
        ),
        beta_subtracted=(
            "You subtract beta; batch norm adds it.",
            {"new_bias": "(bias - running_mean) * scale - beta"},
        ),
        bias_left_alone=(
            "Your new bias is the old one. beta, the running mean and the scale all change it.",
            {"new_bias": "bias + 0 * beta"},  # zeros of its shape if the bias was None
        ),
    )
    fold.add_mistakes(
        ("weight", "bias"),
        nothing_folded=(
            "You return the layer as it came. Batch norm's scale goes into the weight, its offset "
            "into the bias.",
            {"return": "weight, bias + 0 * beta"},
        ),
        doubles_eps=(
            "You add eps twice to the variance; add it once.",
            {"scale": "gamma / np.sqrt(running_var + 2 * eps)"},
        ),
        gamma_without_its_sign=(
            "Your scale has lost the sign of gamma, which may be negative.",
            {"scale": "np.abs(gamma) / np.sqrt(running_var + eps)"},
        ),
        gamma_twice=(
            "gamma is in your scale twice; once is enough.",
            {"scale": "gamma**2 / np.sqrt(running_var + eps)"},
        ),
        one_scale_for_all=(
            "You take the mean of the scales for every output; each output has its own.",
            {"scale": "(gamma / np.sqrt(running_var + eps)).mean() + 0 * gamma"},
        ),
        **wrong_roots(
            lambda root: {"scale": f"gamma / ({root.replace('var', 'running_var')})"},
            but=("eps_forgotten", "divides_eps_by_m"),
        ),
    )
    fold.add_slips(
        none_not_expected=(NONE, {"bias": "bias"}),
        none_times_scale=(NONE, {"bias": "bias", "new_bias": "beta + bias * scale"}),
    )
    fold.add_mistakes(
        ("bias",),
        bias_subtracted=(
            "The old bias has the wrong sign: batch norm gets it with a plus.",
            {"new_bias": "beta - (bias + running_mean) * scale"},
        ),
    )


add_mistakes_of_any_fold(FOLD)
FOLD.add_slips(
    columns_scaled=(
        "An array of shape (out,), such as the scale, meets the last axis of the weight, its "
        "columns. Each row is one output: scale[:, None] * weight.",
        {"new_weight": "weight * scale"},
    ),
)
