"""Exercise of notebook 03: the six gradients of the paper, in its order."""

import numpy as np

from bnlab.course.exercises.exercise import Exercise
from bnlab.course.lessons.nb02.ex_batchnorm_algorithm import wrong_roots
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
        "Your dx_hat is dy itself. gamma multiplies x_hat, so it multiplies dy on the way back.",
        {"dx_hat": "dy"},
    ),
    gamma_without_its_sign=(
        "In your dx_hat gamma has lost its sign. It may be negative, and then turns that of dy.",
        {"dx_hat": "dy * np.abs(gamma)"},
    ),
)

STAGED.add_mistakes(
    ("dvar", "dmean", "dx", "dgamma"),
    # the statistics, from which all else follows
    unbiased_variance=(
        "Your variance is divided by m - 1; the forward pass of Algorithm 1 divides it by m.",
        {"inv_std": "1 / np.sqrt(x.var(axis=0, ddof=1) + eps)"},
    ),
    gradient_of_the_unbiased_forward=(
        "You differentiate a forward pass with a variance over m - 1; Algorithm 1 divides by m.",
        {
            "inv_std": "1 / np.sqrt(x.var(axis=0, ddof=1) + eps)",
            "dx": "dx_hat * inv_std + dvar * 2 * centred / (m - 1) + dmean / m",
        },
    ),
    **wrong_roots(
        lambda root: {"inv_std": f"1 / ({root.replace('var', 'x.var(axis=0)')})"},
        # Left out: what the engine finds without an entry, and what is rare in a backward pass.
        but=("eps_fixed", "eps_as_floor", "eps_as_standard_deviation", "root_taken_twice"),
    ),
)

STAGED.add_mistakes(
    ("dx",),
    # dx alone: these come first, because a wrong dvar or dmean makes dx wrong too
    detached_mean=(
        "Your dx leaves out the way through the mean, dmean / m: the mean moves with every x.",
        {"dx": "dx_hat * inv_std + dvar * 2 * centred / m"},
    ),
    detached_variance=(
        "Your dx leaves out the way through the variance, with dvar: it moves with every x.",
        {"dx": "dx_hat * inv_std + dmean / m"},
    ),
    detached_statistics=(
        "Your dx has only its first term: mean and variance are no constants, they move with x.",
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
        "In dx, the term with dvar lacks a 2: (x - mean)^2 has the derivative 2 * (x - mean).",
        {"dx": "dx_hat * inv_std + dvar * centred / m + dmean / m"},
    ),
    variance_path_not_centred=(
        "In dx, dvar is multiplied by 2 * x / m; from (x - mean)^2 comes 2 * (x - mean) / m.",
        {"dx": "dx_hat * inv_std + dvar * 2 * x / m + dmean / m"},
    ),
    variance_path_with_x_hat=(
        "In dx, dvar is multiplied by x_hat; the variance is made of x - mean, not yet divided.",
        {"dx": "dx_hat * inv_std + dvar * 2 * centred * inv_std / m + dmean / m"},
    ),
    mean_path_subtracted=(
        "In dx you subtract the term with dmean. The three ways add up; the minus is dmean's own.",
        {"dx": "dx_hat * inv_std + dvar * 2 * centred / m - dmean / m"},
    ),
    variance_path_subtracted=(
        "In dx you subtract the term with dvar. The three ways add up; the minus is dvar's own.",
        {"dx": "dx_hat * inv_std - dvar * 2 * centred / m + dmean / m"},
    ),
    straight_path_not_divided=(
        "The first term of your dx is dx_hat alone: divide it by sqrt(var + eps), as x - mean was.",
        {"dx": "dx_hat + dvar * 2 * centred / m + dmean / m"},
    ),
    neither_path_divided=(
        "In dx, the terms with dvar and dmean are not divided by m: both come from means over m.",
        {"dx": "dx_hat * inv_std + dvar * 2 * centred + dmean"},
    ),
    all_paths_divided=(
        "In dx you divide all three terms by m; the first comes from no mean over the batch.",
        {"dx": "(dx_hat * inv_std + dvar * 2 * centred + dmean) / m"},
    ),
    variance_path_divided_by_m_minus_one=(
        "In dx, the term with dvar is divided by m - 1; the variance is a mean over m squares.",
        {"dx": "dx_hat * inv_std + dvar * 2 * centred / (m - 1) + dmean / m"},
    ),
    features_for_rows=(
        "In dx you divide by the number of features, x.shape[1]; m is the number of rows, len(x).",
        {"dx": "dx_hat * inv_std + (dvar * 2 * centred + dmean) / x.shape[1]"},
    ),
    no_sum_over_the_batch=(
        "In your dx each row sees only its own dx_hat (the diagonal of the Jacobian). Through the "
        "mean and the variance it sees all rows: sum over the batch.",
        {"dx": "dx_hat * inv_std * (1 - 1 / m - (centred * inv_std) ** 2 / m)"},
    ),
    dx_of_dy=(
        "Your dx is dy itself. It is a sum of three terms, one for each way from x to y.",
        {"dx": "dy"},
    ),
    dx_zero=(
        "Your dx is 0: was it ever filled? It has three terms, one for each way from x to y.",
        {"dx": "0 * dy"},
    ),
)

STAGED.add_mistakes(
    ("dvar",),
    dvar_sign=(
        "Your dvar has the wrong sign: a larger variance makes x_hat smaller.",
        {"dvar": "0.5 * (dx_hat * centred).sum(axis=0) * inv_std**3"},
    ),
    dvar_without_the_half=(
        "The factor 1/2 is missing in dvar: the exponent of (var + eps)^(-1/2) comes to the front.",
        {"dvar": "-(dx_hat * centred).sum(axis=0) * inv_std**3"},
    ),
    dvar_power=(
        "The power in dvar is wrong: the derivative of (var + eps)^(-1/2) has the power -3/2.",
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
        "Your dvar is divided by m. One variance feeds all m rows: sum; the 1/m belongs to dx.",
        {"dvar": "-0.5 * (dx_hat * centred).mean(axis=0) * inv_std**3"},
    ),
    dvar_zero=(
        "Your dvar is 0: that takes the batch variance as a constant, but it moves with every x.",
        {"dvar": "0 * gamma"},
    ),
    dvar_over_everything=(
        "In your dvar the sum runs over the whole array. Each feature has its own: sum(axis=0).",
        {"dvar": "-0.5 * (dx_hat * centred).sum() * inv_std**3"},
    ),
    dvar_of_the_unbiased_variance=(
        "Your dvar is (m - 1) / m times the paper's, whose variance is divided by m: yours is the "
        "gradient of one that is divided by m - 1.",
        {
            "dvar": "-0.5 * (dx_hat * centred).sum(axis=0) * inv_std**3 * (m - 1) / m",
            "dx": "dx_hat * inv_std + dvar * 2 * centred / (m - 1) + dmean / m",
        },
    ),
)

STAGED.add_mistakes(
    ("dvar", "dmean", "dx"),
    gamma_forgotten_below=(
        "Your dvar, dmean and dx are computed from dy: start from dx_hat, which holds gamma.",
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
        "Your dmean is divided by m. One mean feeds all m rows: sum; the 1/m belongs to dx.",
        {"dmean": "-dx_hat.mean(axis=0) * inv_std"},
    ),
    dmean_sign=(
        "Your dmean has the opposite sign: the paper's is -sum(dx_hat) / sqrt(var + eps), since "
        "the mean is subtracted. (A dx that subtracts yours is right all the same: a convention.)",
        {"dmean": "dx_hat.sum(axis=0) * inv_std"},
    ),
    dmean_second_term_not_centred=(
        "The second term of dmean averages -2 * (x - mean), which is zero; yours averages -2 * x.",
        {"dmean": "-dx_hat.sum(axis=0) * inv_std + dvar * -2 * x.mean(axis=0)"},
    ),
    dmean_not_divided=(
        "Your dmean is only -sum(dx_hat): divide it by sqrt(var + eps), as x - mean is divided.",
        {"dmean": "-dx_hat.sum(axis=0)"},
    ),
    dmean_zero=(
        "Your dmean is 0. Only its second term vanishes; -sum(dx_hat) / sqrt(var + eps) stays.",
        {"dmean": "0 * gamma"},
    ),
    dmean_over_everything=(
        "In your dmean the sum runs over the whole array. Each feature has its own: sum(axis=0).",
        {"dmean": "-dx_hat.sum() * inv_std"},
    ),
)

STAGED.add_mistakes(
    ("dgamma",),
    dgamma_from_dx_hat=(
        "Your dgamma is gamma times too large: gamma multiplies x_hat, so dy * x_hat is summed.",
        {"dgamma": "(dx_hat * centred * inv_std).sum(axis=0)"},
    ),
    dgamma_from_x=(
        "Your dgamma sums dy * x; what gamma multiplies in the forward pass is x_hat.",
        {"dgamma": "(dy * x).sum(axis=0)"},
    ),
    dgamma_from_the_centred_x=(
        "Your dgamma sums dy * (x - mean); gamma multiplies x_hat: divide by sqrt(var + eps).",
        {"dgamma": "(dy * centred).sum(axis=0)"},
    ),
    parameters_swapped=(
        "Your dgamma is the sum of dy, which is dbeta: x_hat, the factor of gamma, is missing.",
        {"dgamma": "dy.sum(axis=0)", "dbeta": "(dy * centred * inv_std).sum(axis=0)"},
    ),
    dgamma_averaged=(
        "Your dgamma is a mean over the batch. One gamma serves all m rows: sum.",
        {"dgamma": "(dy * centred * inv_std).mean(axis=0)"},
    ),
    dgamma_zero=("Your dgamma is 0; it is the sum of dy * x_hat.", {"dgamma": "0 * gamma"}),
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
    dbeta_zero=("Your dbeta is 0; it is the sum of dy.", {"dbeta": "0 * gamma"}),
)

STAGED.add_mistakes(
    ("dx_hat", "dbeta"),
    upstream_of_ones=(
        "Your dx_hat and dbeta come out as if every dy were 1: use the argument dy.",
        lambda dy, *others: batchnorm_backward_staged(np.ones_like(dy), *others),
    ),
)

VALUES_OF_ROWS = (
    "A shape (N,), one value for each row, does not fit here: each feature has its own. Sums and "
    "means run over the batch, axis=0."
)

STAGED.add_slips(
    statistics_of_rows=(VALUES_OF_ROWS, {"centred": "x - x.mean(axis=1)"}),
    sums_over_rows=(VALUES_OF_ROWS, {"dmean": "-dx_hat.sum(axis=1) * inv_std"}),
)
