"""Convolution and pooling against torch in float64 and against finite differences."""

import numpy as np
import pytest

from bnlab import functional as F
from bnlab.gradcheck import gradcheck

torch = pytest.importorskip("torch")
torch_F = torch.nn.functional

# x shape, (out, kh, kw), stride, padding
CONVOLUTIONS = [
    ((2, 1, 8, 8), (4, 3, 3), 1, 1),
    ((3, 4, 6, 7), (2, 3, 3), 1, 0),
    ((2, 3, 5, 6), (4, 1, 1), 1, 0),
    ((2, 3, 5, 4), (2, 5, 4), 1, 0),
    ((2, 3, 7, 9), (2, 2, 4), 1, 1),
    ((2, 2, 8, 8), (3, 3, 3), 2, 1),
    ((2, 2, 8, 9), (3, 3, 2), 3, 0),
    ((1, 2, 9, 5), (3, 3, 3), 2, 2),
    ((2, 2, 4, 4), (3, 1, 1), 2, 0),
]


def draw(shape, seed=0, dtype=np.float64):
    """A read-only array: whoever modifies it raises."""
    array = np.random.default_rng(seed).normal(size=shape).astype(dtype)
    array.flags.writeable = False
    return array


def draw_convolution(x_shape, kernel, with_bias=True, dtype=np.float64):
    """Arguments x, weight and, if wanted, bias."""
    out, kh, kw = kernel
    inputs = [draw(x_shape, 1, dtype), draw((out, x_shape[1], kh, kw), 2, dtype)]
    return [*inputs, draw(out, 3, dtype)] if with_bias else inputs


def torch_gradients(f, inputs, dy):
    leaves = [torch.tensor(a, requires_grad=True) for a in inputs]
    y = f(*leaves)
    y.backward(torch.tensor(dy))
    return y.detach().numpy(), [leaf.grad.numpy() for leaf in leaves]


def assert_close(got, want):
    assert got.flags.c_contiguous  # later layers are slow on anything else
    np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(("x_shape", "kernel", "stride", "padding"), CONVOLUTIONS)
@pytest.mark.parametrize("with_bias", [True, False])
def test_conv2d_is_torchs(x_shape, kernel, stride, padding, with_bias):
    inputs = draw_convolution(x_shape, kernel, with_bias)
    bias = inputs[2] if with_bias else None
    y, cache = F.conv2d_forward(*inputs[:2], bias, stride, padding)
    dy = draw(y.shape, 4)
    gradients = F.conv2d_backward(dy, cache)
    want_y, want = torch_gradients(
        lambda *a: torch_F.conv2d(*a, stride=stride, padding=padding), inputs, dy
    )
    assert_close(y, want_y)
    assert (gradients[2] is None) == (not with_bias)
    for got, expected in zip(gradients, want, strict=False):
        assert_close(got, expected)


@pytest.mark.parametrize(("stride", "padding"), [(1, 1), (2, 0)])
def test_conv2d_gradients_are_the_numerical_ones(stride, padding):
    inputs = draw_convolution((2, 2, 5, 4), (3, 3, 2))
    y, cache = F.conv2d_forward(*inputs, stride, padding)
    dy = draw(y.shape, 4)
    gradients = F.conv2d_backward(dy, cache)
    gradcheck(lambda *a: F.conv2d_forward(*a, stride, padding)[0], inputs, gradients, dy)


def test_conv2d_does_not_flip_the_kernel():
    x = np.arange(9.0).reshape(1, 1, 3, 3)
    kernel = np.array([[[[1.0, 0.0], [0.0, 0.0]]]])  # picks the top left pixel of its window
    np.testing.assert_array_equal(F.conv2d_forward(x, kernel)[0][0, 0], [[0, 1], [3, 4]])


@pytest.mark.parametrize("kernel_size", [1, 2, (2, 3), (4, 6)])
@pytest.mark.parametrize("kind", ["avg", "max"])
def test_pooling_is_torchs_and_passes_a_gradient_check(kind, kernel_size):
    forward = getattr(F, f"{kind}_pool2d_forward")
    x = draw((2, 3, 4, 6), 1)
    y, cache = forward(x, kernel_size)
    dy = draw(y.shape, 2)
    dx = getattr(F, f"{kind}_pool2d_backward")(dy, cache)
    want_y, (want_dx,) = torch_gradients(
        lambda x: getattr(torch_F, f"{kind}_pool2d")(x, kernel_size), [x], dy
    )
    np.testing.assert_allclose(y, want_y, rtol=1e-13)
    assert_close(dx, want_dx)
    gradcheck(lambda x: forward(x, kernel_size)[0], [x], [dx], dy)


def test_global_average_pooling_is_the_mean_of_each_channel():
    x = draw((2, 3, 4, 6), 1)
    y, _ = F.avg_pool2d_forward(x, x.shape[2:])
    np.testing.assert_allclose(y, x.mean(axis=(2, 3), keepdims=True), rtol=1e-12)


def test_max_pooling_gives_the_gradient_of_a_tie_to_the_first_as_torch_does():
    x, dy = np.zeros((1, 1, 4, 4)), draw((1, 1, 2, 2), 1)
    x[0, 0, 1, 0:2] = 5.0
    _, cache = F.max_pool2d_forward(x, 2)
    _, (want,) = torch_gradients(lambda x: torch_F.max_pool2d(x, 2), [x], dy)
    np.testing.assert_array_equal(F.max_pool2d_backward(dy, cache), want)


@pytest.mark.parametrize("kind", ["avg", "max"])
def test_pooling_backward_twice_gives_the_same(kind):
    y, cache = getattr(F, f"{kind}_pool2d_forward")(draw((2, 3, 4, 6), 1), 2)
    backward, dy = getattr(F, f"{kind}_pool2d_backward"), draw(y.shape, 2)
    np.testing.assert_array_equal(backward(dy, cache), backward(dy, cache))


def test_conv2d_backward_twice_gives_the_same_and_the_output_may_be_changed_between():
    y, cache = F.conv2d_forward(*draw_convolution((2, 3, 5, 6), (4, 3, 3)), padding=1)
    dy = draw(y.shape, 4)
    first = F.conv2d_backward(dy, cache)
    y[:] = 0.0
    for one, two in zip(first, F.conv2d_backward(dy, cache), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_results_keep_the_dtype(dtype):
    inputs = draw_convolution((2, 3, 4, 4), (4, 3, 3), dtype=dtype)
    y, cache = F.conv2d_forward(*inputs, padding=1)
    results = [y, *F.conv2d_backward(draw(y.shape, 4, dtype), cache)]
    for kind in ("avg", "max"):
        y, cache = getattr(F, f"{kind}_pool2d_forward")(inputs[0], 2)
        dy = draw(y.shape, 4, dtype)
        results += [y, getattr(F, f"{kind}_pool2d_backward")(dy, cache)]
    assert {r.dtype for r in results} == {np.dtype(dtype)}


X, W = np.ones((2, 3, 4, 4)), np.ones((5, 3, 3, 3))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: F.conv2d_forward(X[0], W), ValueError,
         r"conv2d_forward needs x of shape \(N, C, H, W\) .* got x.shape=\(3, 4, 4\)"),
        (lambda: F.conv2d_forward(X, W[:, :2]), ValueError, r"weight.shape=\(5, 2, 3, 3\)"),
        (lambda: F.conv2d_forward(X, W[0]), ValueError, r"weight.shape=\(3, 3, 3\)"),
        (lambda: F.conv2d_forward(X, W, np.ones(3)), ValueError,
         r"conv2d_forward needs bias of shape \(5,\), got bias.shape=\(3,\)"),
        (lambda: F.conv2d_forward(X.astype(int), W), TypeError, "floating-point numbers in x"),
        (lambda: F.conv2d_forward(X, W, stride=0), ValueError, "stride >= 1 .* got stride=0"),
        (lambda: F.conv2d_forward(X, W, padding=-1), ValueError, "padding=-1 for a kernel of"),
        (lambda: F.conv2d_forward(X, W, padding=3), ValueError, "less than the kernel .*padding=3"),
        (lambda: F.conv2d_forward(X[:, :, :2], W), ValueError,
         r"an image at least as large as the kernel, got x.shape=\(2, 3, 2, 4\)"),
        (lambda: F.conv2d_backward(X, F.conv2d_forward(X, W)[1]), ValueError,
         r"conv2d_backward needs dy in the shape of the output, \(2, 5, 2, 2\)"),
        (lambda: F.avg_pool2d_forward(X, 3), ValueError,
         r"avg_pool2d_forward needs .* kernel_size that divides H and W, got .*kernel_size=3"),
        (lambda: F.max_pool2d_forward(X, (4, 3)), ValueError, "max_pool2d_forward needs x of"),
        (lambda: F.max_pool2d_forward(X, 0), ValueError, "kernel_size=0"),
        (lambda: F.max_pool2d_forward(X[0], 2), ValueError, r"x.shape=\(3, 4, 4\)"),
        (lambda: F.max_pool2d_forward(X.astype(int), 2), TypeError, "max_pool2d_forward needs fl"),
        (lambda: F.avg_pool2d_backward(X, F.avg_pool2d_forward(X, 2)[1]), ValueError,
         r"avg_pool2d_backward needs dy in the shape of the output, \(2, 3, 2, 2\)"),
        (lambda: F.max_pool2d_backward(X, F.max_pool2d_forward(X, 2)[1]), ValueError,
         r"max_pool2d_backward needs dy in the shape of the output, \(2, 3, 2, 2\)"),
    ],
)  # fmt: skip
def test_bad_input_gets_a_sentence(call, error, message):
    with pytest.raises(error, match=message):
        call()
