"""Exercise of notebook 03: the six gradients of the paper, in its order."""

import numpy as np

from bnlab.course.exercises.exercise import Exercise
from bnlab.course.lessons.nb03.batches import batches


def batchnorm_backward_staged(dy, x, gamma, beta, eps):
    """The six gradients of section 3 of the paper, from the output back to the input."""
    m = len(x)
    centred = x - x.mean(axis=0)
    inv_std = 1 / np.sqrt(x.var(axis=0) + eps)
    dx_hat = dy * gamma  # (N, C)
    dvar = -0.5 * (dx_hat * centred).sum(axis=0) * inv_std**3  # (C,)
    dmean = -dx_hat.sum(axis=0) * inv_std + dvar * -2 * centred.mean(axis=0)  # last term: 0
    dx = dx_hat * inv_std + dvar * 2 * centred / m + dmean / m  # three ways from x to y
    dgamma = (dy * centred * inv_std).sum(axis=0)
    dbeta = dy.sum(axis=0)
    return {"dx_hat": dx_hat, "dvar": dvar, "dmean": dmean,
            "dx": dx, "dgamma": dgamma, "dbeta": dbeta}  # fmt: skip


STAGED = Exercise(
    name="batchnorm_backward_staged",
    notebook="03",
    reference=batchnorm_backward_staged,
    outputs=("dx_hat", "dvar", "dmean", "dx", "dgamma", "dbeta"),
    cases=batches(),
    hints=(
        "Recompute the mean, the variance and x_hat first. Then go through lines 1 to 6 of the "
        "text in their order: each uses only what the lines before it gave.",
        "A quantity with one value per feature (gamma, beta, variance, mean) feeds all m rows, so "
        "its gradient is a sum over axis 0. Only dx_hat and dx have the shape of x.",
        "Three arrows leave x, so dx has three terms. Two of them pass through a mean over the "
        "batch, which is where 1/m comes from.",
    ),
    minutes=12,
    difficulty=2,
    returns_dict=True,
    about_precision="Subtract the mean from x before you multiply or square anything.",
)


STAGED.add_mistakes(
    ("dx_hat",),
    gamma_forgotten=(
        "Your dx_hat is dy itself. y = gamma * x_hat + beta, so on the way back to x_hat the "
        "gradient is multiplied by gamma, and everything further down depends on it.",
        {"dx_hat": "dy"},
    ),
)

STAGED.add_mistakes(
    ("dvar", "dmean", "dx", "dgamma"),
    # the statistics, from which all else follows
    eps_forgotten=(
        "You leave eps out. The forward pass divides by sqrt(var + eps), and the backward pass "
        "has to use the same number.",
        {"inv_std": "1 / np.sqrt(x.var(axis=0))"},
    ),
    eps_fixed=(
        "You always use 1e-5; use the argument eps, which other libraries set to 1e-3.",
        {"inv_std": "1 / np.sqrt(x.var(axis=0) + 1e-5)"},
    ),
    eps_outside_root=(
        "You divide by std + eps; the forward pass divides by sqrt(var + eps), with eps inside "
        "the square root.",
        {"inv_std": "1 / (x.std(axis=0) + eps)"},
    ),
    unbiased_variance=(
        "Your variance is divided by m - 1; the forward pass of Algorithm 1 divides it by m.",
        {"inv_std": "1 / np.sqrt(x.var(axis=0, ddof=1) + eps)"},
    ),
)

STAGED.add_mistakes(
    ("dx",),
    # dx alone: these come first, because a wrong dvar or dmean makes dx wrong too
    detached_mean=(
        "Your dx leaves out the way through the mean, the term dmean / m: you treat the mean as a "
        "constant, but it moves with every x.",
        {"dx": "dx_hat * inv_std + dvar * 2 * centred / m"},
    ),
    detached_variance=(
        "Your dx leaves out the way through the variance, the term with dvar: you treat the "
        "variance as a constant, but it moves with every x.",
        {"dx": "dx_hat * inv_std + dmean / m"},
    ),
    detached_statistics=(
        "Your dx has only its first term: you treat the mean and the variance as constants. Both "
        "move with every x, and both send a gradient back.",
        {"dx": "dx_hat * inv_std"},
    ),
    mean_path_not_divided=(
        "In dx, dmean is not divided by m. Each x has a share of only 1/m in the mean.",
        {"dx": "dx_hat * inv_std + dvar * 2 * centred / m + dmean"},
    ),
    variance_path_not_divided=(
        "In dx, the term with dvar is not divided by m. The variance is a mean over m squares.",
        {"dx": "dx_hat * inv_std + dvar * 2 * centred + dmean / m"},
    ),
    variance_path_without_the_two=(
        "In dx, the factor 2 is missing in the term with dvar: the derivative of (x - mean)^2 is "
        "2 * (x - mean).",
        {"dx": "dx_hat * inv_std + dvar * centred / m + dmean / m"},
    ),
    variance_path_not_centred=(
        "In dx, dvar is multiplied by 2 * x / m. The variance holds (x - mean)^2, so it is "
        "2 * (x - mean) / m.",
        {"dx": "dx_hat * inv_std + dvar * 2 * x / m + dmean / m"},
    ),
    variance_path_with_x_hat=(
        "In dx, dvar is multiplied by x_hat. The variance is computed from x - mean, before "
        "anything is divided by the standard deviation.",
        {"dx": "dx_hat * inv_std + dvar * 2 * centred * inv_std / m + dmean / m"},
    ),
    mean_path_subtracted=(
        "In dx you subtract the term with dmean. The three ways from x add up; the minus sign of "
        "this one is inside dmean already.",
        {"dx": "dx_hat * inv_std + dvar * 2 * centred / m - dmean / m"},
    ),
    variance_path_subtracted=(
        "In dx you subtract the term with dvar. The three ways from x add up; the minus sign of "
        "this one is inside dvar already.",
        {"dx": "dx_hat * inv_std - dvar * 2 * centred / m + dmean / m"},
    ),
    straight_path_not_divided=(
        "The first term of your dx is dx_hat itself. On its way from x to x_hat the value was "
        "divided by sqrt(var + eps), and so is its gradient.",
        {"dx": "dx_hat + dvar * 2 * centred / m + dmean / m"},
    ),
    neither_path_divided=(
        "In dx, neither the term with dvar nor dmean is divided by m. Each x has a share of 1/m "
        "in the variance and in the mean.",
        {"dx": "dx_hat * inv_std + dvar * 2 * centred + dmean"},
    ),
    all_paths_divided=(
        "In dx you divide all three terms by m. The first goes straight from x to its own x_hat "
        "and passes through no mean.",
        {"dx": "(dx_hat * inv_std + dvar * 2 * centred + dmean) / m"},
    ),
)

STAGED.add_mistakes(
    ("dvar",),
    dvar_sign=(
        "Your dvar has the wrong sign. A larger variance makes x_hat smaller: the derivative of "
        "(var + eps)^(-1/2) is negative.",
        {"dvar": "0.5 * (dx_hat * centred).sum(axis=0) * inv_std**3"},
    ),
    dvar_without_the_half=(
        "The factor 1/2 is missing in dvar: it is the exponent of (var + eps)^(-1/2), which comes "
        "down to the front.",
        {"dvar": "-(dx_hat * centred).sum(axis=0) * inv_std**3"},
    ),
    dvar_power=(
        "The power in dvar is wrong: differentiating (var + eps)^(-1/2) lowers the exponent by "
        "one, to -3/2.",
        {"dvar": "-0.5 * (dx_hat * centred).sum(axis=0) * inv_std"},
    ),
    dvar_with_x_hat=(
        "Your dvar is divided by one standard deviation too many: with x_hat in the sum, or with "
        "the power -2. With the power -3/2 the sum runs over dx_hat * (x - mean).",
        {"dvar": "-0.5 * (dx_hat * centred * inv_std).sum(axis=0) * inv_std**3"},
    ),
    dvar_not_centred=(
        "Your dvar sums dx_hat * x; x_hat holds x - mean, so the mean comes off first.",
        {"dvar": "-0.5 * (dx_hat * x).sum(axis=0) * inv_std**3"},
    ),
    std_for_variance=(
        "What you call dvar is the gradient with respect to the standard deviation. The exercise "
        "asks for the variance, as the paper does: one more factor 1 / (2 * std).",
        {
            "dvar": "-(dx_hat * centred).sum(axis=0) * inv_std**2",
            "dx": "dx_hat * inv_std + dvar * centred * inv_std / m + dmean / m",
        },
    ),
    dvar_averaged=(
        "Your dvar is divided by m. The one variance feeds all m rows, so their gradients are "
        "added up; 1/m belongs to the step from the variance to x, in dx.",
        {"dvar": "-0.5 * (dx_hat * centred).mean(axis=0) * inv_std**3"},
    ),
    # a stage left at zero
    dvar_zero=(
        "Your dvar is 0: that is the gradient with the batch variance taken as a constant. It "
        "sums dx_hat * (x - mean), times -1/2 (var + eps)^(-3/2).",
        {"dvar": "0 * gamma"},
    ),
)

STAGED.add_mistakes(
    ("dvar", "dmean", "dx"),
    gamma_forgotten_below=(
        "Your dvar is computed from dy. The gradients of the variance, of the mean and of x start "
        "from dx_hat, which holds gamma.",
        {
            "dvar": "-0.5 * (dy * centred).sum(axis=0) * inv_std**3",
            "dmean": "-dy.sum(axis=0) * inv_std",
            "dx": "dy * inv_std + dvar * 2 * centred / m + dmean / m",
        },
    ),
)

STAGED.add_mistakes(
    ("dmean",),
    dmean_averaged=(
        "Your dmean is divided by m. The one mean feeds all m rows, so their gradients are added "
        "up; 1/m belongs to the step from the mean to x, in dx.",
        {"dmean": "-dx_hat.mean(axis=0) * inv_std"},
    ),
    dmean_sign=(
        "Your dmean has the wrong sign: the mean is subtracted in x_hat.",
        {"dmean": "dx_hat.sum(axis=0) * inv_std"},
    ),
    dmean_second_term_not_centred=(
        "The second term of your dmean averages -2 * x. The variance holds (x - mean)^2, so it is "
        "the average of -2 * (x - mean), which is zero.",
        {"dmean": "-dx_hat.sum(axis=0) * inv_std + dvar * -2 * x.mean(axis=0)"},
    ),
    dmean_not_divided=(
        "Your dmean is only -sum(dx_hat). The mean is subtracted before the division, so the "
        "gradient is divided by sqrt(var + eps) too.",
        {"dmean": "-dx_hat.sum(axis=0)"},
    ),
    dmean_zero=(
        "Your dmean is 0. Only its second term vanishes; -sum(dx_hat) / sqrt(var + eps) stays.",
        {"dmean": "0 * gamma"},
    ),
)

STAGED.add_mistakes(
    ("dgamma",),
    dgamma_from_dx_hat=(
        "Your dgamma is gamma times too large: it sums dx_hat * x_hat. gamma multiplies x_hat "
        "directly, so it is dy that meets x_hat.",
        {"dgamma": "(dx_hat * centred * inv_std).sum(axis=0)"},
    ),
    dgamma_from_x=(
        "Your dgamma sums dy * x; what gamma multiplies in the forward pass is x_hat.",
        {"dgamma": "(dy * x).sum(axis=0)"},
    ),
    dgamma_from_the_centred_x=(
        "Your dgamma sums dy * (x - mean); what gamma multiplies is x_hat, which is also divided "
        "by sqrt(var + eps).",
        {"dgamma": "(dy * centred).sum(axis=0)"},
    ),
    parameters_swapped=(
        "Your dgamma is the sum of dy, which is dbeta: gamma is the factor of x_hat, so x_hat "
        "stands in dgamma.",
        {"dgamma": "dy.sum(axis=0)", "dbeta": "(dy * centred * inv_std).sum(axis=0)"},
    ),
    dgamma_averaged=(
        "Your dgamma is a mean over the batch. One gamma serves all m rows: sum.",
        {"dgamma": "(dy * centred * inv_std).mean(axis=0)"},
    ),
)

STAGED.add_mistakes(
    ("dgamma", "dbeta"),
    parameters_averaged=(
        "Your dgamma and dbeta are means over the batch. They are sums: one gamma and one beta "
        "serve all m rows. (If the loss is a mean, its 1/N is in dy already.)",
        {"dgamma": "(dy * centred * inv_std).mean(axis=0)", "dbeta": "dy.mean(axis=0)"},
    ),
)

STAGED.add_mistakes(
    ("dbeta",),
    dbeta_averaged=(
        "Your dbeta is a mean over the batch. One beta serves all m rows: sum.",
        {"dbeta": "dy.mean(axis=0)"},
    ),
    gamma_in_dbeta=(
        "Your dbeta sums dx_hat. beta is added after gamma has done its work: sum dy itself.",
        {"dbeta": "dx_hat.sum(axis=0)"},
    ),
)
