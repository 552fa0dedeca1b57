"""The checker itself: exact derivatives, wrong gradients that it must name, bad input."""

import numpy as np
import pytest

from bnlab.batchnorm import batchnorm_backward, batchnorm_forward
from bnlab.gradcheck import gradcheck, numerical_gradient, relative_error


def draw(shape, seed):
    array = np.random.default_rng(seed).normal(size=shape)
    array.flags.writeable = False  # a check that modifies its input raises
    return array


def test_numerical_gradient_is_the_derivative_of_a_cubic():
    x, dy = draw((3, 4), 1), draw((3, 4), 2)
    got = numerical_gradient(lambda x: x**3, x, dy)
    np.testing.assert_allclose(got, 3 * x**2 * dy, rtol=1e-8, atol=1e-9)


def test_numerical_gradient_is_exact_for_a_linear_map_of_another_shape():
    a, x, dy = draw((5, 3), 1), draw(3, 2), draw(5, 3)
    np.testing.assert_allclose(numerical_gradient(lambda x: a @ x, x, dy), dy @ a, rtol=1e-9)


def test_numerical_gradient_of_the_identity_survives_aliasing():
    x, dy = draw(4, 1), draw(4, 2)
    np.testing.assert_allclose(numerical_gradient(lambda x: x, x, dy), dy, rtol=1e-9)


def test_numerical_gradient_scales_its_step_with_x():
    x = np.array([1e8, -3e-9, 2.0])
    got = numerical_gradient(lambda x: x**2, x, np.ones(3))
    np.testing.assert_allclose(got, 2 * x, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(("x", "size"), [(0.0, 1), (-0.5, 1), (-200.0, 200)])
def test_numerical_gradient_steps_by_the_cube_root_of_the_rounding_unit(x, size):
    tried = []
    numerical_gradient(lambda x: tried.append(float(x)) or x, x, np.array(1.0))
    want = np.cbrt(np.finfo(np.float64).eps) * size
    np.testing.assert_allclose([max(tried) - x, x - min(tried)], want, rtol=1e-9)


def test_numerical_gradient_uses_the_step_it_is_given():
    got = numerical_gradient(lambda x: x**3, np.array(1.0), np.array(1.0), h=0.5)
    assert got == pytest.approx(3.25)  # 3 x^2 + h^2


def test_numerical_gradient_divides_by_the_step_that_rounding_left():
    got = numerical_gradient(lambda x: x, np.array(1.0), np.array(1.0), h=1e-15)
    assert got == 1  # 1 + 1e-15 is stored as 1 + 1.1e-15


def test_numerical_gradient_takes_functions_that_return_a_number_and_float32():
    x = draw(3, 1).astype(np.float32)
    got = numerical_gradient(lambda x: float((x**2).sum()), x, 1.0)
    assert got.dtype == np.float64
    np.testing.assert_allclose(got, 2 * x, rtol=1e-6)


def test_numerical_gradient_refuses_a_dy_that_would_broadcast():
    message = r"dy in the shape of f\(x\), \(2, 3\), got dy.shape=\(3,\)"
    with pytest.raises(ValueError, match=message):
        numerical_gradient(lambda x: x, np.ones((2, 3)), np.ones(3))


@pytest.mark.parametrize(
    ("a", "b", "want"),
    [
        ([1.0, 2.0], [1.0, 2.0], 0.0),
        ([0.0], [0.0], 0.0),
        ([1.0, -4.0], [1.0, 0.0], 1.0),
        ([0.0, 5.0], [1.0, 5.0], 0.2),
        (3.0, 4.0, 0.25),
        (np.int8([-128]), np.int8([0]), 1.0),  # in int8, abs(-128) is -128
    ],
)
def test_relative_error(a, b, want):
    assert relative_error(a, b) == want
    assert relative_error(b, a) == want
    assert type(relative_error(a, b)) is float


def product():
    x, y, dy = draw((2, 3), 1), draw((2, 3), 2), draw((2, 3), 3)
    return (lambda x, y: x * y), [x, y], [dy * y, dy * x], dy


def test_gradcheck_accepts_right_gradients_and_returns_the_error():
    f, inputs, gradients, dy = product()
    assert 0 <= gradcheck(f, inputs, gradients, dy) < 1e-9


def test_gradcheck_names_the_worst_input_and_element():
    f, inputs, (dx, dy_), dy = product()
    wrong = dy_.copy()
    wrong[0, 1] += 1e-3
    wrong[1, 2] += 1.0
    with pytest.raises(AssertionError, match=r"input 1 is wrong, worst at element \[1, 2\]: got"):
        gradcheck(f, inputs, [dx, wrong], dy)
    with pytest.raises(AssertionError, match=r"input 0 is wrong, worst at element \[1, 2\]"):
        gradcheck(lambda y, x: f(x, y), inputs[::-1], [wrong, dx], dy)


def test_gradcheck_respects_rtol():
    f, inputs, gradients, dy = product()
    slightly_off = [1.0001 * g for g in gradients]
    with pytest.raises(AssertionError, match=r"relative error 1.0e-04"):
        gradcheck(f, inputs, slightly_off, dy)
    error = gradcheck(f, inputs, slightly_off, dy, rtol=1e-3)
    assert error == pytest.approx(1e-4, rel=0.01)
    assert gradcheck(f, inputs, slightly_off, dy, rtol=error) == error  # the limit is accepted


def test_gradcheck_refuses_a_gradient_with_nan():
    f, inputs, (dx, dy_), dy = product()
    spoilt = dx.copy()
    spoilt[0, 0] = np.nan
    with pytest.raises(
        AssertionError, match=r"input 0 is wrong, worst at element \[0, 0\]: got nan"
    ):
        gradcheck(f, inputs, [spoilt, dy_], dy)


def test_gradcheck_refuses_a_gradient_of_another_shape():
    f, inputs, (dx, dy_), dy = product()
    with pytest.raises(AssertionError, match=r"input 1 has shape \(2, 3\), its gradient \(3,\)"):
        gradcheck(f, inputs, [dx, dy_[0]], dy)


def test_gradcheck_refuses_a_missing_gradient():
    f, inputs, gradients, dy = product()
    message = "^gradcheck needs one gradient for each input, got 1 gradients for 2 inputs$"
    with pytest.raises(AssertionError, match=message):
        gradcheck(f, inputs, gradients[:1], dy)


def test_a_function_that_works_in_place_is_measured_all_the_same():
    def in_place(x):
        x -= x.mean(axis=0)
        x /= np.sqrt((x * x).mean(axis=0) + 1e-5)
        return x

    rng = np.random.default_rng(0)
    x, dy = rng.normal(size=(5, 3)), rng.normal(size=(5, 3))
    _, cache = batchnorm_forward(x, np.ones(3), np.zeros(3))
    dx = batchnorm_backward(dy, cache)[0]
    assert relative_error(numerical_gradient(in_place, x, dy), dx) < 1e-8
    assert (
        gradcheck(lambda a, b: np.multiply(a, b, out=a), [x, x + 1], [dy * (x + 1), dy * x], dy)
        < 1e-8
    )
