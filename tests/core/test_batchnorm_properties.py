"""What batch norm is, whatever the numbers: invariances, bounds, orthogonality, a projection.

Hypothesis draws sizes and awkward numbers, derandomized: the same ones on every run.
"""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bnlab.batchnorm import batchnorm_backward, batchnorm_forward

few = settings(derandomize=True, deadline=None, max_examples=20)
seeds = st.integers(0, 2**32 - 1)
dense = st.tuples(st.integers(3, 12), st.integers(1, 4))
images = st.tuples(st.integers(2, 4), st.integers(1, 4), st.integers(2, 4), st.integers(1, 4))
shapes = st.one_of(dense, images)
epsilons = st.sampled_from([0.0, 1e-5, 1e-2, 1.0])
close = {"rtol": 0, "atol": 1e-10}


def draw(shape, seed):
    """x, gamma, beta, dy; no channel of x is nearly constant, so rounding stays small."""
    rng = np.random.default_rng(seed)
    n, channels, *spatial = shape
    m = n * int(np.prod(spatial))
    x = rng.permuted(np.tile(np.arange(m), (channels, 1)), axis=1)  # (C, M)
    x = x + rng.uniform(0, 0.5, x.shape)
    x = np.moveaxis(x.reshape(channels, n, *spatial), 0, 1)  # (N, C, ...)
    return x, rng.normal(size=channels), rng.normal(size=channels), rng.normal(size=shape)


def run(x, gamma, beta, dy, eps=0.0):
    """y, dx, dgamma, dbeta."""
    y, cache = batchnorm_forward(x, gamma, beta, eps)
    return y, *batchnorm_backward(dy, cache)


def channel_sum(a):
    return a.sum(axis=(0, *range(2, a.ndim)))


@few
@given(shapes, seeds, st.floats(-100, 100), st.floats(0.01, 100))
def test_shift_and_positive_scale_of_x_change_only_the_size_of_dx(shape, seed, shift, scale):
    x, gamma, beta, dy = draw(shape, seed)
    y, dx, dgamma, dbeta = run(x, gamma, beta, dy, eps=1e-20)
    y2, dx2, dgamma2, dbeta2 = run(scale * x + shift, gamma, beta, dy, eps=1e-20)
    np.testing.assert_allclose(y2, y, **close)
    np.testing.assert_allclose(dx2 * scale, dx, **close)
    np.testing.assert_allclose(dgamma2, dgamma, **close)
    np.testing.assert_allclose(dbeta2, dbeta, **close)


@few
@given(shapes, seeds, epsilons)
def test_turning_the_sign_of_x_is_turning_the_sign_of_gamma(shape, seed, eps):
    x, gamma, beta, dy = draw(shape, seed)
    y, dx, dgamma, dbeta = run(x, -gamma, beta, dy, eps)
    y2, dx2, dgamma2, dbeta2 = run(-x, gamma, beta, dy, eps)
    np.testing.assert_allclose(y2, y, **close)
    np.testing.assert_allclose(dx2, -dx, **close)
    np.testing.assert_allclose(dgamma2, -dgamma, **close)
    np.testing.assert_allclose(dbeta2, dbeta, **close)


@few
@given(shapes, seeds, epsilons)
def test_output_has_mean_beta_and_the_variance_that_eps_leaves(shape, seed, eps):
    x, gamma, beta, _ = draw(shape, seed)
    y, cache = batchnorm_forward(x, gamma, beta, eps)
    axes = (0, *range(2, x.ndim))
    np.testing.assert_allclose(y.mean(axes), beta, **close)
    np.testing.assert_allclose(y.var(axes), gamma**2 * cache.var / (cache.var + eps), **close)


@few
@given(
    hnp.arrays(
        np.float64,
        st.tuples(st.integers(2, 9), st.integers(1, 3)),
        elements=st.floats(-1e6, 1e6, allow_subnormal=False),
    ),
    st.sampled_from([1e-12, 1e-5, 1e-2]),
)
def test_x_hat_never_exceeds_sqrt_m_minus_1(x, eps):
    channels = x.shape[1]
    x_hat = batchnorm_forward(x, np.ones(channels), np.zeros(channels), eps)[1].x_hat
    assert np.abs(x_hat).max() <= np.sqrt(len(x) - 1) * (1 + 1e-12)


@few
@given(st.integers(2, 200), st.floats(-1e6, 1e6).filter(lambda v: abs(v) > 1e-3), seeds)
def test_one_outlier_reaches_the_bound(m, outlier, seed):
    x = np.zeros((m, 1))
    place = np.random.default_rng(seed).integers(m)
    x[place] = outlier
    x_hat = batchnorm_forward(x, [1.0], [0.0], eps=0.0)[1].x_hat
    want = np.sign(outlier) * np.sqrt(m - 1)
    np.testing.assert_allclose(x_hat[place], [want], rtol=1e-10)


@few
@given(shapes, seeds, epsilons)
def test_dx_is_orthogonal_to_ones_and_to_x_hat_but_for_eps(shape, seed, eps):
    x, gamma, beta, dy = draw(shape, seed)
    _, cache = batchnorm_forward(x, gamma, beta, eps)
    dx, dgamma, _ = batchnorm_backward(dy, cache)
    np.testing.assert_allclose(channel_sum(dx), 0, **close)
    rest = eps / (cache.var + eps)  # zero for eps = 0
    want = gamma * cache.inv_std * dgamma * rest
    np.testing.assert_allclose(channel_sum(dx * cache.x_hat), want, **close)


@few
@given(shapes, seeds, epsilons)
def test_upstream_of_ones_gives_dx_zero(shape, seed, eps):
    x, gamma, beta, _ = draw(shape, seed)
    _, dx, dgamma, dbeta = run(x, gamma, beta, np.ones(shape), eps)
    np.testing.assert_allclose(dx, 0, **close)
    np.testing.assert_allclose(dgamma, 0, **close)
    np.testing.assert_allclose(dbeta, x.size / shape[1], **close)


@few
@given(shapes, seeds, epsilons)
def test_order_of_the_batch_changes_only_the_order(shape, seed, eps):
    x, gamma, beta, dy = draw(shape, seed)
    order = np.random.default_rng(seed).permutation(len(x))
    y, dx, dgamma, dbeta = run(x, gamma, beta, dy, eps)
    y2, dx2, dgamma2, dbeta2 = run(x[order], gamma, beta, dy[order], eps)
    np.testing.assert_allclose(y2, y[order], **close)
    np.testing.assert_allclose(dx2, dx[order], **close)
    np.testing.assert_allclose(dgamma2, dgamma, **close)
    np.testing.assert_allclose(dbeta2, dbeta, **close)


@few
@given(shapes, seeds, epsilons)
def test_channels_do_not_mix(shape, seed, eps):
    x, gamma, beta, dy = draw(shape, seed)
    channel = seed % shape[1]
    others = np.arange(shape[1]) != channel
    before = run(x, gamma, beta, dy, eps)
    changed = [np.array(a) for a in (x, gamma, beta, dy)]
    for a, b in zip(changed, draw(shape, seed + 1), strict=True):
        axis = min(1, a.ndim - 1)
        np.moveaxis(a, axis, 0)[channel] = np.moveaxis(b, axis, 0)[channel] + 5
    for a, b in zip(run(*changed, eps), before, strict=True):
        axis = min(1, a.ndim - 1)
        np.testing.assert_array_equal(a.compress(others, axis), b.compress(others, axis))


@few
@given(images, seeds, epsilons)
def test_image_form_equals_dense_form_of_the_pixels(shape, seed, eps):
    x, gamma, beta, dy = draw(shape, seed)

    def pixels(a):
        return np.moveaxis(a, 1, -1).reshape(-1, shape[1])  # (N*H*W, C)

    y, dx, dgamma, dbeta = run(x, gamma, beta, dy, eps)
    y2, dx2, dgamma2, dbeta2 = run(pixels(x), gamma, beta, pixels(dy), eps)
    np.testing.assert_allclose(pixels(y), y2, **close)
    np.testing.assert_allclose(pixels(dx), dx2, **close)
    np.testing.assert_allclose(dgamma, dgamma2, **close)
    np.testing.assert_allclose(dbeta, dbeta2, **close)


@few
@given(st.integers(2, 12), seeds)
def test_backward_is_a_projection_of_rank_m_minus_2(m, seed):
    x = draw((m, 1), seed)[0]
    _, cache = batchnorm_forward(x, [1.0], [0.0], eps=0.0)
    # Every column of the identity is one upstream gradient; dx times the std is a column of P.
    columns = [batchnorm_backward(dy[:, None], cache)[0][:, 0] for dy in np.eye(m)]
    p = np.stack(columns, axis=1) / cache.inv_std
    ones, x_hat = np.ones(m), cache.x_hat[:, 0]
    want = np.eye(m) - np.outer(ones, ones) / m - np.outer(x_hat, x_hat) / m
    np.testing.assert_allclose(p, want, **close)
    np.testing.assert_allclose(p @ p, p, **close)
    np.testing.assert_allclose(p, p.T, **close)
    np.testing.assert_allclose(p @ ones, 0, **close)
    np.testing.assert_allclose(p @ x_hat, 0, **close)
    assert np.linalg.matrix_rank(p, tol=1e-8) == m - 2
    assert np.isclose(np.trace(p), m - 2)
