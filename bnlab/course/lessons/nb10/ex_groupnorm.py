"""Exercise of notebook 10: group norm, between layer norm and instance norm."""

import numpy as np

from bnlab.course.exercises.exercise import Case, Exercise

ONE_PASS = (
    "E[x^2] - E[x]^2 subtracts two large, nearly equal numbers when the mean is large; "
    "subtract the mean first and square afterwards."
)


def groupnorm_forward(x, gamma, beta, num_groups, eps):
    """Group norm for x of shape (N, C, H, W); neighbouring channels share a group."""
    groups = x.reshape(len(x), num_groups, -1)  # (N, G, C/G * H * W)
    mean = groups.mean(axis=2, keepdims=True)  # (N, G, 1)
    var = ((groups - mean) ** 2).mean(axis=2, keepdims=True)
    x_hat = ((groups - mean) / np.sqrt(var + eps)).reshape(x.shape)
    return gamma[:, None, None] * x_hat + beta[:, None, None]


def images(n, c, num_groups, eps=1e-5, mean=0.0, size=(3, 4)):
    """Make a draw; each channel of each image has its own mean and spread."""

    def draw(rng):
        offset = mean + rng.normal(0, 2, (n, c, 1, 1))
        x = offset + rng.uniform(0.5, 2, (n, c, 1, 1)) * rng.normal(size=(n, c, *size))
        return x, rng.uniform(0.5, 2, c), rng.normal(size=c), num_groups, eps

    return draw


def _signed_gamma(rng):
    x, _, beta, num_groups, eps = images(3, 4, 2)(rng)
    return x, np.array([-1.5, 0.0, 2.0, -0.3]), beta, num_groups, eps


def _quiet_group(rng):
    x, gamma, beta, num_groups, eps = images(2, 6, 3)(rng)
    x[0, 2:4] = 0.7 + 3e-3 * rng.normal(size=(2, 3, 4))  # variance about 1e-5
    return x, gamma, beta, num_groups, eps


def _constant_group(rng):
    x, gamma, beta, num_groups, eps = images(2, 6, 2)(rng)
    x[1, :3] = 0.25
    return x, gamma, beta, num_groups, eps


GROUPNORM = Exercise(
    name="groupnorm_forward",
    notebook="10",
    reference=groupnorm_forward,
    outputs=("y",),
    cases=(
        Case("six channels in three groups", images(4, 6, 3)),
        Case("six channels in two groups, another eps", images(3, 6, 2, eps=1e-3), seed=1),
        Case("a single image", images(1, 8, 2), seed=2),
        Case("one group", images(2, 4, 1), seed=3),
        Case("a group for each channel", images(2, 4, 4), seed=4),
        Case("odd images", images(2, 9, 3, size=(5, 1)), seed=5),
        Case("a negative gamma and a gamma of zero", _signed_gamma, seed=6),
        Case("a group whose variance is near eps", _quiet_group, seed=7),
        Case("a constant group", _constant_group, seed=8),
        Case("a large eps", images(2, 6, 3, eps=0.5), seed=9),
        Case("a large mean", images(2, 4, 2, mean=1e4, size=(6, 6)), seed=10),
    ),
    hints=(
        "What shares a mean: a group of C / num_groups neighbouring channels of one image, with "
        "all their pixels.",
        "reshape can put everything that shares a mean into one axis, because neighbouring "
        "channels lie side by side in memory: (N, num_groups, the rest).",
        "Normalize along the last axis of that view with keepdims=True, and reshape back to the "
        "shape of x. gamma has one value for each channel: give it two more axes.",
    ),
    minutes=5,
    difficulty=2,
    about_precision=ONE_PASS,
)


def _normalized(x, axes, eps, ddof=0):
    mean, var = x.mean(axis=axes, keepdims=True), x.var(axis=axes, keepdims=True, ddof=ddof)
    return (x - mean) / np.sqrt(var + eps)


def _x_hat(x, num_groups, eps, ddof=0):
    return _normalized(x.reshape(len(x), num_groups, -1), 2, eps, ddof).reshape(x.shape)


def _affine(x_hat, gamma, beta):
    return gamma[:, None, None] * x_hat + beta[:, None, None]


@GROUPNORM.mistake(
    "interleaved_groups",
    "You deal the channels out like cards: channel k goes to group k % num_groups. A group holds "
    "neighbours: num_groups comes before C / num_groups in the reshape.",
)
def _(x, gamma, beta, num_groups, eps):
    n, c, h, w = x.shape
    groups = x.reshape(n, c // num_groups, num_groups, h, w)
    return _affine(_normalized(groups, (1, 3, 4), eps).reshape(x.shape), gamma, beta)


@GROUPNORM.mistake(
    "groups_last",
    "You put num_groups last in the reshape. Memory is then dealt out number by number, and each "
    "group holds pixels of all channels: (N, num_groups, -1) keeps neighbouring channels together.",
)
def _(x, gamma, beta, num_groups, eps):
    groups = x.reshape(len(x), -1, num_groups)
    return _affine(_normalized(groups, 1, eps).reshape(x.shape), gamma, beta)


@GROUPNORM.mistake(
    "images_joined",
    "You reshape the whole batch to (num_groups, -1): that cuts it into num_groups pieces, "
    "wherever an image ends. Keep the axis of the images: (N, num_groups, -1).",
)
def _(x, gamma, beta, num_groups, eps):
    groups = x.reshape(num_groups, -1)
    return _affine(_normalized(groups, 1, eps).reshape(x.shape), gamma, beta)


@GROUPNORM.mistake(
    "across_the_groups",
    "Your view (N, num_groups, size, H, W) is right, but the mean runs over num_groups and not "
    "over the channels of a group: average over axes 2, 3 and 4.",
)
def _(x, gamma, beta, num_groups, eps):
    groups = x.reshape(len(x), num_groups, -1, *x.shape[2:])
    return _affine(_normalized(groups, (1, 3, 4), eps).reshape(x.shape), gamma, beta)


@GROUPNORM.mistake(
    "mean_of_channel_variances",
    "You average the variances of the channels. Their means differ, and these differences belong "
    "to the variance of the group: take it over all its values.",
)
def _(x, gamma, beta, num_groups, eps):
    groups = x.reshape(len(x), num_groups, -1, *x.shape[2:])
    var = groups.var(axis=(3, 4), keepdims=True).mean(axis=2, keepdims=True)
    x_hat = (groups - groups.mean(axis=(2, 3, 4), keepdims=True)) / np.sqrt(var + eps)
    return _affine(x_hat.reshape(x.shape), gamma, beta)


@GROUPNORM.mistake(
    "size_for_number",
    "You read num_groups as the number of channels in a group; it is the number of groups.",
)
def _(x, gamma, beta, num_groups, eps):
    return _affine(_x_hat(x, x.shape[1] // num_groups, eps), gamma, beta)


@GROUPNORM.mistake(
    "instance_norm",
    "You normalize each channel alone: this is instance norm, C groups. Here C / num_groups "
    "channels share their statistics.",
)
def _(x, gamma, beta, num_groups, eps):
    return _affine(_normalized(x, (2, 3), eps), gamma, beta)


@GROUPNORM.mistake(
    "layer_norm",
    "You normalize all channels of an image together: this is one group, whatever num_groups says.",
)
def _(x, gamma, beta, num_groups, eps):
    return _affine(_normalized(x, (1, 2, 3), eps), gamma, beta)


@GROUPNORM.mistake(
    "batch_norm",
    "You normalize each channel over the batch: this is batch norm. Group norm never looks at "
    "another image.",
)
def _(x, gamma, beta, num_groups, eps):
    return _affine(_normalized(x, (0, 2, 3), eps), gamma, beta)


@GROUPNORM.mistake(
    "groups_over_the_batch",
    "Your groups are right, but their statistics run over the batch too. Each image has its own.",
)
def _(x, gamma, beta, num_groups, eps):
    groups = x.reshape(len(x), num_groups, -1)
    return _affine(_normalized(groups, (0, 2), eps).reshape(x.shape), gamma, beta)


@GROUPNORM.mistake(
    "each_pixel_alone",
    "You average over the channels of a group at each pixel; the pixels of the group share one "
    "mean and one variance as well.",
)
def _(x, gamma, beta, num_groups, eps):
    groups = x.reshape(len(x), num_groups, -1, *x.shape[2:])
    return _affine(_normalized(groups, 2, eps).reshape(x.shape), gamma, beta)


@GROUPNORM.mistake(
    "gamma_of_the_group",
    "All channels of a group get the same gamma and beta. The group shares its statistics; gamma "
    "and beta belong to the channel.",
)
def _(x, gamma, beta, num_groups, eps):
    size = x.shape[1] // num_groups
    per_group = (np.repeat(v[:num_groups], size) for v in (gamma, beta))
    return _affine(_x_hat(x, num_groups, eps), *per_group)


@GROUPNORM.mistake(
    "unbiased_variance",
    "You divide the sum of squares by the number of values less one; group norm takes the biased "
    "variance, as batch norm does.",
)
def _(x, gamma, beta, num_groups, eps):
    return _affine(_x_hat(x, num_groups, eps, ddof=1), gamma, beta)


@GROUPNORM.mistake(
    "eps_outside_root",
    "You add eps to the standard deviation; it belongs to the variance, inside the square root.",
)
def _(x, gamma, beta, num_groups, eps):
    groups = x.reshape(len(x), num_groups, -1)
    distance = groups - groups.mean(axis=2, keepdims=True)
    x_hat = distance / (groups.std(axis=2, keepdims=True) + eps)
    return _affine(x_hat.reshape(x.shape), gamma, beta)


@GROUPNORM.mistake(
    "eps_forgotten",
    "You leave eps out: a constant group then gives 0 / 0. Add it to the variance.",
)
def _(x, gamma, beta, num_groups, eps):
    return _affine(_x_hat(x, num_groups, 0.0), gamma, beta)


@GROUPNORM.mistake(
    "eps_fixed",
    "You always use 1e-5; use the argument eps.",
)
def _(x, gamma, beta, num_groups, eps):
    return _affine(_x_hat(x, num_groups, 1e-5), gamma, beta)


@GROUPNORM.mistake(
    "divides_by_variance",
    "You divide by the variance; divide by its square root, the standard deviation.",
)
def _(x, gamma, beta, num_groups, eps):
    groups = x.reshape(len(x), num_groups, -1)
    distance = groups - groups.mean(axis=2, keepdims=True)
    x_hat = distance / (groups.var(axis=2, keepdims=True) + eps)
    return _affine(x_hat.reshape(x.shape), gamma, beta)


@GROUPNORM.mistake(
    "not_centred",
    "You divide by the standard deviation of the group but do not subtract its mean first.",
)
def _(x, gamma, beta, num_groups, eps):
    groups = x.reshape(len(x), num_groups, -1)
    x_hat = groups / np.sqrt(groups.var(axis=2, keepdims=True) + eps)
    return _affine(x_hat.reshape(x.shape), gamma, beta)


@GROUPNORM.mistake(
    "no_scale_and_shift",
    "You return x_hat; the scale and the shift are missing: y = gamma * x_hat + beta.",
)
def _(x, gamma, beta, num_groups, eps):
    return _x_hat(x, num_groups, eps)


@GROUPNORM.mistake(
    "gamma_and_beta_swapped",
    "gamma and beta are swapped: gamma is the factor, beta is what is added.",
)
def _(x, gamma, beta, num_groups, eps):
    return _affine(_x_hat(x, num_groups, eps), beta, gamma)


@GROUPNORM.mistake(
    "shift_forgotten",
    "The shift is missing: y = gamma * x_hat + beta.",
)
def _(x, gamma, beta, num_groups, eps):
    return gamma[:, None, None] * _x_hat(x, num_groups, eps)


@GROUPNORM.mistake(
    "scale_forgotten",
    "The scale is missing: y = gamma * x_hat + beta.",
)
def _(x, gamma, beta, num_groups, eps):
    return _x_hat(x, num_groups, eps) + beta[:, None, None]
