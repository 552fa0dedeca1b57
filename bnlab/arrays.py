"""What the functions of this package accept: a fitting array, or a sentence that says why not."""

import numpy as np

__all__ = [
    "batch_and_vectors",
    "check_eps",
    "fitting",
    "float_array",
    "refuse_negative",
    "upstream",
    "vectors",
    "working_dtype",
]


def float_array(function, name, value):
    """The value as an array of floating-point numbers; TypeError for integers and the like."""
    value = np.asarray(value)
    if value.dtype.kind != "f":
        raise TypeError(
            f"{function} needs floating-point numbers in {name}, got {name}.dtype={value.dtype}; "
            f"convert with {name}.astype(np.float64)"
        )
    return value


def vectors(function, channels, dtype, **named):
    """The named values as arrays of shape (channels,) in this dtype, in order."""
    values = {name: np.asarray(value, dtype=dtype) for name, value in named.items()}
    for name, value in values.items():
        if value.shape != (channels,):
            raise ValueError(
                f"{function} needs one {name} per channel, shape ({channels},), "
                f"got {name}.shape={value.shape}"
            )
    return values.values()


def batch_and_vectors(function, x, **named):
    """Return x of shape (N, C, ...) and the vectors of its C channels, in x's working dtype."""
    x = float_array(function, "x", x)
    if x.ndim < 2:
        raise ValueError(
            f"{function} needs x of shape (N, C) or (N, C, *spatial), got x.shape={x.shape}; "
            "add the missing axis, for example with x[:, None]"
        )
    return x, *vectors(function, x.shape[1], working_dtype(x), **named)


def fitting(function, name, value, shape, dtype):
    """The value as an array of exactly this shape and dtype; ValueError for other shapes."""
    value = np.asarray(value, dtype=dtype)
    if value.shape != shape:
        raise ValueError(
            f"{function} needs {name} of shape {shape}, got {name}.shape={value.shape}"
        )
    return value


def upstream(function, dy, shape, dtype):
    """Return dy as an array that fits the output of the forward pass in shape and dtype."""
    dy = np.asarray(dy, dtype=dtype)
    if dy.shape != shape:
        raise ValueError(
            f"{function} needs dy in the shape of the output, {shape}, got dy.shape={dy.shape}; "
            "pass the gradient of the loss with respect to that output"
        )
    return dy


def check_eps(function, eps):
    """Return eps as a float, which leaves dtypes alone; ValueError if it is negative or NaN."""
    if not eps >= 0:
        raise ValueError(f"{function} needs eps >= 0, got eps={eps}; the usual value is 1e-5")
    return float(eps)


def refuse_negative(function, running_var):
    """ValueError if a variance is negative."""
    if (running_var < 0).any():
        raise ValueError(
            f"{function} needs running_var >= 0, got {running_var.min()}; "
            "a one-pass E[x^2] - E[x]^2 can turn negative: compute mean((x - mean)^2)"
        )


def working_dtype(x):
    """The dtype to compute in: half precision is computed in single precision, as torch does."""
    return np.promote_types(x.dtype, np.float32)
