"""Exercise of notebook 03: the backward pass in one line."""

import numpy as np

from bnlab.batchnorm import batchnorm_forward
from bnlab.course.exercises.exercise import Exercise
from bnlab.course.lessons.nb03.batches import batches


def batchnorm_backward(dy, cache):
    """Closed form: dy less its mean and its part along x_hat, times gamma / sqrt(var + eps)."""
    m = len(dy)
    dgamma = (dy * cache.x_hat).sum(axis=0)  # (C,)
    dbeta = dy.sum(axis=0)  # (C,)
    dx = cache.gamma * cache.inv_std * (dy - dbeta / m - cache.x_hat * dgamma / m)
    return dx, dgamma, dbeta


def _upstream_and_cache(dy, x, gamma, beta, eps):
    return dy, batchnorm_forward(x, gamma, beta, eps)[1]


CLOSED_FORM = Exercise(
    name="batchnorm_backward",
    notebook="03",
    reference=batchnorm_backward,
    outputs=("dx", "dgamma", "dbeta"),
    cases=batches(_upstream_and_cache),
    hints=(
        "Compute dgamma and dbeta first: the two means in the closed form are these two, "
        "divided by m.",
        "cache.x_hat has the shape of dy; cache.gamma and cache.inv_std have one value per "
        "feature, and inv_std is 1 / sqrt(var + eps), so it multiplies.",
        "Inside the bracket of the closed form stand three terms of shape (N, C): dy, a mean of "
        "dy over axis 0, and x_hat times a mean of dy * x_hat over axis 0.",
    ),
    minutes=10,
    difficulty=2,
)


def _from_bracket(dy, cache, bracket):
    """What is right outside the bracket of the closed form."""
    dx = cache.gamma * cache.inv_std * bracket
    return dx, (dy * cache.x_hat).sum(axis=0), dy.sum(axis=0)


@CLOSED_FORM.mistake(
    "detached_mean",
    "Your dx does not subtract the mean of dy: that is the gradient with the batch mean taken as "
    "a constant.",
)
def _(dy, cache):
    return _from_bracket(dy, cache, dy - cache.x_hat * (dy * cache.x_hat).mean(axis=0))


@CLOSED_FORM.mistake(
    "detached_variance",
    "Your dx lacks the term x_hat * mean(dy * x_hat), or has a zero there: that is the gradient "
    "with the batch variance taken as a constant. (mean(dy) * mean(x_hat) is 0.)",
)
def _(dy, cache):
    return _from_bracket(dy, cache, dy - dy.mean(axis=0))


@CLOSED_FORM.mistake(
    "detached_statistics",
    "Your dx is only gamma / sqrt(var + eps) * dy: the mean and the variance are taken as "
    "constants. Both move with every x.",
)
def _(dy, cache):
    return _from_bracket(dy, cache, dy)


@CLOSED_FORM.mistake(
    "sums_for_means",
    "In dx you subtract the sums dbeta and dgamma themselves; the closed form has means, so "
    "divide both by m.",
)
def _(dy, cache):
    _, dgamma, dbeta = batchnorm_backward(dy, cache)
    return _from_bracket(dy, cache, dy - dbeta - cache.x_hat * dgamma)


@CLOSED_FORM.mistake(
    "sum_in_the_last_term",
    "In the last term of dx you have dgamma, a sum; the closed form has the mean of dy * x_hat, "
    "which is dgamma / m.",
)
def _(dy, cache):
    _, dgamma, dbeta = batchnorm_backward(dy, cache)
    return _from_bracket(dy, cache, dy - dbeta / len(dy) - cache.x_hat * dgamma)


@CLOSED_FORM.mistake(
    "m_is_the_whole_array",
    "You take dy.size for m. m is the number of values in one feature, here the number of rows.",
)
def _(dy, cache):
    _, dgamma, dbeta = batchnorm_backward(dy, cache)
    return _from_bracket(dy, cache, dy - dbeta / dy.size - cache.x_hat * dgamma / dy.size)


@CLOSED_FORM.mistake(
    "m_minus_one",
    "You divide by m - 1. Both means of the closed form are divided by m, because the mean and "
    "the biased variance of the forward pass are.",
)
def _(dy, cache):
    _, dgamma, dbeta = batchnorm_backward(dy, cache)
    return _from_bracket(dy, cache, dy - (dbeta + cache.x_hat * dgamma) / (len(dy) - 1))


@CLOSED_FORM.mistake(
    "means_over_features",
    "Your means run over the features of one row (axis=1); they run over the batch (axis=0).",
)
def _(dy, cache):
    along = (dy * cache.x_hat).mean(axis=1, keepdims=True)
    return _from_bracket(dy, cache, dy - dy.mean(axis=1, keepdims=True) - cache.x_hat * along)


@CLOSED_FORM.mistake(
    "last_term_added",
    "You add the last term of dx; it is subtracted: the part of dy along x_hat is taken away.",
)
def _(dy, cache):
    along = cache.x_hat * (dy * cache.x_hat).mean(axis=0)
    return _from_bracket(dy, cache, dy - dy.mean(axis=0) + along)


@CLOSED_FORM.mistake(
    "product_of_means",
    "Your last term is x_hat * mean(dy). It takes the mean of the product dy * x_hat.",
)
def _(dy, cache):
    return _from_bracket(dy, cache, dy - dy.mean(axis=0) - cache.x_hat * dy.mean(axis=0))


@CLOSED_FORM.mistake(
    "x_centred_for_x_hat",
    "You use x - mean where x_hat belongs: divide it by sqrt(var + eps), or take cache.x_hat.",
)
def _(dy, cache):
    x_hat, dbeta = cache.x_centred, dy.sum(axis=0)
    bracket = dy - dy.mean(axis=0) - x_hat * (dy * x_hat).mean(axis=0)
    return cache.gamma * cache.inv_std * bracket, (dy * x_hat).sum(axis=0), dbeta


@CLOSED_FORM.mistake(
    "gamma_forgotten",
    "gamma is missing in dx: y = gamma * x_hat + beta, so every gradient that passes to x_hat is "
    "multiplied by it.",
)
def _(dy, cache):
    _, dgamma, dbeta = batchnorm_backward(dy, cache)
    return cache.inv_std * _bracket(dy, cache.x_hat), dgamma, dbeta


@CLOSED_FORM.mistake(
    "inv_std_forgotten",
    "The division by sqrt(var + eps) is missing in dx: multiply by cache.inv_std.",
)
def _(dy, cache):
    return _from_bracket(dy, cache, _bracket(dy, cache.x_hat) / cache.inv_std)


@CLOSED_FORM.mistake(
    "divides_by_inv_std",
    "You divide by inv_std, which is 1 / sqrt(var + eps) already: multiply by it.",
)
def _(dy, cache):
    return _from_bracket(dy, cache, _bracket(dy, cache.x_hat) / cache.inv_std**2)


@CLOSED_FORM.mistake(
    "divides_by_variance",
    "You divide by var + eps; the closed form divides by its square root.",
)
def _(dy, cache):
    return _from_bracket(dy, cache, _bracket(dy, cache.x_hat) * cache.inv_std)


@CLOSED_FORM.mistake(
    "eps_forgotten",
    "You divide by sqrt(var) and leave eps out; the forward pass used sqrt(var + eps), which is "
    "1 / cache.inv_std.",
)
def _(dy, cache):
    x_hat = cache.x_centred / np.sqrt(cache.var)
    dx = cache.gamma / np.sqrt(cache.var) * _bracket(dy, x_hat)
    return dx, (dy * x_hat).sum(axis=0), dy.sum(axis=0)


@CLOSED_FORM.mistake(
    "gamma_in_dgamma",
    "Your dgamma holds a factor gamma: it is the sum of dy * x_hat, with dy and not with "
    "gamma * dy.",
)
def _(dy, cache):
    dx, dgamma, dbeta = batchnorm_backward(dy, cache)
    return dx, cache.gamma * dgamma, dbeta


@CLOSED_FORM.mistake(
    "parameters_averaged",
    "Your dgamma and dbeta are means over the batch. They are sums: one gamma and one beta serve "
    "all m rows. (If the loss is a mean, its 1/N is in dy already.)",
)
def _(dy, cache):
    dx, dgamma, dbeta = batchnorm_backward(dy, cache)
    return dx, dgamma / len(dy), dbeta / len(dy)


@CLOSED_FORM.mistake(
    "parameters_swapped",
    "Your dgamma is the sum of dy, which is dbeta. dgamma is the one with x_hat: the order is dx, "
    "dgamma, dbeta.",
)
def _(dy, cache):
    dx, dgamma, dbeta = batchnorm_backward(dy, cache)
    return dx, dbeta, dgamma


def _bracket(dy, x_hat):
    return dy - dy.mean(axis=0) - x_hat * (dy * x_hat).mean(axis=0)
