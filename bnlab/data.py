"""Data of the course: digits, minibatches, and ways to shift what a network sees.

Images are float arrays in [0, 1], 1 is full ink: rows of pixels (N, S*S) or pictures (N, 1, S, S),
S = 8 for the digits. Shifts take and return both, keep the dtype, and modify nothing.
"""

import hashlib
import io
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bnlab.idx import load_idx_folder, read_idx

__all__ = ["Digits", "course_files", "load_digits", "load_idx_folder", "minibatches", "read_idx"]
__all__ += ["brightness", "contrast", "ink", "invert", "lightest_and_heaviest", "rotate"]

DIGITS_SHA256 = "1dc781c8fe699ce12f056a510e6dd518c795428f089effc1a3e2eec0f3ece269"


@dataclass(frozen=True, eq=False)
class Digits:
    """Three parts that share no image: x (N, 64) in [0, 1], y (N,) the digits as int64."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_val: np.ndarray
    y_val: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray

    def images(self, split):
        """Return the pictures of "train", "val" or "test", shape (N, 1, 8, 8)."""
        if split not in ("train", "val", "test"):
            raise ValueError(f'images needs "train", "val" or "test", got {split!r}')
        return as_images(getattr(self, f"x_{split}"))


def load_digits(seed=0, dtype=np.float64):
    """Load 1,797 handwritten digits of 8x8 pixels, split at random.

    450 images are for testing, 202 (15% of the rest) for choosing learning rates, and 1,145 for
    training. Pixels are whole numbers from 0 to 16, divided by 16; three of them (0, 32 and 39)
    are 0 everywhere. A file that is missing raises FileNotFoundError, one that is not ours
    ValueError. Source: Alpaydin & Kaynak 1998, see data/README.md.

    Parameters
    ----------
    seed : int, of the split
    dtype : dtype of the images

    Returns
    -------
    digits : Digits

    Examples
    --------
    >>> digits = load_digits()
    >>> digits.x_train.shape, digits.x_val.shape, digits.images("test").shape
    ((1145, 64), (202, 64), (450, 1, 8, 8))
    """
    images, labels = _read_digits(course_files() / "data" / "digits.npz")
    x = images.reshape(-1, 64).astype(dtype) / np.asarray(16, dtype)
    y = labels.astype(np.int64)
    test, val, train = np.split(np.random.default_rng(seed).permutation(len(x)), [450, 450 + 202])
    return Digits(x[train], y[train], x[val], y[val], x[test], y[test])


def course_files():
    """Find the folder that holds `notebooks` and `data`, as a pathlib.Path.

    A wheel carries them in ``bnlab/_files``. In a clone (and an editable install is one) they
    stand beside the package.
    """
    package = Path(__file__).resolve().parent
    inside = package / "_files"
    return inside if inside.is_dir() else package.parent


def minibatches(x, y, batch_size, rng):
    """Go through the data once, in random order and in batches of equal size.

    What is left over when `batch_size` does not divide N is dropped: a last batch of one example
    would have no batch variance.

    Parameters
    ----------
    x, y : ndarray, shape (N, ...)
    batch_size : int from 1 to N, or ValueError
    rng : numpy.random.Generator that draws one permutation for each call

    Returns
    -------
    batches : iterator of (xb, yb), ``N // batch_size`` of them

    Examples
    --------
    >>> x = np.arange(5.0)
    >>> for xb, yb in minibatches(x, 10 * x, batch_size=2, rng=np.random.default_rng(0)):
    ...     print(xb, yb)
    [2. 4.] [20. 40.]
    [3. 0.] [30.  0.]
    """
    _check_pair("minibatches", x, y)
    if not 1 <= batch_size <= len(x):
        raise ValueError(f"minibatches needs a batch_size from 1 to {len(x)}, got {batch_size}")
    full = len(x) - len(x) % batch_size
    batches = rng.permutation(len(x))[:full].reshape(-1, batch_size)
    return ((x[rows], y[rows]) for rows in batches)


def as_images(x):
    """View images of shape (N, S*S), (N, S, S) or (N, 1, S, S) as (N, 1, S, S)."""
    side = math.isqrt(math.prod(x.shape[1:]))
    if x.shape[1:] not in ((side * side,), (side, side), (1, side, side)):
        raise ValueError(f"as_images needs square images of one channel, got x.shape={x.shape}")
    return x.reshape(len(x), 1, side, side)


def ink(x):
    """Add up the pixels of each image.

    Parameters
    ----------
    x : ndarray, shape (N, S*S) or (N, 1, S, S)

    Returns
    -------
    total : ndarray, shape (N,)

    Examples
    --------
    >>> ink(np.array([[0.0, 0.25], [1.0, 0.5]]))
    array([0.25, 1.5 ])
    """
    return x.reshape(len(x), -1).sum(axis=1)


def lightest_and_heaviest(x, y, fraction=0.3):
    """Take the images with the least and with the most ink: a covariate shift by selection.

    Only x decides which examples are taken. P(x) therefore differs between the two parts, while
    P(y given x) is the same by construction (Shimodaira 2000, on covariate shift).

    Parameters
    ----------
    x : ndarray, shape (N, S*S) or (N, 1, S, S)
    y : ndarray, shape (N,)
    fraction : float above 0 and at most 0.5 that takes at least one image, or ValueError

    Returns
    -------
    lightest, heaviest : pairs (x, y), copies in the order they had in x

    Examples
    --------
    >>> x, y = np.array([[0.9], [0.1], [0.5], [0.2]]), np.array([4, 1, 3, 2])
    >>> (x_light, y_light), (x_heavy, y_heavy) = lightest_and_heaviest(x, y, fraction=0.5)
    >>> y_light, y_heavy
    (array([1, 2]), array([4, 3]))
    """
    _check_pair("lightest_and_heaviest", x, y)
    count = min(round(fraction * len(x)), len(x) // 2) if 0 < fraction <= 0.5 else 0
    if count == 0:
        raise ValueError(
            "lightest_and_heaviest needs 0 < fraction <= 0.5, and at least one image in each part, "
            f"got fraction={fraction} of {len(x)} images"
        )
    order = np.argsort(ink(x), kind="stable")
    light, heavy = np.sort(order[:count]), np.sort(order[-count:])
    return (x[light], y[light]), (x[heavy], y[heavy])


def invert(x):
    """Swap ink and paper, ``1 - x``; we *assume* that this keeps the label.

    Parameters
    ----------
    x : ndarray of float in [0, 1], or ValueError

    Returns
    -------
    y : ndarray, shape and dtype of x

    Examples
    --------
    >>> invert(np.array([[0.0, 0.25]]))
    array([[1.  , 0.75]])
    """
    return 1 - _pixels("invert", x)


def brightness(x, amount):
    """Take the same amount of ink off every pixel and clip: ``x - amount`` in [0, 1].

    Parameters
    ----------
    x : ndarray of float in [0, 1], or ValueError
    amount : float; above 0 is brighter, 0 changes nothing

    Returns
    -------
    y : ndarray, shape and dtype of x

    Examples
    --------
    >>> brightness(np.array([[0.0, 0.25, 1.0]]), -0.5)
    array([[0.5 , 0.75, 1.  ]])
    """
    return np.clip(_pixels("brightness", x, amount) - float(amount), 0, 1)


def contrast(x, amount):
    """Stretch the pixels about mid-grey and clip: ``x + amount * (x - 0.5)`` in [0, 1].

    Parameters
    ----------
    x : ndarray of float in [0, 1], or ValueError
    amount : float; 0 changes nothing, -1 leaves plain grey, 1 doubles every difference

    Returns
    -------
    y : ndarray, shape and dtype of x

    Examples
    --------
    >>> contrast(np.array([[0.0, 0.25, 1.0]]), -0.5)
    array([[0.25 , 0.375, 0.75 ]])
    """
    x = _pixels("contrast", x, amount)
    return np.clip(x + float(amount) * (x - 0.5), 0, 1)


def rotate(x, degrees):
    """Turn every image about its centre, counter-clockwise, with bilinear interpolation.

    Each new pixel is a weighted mean of the four old ones around the point it comes from, 0 being
    outside. We *assume* that a small rotation keeps the label: a large one turns a 6 into a 9.

    Parameters
    ----------
    x : ndarray of float in [0, 1], shape (N, S*S) or (N, 1, S, S), or ValueError
    degrees : float

    Returns
    -------
    y : ndarray, shape and dtype of x

    Examples
    --------
    >>> rotate(np.array([[0.0, 1.0, 0.0, 0.0]]), 90).reshape(2, 2)
    array([[1., 0.],
           [0., 0.]])
    """
    images = as_images(_pixels("rotate", x, degrees))[:, 0]  # (N, S, S)
    weights = _rotation_weights(images.shape[1], math.radians(degrees)).astype(x.dtype)
    rotated = np.tensordot(images, weights, axes=((1, 2), (2, 3)))
    return np.clip(rotated, 0, 1).reshape(x.shape)


def _rotation_weights(side, angle):
    """How much of old pixel (k, l) goes into new pixel (i, j), shape (S, S, S, S)."""
    pixel = np.arange(side) - (side - 1) / 2  # places relative to the centre
    down, right, cos, sin = pixel[:, None], pixel[None, :], math.cos(angle), math.sin(angle)
    source = np.stack([down * cos + right * sin, right * cos - down * sin])  # (2, S, S)
    # Linear interpolation: 1 at a pixel, 0 from its neighbours on. Rounded because cos(90 degrees)
    # comes out as 6e-17 and not as 0.
    row, column = np.maximum(0, 1 - np.abs(source.round(12)[..., None] - pixel))  # (S, S, S) each
    return row[:, :, :, None] * column[:, :, None, :]


def _pixels(function, x, amount=0.0):
    if not math.isfinite(amount):
        raise ValueError(f"{function} needs a finite amount, got {amount}")
    if not (np.issubdtype(x.dtype, np.floating) and ((x >= 0) & (x <= 1)).all()):
        raise ValueError(
            f"{function} needs floating-point pixels in [0, 1], got {x.dtype} from {x.min()} to "
            f"{x.max()}; divide raw pixels by their largest value, shift before you standardize"
        )
    return x


def _check_pair(function, x, y):
    if len(x) != len(y):
        raise ValueError(f"{function} needs one label per example, got {len(x)} and {len(y)}")


def _read_digits(path):
    remedy = "install bnlab again, or in a clone run `git checkout data/digits.npz`"
    if not path.is_file():
        raise FileNotFoundError(f"load_digits needs {path}, which is missing; {remedy}")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != DIGITS_SHA256:
        raise ValueError(f"load_digits: {path} is not the file bnlab came with (sha256); {remedy}")
    with np.load(io.BytesIO(content)) as arrays:
        return arrays["images"], arrays["labels"]
