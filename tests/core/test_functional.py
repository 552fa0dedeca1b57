"""Dense functions against torch in float64 and against finite differences.

Inputs are read-only arrays, so a function that modifies one raises.
"""

import numpy as np
import pytest

from bnlab import functional as F
from bnlab.gradcheck import gradcheck

torch = pytest.importorskip("torch")

ACTIVATIONS = ["relu", "sigmoid", "tanh"]


def read_only(array):
    array.flags.writeable = False
    return array


def draw(shape, seed=0, dtype=np.float64):
    return read_only(np.random.default_rng(seed).normal(size=shape).astype(dtype))


def pair(name):
    return getattr(F, f"{name}_forward"), getattr(F, f"{name}_backward")


def torch_gradients(f, inputs, dy):
    """Output and gradients of torch for float64 copies of the inputs."""
    leaves = [torch.tensor(a, requires_grad=True) for a in inputs]
    y = f(*leaves)
    y.backward(torch.tensor(dy))
    return y.detach().numpy(), [leaf.grad.numpy() for leaf in leaves]


def assert_close(got, want):
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (64, 7)])
@pytest.mark.parametrize("with_bias", [True, False])
def test_linear_is_torchs(shape, with_bias):
    (n, fan_in), fan_out = shape, 4
    inputs = [draw((n, fan_in), 1), draw((fan_out, fan_in), 2)]
    inputs += [draw(fan_out, 3)] if with_bias else []
    dy = draw((n, fan_out), 4)
    y, cache = F.linear_forward(*inputs)
    gradients = F.linear_backward(dy, cache)
    want_y, want = torch_gradients(torch.nn.functional.linear, inputs, dy)
    assert_close(y, want_y)
    for got, expected in zip(gradients, want, strict=False):
        assert_close(got, expected)
    assert (gradients[2] is None) == (not with_bias)


def test_linear_gradients_are_the_numerical_ones():
    inputs, dy = [draw((6, 3), 1), draw((4, 3), 2), draw(4, 3)], draw((6, 4), 4)
    gradients = F.linear_backward(dy, F.linear_forward(*inputs)[1])
    gradcheck(lambda *a: F.linear_forward(*a)[0], inputs, gradients, dy)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("shape", [(7,), (5, 3), (2, 3, 4, 5)])
def test_activations_are_torchs_and_pass_a_gradient_check(name, shape):
    forward, backward = pair(name)
    x, dy = draw(shape, 1), draw(shape, 2)
    y, cache = forward(x)
    dx = backward(dy, cache)
    want_y, (want_dx,) = torch_gradients(getattr(torch, name), [x], dy)
    assert_close(y, want_y)
    assert_close(dx, want_dx)
    gradcheck(lambda x: forward(x)[0], [x], [dx], dy)


def test_relu_has_slope_zero_at_zero_as_torch_has():
    x = np.array([-1.0, 0.0, -0.0, 2.0])
    y, cache = F.relu_forward(x)
    np.testing.assert_array_equal(y, [0, 0, 0, 2])
    np.testing.assert_array_equal(F.relu_backward(np.full(4, 3.0), cache), [0, 0, 0, 3])


def test_sigmoid_has_all_its_digits_where_exp_overflows():
    x = np.array([-745.0, -710.0, -40.0, 40.0, 710.0, 1e300, -1e300])
    y, cache = F.sigmoid_forward(x)
    np.testing.assert_allclose(y[:3], np.exp(x[:3]), rtol=1e-12)
    np.testing.assert_array_equal(y[3:], [1, 1, 1, 0])
    assert np.isfinite(F.sigmoid_backward(np.ones(7), cache)).all()


def test_changing_the_output_does_not_change_the_gradient():
    x, dy = draw((4, 3), 1), draw((4, 3), 2)
    for name in ACTIVATIONS:
        forward, backward = pair(name)
        y, cache = forward(x)
        before = backward(dy, cache)
        y[:] = 100.0
        np.testing.assert_array_equal(backward(dy, cache), before)


@pytest.mark.parametrize("p", [0.0, 0.2, 0.8])
def test_dropout_zeroes_a_share_p_and_keeps_the_mean(p):
    x = read_only(np.full((400, 500), 3.0))
    y, cache = F.dropout_forward(x, p, np.random.default_rng(0))
    assert abs((y == 0).mean() - p) < 0.005
    assert abs(y.mean() - 3) < 0.05
    np.testing.assert_allclose(y[y != 0], 3 / (1 - p))
    dy = draw(x.shape, 1)
    np.testing.assert_allclose(F.dropout_backward(dy, cache), dy * (y / x))


def test_dropout_gradient_is_the_numerical_one():
    x, dy = draw((4, 3), 1), draw((4, 3), 2)
    _, cache = F.dropout_forward(x, 0.5, np.random.default_rng(7))
    gradcheck(
        lambda x: F.dropout_forward(x, 0.5, np.random.default_rng(7))[0],
        [x], [F.dropout_backward(dy, cache)], dy,
    )  # fmt: skip


@pytest.mark.parametrize("scale", [1, 1000])
def test_cross_entropy_is_torchs(scale):
    logits = read_only(scale * draw((9, 4), 1))
    labels = read_only(np.random.default_rng(2).integers(0, 4, 9))
    loss, cache = F.cross_entropy_forward(logits, labels)
    want, (want_dlogits,) = torch_gradients(
        lambda z: torch.nn.functional.cross_entropy(z, torch.tensor(labels)), [logits], 1.0
    )
    assert type(loss) is float
    assert_close(loss, want)
    assert_close(F.cross_entropy_backward(cache), want_dlogits)


def test_cross_entropy_gradient_is_the_numerical_one_and_a_mean():
    logits, labels = draw((5, 3), 1), np.array([0, 2, 1, 1, 0])
    loss, cache = F.cross_entropy_forward(logits, labels)
    dlogits = F.cross_entropy_backward(cache)
    gradcheck(lambda z: F.cross_entropy_forward(z, labels)[0], [logits], [dlogits], 1.0)
    twice, _ = F.cross_entropy_forward(np.tile(logits, (2, 1)), np.tile(labels, 2))
    assert twice == pytest.approx(loss, rel=1e-12)


def test_backward_twice_gives_the_same():
    x, dy = draw((5, 3), 1), draw((5, 3), 2)
    caches = {name: pair(name)[0](x)[1] for name in ACTIVATIONS}
    caches["dropout"] = F.dropout_forward(x, 0.5, np.random.default_rng(0))[1]
    for name, cache in caches.items():
        backward = pair(name)[1]
        np.testing.assert_array_equal(backward(dy, cache), backward(dy, cache))
    _, cache = F.linear_forward(x, draw((3, 3), 3), draw(3, 4))
    calls = [F.linear_backward(dy, cache) for _ in range(2)]
    for first, second in zip(*calls, strict=True):
        np.testing.assert_array_equal(first, second)
    _, cache = F.cross_entropy_forward(x, np.array([0, 1, 2, 0, 1]))
    np.testing.assert_array_equal(F.cross_entropy_backward(cache), F.cross_entropy_backward(cache))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_results_keep_the_dtype(dtype):
    x, dy = draw((5, 3), 1, dtype), draw((5, 3), 2, dtype)
    y, cache = F.linear_forward(x, draw((3, 3), 3, dtype), draw(3, 4, dtype))
    results = [y, *F.linear_backward(dy, cache)]
    for name in ACTIVATIONS:
        y, cache = pair(name)[0](x)
        results += [y, pair(name)[1](dy, cache)]
    y, cache = F.dropout_forward(x, 0.5, np.random.default_rng(0))
    results += [y, F.dropout_backward(dy, cache)]
    results += [F.cross_entropy_backward(F.cross_entropy_forward(x, np.zeros(5, int))[1])]
    assert {r.dtype for r in results} == {np.dtype(dtype)}


def test_dropout_masks_do_not_depend_on_the_dtype():
    masks = [
        F.dropout_forward(np.ones(50, dtype), 0.5, np.random.default_rng(0))[1]
        for dtype in (np.float32, np.float64)
    ]
    np.testing.assert_array_equal(*masks)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: F.linear_forward(np.ones((2, 3)), np.ones((4, 5))), ValueError,
         r"linear_forward needs x of shape \(N, in\) .* got x.shape=\(2, 3\) and .*\(4, 5\)"),
        (lambda: F.linear_forward(np.ones(3), np.ones((4, 3))), ValueError, r"x.shape=\(3,\)"),
        (lambda: F.linear_forward(np.ones((2, 3)), np.ones(3)), ValueError, r"shape=\(3,\)"),
        (lambda: F.linear_forward(np.ones((2, 3)), np.ones((4, 3)), np.ones(3)), ValueError,
         r"linear_forward needs bias of shape \(4,\), got bias.shape=\(3,\)"),
        (lambda: F.linear_forward(np.ones((2, 3), int), np.ones((4, 3))), TypeError,
         "linear_forward needs floating-point numbers in x"),
        (lambda: F.dropout_forward(np.ones(3), 1.0, np.random.default_rng(0)), ValueError,
         "dropout_forward needs 0 <= p < 1, got p=1.0; p is the probability of a zero"),
        (lambda: F.dropout_forward(np.ones(3), -0.1, np.random.default_rng(0)), ValueError,
         "got p=-0.1"),
        (lambda: F.cross_entropy_forward(np.ones((2, 3)), [0]), ValueError,
         r"logits of shape \(N, K\) and labels of shape \(N,\), N >= 1, got .*\(2, 3\).*\(1,\)"),
        (lambda: F.cross_entropy_forward(np.ones((0, 3)), np.ones(0, int)), ValueError, "N >= 1"),
        (lambda: F.cross_entropy_forward(np.ones(2), [0, 1]), ValueError, r"logits.shape=\(2,\)"),
        (lambda: F.cross_entropy_forward(np.ones((1, 3)), [1.0]), TypeError,
         "needs whole numbers as labels, got labels.dtype=float64; convert"),
        (lambda: F.cross_entropy_forward(np.ones((1, 3)), [3]), ValueError,
         "needs labels from 0 to 2, one for each column of logits, got 3 to 3"),
        (lambda: F.cross_entropy_forward(np.ones((1, 3)), [-1]), ValueError, "got -1 to -1"),
    ],
)  # fmt: skip
def test_bad_input_gets_a_sentence(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("name", ["relu", "sigmoid", "tanh", "dropout", "linear"])
def test_a_gradient_of_the_wrong_shape_gets_a_sentence(name):
    x, more = np.ones((2, 3)), {"dropout": (0.5, np.random.default_rng(0)), "linear": (np.eye(3),)}
    forward, backward = pair(name)
    _, cache = forward(x, *more.get(name, ()))
    message = rf"{name}_backward needs dy in the shape of the output, \(2, 3\), got .*\(1, 3\)"
    with pytest.raises(ValueError, match=message):
        backward(np.ones((1, 3)), cache)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_refuse_integers(name):
    with pytest.raises(TypeError, match=f"{name}_forward needs floating-point numbers in x"):
        pair(name)[0](np.array([1, 2]))


def test_all_names_are_reachable_here():
    for name in F.__all__:
        assert callable(getattr(F, name))
