"""Exercise of notebook 10: group norm, between layer norm and instance norm."""

import numpy as np

from bnlab.course.exercises.exercise import Case, Exercise
from bnlab.course.lessons.nb02.ex_batchnorm_algorithm import ONE_PASS
from bnlab.course.lessons.nb07.ex_ghost_batches import divided_wrongly, scaled_wrongly


def groupnorm_forward(x, gamma, beta, num_groups, eps):
    """Group norm for x of shape (N, C, H, W); neighbouring channels share a group."""
    groups = x.reshape(len(x), num_groups, -1)  # (N, G, C/G * H * W)
    mean = groups.mean(axis=2, keepdims=True)  # (N, G, 1)
    var = ((groups - mean) ** 2).mean(axis=2, keepdims=True)
    x_hat = (groups - mean) / np.sqrt(var + eps)
    return gamma[:, None, None] * x_hat.reshape(x.shape) + beta[:, None, None]


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

FIVE_AXES = "x.reshape(len(x), num_groups, -1, *x.shape[2:])"  # (N, G, C/G, H, W)


def _statistics(axes, groups="x.reshape(len(x), num_groups, -1)"):
    """The edits for statistics over these axes of another view of x."""
    return {
        "groups": groups,
        "mean": f"groups.mean(axis={axes}, keepdims=True)",
        "var": f"groups.var(axis={axes}, keepdims=True)",
    }


GROUPNORM.add_mistakes(
    interleaved_groups=(
        "You deal the channels out like cards: channel k goes to group k % num_groups. A group "
        "holds neighbours: num_groups comes before C / num_groups in the reshape.",
        _statistics((1, 3, 4), "x.reshape(len(x), -1, num_groups, *x.shape[2:])"),
    ),
    groups_last=(
        "You put num_groups last in the reshape. Memory is then dealt out number by number, and "
        "each group holds pixels of all channels: (N, num_groups, -1) keeps neighbouring channels "
        "together.",
        _statistics(1, "x.reshape(len(x), -1, num_groups)"),
    ),
    images_joined=(
        "You reshape the whole batch to (num_groups, -1): that cuts it into num_groups pieces, "
        "wherever an image ends. Keep the axis of the images: (N, num_groups, -1).",
        _statistics(1, "x.reshape(num_groups, -1)"),
    ),
    across_the_groups=(
        "Your view (N, num_groups, size, H, W) is right, but the mean runs over num_groups and "
        "not over the channels of a group: average over axes 2, 3 and 4.",
        _statistics((1, 3, 4), FIVE_AXES),
    ),
    mean_of_channel_variances=(
        "You average the variances of the channels. Their means differ, and these differences "
        "belong to the variance of the group: take it over all its values.",
        _statistics((2, 3, 4), FIVE_AXES)
        | {"var": "groups.var(axis=(3, 4), keepdims=True).mean(axis=2, keepdims=True)"},
    ),
    size_for_number=(
        "You read num_groups as the number of channels in a group; it is the number of groups.",
        {"groups": "x.reshape(len(x), x.shape[1] // num_groups, -1)"},
    ),
    instance_norm=(
        "You normalize each channel alone: this is instance norm, C groups. Here C / num_groups "
        "channels share their statistics.",
        {"groups": "x.reshape(*x.shape[:2], -1)"},
    ),
    layer_norm=(
        "You normalize all channels of an image together: this is one group, whatever num_groups "
        "says.",
        {"groups": "x.reshape(len(x), 1, -1)"},
    ),
    batch_norm=(
        "You normalize each channel over the batch: this is batch norm. Group norm never looks at "
        "another image.",
        _statistics((0, 2, 3), "x"),
    ),
    groups_over_the_batch=(
        "Your groups are right, but their statistics run over the batch too. Each image has its "
        "own.",
        _statistics((0, 2)),
    ),
    each_pixel_alone=(
        "You average over the channels of a group at each pixel; the pixels of the group share "
        "one mean and one variance as well.",
        _statistics(2, FIVE_AXES),
    ),
    gamma_of_the_group=(
        "All channels of a group get the same gamma and beta. The group shares its statistics; "
        "gamma and beta belong to the channel.",
        {"return": "(gamma[:num_groups, None] * x_hat + beta[:num_groups, None]).reshape(x.shape)"},
    ),
    unbiased_variance=(
        "You divide the sum of squares by the number of values less one; group norm takes the "
        "biased variance, as batch norm does.",
        {"var": "groups.var(axis=2, keepdims=True, ddof=1)"},
    ),
    not_centred=(
        "You divide by the standard deviation of the group but do not subtract its mean first.",
        {"x_hat": "groups / np.sqrt(var + eps)"},
    ),
    **divided_wrongly("(groups - mean)"),
    **scaled_wrongly("x_hat.reshape(x.shape)", "[:, None, None]"),
    variance_of_channel_means=(
        "Your variance is that of the channels' means; it runs over all values of the group.",
        _statistics((2, 3, 4), FIVE_AXES)
        | {"var": "groups.mean(axis=(3, 4), keepdims=True).var(axis=2, keepdims=True)"},
    ),
    variance_of_each_channel=(
        "Each group is centred by its mean, but each channel is divided by a standard deviation "
        "of its own. The variance belongs to the group as well.",
        _statistics((2, 3, 4), FIVE_AXES)
        | {"var": "((groups - mean) ** 2).mean(axis=(3, 4), keepdims=True)"},
    ),
)

LACKS_AXES = (
    "Statistics of shape (N, G) do not fit beside the groups: keepdims=True keeps their axes."
)

GROUPNORM.add_slips(
    gamma_lacks_two_axes=(
        "gamma and beta have shape (C,), x has (N, C, H, W): gamma[:, None, None] stands beside "
        "the channels.",
        {"return": "gamma * x"},
    ),
    gamma_lacks_an_axis=(
        "gamma and beta need two more axes beside (N, C, H, W): gamma[:, None, None].",
        {"return": "gamma[:, None] * x"},
    ),
    scaled_before_the_reshape=(
        "gamma and beta belong to the channels: give x_hat the shape of x before you scale it.",
        {"return": "gamma[:, None, None] * x_hat"},
    ),
    statistics_lack_an_axis=(LACKS_AXES, {"mean": "groups.mean(axis=2)"}),
    statistics_beside_the_images=(
        "Statistics of shape (N, G, 1) do not fit beside x, (N, C, H, W): subtract them from the "
        "view of groups.",
        {"x_hat": "x - mean"},
    ),
    statistics_lack_three_axes=(
        LACKS_AXES,
        _statistics((2, 3, 4), FIVE_AXES) | {"mean": "groups.mean(axis=(2, 3, 4))"},
    ),
)
