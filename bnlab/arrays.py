"""What the functions of this package accept: a fitting array, or a sentence that says why not."""

import numpy as np

__all__ = ["check_eps", "float_array", "vector", "working_dtype"]


def float_array(function, name, value):
    """The value as an array of floating-point numbers; TypeError for integers and the like."""
    value = np.asarray(value)
    if not np.issubdtype(value.dtype, np.floating):
        raise TypeError(
            f"{function} needs floating-point numbers in {name}, got {name}.dtype={value.dtype}; "
            f"convert with {name}.astype(np.float64)"
        )
    return value


def vector(function, name, value, channels, dtype):
    """The value as an array of shape (channels,) in this dtype; ValueError for other shapes."""
    value = np.asarray(value, dtype=dtype)
    if value.shape != (channels,):
        raise ValueError(
            f"{function} needs one {name} per channel, shape ({channels},), "
            f"got {name}.shape={value.shape}"
        )
    return value


def check_eps(function, eps):
    """ValueError unless eps is a number that is not negative."""
    if not eps >= 0:
        raise ValueError(f"{function} needs eps >= 0, got eps={eps}; the usual value is 1e-5")


def working_dtype(x):
    """The dtype to compute in: half precision is computed in single precision, as torch does."""
    return np.promote_types(x.dtype, np.float32)
