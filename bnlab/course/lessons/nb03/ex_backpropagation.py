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


def with_changed(dy, x, gamma, eps, **wrong):
    """The six gradients with some of them wrong, and dx computed from the wrong ones."""
    stages = batchnorm_backward_staged(dy, x, gamma, 0.0, eps) | wrong
    if "dx" not in wrong:
        centred, inv_std = pieces(x, eps)
        from_var = stages["dvar"] * 2 * centred / len(x)
        stages["dx"] = stages["dx_hat"] * inv_std + from_var + stages["dmean"] / len(x)
    return stages


def pieces(x, eps):
    """The centred x and 1 / sqrt(var + eps)."""
    return x - x.mean(axis=0), 1 / np.sqrt(x.var(axis=0) + eps)


# dx_hat and the statistics, from which all else follows


@STAGED.mistake(
    "gamma_forgotten",
    "Your dx_hat is dy itself. y = gamma * x_hat + beta, so on the way back to x_hat the gradient "
    "is multiplied by gamma, and everything further down depends on it.",
)
def _(dy, x, gamma, beta, eps):
    return batchnorm_backward_staged(dy, x, np.ones_like(gamma), beta, eps)


@STAGED.mistake(
    "eps_forgotten",
    "You leave eps out. The forward pass divides by sqrt(var + eps), and the backward pass has to "
    "use the same number.",
)
def _(dy, x, gamma, beta, eps):
    return batchnorm_backward_staged(dy, x, gamma, beta, 0.0)


@STAGED.mistake(
    "eps_fixed",
    "You always use 1e-5; use the argument eps, which other libraries set to 1e-3.",
)
def _(dy, x, gamma, beta, eps):
    return batchnorm_backward_staged(dy, x, gamma, beta, 1e-5)


@STAGED.mistake(
    "eps_outside_root",
    "You divide by std + eps; the forward pass divides by sqrt(var + eps), with eps inside the "
    "square root.",
)
def _(dy, x, gamma, beta, eps):
    moved = (x.std(axis=0) + eps) ** 2 - x.var(axis=0)  # sqrt(var + moved) = std + eps
    return batchnorm_backward_staged(dy, x, gamma, beta, moved)


@STAGED.mistake(
    "unbiased_variance",
    "Your variance is divided by m - 1; the forward pass of Algorithm 1 divides it by m.",
)
def _(dy, x, gamma, beta, eps):
    moved = eps + x.var(axis=0, ddof=1) - x.var(axis=0)
    return batchnorm_backward_staged(dy, x, gamma, beta, moved)


# dx alone: these come first, because a wrong dvar or dmean makes dx wrong too


@STAGED.mistake(
    "detached_mean",
    "Your dx leaves out the way through the mean, the term dmean / m: you treat the mean as a "
    "constant, but it moves with every x.",
)
def _(dy, x, gamma, beta, eps):
    right = right_stages(dy, x, gamma, eps)
    return with_changed(dy, x, gamma, eps, dx=right["dx"] - right["dmean"] / len(x))


@STAGED.mistake(
    "detached_variance",
    "Your dx leaves out the way through the variance, the term with dvar: you treat the variance "
    "as a constant, but it moves with every x.",
)
def _(dy, x, gamma, beta, eps):
    return with_changed(dy, x, gamma, eps, dx=_dx(dy, x, gamma, eps, 0.0))


@STAGED.mistake(
    "detached_statistics",
    "Your dx has only its first term: you treat the mean and the variance as constants. Both move "
    "with every x, and both send a gradient back.",
)
def _(dy, x, gamma, beta, eps):
    _, inv_std = pieces(x, eps)
    return with_changed(dy, x, gamma, eps, dx=dy * gamma * inv_std)


@STAGED.mistake(
    "mean_path_not_divided",
    "In dx, dmean is not divided by m. Each x has a share of only 1/m in the mean.",
)
def _(dy, x, gamma, beta, eps):
    right = right_stages(dy, x, gamma, eps)
    return with_changed(dy, x, gamma, eps, dx=right["dx"] + right["dmean"] * (1 - 1 / len(x)))


@STAGED.mistake(
    "variance_path_not_divided",
    "In dx, the term with dvar is not divided by m. The variance is a mean over m squares.",
)
def _(dy, x, gamma, beta, eps):
    centred, _ = pieces(x, eps)
    return with_changed(dy, x, gamma, eps, dx=_dx(dy, x, gamma, eps, 2 * centred))


@STAGED.mistake(
    "variance_path_without_the_two",
    "In dx, the factor 2 is missing in the term with dvar: the derivative of (x - mean)^2 is "
    "2 * (x - mean).",
)
def _(dy, x, gamma, beta, eps):
    centred, _ = pieces(x, eps)
    return with_changed(dy, x, gamma, eps, dx=_dx(dy, x, gamma, eps, centred / len(x)))


@STAGED.mistake(
    "variance_path_not_centred",
    "In dx, dvar is multiplied by 2 * x / m. The variance holds (x - mean)^2, so it is "
    "2 * (x - mean) / m.",
)
def _(dy, x, gamma, beta, eps):
    return with_changed(dy, x, gamma, eps, dx=_dx(dy, x, gamma, eps, 2 * x / len(x)))


@STAGED.mistake(
    "variance_path_with_x_hat",
    "In dx, dvar is multiplied by x_hat. The variance is computed from x - mean, before anything "
    "is divided by the standard deviation.",
)
def _(dy, x, gamma, beta, eps):
    centred, inv_std = pieces(x, eps)
    return with_changed(
        dy, x, gamma, eps, dx=_dx(dy, x, gamma, eps, 2 * centred * inv_std / len(x))
    )


@STAGED.mistake(
    "mean_path_subtracted",
    "In dx you subtract the term with dmean. The three ways from x add up; the minus sign of this "
    "one is inside dmean already.",
)
def _(dy, x, gamma, beta, eps):
    right = right_stages(dy, x, gamma, eps)
    return with_changed(dy, x, gamma, eps, dx=right["dx"] - 2 * right["dmean"] / len(x))


@STAGED.mistake(
    "variance_path_subtracted",
    "In dx you subtract the term with dvar. The three ways from x add up; the minus sign of this "
    "one is inside dvar already.",
)
def _(dy, x, gamma, beta, eps):
    centred, _ = pieces(x, eps)
    return with_changed(dy, x, gamma, eps, dx=_dx(dy, x, gamma, eps, -2 * centred / len(x)))


@STAGED.mistake(
    "straight_path_not_divided",
    "The first term of your dx is dx_hat itself. On its way from x to x_hat the value was divided "
    "by sqrt(var + eps), and so is its gradient.",
)
def _(dy, x, gamma, beta, eps):
    right, (_, inv_std) = right_stages(dy, x, gamma, eps), pieces(x, eps)
    return with_changed(dy, x, gamma, eps, dx=right["dx"] + right["dx_hat"] * (1 - inv_std))


@STAGED.mistake(
    "neither_path_divided",
    "In dx, neither the term with dvar nor dmean is divided by m. Each x has a share of 1/m in the "
    "variance and in the mean.",
)
def _(dy, x, gamma, beta, eps):
    right, (centred, _) = right_stages(dy, x, gamma, eps), pieces(x, eps)
    dx = _dx(dy, x, gamma, eps, 2 * centred) + right["dmean"] * (1 - 1 / len(x))
    return with_changed(dy, x, gamma, eps, dx=dx)


@STAGED.mistake(
    "all_paths_divided",
    "In dx you divide all three terms by m. The first goes straight from x to its own x_hat and "
    "passes through no mean.",
)
def _(dy, x, gamma, beta, eps):
    right, (centred, _) = right_stages(dy, x, gamma, eps), pieces(x, eps)
    dx = (_dx(dy, x, gamma, eps, 2 * centred) + right["dmean"] * (1 - 1 / len(x))) / len(x)
    return with_changed(dy, x, gamma, eps, dx=dx)


def right_stages(dy, x, gamma, eps):
    """The six gradients as they should be; beta takes no part in them."""
    return batchnorm_backward_staged(dy, x, gamma, 0.0, eps)


def _dx(dy, x, gamma, eps, dvar_dx):
    """The last line, with another derivative of the variance with respect to x."""
    right = right_stages(dy, x, gamma, eps)
    _, inv_std = pieces(x, eps)
    return right["dx_hat"] * inv_std + right["dvar"] * dvar_dx + right["dmean"] / len(x)
