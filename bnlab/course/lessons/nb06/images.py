"""Claims about batch norm of images: one mean per channel, over all images and all pixels.

The channels are four feature maps of the digits, each with a level and a spread of its own.
"""

from dataclasses import dataclass

import numpy as np

from bnlab import functional as F
from bnlab.batchnorm import batchnorm_forward
from bnlab.course.experiments import panels
from bnlab.course.experiments.bench import EXACT, plain_batchnorm
from bnlab.course.experiments.evidence import Claim, Definition, Experiment
from bnlab.course.experiments.rule import Part, exact
from bnlab.data import load_digits

KERNELS = {
    "ink": [[1, 1, 1], [1, 1, 1], [1, 1, 1]],
    "left edge": [[-1, 0, 1], [-1, 0, 1], [-1, 0, 1]],
    "top edge": [[-1, -1, -1], [0, 0, 0], [1, 1, 1]],
    "spot": [[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]],
}


def kernel_weights():
    """The four `KERNELS` as the weight of a convolution, shape (4, 1, 3, 3)."""
    return np.array(list(KERNELS.values()), dtype=float)[:, None]


def feature_maps(n):
    """Feature maps (n, 4, 8, 8) of the first n training images, a channel for each kernel."""
    maps, _ = F.conv2d_forward(load_digits().images("train")[:n], kernel_weights(), padding=1)
    return maps


@dataclass(frozen=True)
class Maps:
    """A batch of feature maps, (n, 4, 8, 8); milliseconds."""

    n: int = 64
    eps: float = 1e-5
    seed: int = 0


# C1: a sentence of the paper.

C1_PER_CHANNEL = Definition(
    Claim(
        "C1",
        "In a convolutional layer batch norm has one gamma and one beta for each feature map, and "
        "takes its statistics over the batch and all positions.",
        "Yes: every place of a map is treated alike, as the convolution itself does.",
        "definition",
        "06",
        "Ioffe & Szegedy 2015, section 3.2",
    ),
    "RIGHT",
)


# C2: images are a dense batch of pixels.


def as_table(x):
    """Images (N, C, H, W) as a dense batch (N*H*W, C): a pixel is a row, a channel a column.

    >>> as_table(np.arange(8).reshape(1, 2, 2, 2))
    array([[0, 4],
           [1, 5],
           [2, 6],
           [3, 7]])
    """
    return x.transpose(0, 2, 3, 1).reshape(-1, x.shape[1])


def _run_c2(config):
    import torch

    x = feature_maps(config.n)
    gamma, beta = np.random.default_rng(config.seed).normal(size=(2, x.shape[1]))
    y, _ = batchnorm_forward(x, gamma, beta, config.eps)
    table, _ = batchnorm_forward(as_table(x), gamma, beta, config.eps)
    tensors = [torch.from_numpy(a) for a in (x, gamma, beta)]
    options = {"training": True, "eps": config.eps}
    theirs = torch.nn.functional.batch_norm(tensors[0], None, None, *tensors[1:], **options)
    return {
        "difference": np.abs(as_table(y) - table).max(),
        "difference_torch": np.abs(y - theirs.numpy()).max(),
        "values": len(table),
        "shape": np.array(x.shape),
    }


def _judge_c2(arrays):
    n, _, p, q = arrays["shape"]
    counted = bool(arrays["values"] == n * p * q)
    largest = max(arrays["difference"], arrays["difference_torch"])
    return [
        Part("a channel has m p q values", counted, f"{n} * {p} * {q} = {arrays['values']}"),
        exact("a table with a row for each pixel of each image gives the same, and torch", largest),
    ]


def _draw_c2(arrays):
    compared = {
        "images and their table": arrays["difference"],
        "images here and in torch": arrays["difference_torch"],
    }
    return panels.errors(compared, tolerance=EXACT)


C2_VALUES = Experiment(
    Claim(
        "C2",
        "With m images and maps of p x q, the statistics of a channel are those of m' = m p q "
        "values.",
        "Yes: it is the dense batch norm of a table with one row for each pixel of each image. "
        "The pixels of an image depend on each other, so m' is not a count of independent values.",
        "identity",
        "06",
        "Ioffe & Szegedy 2015, section 3.2",
    ),
    Maps(),
    run=_run_c2,
    judge=_judge_c2,
    setting="float64, {n} images with 4 maps each",
    draw=_draw_c2,
)


# C3: the transpose left out.


def normalize_reshaped(x, eps=1e-5):
    """The mistake: ``x.reshape(-1, C)`` without a transpose, batch norm, and back; no error."""
    return plain_batchnorm(x.reshape(-1, x.shape[1]), eps)[0].reshape(x.shape)


def _run_c3(config):
    x = feature_maps(config.n)
    right, reshaped = plain_batchnorm(x, config.eps)[0], normalize_reshaped(x, config.eps)
    channel = np.broadcast_to(np.arange(4)[:, None, None], x.shape)  # of each value
    column = channel.reshape(-1, 4)[:, 0]  # what the first column of the table is made of
    return {
        "mean": np.abs(reshaped.mean(axis=(0, 2, 3))).max(),
        "mean_right": np.abs(right.mean(axis=(0, 2, 3))).max(),
        "shares": np.bincount(column, minlength=4) / len(column),
    }


def _judge_c3(arrays):
    shares, mean, right = arrays["shares"], arrays["mean"], arrays["mean_right"]
    return [
        Part(
            "a column of the table holds values of several channels",
            bool(shares.max() < 1),
            f"{np.count_nonzero(shares)} channels, {shares.max():.0%} of each",
        ),
        Part(
            "a channel keeps a mean above 0.1 standard deviations; with the transpose it has none",
            bool(mean > 0.1 and right <= EXACT),
            f"{mean:.2f} and {right:.2f}",
        ),
    ]


def _draw_c3(arrays):
    means = {"with the transpose": arrays["mean_right"], "reshape alone": arrays["mean"]}
    return panels.strip(means, "largest mean of a channel,\nstandard deviations")


C3_RESHAPE = Experiment(
    Claim(
        "C3",
        "Images (N, C, H, W) reshaped to (-1, C) without a transpose mix the channels.",
        "Yes: reshape moves nothing in memory, and there the width runs fastest. Transpose to "
        "(N, H, W, C) first.",
        "identity",
        "06",
        "the definition of reshape; NumPy documentation",
    ),
    Maps(),
    run=_run_c3,
    judge=_judge_c3,
    setting="float64, {n} images with 4 maps each",
    draw=_draw_c3,
)


# C4: a batch of one.


def _refuses(x):
    try:
        plain_batchnorm(x, eps=1e-5)
    except ValueError:
        return True
    return False


def _run_c4(config):
    image = feature_maps(1)  # (1, 4, 8, 8)
    dense = image.reshape(1, -1)  # (1, 256)
    by_formula = (dense - dense.mean(axis=0)) / np.sqrt(dense.var(axis=0) + config.eps)
    return {
        "values": image.size // image.shape[1],
        "std_image": plain_batchnorm(image, config.eps)[0].std(axis=(0, 2, 3)),
        "dense": np.abs(by_formula).max(),
        "refused": _refuses(dense),
        "refused_pixel": _refuses(image.mean(axis=(2, 3), keepdims=True)),
    }


def _judge_c4(arrays):
    works = np.abs(arrays["std_image"] - 1).max() < 1e-3
    fails = arrays["dense"] == 0 and arrays["refused"] and arrays["refused_pixel"]
    return [
        Part(
            "in a convolutional layer x_hat of one image has standard deviation 1",
            bool(works),
            f"{arrays['std_image'].mean():.2f}, of {arrays['values']} values per channel",
        ),
        Part(
            "in a dense layer the formula gives 0, and the layer refuses it, as it does one pixel",
            bool(fails),
            f"{arrays['dense']:.0f}, refused" if fails else "not so",
        ),
    ]


def _draw_c4(arrays):
    spread = {"convolutional layer,\n64 values": arrays["std_image"].mean(),
              "dense layer,\n1 value": arrays["dense"]}  # fmt: skip
    return panels.strip(spread, "standard deviation of x_hat,\none image")


C4_ONE_IMAGE = Experiment(
    Claim(
        "C4",
        "Batch norm can be trained with one image at a time in a convolutional layer, and not in "
        "a dense layer.",
        "Yes, as long as the map has more than one pixel: m' = H W. The mean and the variance are "
        "then those of one image, so they are noisy.",
        "identity",
        "06",
        "Ioffe & Szegedy 2015, section 3.2",
    ),
    Maps(n=1),
    run=_run_c4,
    judge=_judge_c4,
    setting="float64, one image with 4 maps of 8 x 8",
    draw=_draw_c4,
)
