"""More mistakes in `batchnorm_forward`: half of the last line, roots, signs, and other spreads."""

import numpy as np

from bnlab.course.lessons.nb02.ex_batchnorm_algorithm import FORWARD, batchnorm_forward


@FORWARD.misconception(
    "beta_forgotten",
    "You scale by gamma but do not shift: add beta, y = gamma * x_hat + beta.",
)
def _(x, gamma, beta, eps):
    return batchnorm_forward(x, gamma, 0.0, eps)


@FORWARD.misconception(
    "gamma_forgotten",
    "You shift by beta but do not scale: multiply x_hat by gamma, y = gamma * x_hat + beta.",
)
def _(x, gamma, beta, eps):
    return batchnorm_forward(x, 1.0, beta, eps)


@FORWARD.misconception(
    "divides_by_gamma",
    "You divide x_hat by gamma; gamma multiplies it, and it may be 0.",
)
def _(x, gamma, beta, eps):
    return batchnorm_forward(x, 1 / gamma, beta, eps)


@FORWARD.misconception(
    "multiplied_by_std",
    "You multiply by the standard deviation; to bring it to 1, divide by it.",
)
def _(x, gamma, beta, eps):
    return gamma * (x - x.mean(axis=0)) * np.sqrt(x.var(axis=0) + eps) + beta


@FORWARD.misconception(
    "root_taken_twice",
    "You take the root of the standard deviation, which is a root already. Inside the square root "
    "stands the variance.",
)
def _(x, gamma, beta, eps):
    return gamma * (x - x.mean(axis=0)) / np.sqrt(x.std(axis=0) + eps) + beta


@FORWARD.misconception(
    "eps_as_floor",
    "You take eps where it is larger than the variance. Algorithm 1 adds it to every variance.",
)
def _(x, gamma, beta, eps):
    return gamma * (x - x.mean(axis=0)) / np.sqrt(np.maximum(x.var(axis=0), eps)) + beta


@FORWARD.misconception(
    "eps_as_standard_deviation",
    "You add sqrt(eps) to the standard deviation. sqrt(a) + sqrt(b) is not sqrt(a + b): add eps "
    "to the variance, then take one root.",
)
def _(x, gamma, beta, eps):
    return gamma * (x - x.mean(axis=0)) / (x.std(axis=0) + np.sqrt(eps)) + beta


@FORWARD.misconception(
    "mirrored",
    "Your x_hat has the wrong sign, or is subtracted: it is x minus the mean, and gamma * x_hat "
    "is added to beta.",
)
def _(x, gamma, beta, eps):
    return batchnorm_forward(x, -gamma, beta, eps)


@FORWARD.misconception(
    "sum_for_mean",
    "You subtract the sum of each feature; the mean is the sum divided by m.",
)
def _(x, gamma, beta, eps):
    return gamma * (x - x.sum(axis=0)) / np.sqrt(x.var(axis=0) + eps) + beta


@FORWARD.misconception(
    "mean_distance",
    "You divide by the mean distance from the mean. The variance is the mean of the *squared* "
    "distances, and its root is the standard deviation.",
)
def _(x, gamma, beta, eps):
    centred = x - x.mean(axis=0)
    return gamma * centred / (np.abs(centred).mean(axis=0) + eps) + beta
