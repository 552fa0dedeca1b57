"""More mistakes in the closed form: brackets, signs, axes, and one parameter alone."""

import numpy as np

from bnlab.course.lessons.nb03.ex_closed_form import CLOSED_FORM, batchnorm_backward


def _scaled(dy, cache, bracket):
    """The right dgamma and dbeta, and the bracket with its factor."""
    _, dgamma, dbeta = batchnorm_backward(dy, cache)
    return cache.gamma * cache.inv_std * bracket, dgamma, dbeta


def _terms(dy, cache):
    """The two terms that the closed form subtracts from dy."""
    return dy.mean(axis=0), cache.x_hat * (dy * cache.x_hat).mean(axis=0)


# the bracket


@CLOSED_FORM.mistake(
    "means_over_everything",
    "Your means run over the whole array and are single numbers. Each feature has its own: they "
    "need axis=0.",
)
def _(dy, cache):
    return _scaled(dy, cache, dy - dy.mean() - cache.x_hat * (dy * cache.x_hat).mean())


@CLOSED_FORM.mistake(
    "first_mean_over_everything",
    "Your first mean, that of dy, is a single number for the whole array; it needs axis=0.",
)
def _(dy, cache):
    return _scaled(dy, cache, dy - dy.mean() - _terms(dy, cache)[1])


@CLOSED_FORM.mistake(
    "first_term_added",
    "You add the mean of dy in dx; it is subtracted, as the mean of x is in the forward pass.",
)
def _(dy, cache):
    mean, along = _terms(dy, cache)
    return _scaled(dy, cache, dy + mean - along)


@CLOSED_FORM.mistake(
    "both_terms_added",
    "You add both means in dx; both are subtracted: the batch mean and the batch variance take "
    "something away from dy.",
)
def _(dy, cache):
    return _scaled(dy, cache, dy + sum(_terms(dy, cache)))


@CLOSED_FORM.mistake(
    "sum_in_the_first_term",
    "In the first term you have dbeta, a sum; the closed form has the mean of dy, dbeta / m.",
)
def _(dy, cache):
    return _scaled(dy, cache, dy - dy.sum(axis=0) - _terms(dy, cache)[1])


@CLOSED_FORM.mistake(
    "last_term_without_x_hat",
    "Your last term is mean(dy * x_hat) alone. It is multiplied by x_hat, row by row.",
)
def _(dy, cache):
    return _scaled(dy, cache, dy - dy.mean(axis=0) - (dy * cache.x_hat).mean(axis=0))


@CLOSED_FORM.mistake(
    "last_term_with_dy",
    "Your last term is dy * mean(dy * x_hat). What is taken away is a multiple of x_hat.",
)
def _(dy, cache):
    return _scaled(dy, cache, dy - dy.mean(axis=0) - dy * (dy * cache.x_hat).mean(axis=0))


@CLOSED_FORM.mistake(
    "m_times_too_large",
    "Your dx is m times too large: with m * dy - dbeta - x_hat * dgamma the whole is divided by m.",
)
def _(dy, cache):
    return _scaled(dy, cache, len(dy) * (dy - sum(_terms(dy, cache))))


@CLOSED_FORM.mistake(
    "divided_by_m_again",
    "Your dx is m times too small: the two means hold their 1/m already, and dy has none.",
)
def _(dy, cache):
    return _scaled(dy, cache, (dy - sum(_terms(dy, cache))) / len(dy))


# the factor in front of it


@CLOSED_FORM.mistake(
    "factor_on_dy_alone",
    "gamma * inv_std multiplies only dy in your dx. It stands in front of the whole bracket: put "
    "the three terms in parentheses.",
)
def _(dy, cache):
    dx, dgamma, dbeta = _scaled(dy, cache, dy)
    return dx - sum(_terms(dy, cache)), dgamma, dbeta


@CLOSED_FORM.mistake(
    "factor_forgotten",
    "Your dx is the bracket alone; the factor gamma / sqrt(var + eps) in front of it is missing.",
)
def _(dy, cache):
    _, dgamma, dbeta = batchnorm_backward(dy, cache)
    return dy - sum(_terms(dy, cache)), dgamma, dbeta


@CLOSED_FORM.mistake(
    "eps_forgotten_in_the_factor",
    "The factor of your dx is gamma / sqrt(var), without eps. x_hat was made with sqrt(var + eps): "
    "use cache.inv_std.",
)
def _(dy, cache):
    factor = 1 / np.sqrt(cache.var) / cache.inv_std
    return _scaled(dy, cache, factor * (dy - sum(_terms(dy, cache))))


@CLOSED_FORM.mistake(
    "eps_outside_root",
    "The factor of your dx is gamma / (std + eps); eps belongs to the variance, inside the root. "
    "cache.inv_std has it right.",
)
def _(dy, cache):
    factor = 1 / (np.sqrt(cache.var) + cache.eps) / cache.inv_std
    return _scaled(dy, cache, factor * (dy - sum(_terms(dy, cache))))


# one parameter alone


@CLOSED_FORM.mistake(
    "dgamma_averaged", "Your dgamma is a mean over the batch. One gamma serves all m rows: sum."
)
def _(dy, cache):
    dx, dgamma, dbeta = batchnorm_backward(dy, cache)
    return dx, dgamma / len(dy), dbeta


@CLOSED_FORM.mistake(
    "dbeta_averaged", "Your dbeta is a mean over the batch. One beta serves all m rows: sum."
)
def _(dy, cache):
    dx, dgamma, dbeta = batchnorm_backward(dy, cache)
    return dx, dgamma, dbeta / len(dy)


@CLOSED_FORM.mistake(
    "dgamma_from_the_centred_x",
    "Your dgamma sums dy * (x - mean); what gamma multiplies is x_hat, which is also divided by "
    "sqrt(var + eps).",
)
def _(dy, cache):
    dx, dgamma, dbeta = batchnorm_backward(dy, cache)
    return dx, dgamma / cache.inv_std, dbeta


@CLOSED_FORM.mistake(
    "gamma_in_dbeta",
    "Your dbeta holds a factor gamma. beta is added after gamma has done its work: sum dy alone.",
)
def _(dy, cache):
    dx, dgamma, dbeta = batchnorm_backward(dy, cache)
    return dx, dgamma, cache.gamma * dbeta
