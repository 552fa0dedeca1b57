"""Convolution and pooling of images (N, C, H, W), with their gradients.

"Convolution" is what deep learning calls by that name: cross-correlation, the kernel not flipped.

The work is done on one row of all images at a time, laid out as (H, N, W, C). There the kw pixels
under one row of a kernel are kw*C neighbouring numbers, so that a row of images meeting a row of
the kernels is one matrix product, small enough to stay in the processor's cache. Gathering all
kh x kw patches first would need kh*kw times the memory of the images.
"""

import numpy as np

from bnlab.arrays import fitting, float_array, upstream

__all__ = [
    "avg_pool2d_backward",
    "avg_pool2d_forward",
    "conv2d_backward",
    "conv2d_forward",
    "max_pool2d_backward",
    "max_pool2d_forward",
]


def conv2d_forward(x, weight, bias=None, stride=1, padding=0):
    r"""Cross-correlate images with kernels.

    .. math:: y_{n,o,h,w} = b_o + \sum_{c,i,j} W_{o,c,i,j}\, x_{n,c,\,sh+i,\,sw+j}

    with s the stride, and x padded with `padding` zeros on each side.

    Parameters
    ----------
    x : array_like of float, shape (N, C, H, W)
    weight : ndarray, shape (out, C, kh, kw)
    bias : ndarray of shape (out,), or None
    stride, padding : int
        The same for both axes; the padding is smaller than the kernel.

    Returns
    -------
    y : ndarray, shape (N, out, H_out, W_out)
        ``H_out = (H + 2 * padding - kh) // stride + 1``, and likewise W_out.
    cache : tuple
        What `conv2d_backward` needs.

    Raises
    ------
    ValueError
        If a shape does not fit, or stride or padding is out of range.

    Examples
    --------
    >>> x = np.array([[[[1.0, 2.0, 4.0], [8.0, 9.0, 9.0]]]])
    >>> difference = np.array([[[[-1.0, 1.0]]]])
    >>> conv2d_forward(x, difference)[0][0, 0]
    array([[1., 2.],
           [1., 0.]])
    """
    x, weight = float_array("conv2d_forward", "x", x), np.asarray(weight)
    _check_conv2d(x, weight, stride, padding)
    size = [side + 2 * padding for side in x.shape[2:]]
    images = _row_by_row(x, size, (padding, padding))
    y = _correlate(images, weight, stride)
    if bias is not None:
        y += fitting("conv2d_forward", "bias", bias, weight.shape[:1], y.dtype)[:, None, None]
    return y, (images, weight, bias is not None, stride, padding, x.shape, y.shape)


def conv2d_backward(dy, cache):
    r"""Return dx, dweight and dbias (None without a bias).

    Each x reached the outputs through the kernel, so dx is dy sent back the same way: dy with
    stride - 1 zeros between its pixels, correlated with the kernel turned by 180 degrees.
    """
    images, weight, has_bias, stride, padding, x_shape, y_shape = cache
    dy = upstream("conv2d_backward", dy, y_shape, np.result_type(images, weight))
    out, c, kh, kw = weight.shape
    dy_rows = dy.transpose(2, 0, 3, 1).reshape(y_shape[2], -1, out)  # (H_out, N*W_out, out)
    dbias = np.ones(dy.size // out, dy.dtype) @ dy_rows.reshape(-1, out) if has_bias else None
    dweight_rows = np.zeros((kh, kw * c, out), dy.dtype)
    for h, i, pixels in _meetings(images, kh, kw, stride):
        dweight_rows[i] += pixels.T @ dy_rows[h]
    dweight = dweight_rows.reshape(kh, kw, c, out).transpose(3, 2, 0, 1)

    # With this border each x meets exactly the outputs it reached.
    size = [side + k - 1 for side, k in zip(x_shape[2:], (kh, kw), strict=True)]
    spread = _row_by_row(dy, size, (kh - 1 - padding, kw - 1 - padding), step=stride)
    turned = weight[:, :, ::-1, ::-1].transpose(1, 0, 2, 3)  # (C, out, kh, kw)
    return _correlate(spread, turned, 1), np.ascontiguousarray(dweight), dbias


def _correlate(images, weight, stride):
    """Cross-correlate images laid out row by row; (N, out, H_out, W_out) comes back."""
    out, c, kh, kw = weight.shape
    height, n, width, _ = images.shape
    h_out, w_out = (height - kh) // stride + 1, (width - kw) // stride + 1
    weight_rows = np.ascontiguousarray(weight.transpose(2, 3, 1, 0)).reshape(kh, kw * c, out)
    y = np.zeros((h_out, n * w_out, out), np.result_type(images, weight))
    for h, i, pixels in _meetings(images, kh, kw, stride):
        y[h] += pixels @ weight_rows[i]
    return np.ascontiguousarray(y.reshape(h_out, n, w_out, out).transpose(1, 3, 0, 2))


def _meetings(images, kh, kw, stride):
    """Every (output row h, kernel row i) with the image row they share, image row h*stride + i.

    The image row comes as the pixels under the kernel row at each place, (N*W_out, kw*C).
    """
    height, n, width, c = images.shape
    joined = images.reshape(height, n, width * c)
    windows = np.lib.stride_tricks.sliding_window_view(joined, kw * c, axis=2)[:, :, :: stride * c]
    for r in range(height):
        pixels = windows[r].reshape(-1, kw * c)  # a copy; used for up to kh products
        for i in range(kh):
            h, between = divmod(r - i, stride)
            if not between and 0 <= h <= (height - kh) // stride:
                yield h, i, pixels


def _row_by_row(x, size, start, step=1):
    """Images (N, C, h, w) laid out as (H, N, W, C) in zeros of this size, from `start` on."""
    n, c, h, w = x.shape
    rows, columns = (slice(a, a + step * k, step) for a, k in zip(start, (h, w), strict=True))
    images = np.zeros((size[0], n, size[1], c), x.dtype)
    images[rows, :, columns] = x.transpose(2, 0, 3, 1)
    return images


def avg_pool2d_forward(x, kernel_size):
    """Mean of each window; the windows do not overlap (stride = kernel_size).

    ``kernel_size=x.shape[2:]`` is global average pooling.

    Parameters
    ----------
    x : array_like of float, shape (N, C, H, W)
    kernel_size : int or (int, int)
        kh and kw; they divide H and W.

    Returns
    -------
    y : ndarray, shape (N, C, H / kh, W / kw)
    cache : tuple
        What `avg_pool2d_backward` needs.

    Raises
    ------
    ValueError
        If the windows do not fill the image.

    Examples
    --------
    >>> avg_pool2d_forward(np.arange(8.0).reshape(1, 1, 2, 4), 2)[0]
    array([[[[2.5, 4.5]]]])
    """
    windows = _windows("avg_pool2d_forward", x, kernel_size)
    y = windows.mean(axis=(4, 5))
    return y, (windows.shape, y.dtype)


def avg_pool2d_backward(dy, cache):
    """Return dx: each value of dy shared equally by its window."""
    (*shape, kh, kw), dtype = cache
    dy = upstream("avg_pool2d_backward", dy, tuple(shape), dtype)
    return np.repeat(np.repeat(dy / (kh * kw), kh, axis=2), kw, axis=3)


def max_pool2d_forward(x, kernel_size):
    """Largest value of each window; the windows do not overlap (stride = kernel_size).

    Parameters
    ----------
    x : array_like of float, shape (N, C, H, W)
    kernel_size : int or (int, int)
        Must divide H and W.

    Returns
    -------
    y : ndarray, shape (N, C, H / kh, W / kw)
    cache : tuple
        What `max_pool2d_backward` needs.

    Examples
    --------
    >>> max_pool2d_forward(np.arange(8.0).reshape(1, 1, 2, 4), 2)[0]
    array([[[[5., 7.]]]])
    """
    windows = _windows("max_pool2d_forward", x, kernel_size)
    flat = windows.reshape(*windows.shape[:4], -1)
    largest = flat.argmax(axis=4)[..., None]  # the first of equals, as in torch
    y = np.take_along_axis(flat, largest, axis=4)[..., 0]
    return y, (largest, windows.shape, y.dtype)


def max_pool2d_backward(dy, cache):
    """Return dx: dy where the largest value was, 0 elsewhere."""
    largest, shape, dtype = cache
    dy = upstream("max_pool2d_backward", dy, shape[:4], dtype)
    n, c, h, w, kh, kw = shape
    flat = np.zeros((n, c, h, w, kh * kw), dtype)
    np.put_along_axis(flat, largest, dy[..., None], axis=4)
    windows = flat.reshape(shape).transpose(0, 1, 2, 4, 3, 5)  # (N, C, H/kh, kh, W/kw, kw)
    return windows.reshape(n, c, h * kh, w * kw)


def _windows(function, x, kernel_size):
    """Images to windows, (N, C, H / kh, W / kw, kh, kw)."""
    x = float_array(function, "x", x)
    kh, kw = np.broadcast_to(kernel_size, 2).tolist()
    if x.ndim != 4 or min(kh, kw) < 1 or x.shape[2] % kh or x.shape[3] % kw:
        raise ValueError(
            f"{function} needs x of shape (N, C, H, W) and a kernel_size that divides H and W, "
            f"got x.shape={x.shape} and kernel_size={kernel_size}"
        )
    n, c, h, w = x.shape
    return x.reshape(n, c, h // kh, kh, w // kw, kw).transpose(0, 1, 2, 4, 3, 5)


def _check_conv2d(x, weight, stride, padding):
    if x.ndim != 4 or weight.ndim != 4 or x.shape[1] != weight.shape[1]:
        raise ValueError(
            "conv2d_forward needs x of shape (N, C, H, W) and weight of shape (out, C, kh, kw), "
            f"got x.shape={x.shape} and weight.shape={weight.shape}"
        )
    kernel = weight.shape[2:]
    if stride < 1 or not 0 <= padding < min(kernel):
        raise ValueError(
            "conv2d_forward needs stride >= 1 and a padding from 0 to less than the kernel size, "
            f"got stride={stride} and padding={padding} for a kernel of {kernel}"
        )
    if any(side + 2 * padding < k for side, k in zip(x.shape[2:], kernel, strict=True)):
        raise ValueError(
            "conv2d_forward needs an image at least as large as the kernel, "
            f"got x.shape={x.shape} and padding={padding} for a kernel of {kernel}"
        )
