"""Exercise of notebook 06: batch norm of images, one mean and one variance per channel."""

import numpy as np

from bnlab.course.exercises.exercise import Case, Exercise
from bnlab.course.lessons.nb02.ex_batchnorm_algorithm import ONE_PASS, batchnorm_forward
from bnlab.course.lessons.nb04.ex_redundant_bias import (
    LAST_LINES,
    NO_EPS_BUT_AT_ZERO,
    mistakes_of_algorithm_1,
)


def spatial_batchnorm_forward(x, gamma, beta, eps):
    """Batch norm for images x of shape (N, C, H, W), per channel."""
    axes = (0, 2, 3)  # all but the channels
    mean = x.mean(axis=axes, keepdims=True)  # (1, C, 1, 1)
    var = ((x - mean) ** 2).mean(axis=axes, keepdims=True)
    x_hat = (x - mean) / np.sqrt(var + eps)
    return gamma[:, None, None] * x_hat + beta[:, None, None]


def images(*shape, eps=1e-5, mean=0.0):
    """Make a draw of (x, gamma, beta, eps) with x of this shape, (N, C, H, W).

    Each channel, each image and each pixel has a level of its own, so that statistics over the
    wrong axes differ from the right ones.
    """

    def draw(rng):
        n, c, h, w = shape
        levels = rng.normal(size=(n, c, 1, 1)) + rng.normal(size=(1, c, h, w))
        x = mean + rng.normal(0, 2, (c, 1, 1)) + levels + rng.normal(size=shape)
        return x * rng.uniform(0.5, 2, (c, 1, 1)), rng.uniform(0.5, 2, c), rng.normal(size=c), eps

    return draw


def _signed_gamma(rng):
    x, _, beta, eps = images(3, 4, 3, 5)(rng)
    return x, np.array([-1.5, 0.0, 2.0, -0.3]), beta, eps


def _small_variance(rng):
    x, gamma, beta, eps = images(5, 3, 4, 2)(rng)
    x[:, 1] = 0.7 + 3e-3 * rng.normal(size=(5, 4, 2))  # variance about 1e-5
    return x, gamma, beta, eps


def _constant_channel(rng):
    x, gamma, beta, eps = images(3, 3, 2, 4)(rng)
    x[:, 0] = 0.25
    return x, gamma, beta, eps


SPATIAL = Exercise(
    name="spatial_batchnorm_forward",
    notebook="06",
    reference=spatial_batchnorm_forward,
    outputs=("y",),
    cases=(
        Case("a batch of small images", images(4, 3, 5, 6)),
        Case("as many channels as rows and columns", images(3, 4, 4, 4), seed=1),
        Case("a single image, and another eps", images(1, 3, 6, 5, eps=1e-3), seed=2),
        Case("images of a single pixel", images(7, 4, 1, 1), seed=3),
        Case("two values for each channel", images(1, 3, 2, 1), seed=4),
        Case("a negative gamma and a gamma of zero", _signed_gamma, seed=5),
        Case("a channel whose variance is near eps", _small_variance, seed=6),
        Case("a constant channel", _constant_channel, seed=7),
        Case("a large eps", images(2, 2, 3, 3, eps=0.5), seed=8),
        Case("a large mean", images(4, 3, 5, 5, mean=1e4), seed=9),
    ),
    hints=(
        "How many means are there for x of shape (N, C, H, W)? Which axes have to disappear?",
        "axis= takes a tuple of axes, and keepdims=True leaves a 1 where an axis was, so that the "
        "mean, (1, C, 1, 1), broadcasts against x.",
        "gamma has shape (C,) and would broadcast against the last axis, W. gamma[:, None, None] "
        "has shape (C, 1, 1) and meets the channels.",
    ),
    minutes=8,
    difficulty=2,
    about_precision=ONE_PASS,
)


SPATIAL.add_mistakes(
    # the axes
    statistics_per_pixel=(
        "Your statistics run over the batch only (axis=0): one mean for each pixel of each "
        "channel. A channel has one mean for all its pixels, so they run over axes 0, 2 and 3.",
        {"axes": "0"},
    ),
    statistics_per_image=(
        "Your statistics run over height and width only: one mean for each image and channel. "
        "That is instance norm; batch norm averages over the images too, axes 0, 2 and 3.",
        {"axes": "(2, 3)"},
    ),
    statistics_over_channels_too=(
        "You take one mean and one variance over the whole array. Each channel has its own: leave "
        "axis 1 out.",
        {"axes": "None"},
    ),
    statistics_per_example=(
        "Your statistics run over channels and pixels of one image (axes 1, 2, 3), which is layer "
        "norm. Batch norm runs over axes 0, 2 and 3: all images, one channel.",
        {"axes": "(1, 2, 3)"},
    ),
    statistics_across_channels=(
        "Your statistics run over the channels (axis=1) at each pixel. It is the other way round: "
        "axis 1 is the only one that stays.",
        {"axes": "1"},
    ),
    # the layout
    reshape_without_transpose=(
        "x.reshape(-1, C) does not bring the channels into the columns: it cuts the memory into "
        "rows of C neighbouring pixels. Transpose to (N, H, W, C) first.",
        lambda x, *rest: batchnorm_forward(x.reshape(-1, x.shape[1]), *rest).reshape(x.shape),
    ),
    reshaped_back_without_transpose=(
        "On the way in you transpose, on the way back you only reshape: the values are right and "
        "stand in the wrong places. Reshape to (N, H, W, C), then transpose(0, 3, 1, 2).",
        lambda x, *rest: spatial_batchnorm_forward(x, *rest).transpose(0, 2, 3, 1).reshape(x.shape),
    ),
    # resize: cut or repeated where the sizes differ and broadcasting would fail
    channels_last=(
        "You treat the last axis as the channels, as in Keras (N, H, W, C). Here, as in torch, x "
        "is (N, C, H, W): the channels are axis 1.",
        {
            "axes": "(0, 1, 2)",
            "return": "np.resize(gamma, x.shape[3]) * x_hat + np.resize(beta, x.shape[3])",
        },
    ),
    gamma_on_the_columns=(
        "The statistics are right, but gamma and beta of shape (C,) broadcast against the last "
        "axis, the width. gamma[:, None, None] meets the channels.",
        {"return": "np.resize(gamma, x.shape[3]) * x_hat + np.resize(beta, x.shape[3])"},
    ),
    gamma_on_the_rows=(
        "The statistics are right, but gamma and beta meet the rows of the image: gamma[:, None] "
        "has one None too few. gamma[:, None, None] meets the channels.",
        {
            "return": "np.resize(gamma, x.shape[2])[:, None] * x_hat"
            " + np.resize(beta, x.shape[2])[:, None]"
        },
    ),
    # the variance
    mean_of_pixel_variances=(
        "You average the variances of the single pixels. That leaves out how much the means of "
        "the pixels differ: take the variance over axes 0, 2 and 3 at once.",
        {"var": "x.var(axis=0, keepdims=True).mean(axis=(2, 3), keepdims=True)"},
    ),
    mean_of_image_variances=(
        "You average the variances of the single images. That leaves out how much the means of "
        "the images differ: take the variance over axes 0, 2 and 3 at once.",
        {"var": "x.var(axis=(2, 3), keepdims=True).mean(axis=0, keepdims=True)"},
    ),
    unbiased_variance=(
        "You divide the sum of squares by N*H*W - 1; batch norm divides by N*H*W.",
        {"var": "x.var(axis=axes, keepdims=True, ddof=1)"},
    ),
    divides_by_n=(
        "You divide the sums by the number of images. Each channel has N*H*W values.",
        {
            "mean": "x.sum(axis=axes, keepdims=True) / len(x)",
            "var": "((x - mean) ** 2).sum(axis=axes, keepdims=True) / len(x)",
        },
    ),
    # from Algorithm 1
    # other axes, other reshapes
    statistics_per_column=(
        "Your statistics run over the images and the rows (axes 0 and 2): each column of the "
        "image has its own. A channel has one mean for all its pixels, axes 0, 2 and 3.",
        {"axes": "(0, 2)"},
    ),
    statistics_per_row=(
        "Your statistics run over the images and the columns (axes 0 and 3): each row of the "
        "image has its own. A channel has one mean for all its pixels, axes 0, 2 and 3.",
        {"axes": "(0, 3)"},
    ),
    statistics_across_images_and_channels=(
        "Your statistics run over axes 0 and 1: all channels share them, and each pixel has its "
        "own. It is the other way round: axes 0, 2 and 3, all but the channels.",
        {"axes": "(0, 1)"},
    ),
    reshaped_to_channel_rows=(
        "x.reshape(C, -1) does not bring a channel into each row: it cuts the memory, where the "
        "images come one after the other, into C pieces. Move axis 1 to the front first: "
        "x.swapaxes(0, 1).",
        lambda x, *rest: batchnorm_forward(x.reshape(x.shape[1], -1).T, *rest).T.reshape(x.shape),
    ),
    rows_and_columns_swapped=(
        "On the way in you transpose to (N, W, H, C), on the way back you assume (N, H, W, C): the "
        "values are right and stand in the wrong places. transpose(0, 2, 3, 1) keeps H before W.",
        lambda x, *rest: spatial_batchnorm_forward(x, *rest).swapaxes(2, 3).reshape(x.shape),
    ),
    # more from Algorithm 1
    mean_of_squares=(
        "Your variance is the mean of x squared: the mean has to be subtracted before squaring.",
        {"var": "(x**2).mean(axis=axes, keepdims=True)"},
    ),
)
SPATIAL.add_mistakes(
    **mistakes_of_algorithm_1(
        LAST_LINES,
        but=("divides_eps_by_m",),
        gamma="gamma[:, None, None]",
        beta="beta[:, None, None]",
    )
)
SPATIAL.add_mistakes(
    statistics_of_the_first_image=(
        "Your statistics are those of the first image alone; all images have a part in them.",
        {
            "mean": "x[:1].mean(axis=axes, keepdims=True)",
            "var": "((x[:1] - mean) ** 2).mean(axis=axes, keepdims=True)",
        },
    ),
    one_gamma_for_all=(
        "You use gamma[0] and beta[0] everywhere; each channel has its own.",
        {"return": "gamma[0] * x_hat + beta[0]"},
    ),
    returns_x=("You return x as it came.", {"return": "x"}),
    no_eps_but_at_zero=(
        NO_EPS_BUT_AT_ZERO,
        {"x_hat": "(x - mean) / np.sqrt(np.where(var == 0, 1, var))"},
    ),
)
SPATIAL.add_slips(
    meets_the_columns=(
        "An array of shape (C,), gamma or a mean without keepdims, meets the last axis of x, the "
        "columns. gamma[:, None, None] and means of shape (1, C, 1, 1) meet the channels.",
        {"return": "gamma * x_hat + beta"},
    ),
    meets_the_rows=(
        "An array of shape (C, 1), as gamma[:, None] has, meets the rows of the images. Two times "
        "None, gamma[:, None, None], meets the channels.",
        {"return": "gamma[:, None] * x_hat + beta[:, None]"},
    ),
    one_for_each_image=(
        "Statistics of shape (N, C) are one for each image and channel, and do not fit x. They "
        "run over axes 0, 2 and 3, with keepdims=True.",
        {"mean": "x.mean(axis=(2, 3))"},
    ),
)
