"""Reading MNIST-format files: IDX, plain or compressed with gzip.

The course itself needs none of them. They let a reader repeat an experiment on MNIST,
Fashion-MNIST or any other data in this format that is already on disk.
"""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

__all__ = ["load_idx_folder", "read_idx"]

# The third byte of a file says what it holds; all numbers are big-endian.
_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path):
    """Read one IDX file, the format of MNIST.

    A file is two zero bytes, a type code, the number of axes, one four-byte length per axis,
    and then the values in C order. All numbers are big-endian in the file and native in the
    result. Gzip is recognized by its content, whatever the file's name.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    values : ndarray
        Writable, in the shape and type the file announces.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not IDX, is cut off, or goes on after its last value.

    References
    ----------
    LeCun, Cortes & Burges, "The MNIST database of handwritten digits", section on file formats.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "labels-idx1-ubyte"
    ...     header = bytes([0, 0, 8, 1, 0, 0, 0, 3])  # unsigned bytes, one axis of length three
    ...     _ = path.write_bytes(header + bytes([7, 2, 1]))
    ...     read_idx(path)
    array([7, 2, 1], dtype=uint8)
    """
    content = _uncompressed(path)
    dtype, shape = _header(path, content)
    start = 4 + 4 * len(shape)
    expected = start + math.prod(shape) * dtype.itemsize
    if len(content) != expected:
        fault = "is cut off" if len(content) < expected else "has trailing bytes"
        raise ValueError(
            f"read_idx: {path} {fault}: shape {shape} of {dtype.name} takes {expected} bytes, "
            f"got {len(content)}; fetch the file again"
        )
    values = np.frombuffer(content, dtype, offset=start).reshape(shape)
    return values.astype(dtype.newbyteorder("="))


def load_idx_folder(path, dtype=np.float64):
    """Load images and labels from a folder with MNIST's four files.

    The files are ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``,
    ``t10k-images-idx3-ubyte`` and ``t10k-labels-idx1-ubyte``, each with or without ``.gz``.
    Pixels are divided by 255, as `bnlab.data.load_digits` divides its own by 16.

    Parameters
    ----------
    path : str or path-like
        The folder.
    dtype : dtype
        Of the images; MNIST takes 440 MB in float64, half of it in float32.

    Returns
    -------
    x_train, y_train, x_test, y_test : ndarray
        Images (N, H*W) in [0, 1] and labels (N,) as int64.

    Raises
    ------
    FileNotFoundError
        If one of the four files is missing.
    ValueError
        If a file is damaged, does not hold unsigned bytes with the right number of axes, or if
        images and labels differ in number.

    Examples
    --------
    >>> load_idx_folder("not-there")
    Traceback (most recent call last):
    FileNotFoundError: load_idx_folder needs train-images-idx3-ubyte or
    train-images-idx3-ubyte.gz in not-there, found neither; pass the folder that holds the four
    MNIST files
    """
    folder = Path(path)
    return *_images_and_labels(folder, "train", dtype), *_images_and_labels(folder, "t10k", dtype)


def _images_and_labels(folder, part, dtype):
    images_path = _existing(folder / f"{part}-images-idx3-ubyte")
    labels_path = _existing(folder / f"{part}-labels-idx1-ubyte")
    images, labels = _read_bytes(images_path, ndim=3), _read_bytes(labels_path, ndim=1)
    if len(images) != len(labels):
        raise ValueError(
            f"load_idx_folder needs one label per image, got {len(images)} images in "
            f"{images_path} and {len(labels)} labels in {labels_path}; the two files do not "
            "belong together"
        )
    x = images.reshape(len(images), math.prod(images.shape[1:])).astype(dtype)
    x /= 255
    return x, labels.astype(np.int64)


def _existing(path):
    """Return the path of the file as it is or compressed, whichever is there."""
    for candidate in (path, path.with_name(path.name + ".gz")):
        if candidate.is_file():
            return candidate
    raise FileNotFoundError(
        f"load_idx_folder needs {path.name} or {path.name}.gz in {path.parent}, found neither; "
        "pass the folder that holds the four MNIST files"
    )


def _read_bytes(path, ndim):
    values = read_idx(path)
    if values.dtype != np.uint8 or values.ndim != ndim:
        raise ValueError(
            f"load_idx_folder needs unsigned bytes with {ndim} axes in {path}, "
            f"got {values.dtype} with shape {values.shape}; check that the files keep their names"
        )
    return values


def _uncompressed(path):
    content = Path(path).read_bytes()
    if not content.startswith(b"\x1f\x8b"):  # the mark of gzip; IDX starts with two zeros
        return content
    try:
        return gzip.decompress(content)
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(
            f"read_idx: {path} is a damaged gzip file ({error}); fetch the file again"
        ) from error


def _header(path, content):
    """Type and shape that the first bytes announce."""
    if len(content) < 4 or content[:2] != b"\0\0" or content[3] == 0:
        raise ValueError(
            f"read_idx: {path} is not an IDX file: it must start with two zero bytes, a type "
            f"code and the number of axes, got {content[:4]!r}"
        )
    code, ndim = content[2], content[3]
    if code not in _DTYPES:
        known = ", ".join(f"0x{known:02X}" for known in _DTYPES)
        raise ValueError(f"read_idx: {path} has the unknown type code 0x{code:02X}, not {known}")
    lengths = content[4 : 4 + 4 * ndim]
    if len(lengths) < 4 * ndim:
        raise ValueError(f"read_idx: {path} is cut off inside its header; fetch the file again")
    shape = tuple(np.frombuffer(lengths, ">u4").tolist())
    return np.dtype(_DTYPES[code]), shape
