"""Compare gradients with central differences.

The check behind every derivative of the course. Always use a random upstream gradient `dy`: with
ones, the true gradient of batch norm with respect to x is zero and a wrong one can pass.
"""

import numpy as np

__all__ = ["gradcheck", "numerical_gradient", "relative_error"]


def numerical_gradient(f, x, dy, h=None):
    r"""Gradient of :math:`\sum dy \cdot f(x)` with respect to x, by central differences.

    .. math:: \frac{\partial}{\partial x_i} \approx
              \frac{\sum dy \cdot (f(x + h e_i) - f(x - h e_i))}{2h}

    Parameters
    ----------
    f : callable
        Takes one array like x, returns an array or a number.
    x : array_like, any shape
        It is not modified; the work is done in float64.
    dy : array_like, shape of f(x)
        Upstream gradient.
    h : float, optional
        Step. The default, ``cbrt(machine epsilon) * max(1, |x_i|)``, balances the two errors:
        truncation grows as h**2, rounding as 1 / h.

    Returns
    -------
    ndarray, shape of x

    Raises
    ------
    ValueError
        If dy does not have the shape of f(x).

    References
    ----------
    Nocedal & Wright 2006, *Numerical Optimization*, section 8.1.

    Examples
    --------
    >>> numerical_gradient(lambda x: x**2, np.array([1.0, 3.0]), dy=np.array([1.0, 10.0])).round(6)
    array([ 2., 60.])
    """
    x, dy = np.array(x, dtype=np.float64), np.asarray(dy)
    if np.shape(f(x.copy())) != dy.shape:
        raise ValueError(
            f"numerical_gradient needs dy in the shape of f(x), {np.shape(f(x.copy()))}, "
            f"got dy.shape={dy.shape}"
        )
    step = np.cbrt(np.finfo(x.dtype).eps) * np.maximum(1, abs(x)) if h is None else h
    step = np.broadcast_to(step, x.shape)
    gradient = np.empty_like(x)
    for i in np.ndindex(x.shape):
        above, below = x.copy(), x.copy()
        above[i] += step[i]
        below[i] -= step[i]
        width = above[i] - below[i]  # what rounding left of it; f may overwrite its argument
        gradient[i] = (
            np.sum(dy * (f(above) - f(below))) / width
        )  # subtract first: fewer lost digits
    return gradient


def relative_error(a, b):
    """Largest difference of two arrays, relative to their largest value.

    Relative to the array and not to each element, because an element that is zero in theory is
    1e-17 one way and 1e-12 the other.

    Parameters
    ----------
    a, b : array_like of one shape

    Returns
    -------
    float
        ``max|a - b| / max(max|a|, max|b|)``; 0 if both are zero.

    Examples
    --------
    >>> relative_error([1.0, 0.0], [1.0, 0.5])
    0.5
    """
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    scale = max(abs(a).max(), abs(b).max(), np.finfo(np.float64).tiny)
    return float(abs(a - b).max() / scale)


def gradcheck(f, inputs, gradients, dy, rtol=1e-6):
    """Compare the gradients of a function of several arrays with central differences.

    Parameters
    ----------
    f : callable
        ``f(*inputs)`` returns an array or a number.
    inputs : sequence of array_like
    gradients : sequence of array_like
        What your backward pass returned for `dy`, one for each input.
    dy : array_like, shape of the output of f
        Upstream gradient; draw it at random.
    rtol : float
        Largest accepted `relative_error`.

    Returns
    -------
    float
        The largest relative error.

    Raises
    ------
    AssertionError
        If a gradient differs; the message names the worst input and its worst element.

    Examples
    --------
    >>> x, y, dy = np.array([1.0, 2.0]), np.array([3.0, 4.0]), np.array([0.3, -0.7])
    >>> gradcheck(lambda x, y: x * y, [x, y], [dy * y, dy * x], dy) < 1e-9
    True
    """
    if len(inputs) != len(gradients):
        raise AssertionError(
            "gradcheck needs one gradient for each input, "
            f"got {len(gradients)} gradients for {len(inputs)} inputs"
        )
    wanted = [_numerical_gradient_of(f, inputs, k, dy) for k in range(len(inputs))]
    for k, (got, want) in enumerate(zip(gradients, wanted, strict=True)):
        if np.shape(got) != want.shape:
            raise AssertionError(
                f"gradcheck needs gradients in the shape of their inputs: input {k} has shape "
                f"{want.shape}, its gradient {np.shape(got)}"
            )
    errors = [relative_error(got, want) for got, want in zip(gradients, wanted, strict=True)]
    worst = int(np.argmax(errors))  # a nan counts as the largest
    if not errors[worst] <= rtol:
        raise AssertionError(_disagreement(worst, gradients[worst], wanted[worst], errors[worst]))
    return errors[worst]


def _numerical_gradient_of(f, inputs, k, dy):
    """Numerical gradient with respect to input k, the others held fixed."""

    def f_of_k(x):
        others = [np.array(other) for other in inputs]  # f may overwrite them
        return f(*others[:k], x, *others[k + 1 :])

    return numerical_gradient(f_of_k, inputs[k], dy)


def _disagreement(k, got, want, error):
    got = np.asarray(got)
    at = np.unravel_index(np.argmax(abs(got - want)), want.shape)
    element = ", ".join(map(str, at))
    return (
        f"gradcheck: the gradient of input {k} is wrong, worst at element [{element}]: "
        f"got {got[at]:.6g}, central differences give {want[at]:.6g} (relative error {error:.1e})"
    )
