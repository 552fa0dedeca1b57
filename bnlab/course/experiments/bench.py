"""What lessons share: nets, batches of activations, a fair way to choose rates, intervals.

For one seed both sides of a comparison get the same split of the digits, the same weights and the
same mini-batches. Each side may have the learning rate that does best on the validation images; the
test images are looked at once, at that rate.
"""

import math
import time

import numpy as np

from bnlab.batchnorm import batchnorm_forward
from bnlab.data import load_digits
from bnlab.layers import BatchNorm, Linear, ReLU, Sigmoid, Tanh, mlp
from bnlab.optim import SGD
from bnlab.training import evaluate, fit

__all__ = [
    "ACTIVATIONS",
    "EXACT",
    "SPLITS",
    "accuracy_at_best",
    "batches_of",
    "batchnorm_layers",
    "both_sides",
    "decades",
    "deep_net",
    "digits_activations",
    "input_of_last",
    "paired_interval",
    "plain_batchnorm",
    "rate_sweep",
    "replace_batchnorms",
    "scores",
    "seconds_per_step",
    "sigmoid_net",
    "train",
    "trained_net",
]

EXACT = 1e-12  # largest difference of two float64 results that are the same formula
SPLITS = 450 / 1145  # test images over training images of a split of the digits
ACTIVATIONS = {"relu": ReLU, "sigmoid": Sigmoid, "tanh": Tanh}


def deep_net(batchnorm, seed, *, activation="relu", depth=3, width=100, scale=1.0):
    """64 pixels, `depth` hidden layers, 10 logits in float32, He's weights times `scale`.

    >>> [type(layer).__name__ for layer in deep_net(True, seed=0, depth=1)]
    ['Linear', 'BatchNorm', 'ReLU', 'Linear']
    """
    sizes = [64, *[width] * depth, 10]
    rng = np.random.default_rng(seed)
    model = mlp(
        sizes, activation=ACTIVATIONS[activation], batchnorm=batchnorm, rng=rng, dtype=np.float32
    )
    for layer in model:
        if isinstance(layer, Linear):
            layer.weight *= scale
    return model


def sigmoid_net(depth, batchnorm, seed, std=None, pixels=64):
    """Pixels, `depth` layers of 100 sigmoids, 10 logits in float32; `std` is He's otherwise.

    >>> [type(layer).__name__ for layer in sigmoid_net(1, batchnorm=True, seed=0)]
    ['Linear', 'BatchNorm', 'Sigmoid', 'Linear']
    """
    sizes = [pixels, *[100] * depth, 10]
    rng = np.random.default_rng(seed)
    return mlp(sizes, activation=Sigmoid, batchnorm=batchnorm, rng=rng, std=std, dtype=np.float32)


def trained_net(digits, seed, *, steps, lr=0.1, momentum=0.1, batch_size=60):
    """Train 64-100-100-100-10 with ReLU and batch norm in float32; give it in evaluation mode.

    >>> digits = load_digits(dtype=np.float32)
    >>> model = trained_net(digits, seed=0, steps=200)
    >>> evaluate(model, digits.x_test, digits.y_test) > 0.9
    True
    """
    rng = np.random.default_rng(seed)
    model = mlp([64, 100, 100, 100, 10], rng=rng, dtype=np.float32)
    for layer in batchnorm_layers(model):
        layer.momentum = momentum
    schedule = {"steps": steps, "batch_size": batch_size, "rng": rng}
    fit(model, digits.x_train, digits.y_train, SGD(model, lr), **schedule)
    return model.eval()


def batchnorm_layers(model):
    """The BatchNorm layers of a model, in order."""
    return [layer for layer in model if isinstance(layer, BatchNorm)]


def replace_batchnorms(model, make):
    """Put ``make(layer)`` in the place of each BatchNorm layer of a model; return the model."""
    for i, layer in enumerate(model):
        if isinstance(layer, BatchNorm):
            model.layers[i] = make(layer)
    return model


def input_of_last(model, x):
    """What the last sigmoids of a network in training get when x is the batch, (N, 100).

    The running statistics of batch norm are left as they were.
    """
    saved = model.state_dict()
    model.train()
    for layer in model.layers[:-2]:  # all but the sigmoids and the layer of the logits
        x = layer(x)
    model.load_state_dict(saved)
    return x


def digits_activations(rows, features, seed):
    """Activations z (rows, features) of a first layer with He's weights, and their labels.

    Of the first `rows` images of the training split; None takes all of them.

    >>> digits_activations(32, 100, seed=0)[0].shape
    (32, 100)
    """
    digits = load_digits()
    weight = np.random.default_rng(seed).normal(0, np.sqrt(2 / 64), (features, 64))
    return digits.x_train[:rows] @ weight.T, digits.y_train[:rows]


def plain_batchnorm(z, eps):
    """Forward pass with gamma 1 and beta 0: returns x_hat and the cache."""
    return batchnorm_forward(z, np.ones(z.shape[1]), np.zeros(z.shape[1]), eps)


def batches_of(order, size):
    """Row numbers of each batch, (batches, size); an incomplete last batch is left out.

    >>> batches_of(np.array([4, 2, 0, 1, 3]), 2)
    array([[4, 2],
           [0, 1]])
    """
    return order[: len(order) - len(order) % size].reshape(-1, size)


def train(model, digits, lr, seed, *, steps, batch_size=60, **options):
    """Train with plain SGD on mini-batches that the seed decides; return the history."""
    schedule = {"steps": steps, "batch_size": batch_size, "rng": np.random.default_rng(seed)}
    return fit(model, digits.x_train, digits.y_train, SGD(model, lr), **schedule, **options)


@np.errstate(over="ignore", invalid="ignore")  # a network that diverged has weights out of range
def scores(model, digits):
    """Accuracy on the validation and on the test images, (2,)."""
    parts = (digits.x_val, digits.y_val), (digits.x_test, digits.y_test)
    return np.array([evaluate(model, x, y) for x, y in parts])


def rate_sweep(make, digits, lrs, seed, **options):
    """Train ``make()`` anew at each rate: accuracy on validation and test images, (rates, 2)."""
    results = []
    for lr in lrs:
        model = make()
        train(model, digits, lr, seed, **options)
        results.append(scores(model, digits))
    return np.array(results)


def accuracy_at_best(accuracy):
    """Test accuracy (S, ...) at the rate that is best on the validation images of all seeds.

    `accuracy` is (S, ..., R, 2): seeds first, rates and (validation, test) last.

    >>> accuracy = np.array([[[0.8, 0.7], [0.9, 0.6]]])  # one seed, two rates
    >>> accuracy_at_best(accuracy)
    array([0.6])
    """
    best = accuracy[..., 0].mean(axis=0).argmax(axis=-1)  # (...)
    chosen = np.broadcast_to(best[None, ..., None], (*accuracy.shape[:-2], 1))
    return np.take_along_axis(accuracy[..., 1], chosen, axis=-1)[..., 0]


def seconds_per_step(digits, repeats=3, steps=60):
    """What one step costs without and with batch norm: the fastest of some repeats, (2,).

    The two networks take turns, so that a busy machine slows down both.
    """
    sides = [False, True] * repeats
    seconds = [_seconds(batchnorm, digits, steps) for batchnorm in sides]
    return np.reshape(seconds, (repeats, 2)).min(axis=0)


def _seconds(batchnorm, digits, steps):
    model = deep_net(batchnorm, seed=0)
    start = time.perf_counter()
    train(model, digits, 0.01, 0, steps=steps)
    return (time.perf_counter() - start) / steps


def both_sides(one_side, prefix=""):
    """The same without and with batch norm, ``{"plain": one_side(False), "bn": one_side(True)}``.

    >>> both_sides(lambda batchnorm: int(batchnorm), prefix="relu_")
    {'relu_plain': 0, 'relu_bn': 1}
    """
    return {f"{prefix}plain": one_side(False), f"{prefix}bn": one_side(True)}


def decades(works):
    """From the lowest to the highest of the rates that work, in powers of ten; -1 if none does.

    >>> decades(np.array([0.1, 1.0, 10.0])), decades(np.array([]))
    (2.0, -1.0)
    """
    return float(np.log10(np.max(works) / np.min(works))) if len(works) else -1.0


def paired_interval(differences, overlap=0.0):
    r"""Mean of paired differences, and half the width of its 95% interval by Student's t.

    .. math:: t_{S-1} \, s \sqrt{1/S + \mathrm{overlap}}

    Splits of one data set share most of their images, so that their differences are more alike than
    those of new data would be. Nadeau & Bengio 2003 correct for it (corrected resampled t-test).

    Parameters
    ----------
    differences : array_like, shape (S,)
        One a seed, in any unit.
    overlap : float
        0 for runs on data of their own; for splits of one data set the size of the test set over
        that of the training set: `SPLITS` for the digits.

    Returns
    -------
    mean, half : float

    Raises
    ------
    ValueError
        If there are fewer than two differences.

    Examples
    --------
    >>> for overlap in (0, SPLITS):
    ...     mean, half = paired_interval([-1.0, -0.5, 0.0, -0.5], overlap)
    ...     print(round(mean, 2), "+-", round(half, 2))
    -0.5 +- 0.65
    -0.5 +- 1.04
    """
    differences = np.asarray(differences, dtype=float)
    if len(differences) < 2:
        raise ValueError(
            f"paired_interval needs at least 2 paired differences, got {len(differences)}; "
            "run more seeds"
        )
    error = differences.std(ddof=1) * math.sqrt(1 / len(differences) + overlap)
    return float(differences.mean()), float(_t(len(differences) - 1) * error)


# 97.5% quantiles of Student's t with 1 to 20 degrees of freedom, as in any table.
T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
     2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086)  # fmt: skip


def _t(freedom):
    """The quantile; above 20 that of the normal distribution and two terms (A&S 1964, 26.7.5)."""
    if freedom <= len(T):
        return T[freedom - 1]
    z, n = 1.959964, freedom
    return z + (z**3 + z) / (4 * n) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n**2)
