"""Where careless code breaks: large means, odd scales, constants, odd memory, inf and NaN."""

import re

import numpy as np
import pytest
import torch

from bnlab.batchnorm import (
    batchnorm_backward,
    batchnorm_forward,
    batchnorm_inference,
    fold_batchnorm,
)


def draw(shape, seed=0):
    """x, gamma, beta, dy."""
    rng = np.random.default_rng(seed)
    channels = shape[1]
    vectors = rng.normal(1, 0.5, channels), rng.normal(size=channels)
    return rng.normal(size=shape), *vectors, rng.normal(size=shape)


def run(x, gamma, beta, dy, eps=1e-5):
    """y, dx, dgamma, dbeta."""
    y, cache = batchnorm_forward(x, gamma, beta, eps)
    return y, *batchnorm_backward(dy, cache)


def assert_near(got, want, tolerance):
    """Largest error, relative to the largest wanted number."""
    error = np.abs(got.astype(np.float64) - want).max() / np.abs(want).max()
    assert error <= tolerance, error


# The rule is 1e-2. Both are far better, because the mean of the centred numbers is removed too.
@pytest.mark.parametrize(("shape", "tolerance"), [((100_000, 2), 1e-3), ((10, 2, 100, 100), 1e-4)])
def test_float32_with_mean_1e4_and_std_1_keeps_its_digits(shape, tolerance):
    x, gamma, beta, dy = draw(shape)
    x = (x + 1e4).astype(np.float32)
    exact = run(x.astype(np.float64), gamma, beta, dy)
    for got, want in zip(run(x, gamma, beta, dy), exact, strict=True):
        assert_near(got, want, tolerance)


def test_float32_statistics_with_mean_1e4_are_those_of_float64():
    x, gamma, beta, _ = draw((100_000, 2))
    x = (x + 1e4).astype(np.float32)
    _, cache = batchnorm_forward(x, gamma, beta)
    _, exact = batchnorm_forward(x.astype(np.float64), gamma, beta)
    # Neighbouring float32 numbers near 1e4 are 1e-3 apart: the mean is as good as it can be.
    np.testing.assert_allclose(cache.mean, exact.mean, rtol=0, atol=1e-3)
    np.testing.assert_allclose(cache.var, exact.var, rtol=1e-3)


def test_inference_and_folding_with_a_large_running_mean():
    x, gamma, beta, _ = draw((50, 3))
    x = (x + 1e4).astype(np.float32)
    statistics = np.full(3, 1e4), np.full(3, 1.0)
    exact = batchnorm_inference(x.astype(np.float64), gamma, beta, *statistics)
    assert_near(batchnorm_inference(x, gamma, beta, *statistics), exact, 1e-6)


@pytest.mark.parametrize("shape", [(64, 3), (8, 3, 4, 4)], ids=str)
@pytest.mark.parametrize("scale", [1e-4, 1e-2, 1.0, 1e2, 1e4])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(np.float16, 1e-3), (np.float32, 1e-5), (np.float64, 1e-12)]
)
def test_scales_from_1e_4_to_1e4_equal_torch(dtype, tolerance, scale, shape):
    x, gamma, beta, dy = draw(shape)
    x = (x * scale).astype(dtype)
    tensors = [torch.tensor(a, dtype=torch.float64, requires_grad=True) for a in (x, gamma, beta)]
    want = torch.nn.functional.batch_norm(tensors[0], None, None, *tensors[1:], training=True)
    want.backward(torch.tensor(dy))
    y, *gradients = run(x, gamma, beta, dy)
    assert_near(y, want.detach().numpy(), tolerance)
    for got, tensor in zip(gradients, tensors, strict=True):
        assert_near(got, tensor.grad.numpy(), tolerance)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("value", [0.0, 0.1, -7.3, 1e4])
@pytest.mark.parametrize("shape", [(2, 3), (7, 3), (1000, 3), (3, 3, 5, 7)], ids=str)
def test_constant_feature_gives_beta_exactly_and_finite_gradients(shape, value, dtype):
    x, gamma, beta, dy = draw(shape)
    x, beta = x.astype(dtype), beta.astype(dtype)
    x[:, 1] = value
    y, dx, dgamma, dbeta = run(x, gamma, beta, dy)
    assert (y[:, 1] == beta[1]).all()
    assert dgamma[1] == 0
    for a in (y, dx, dgamma, dbeta):
        assert np.isfinite(a).all()
    # The slope of a dead feature is gamma / sqrt(eps); only the mean is removed.
    want = gamma[1] / np.sqrt(1e-5) * (dy[:, 1] - dy[:, 1].mean())
    assert_near(dx[:, 1], want, 2e-3 if dtype == np.float16 else 1e-5)


def transposed(a):
    return np.ascontiguousarray(a.T).T


def every_second(a):
    return np.repeat(a, 2, axis=0)[::2]


def turned(a):
    return a[::-1].copy()[::-1]


def channels_last(a):
    axis = min(1, a.ndim - 1)
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(a, axis, -1)), -1, axis)


def read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a


def big_endian(a):
    return a.astype(a.dtype.newbyteorder(">"))


LAYOUTS = [transposed, every_second, turned, channels_last, read_only, big_endian]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 5, 2), (2, 3, 4, 3, 2)], ids=str)
def test_memory_layout_makes_no_difference(shape, layout, dtype):
    arrays = [a.astype(dtype) for a in draw(shape)]
    odd = [layout(a) for a in arrays]
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    for got, want in zip(run(*odd), run(*arrays), strict=True):
        np.testing.assert_allclose(got, want, rtol=0, atol=tolerance)
    x, gamma, beta, _ = arrays
    statistics = np.zeros(3), np.ones(3)
    np.testing.assert_allclose(
        batchnorm_inference(odd[0], odd[1], odd[2], *map(layout, statistics)),
        batchnorm_inference(x, gamma, beta, *statistics),
        rtol=0,
        atol=tolerance,
    )


def test_big_endian_in_big_endian_out():
    x, gamma, beta, dy = (big_endian(a) for a in draw((6, 3)))
    y, dx, *_ = run(x, gamma, beta, dy)
    assert y.dtype == dx.dtype == np.dtype(">f8")
    assert batchnorm_inference(x, gamma, beta, gamma, np.ones(3)).dtype == np.dtype(">f8")
    weight, bias = fold_batchnorm(x[:3], gamma, gamma, beta, gamma, np.ones(3))
    assert weight.dtype == bias.dtype == np.dtype(">f8")


def test_broadcast_view_counts_as_a_constant_feature():
    x = np.broadcast_to([1.0, 2.0, 3.0], (5, 3))
    y, *_ = run(x, np.ones(3), np.arange(3.0), np.ones((5, 3)))
    np.testing.assert_array_equal(y, np.broadcast_to(np.arange(3.0), (5, 3)))


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")  # inf - inf
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("shape", [(6, 3), (64, 3), (4, 3, 5, 2)], ids=str)
def test_inf_and_nan_stay_in_their_channel_as_in_torch(shape, value):
    x, gamma, beta, dy = draw(shape)
    clean = run(x, gamma, beta, dy)
    x[0, 1] = value
    y, dx, dgamma, dbeta = run(x, gamma, beta, dy)
    tensors = [torch.tensor(a, requires_grad=True) for a in (x, gamma, beta)]
    want = torch.nn.functional.batch_norm(tensors[0], None, None, *tensors[1:], training=True)
    want.backward(torch.tensor(dy))
    np.testing.assert_allclose(y, want.detach().numpy(), rtol=0, atol=1e-12, equal_nan=True)
    for got, tensor in zip((dx, dgamma, dbeta), tensors, strict=True):
        np.testing.assert_allclose(got, tensor.grad.numpy(), rtol=0, atol=1e-12, equal_nan=True)
    for got, before in zip((y, dx), clean, strict=False):
        np.testing.assert_array_equal(got[:, [0, 2]], before[:, [0, 2]])
    assert np.isnan(y[:, 1]).all()


@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 5, 2)], ids=str)
def test_nan_in_the_upstream_gradient_stays_in_its_channel(shape):
    x, gamma, beta, dy = draw(shape)
    _, dx, dgamma, dbeta = run(x, gamma, beta, dy)
    dy[0, 1] = np.nan
    _, dx2, dgamma2, dbeta2 = run(x, gamma, beta, dy)
    for got, before in [(dx2, dx), (dgamma2[None], dgamma[None]), (dbeta2[None], dbeta[None])]:
        np.testing.assert_array_equal(got[:, [0, 2]], before[:, [0, 2]])
        assert np.isnan(got[:, 1]).all()


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_inf_and_nan_stay_in_their_place_at_inference(value):
    x, gamma, beta, _ = draw((4, 3, 2, 2))
    statistics = np.zeros(3), np.ones(3)
    want = batchnorm_inference(x, gamma, beta, *statistics)
    x[2, 1, 0, 1], want[2, 1, 0, 1] = value, value * gamma[1]
    np.testing.assert_array_equal(batchnorm_inference(x, gamma, beta, *statistics), want)


@pytest.mark.parametrize("shape", [(1, 3), (1, 3, 1), (1, 3, 1, 1)], ids=str)
def test_one_value_per_channel_is_refused(shape):
    x, gamma, beta, _ = draw(shape)
    with pytest.raises(ValueError, match=r"more than one value per channel, got x\.shape=\(1, 3"):
        batchnorm_forward(x, gamma, beta)


@pytest.mark.parametrize("shape", [(1, 3, 2), (1, 3, 4, 4), (1, 3, 1, 2, 1)], ids=str)
def test_one_image_is_accepted(shape):
    y, *_ = run(*draw(shape), eps=0.0)
    assert y.shape == shape


@pytest.mark.parametrize("shape", [(0, 3), (0, 3, 4, 4), (4, 3, 0, 2)], ids=str)
def test_empty_batch_is_an_error_in_training_and_empty_at_inference(shape):
    x, gamma, beta, _ = draw(shape)
    with pytest.raises(ValueError, match="needs more than one value per channel"):
        batchnorm_forward(x, gamma, beta)
    assert batchnorm_inference(x, gamma, beta, np.zeros(3), np.ones(3)).shape == shape


@pytest.mark.parametrize("shape", [(4, 0), (4, 0, 2, 2)], ids=str)
def test_no_channels_is_an_empty_answer_as_in_torch(shape):
    assert run(*draw(shape))[0].shape == shape


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64, bool, complex, object])
def test_numbers_that_are_not_floating_point_are_refused(dtype):
    x, vectors = np.ones((4, 3), dtype), np.ones((4, 3))
    name = re.escape(f"got x.dtype={np.dtype(dtype)}; convert with x.astype(np.float64)")
    with pytest.raises(TypeError, match=name):
        batchnorm_forward(x, *vectors[:2])
    with pytest.raises(TypeError, match=name):
        batchnorm_inference(x, *vectors)
