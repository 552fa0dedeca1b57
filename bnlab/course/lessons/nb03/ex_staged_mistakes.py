"""More mistakes in `batchnorm_backward_staged`: dvar, dmean, dgamma and dbeta."""

import numpy as np

from bnlab.course.lessons.nb03.ex_backpropagation import STAGED, pieces, right_stages, with_changed

# dvar


@STAGED.mistake(
    "dvar_sign",
    "Your dvar has the wrong sign. A larger variance makes x_hat smaller: the derivative of "
    "(var + eps)^(-1/2) is negative.",
)
def _(dy, x, gamma, beta, eps):
    return with_changed(dy, x, gamma, eps, dvar=-right_stages(dy, x, gamma, eps)["dvar"])


@STAGED.mistake(
    "dvar_without_the_half",
    "The factor 1/2 is missing in dvar: it is the exponent of (var + eps)^(-1/2), which comes "
    "down to the front.",
)
def _(dy, x, gamma, beta, eps):
    return with_changed(dy, x, gamma, eps, dvar=2 * right_stages(dy, x, gamma, eps)["dvar"])


@STAGED.mistake(
    "dvar_power",
    "The power in dvar is wrong: differentiating (var + eps)^(-1/2) lowers the exponent by one, "
    "to -3/2.",
)
def _(dy, x, gamma, beta, eps):
    dvar = right_stages(dy, x, gamma, eps)["dvar"]
    return with_changed(dy, x, gamma, eps, dvar=dvar * (x.var(axis=0) + eps))


@STAGED.mistake(
    "dvar_with_x_hat",
    "Your dvar is divided by one standard deviation too many: with x_hat in the sum, or with the "
    "power -2. With the power -3/2 the sum runs over dx_hat * (x - mean).",
)
def _(dy, x, gamma, beta, eps):
    _, inv_std = pieces(x, eps)
    return with_changed(dy, x, gamma, eps, dvar=right_stages(dy, x, gamma, eps)["dvar"] * inv_std)


@STAGED.mistake(
    "dvar_not_centred",
    "Your dvar sums dx_hat * x; x_hat holds x - mean, so the mean comes off first.",
)
def _(dy, x, gamma, beta, eps):
    _, inv_std = pieces(x, eps)
    return with_changed(dy, x, gamma, eps, dvar=-0.5 * (dy * gamma * x).sum(axis=0) * inv_std**3)


@STAGED.mistake(
    "std_for_variance",
    "What you call dvar is the gradient with respect to the standard deviation. The exercise asks "
    "for the variance, as the paper does: one more factor 1 / (2 * std).",
)
def _(dy, x, gamma, beta, eps):
    right = right_stages(dy, x, gamma, eps)
    _, inv_std = pieces(x, eps)
    return with_changed(dy, x, gamma, eps, dvar=right["dvar"] * 2 / inv_std, dx=right["dx"])


@STAGED.mistake(
    "dvar_averaged",
    "Your dvar is divided by m. The one variance feeds all m rows, so their gradients are added "
    "up; 1/m belongs to the step from the variance to x, in dx.",
)
def _(dy, x, gamma, beta, eps):
    dvar = right_stages(dy, x, gamma, eps)["dvar"]
    return with_changed(dy, x, gamma, eps, dvar=dvar / len(x))


@STAGED.mistake(
    "gamma_forgotten_below",
    "Your dvar is computed from dy. The gradients of the variance, of the mean and of x start from "
    "dx_hat, which holds gamma.",
)
def _(dy, x, gamma, beta, eps):
    without = right_stages(dy, x, np.ones_like(gamma), eps)
    return without | {"dx_hat": dy * gamma}


# dmean


@STAGED.mistake(
    "dmean_averaged",
    "Your dmean is divided by m. The one mean feeds all m rows, so their gradients are added up; "
    "1/m belongs to the step from the mean to x, in dx.",
)
def _(dy, x, gamma, beta, eps):
    return with_changed(dy, x, gamma, eps, dmean=right_stages(dy, x, gamma, eps)["dmean"] / len(x))


@STAGED.mistake(
    "dmean_sign",
    "Your dmean has the wrong sign: the mean is subtracted in x_hat.",
)
def _(dy, x, gamma, beta, eps):
    return with_changed(dy, x, gamma, eps, dmean=-right_stages(dy, x, gamma, eps)["dmean"])


@STAGED.mistake(
    "dmean_second_term_not_centred",
    "The second term of your dmean averages -2 * x. The variance holds (x - mean)^2, so it is the "
    "average of -2 * (x - mean), which is zero.",
)
def _(dy, x, gamma, beta, eps):
    right = right_stages(dy, x, gamma, eps)
    dmean = right["dmean"] - 2 * right["dvar"] * x.mean(axis=0)
    return with_changed(dy, x, gamma, eps, dmean=dmean)


@STAGED.mistake(
    "dmean_not_divided",
    "Your dmean is only -sum(dx_hat). The mean is subtracted before the division, so the gradient "
    "is divided by sqrt(var + eps) too.",
)
def _(dy, x, gamma, beta, eps):
    return with_changed(dy, x, gamma, eps, dmean=-(dy * gamma).sum(axis=0))


# dgamma and dbeta


@STAGED.mistake(
    "dgamma_from_dx_hat",
    "Your dgamma is gamma times too large: it sums dx_hat * x_hat. gamma multiplies x_hat "
    "directly, so it is dy that meets x_hat.",
)
def _(dy, x, gamma, beta, eps):
    return with_changed(dy, x, gamma, eps, dgamma=gamma * right_stages(dy, x, gamma, eps)["dgamma"])


@STAGED.mistake(
    "dgamma_from_x",
    "Your dgamma sums dy * x; what gamma multiplies in the forward pass is x_hat.",
)
def _(dy, x, gamma, beta, eps):
    return with_changed(dy, x, gamma, eps, dgamma=(dy * x).sum(axis=0))


@STAGED.mistake(
    "dgamma_from_the_centred_x",
    "Your dgamma sums dy * (x - mean); what gamma multiplies is x_hat, which is also divided by "
    "sqrt(var + eps).",
)
def _(dy, x, gamma, beta, eps):
    return with_changed(dy, x, gamma, eps, dgamma=(dy * (x - x.mean(axis=0))).sum(axis=0))


@STAGED.mistake(
    "parameters_averaged",
    "Your dgamma and dbeta are means over the batch. They are sums: one gamma and one beta serve "
    "all m rows. (If the loss is a mean, its 1/N is in dy already.)",
)
def _(dy, x, gamma, beta, eps):
    right, m = right_stages(dy, x, gamma, eps), len(x)
    return with_changed(dy, x, gamma, eps, dgamma=right["dgamma"] / m, dbeta=right["dbeta"] / m)


@STAGED.mistake(
    "parameters_swapped",
    "Your dgamma is the sum of dy, which is dbeta: gamma is the factor of x_hat, so x_hat stands "
    "in dgamma.",
)
def _(dy, x, gamma, beta, eps):
    right = right_stages(dy, x, gamma, eps)
    return with_changed(dy, x, gamma, eps, dgamma=right["dbeta"], dbeta=right["dgamma"])


@STAGED.mistake(
    "dgamma_averaged", "Your dgamma is a mean over the batch. One gamma serves all m rows: sum."
)
def _(dy, x, gamma, beta, eps):
    dgamma = right_stages(dy, x, gamma, eps)["dgamma"]
    return with_changed(dy, x, gamma, eps, dgamma=dgamma / len(x))


@STAGED.mistake(
    "dbeta_averaged", "Your dbeta is a mean over the batch. One beta serves all m rows: sum."
)
def _(dy, x, gamma, beta, eps):
    return with_changed(dy, x, gamma, eps, dbeta=dy.mean(axis=0))


@STAGED.mistake(
    "gamma_in_dbeta",
    "Your dbeta sums dx_hat. beta is added after gamma has done its work: sum dy itself.",
)
def _(dy, x, gamma, beta, eps):
    return with_changed(dy, x, gamma, eps, dbeta=(dy * gamma).sum(axis=0))


# a stage left at zero


@STAGED.mistake(
    "dvar_zero",
    "Your dvar is 0: that is the gradient with the batch variance taken as a constant. It sums "
    "dx_hat * (x - mean), times -1/2 (var + eps)^(-3/2).",
)
def _(dy, x, gamma, beta, eps):
    return with_changed(dy, x, gamma, eps, dvar=0.0 * gamma)


@STAGED.mistake(
    "dmean_zero",
    "Your dmean is 0. Only its second term vanishes; -sum(dx_hat) / sqrt(var + eps) stays.",
)
def _(dy, x, gamma, beta, eps):
    return with_changed(dy, x, gamma, eps, dmean=0.0 * gamma)
