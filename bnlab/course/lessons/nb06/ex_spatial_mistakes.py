"""More mistakes in `spatial_batchnorm_forward`: other axes, other reshapes, gamma and beta."""

import numpy as np

from bnlab.course.lessons.nb06.ex_spatial_batchnorm import SPATIAL

_AXES = (0, 2, 3)


def _x_hat(x, eps, axes=_AXES):
    return (x - x.mean(axis=axes, keepdims=True)) / np.sqrt(x.var(axis=axes, keepdims=True) + eps)


def _per_channel(*vectors):
    return [v[:, None, None] for v in vectors]


@SPATIAL.mistake(
    "statistics_per_column",
    "Your statistics run over the images and the rows (axes 0 and 2): each column of the image "
    "has its own. A channel has one mean for all its pixels, axes 0, 2 and 3.",
)
def _(x, gamma, beta, eps):
    gamma, beta = _per_channel(gamma, beta)
    return gamma * _x_hat(x, eps, (0, 2)) + beta


@SPATIAL.mistake(
    "statistics_per_row",
    "Your statistics run over the images and the columns (axes 0 and 3): each row of the image "
    "has its own. A channel has one mean for all its pixels, axes 0, 2 and 3.",
)
def _(x, gamma, beta, eps):
    gamma, beta = _per_channel(gamma, beta)
    return gamma * _x_hat(x, eps, (0, 3)) + beta


@SPATIAL.mistake(
    "statistics_across_images_and_channels",
    "Your statistics run over axes 0 and 1: all channels share them, and each pixel has its own. "
    "It is the other way round: axes 0, 2 and 3, all but the channels.",
)
def _(x, gamma, beta, eps):
    gamma, beta = _per_channel(gamma, beta)
    return gamma * _x_hat(x, eps, (0, 1)) + beta


@SPATIAL.mistake(
    "reshaped_to_channel_rows",
    "x.reshape(C, -1) does not bring a channel into each row: it cuts the memory, where the images "
    "come one after the other, into C pieces. Move axis 1 to the front first: x.swapaxes(0, 1).",
)
def _(x, gamma, beta, eps):
    rows = x.reshape(x.shape[1], -1)
    return (gamma[:, None] * _x_hat(rows, eps, 1) + beta[:, None]).reshape(x.shape)


@SPATIAL.mistake(
    "rows_and_columns_swapped",
    "On the way in you transpose to (N, W, H, C), on the way back you assume (N, H, W, C): the "
    "values are right and stand in the wrong places. transpose(0, 2, 3, 1) keeps H before W.",
)
def _(x, gamma, beta, eps):
    n, c, h, w = x.shape
    columns = x.transpose(0, 3, 2, 1).reshape(-1, c)
    y = gamma * _x_hat(columns, eps, 0) + beta
    return y.reshape(n, h, w, c).transpose(0, 3, 1, 2)


@SPATIAL.mistake(
    "mean_of_squares",
    "Your variance is the mean of x squared: the mean has to be subtracted before squaring.",
)
def _(x, gamma, beta, eps):
    gamma, beta = _per_channel(gamma, beta)
    square = (x**2).mean(axis=_AXES, keepdims=True)
    return gamma * (x - x.mean(axis=_AXES, keepdims=True)) / np.sqrt(square + eps) + beta


@SPATIAL.mistake(
    "not_scaled",
    "You subtract the mean but never divide by the standard deviation.",
)
def _(x, gamma, beta, eps):
    gamma, beta = _per_channel(gamma, beta)
    return gamma * (x - x.mean(axis=_AXES, keepdims=True)) + beta


@SPATIAL.mistake(
    "no_normalization",
    "You scale and shift x itself: first normalize it, x_hat = (x - mean) / sqrt(var + eps).",
)
def _(x, gamma, beta, eps):
    gamma, beta = _per_channel(gamma, beta)
    return gamma * x + beta


@SPATIAL.mistake("no_shift", "beta is missing: y = gamma * x_hat + beta, per channel.")
def _(x, gamma, beta, eps):
    return gamma[:, None, None] * _x_hat(x, eps)


@SPATIAL.mistake("no_scale", "gamma is missing: y = gamma * x_hat + beta, per channel.")
def _(x, gamma, beta, eps):
    return _x_hat(x, eps) + beta[:, None, None]


@SPATIAL.mistake("subtracts_beta", "You subtract beta; the algorithm adds it.")
def _(x, gamma, beta, eps):
    gamma, beta = _per_channel(gamma, beta)
    return gamma * _x_hat(x, eps) - beta


@SPATIAL.mistake(
    "beta_inside_gamma",
    "You multiply beta by gamma as well; scale first, then shift: y = gamma * x_hat + beta.",
)
def _(x, gamma, beta, eps):
    gamma, beta = _per_channel(gamma, beta)
    return gamma * (_x_hat(x, eps) + beta)
