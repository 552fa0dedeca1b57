"""The core against independent oracles: torch in float64 and finite differences.

Every upstream gradient is random: with all ones the true dx of batch norm is zero.
"""

import copy
import dataclasses
import re
import tracemalloc

import numpy as np
import pytest
import torch

from bnlab.batchnorm import (
    batchnorm_backward,
    batchnorm_forward,
    batchnorm_inference,
    fold_batchnorm,
)
from bnlab.course.exercises.registry import find

SHAPES = [
    (2, 3),
    (8, 3),
    (64, 5),
    (2, 3, 1),
    (5, 3, 7),
    (1, 3, 4, 4),
    (4, 3, 5, 6),
    (2, 3, 4, 3, 2),
]
EPS = [0.0, 1e-12, 1e-5, 1e-2]


def draw(shape, seed=0):
    """x, gamma, beta, dy; the first gamma is negative and the second is zero."""
    rng = np.random.default_rng(seed)
    channels = shape[1]
    gamma = np.concatenate([[-1.5, 0.0], rng.normal(1, 0.5, channels - 2)])
    return rng.normal(3, 2, shape), gamma, rng.normal(size=channels), rng.normal(size=shape)


def draw_inference(shape, seed=0):
    """x, gamma, beta, running_mean, running_var."""
    x, gamma, beta, _ = draw(shape, seed)
    rng = np.random.default_rng(seed + 1)
    return x, gamma, beta, rng.normal(size=shape[1]), rng.uniform(0.2, 3, shape[1])


def tensors(*arrays, requires_grad=False):
    return [torch.tensor(a, dtype=torch.float64, requires_grad=requires_grad) for a in arrays]


def torch_batchnorm(x, gamma, beta, dy, eps):
    """The oracle: y and the three gradients of torch in float64."""
    x, gamma, beta = tensors(x, gamma, beta, requires_grad=True)
    # torch.nn.functional refuses eps=0; the operator below it does not.
    y = torch.batch_norm(x, gamma, beta, None, None, True, 0.0, eps, False)
    y.backward(*tensors(dy))
    named = {"y": y.detach(), "dx": x.grad, "dgamma": gamma.grad, "dbeta": beta.grad}
    return {name: value.numpy() for name, value in named.items()}


def assert_equals_torch(forward, backward, x, gamma, beta, dy, eps, tolerance=1e-12):
    """Compare y first, then the gradients; the error begins with the name of what differs.

    The tolerance is relative to the largest number of each array, and at least absolute, because
    with two values a channel the true dx is zero.
    """
    want = torch_batchnorm(x, gamma, beta, dy, eps)

    def compare(name, got):
        assert got.shape == want[name].shape, f"{name} has shape {got.shape}"
        error = np.abs(got - want[name]).max() / max(1, np.abs(want[name]).max())
        assert error <= tolerance, f"{name} differs by {error}"

    y, cache = forward(x, gamma, beta, eps)
    compare("y", y)
    for name, got in zip(("dx", "dgamma", "dbeta"), backward(dy, cache), strict=True):
        compare(name, got)


@pytest.mark.parametrize("eps", EPS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_float64_equals_torch(shape, eps):
    assert_equals_torch(batchnorm_forward, batchnorm_backward, *draw(shape), eps)


@pytest.mark.parametrize("eps", [1e-5, 1e-2])
@pytest.mark.parametrize("shape", SHAPES[1:], ids=str)
def test_float32_is_within_1e_5_of_float64_torch(shape, eps):
    arrays = (a.astype(np.float32) for a in draw(shape))
    assert_equals_torch(batchnorm_forward, batchnorm_backward, *arrays, eps, tolerance=1e-5)


@pytest.mark.parametrize("eps", EPS)
@pytest.mark.parametrize("shape", [(1, 3), *SHAPES], ids=str)
def test_inference_equals_torch_eval(shape, eps):
    arrays = draw_inference(shape)
    x, gamma, beta, running_mean, running_var = tensors(*arrays)
    want = torch.batch_norm(x, gamma, beta, running_mean, running_var, False, 0.0, eps, False)
    np.testing.assert_allclose(batchnorm_inference(*arrays, eps), want.numpy(), atol=1e-13)


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize(
    ("layer", "apply", "shape"),
    [
        (torch.nn.Linear, torch.nn.functional.linear, (3, 4)),
        (torch.nn.Conv2d, torch.nn.functional.conv2d, (3, 4, 2, 5)),
    ],
)
def test_folded_layer_equals_torch_layers_in_sequence(layer, apply, shape, bias):
    out, inputs, *kernel = shape
    norm = torch.nn.BatchNorm2d if kernel else torch.nn.BatchNorm1d
    first = layer(inputs, out, *[kernel] * bool(kernel), bias=bias)
    model = torch.nn.Sequential(first, norm(out, eps=1e-2)).double().eval()
    rng = np.random.default_rng(7)
    state = {name: rng.normal(size=value.shape) for name, value in model.state_dict().items()}
    state["1.running_var"] = rng.uniform(0.2, 3, out)
    model.load_state_dict({name: torch.tensor(value) for name, value in state.items()})
    names = ["0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var"]

    folded = fold_batchnorm(*(state.get(name) for name in names), eps=1e-2)

    x = torch.tensor(rng.normal(size=(5, inputs, 6, 7) if kernel else (5, inputs)))
    got = apply(x, *tensors(*folded)).numpy()
    np.testing.assert_allclose(got, model(x).detach().numpy(), atol=1e-13)


def test_folding_computes_in_the_dtype_of_the_weight():
    weight = draw((3, 4))[0].astype(np.float32)
    halves = [a.astype(np.float16) for a in draw_inference((5, 3))[1:]]
    halves[-1] *= np.float16(1e-3)  # where float16 has no room left for eps
    exact = fold_batchnorm(weight, None, *(a.astype(np.float64) for a in halves))
    for got, want in zip(fold_batchnorm(weight, None, *halves), exact, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


def central_difference(f, a, dy, h=1e-5):
    """Gradient of sum(dy * f(a)), one element at a time."""
    gradient = np.empty_like(a)
    for i in np.ndindex(a.shape):
        step = np.zeros_like(a)
        step[i] = h
        gradient[i] = np.sum((f(a + step) - f(a - step)) * dy) / (2 * h)
    return gradient


@pytest.mark.parametrize("eps", [0.0, 1e-5, 1e-2])
@pytest.mark.parametrize("shape", [(3, 3), (5, 4), (2, 3, 2, 2)], ids=str)
def test_gradients_equal_central_differences(shape, eps):
    x, gamma, beta, dy = draw(shape)
    dx, dgamma, dbeta = batchnorm_backward(dy, batchnorm_forward(x, gamma, beta, eps)[1])

    def forward(x=x, gamma=gamma, beta=beta):
        return batchnorm_forward(x, gamma, beta, eps)[0]

    # Central differences in float64 are good for about nine digits.
    close = dict(rtol=0, atol=1e-7)
    np.testing.assert_allclose(dx, central_difference(lambda a: forward(x=a), x, dy), **close)
    np.testing.assert_allclose(
        dgamma, central_difference(lambda a: forward(gamma=a), gamma, dy), **close
    )
    np.testing.assert_allclose(
        dbeta, central_difference(lambda a: forward(beta=a), beta, dy), **close
    )


def test_cache_holds_the_batch_statistics_and_the_biased_variance():
    x, gamma, beta, _ = draw((4, 3, 5, 6))
    _, cache = batchnorm_forward(x, gamma, beta, eps=1e-2)
    axes = (0, 2, 3)
    mean, var = x.mean(axes), x.var(axes)  # (C,)
    column = (1, 3, 1, 1)
    np.testing.assert_allclose(cache.mean, mean, rtol=1e-13)
    np.testing.assert_allclose(cache.var, var, rtol=1e-13)
    np.testing.assert_allclose(cache.inv_std, 1 / np.sqrt(var + 1e-2), rtol=1e-13)
    x_hat = (x - mean.reshape(column)) / np.sqrt(var + 1e-2).reshape(column)
    np.testing.assert_allclose(cache.x_hat, x_hat, atol=1e-13)
    np.testing.assert_array_equal(cache.gamma, gamma)
    assert cache.eps == 1e-2
    assert cache.dtype == x.dtype


def test_eps_is_1e_5_unless_said():
    x, gamma, beta, mean, var = draw_inference((5, 3))
    weight, bias = draw((3, 4))[0], beta
    y, cache = batchnorm_forward(x, gamma, beta)
    np.testing.assert_array_equal(y, batchnorm_forward(x, gamma, beta, eps=1e-5)[0])
    assert cache.eps == 1e-5
    np.testing.assert_array_equal(
        batchnorm_inference(x, gamma, beta, mean, var),
        batchnorm_inference(x, gamma, beta, mean, var, eps=1e-5),
    )
    for short, explicit in zip(
        fold_batchnorm(weight, bias, gamma, beta, mean, var),
        fold_batchnorm(weight, bias, gamma, beta, mean, var, eps=1e-5),
        strict=True,
    ):
        np.testing.assert_array_equal(short, explicit)


@pytest.mark.parametrize("shape", [(5, 3), (4, 3, 2, 2)], ids=str)
def test_inputs_are_never_modified(shape):
    (x, gamma, beta, dy), inference = draw(shape), draw_inference(shape)
    fold = draw((3, 4))[0], gamma, *draw_inference((5, 3))[1:]
    everything = x, gamma, beta, dy, *inference, *fold
    before = copy.deepcopy(everything)
    batchnorm_backward(dy, batchnorm_forward(x, gamma, beta)[1])
    batchnorm_inference(*inference)
    fold_batchnorm(*fold)
    for old, new in zip(before, everything, strict=True):
        np.testing.assert_array_equal(new, old)


def test_results_share_no_memory_with_the_inputs():
    x, gamma, beta, dy = draw((5, 3))
    y, cache = batchnorm_forward(x, gamma, beta)
    dx, dgamma, dbeta = batchnorm_backward(dy, cache)
    for result in (y, dx, dgamma, dbeta, cache.x_centred, cache.mean, cache.var):
        assert not any(np.shares_memory(result, a) for a in (x, gamma, beta, dy))


def test_an_optimizer_step_between_forward_and_backward_changes_no_gradient():
    x, gamma, beta, dy = draw((5, 3))
    _, cache = batchnorm_forward(x, gamma, beta)
    before, *_ = batchnorm_backward(dy, cache)
    gamma -= 0.5  # in place, as an optimizer does
    after, *_ = batchnorm_backward(dy, cache)
    np.testing.assert_array_equal(after, before)


def test_cache_is_frozen():
    _, cache = batchnorm_forward(*draw((5, 3))[:3])
    with pytest.raises(dataclasses.FrozenInstanceError, match="gamma"):
        cache.gamma = np.ones(3)


@pytest.mark.parametrize("shape", [(5, 3), (4, 3, 2, 2)], ids=str)
def test_backward_twice_gives_equal_results_and_leaves_the_cache_alone(shape):
    x, gamma, beta, dy = draw(shape)
    _, cache = batchnorm_forward(x, gamma, beta)
    before = copy.deepcopy(cache)
    first, second = batchnorm_backward(dy, cache), batchnorm_backward(dy, cache)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    for field in dataclasses.fields(cache):
        old, new = getattr(before, field.name), getattr(cache, field.name)
        np.testing.assert_array_equal(new, old)


# float16 is computed in float32, so gamma's gradient comes in float32.
@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 2, 2)], ids=str)
@pytest.mark.parametrize(
    ("dtype", "working"),
    [(np.float16, np.float32), (np.float32, np.float32), (np.float64, np.float64)],
)
def test_dtype_of_x_is_kept_whatever_gamma_is(dtype, working, shape):
    x, gamma, beta, dy = draw(shape)
    x = x.astype(dtype)
    y, cache = batchnorm_forward(x, gamma, beta)
    dx, dgamma, dbeta = batchnorm_backward(dy, cache)
    assert y.dtype == dx.dtype == cache.dtype == dtype
    statistics = cache.mean, cache.var, cache.inv_std, cache.gamma, cache.x_hat
    assert {a.dtype for a in (dgamma, dbeta, *statistics)} == {np.dtype(working)}
    moments = draw_inference(shape)[1:]
    assert batchnorm_inference(x, *moments).dtype == dtype
    weight, bias = fold_batchnorm(draw((3, 4))[0].astype(dtype), None, *moments)
    assert weight.dtype == bias.dtype == dtype


def test_float16_loses_only_the_last_rounding():
    x, gamma, beta, dy = draw((64, 5))
    x, dy = x.astype(np.float16), dy.astype(np.float16)
    want = torch_batchnorm(x, gamma, beta, dy, 1e-5)
    y, cache = batchnorm_forward(x, gamma, beta)
    dx, dgamma, _ = batchnorm_backward(dy, cache)
    half = np.finfo(np.float16).eps / 2
    np.testing.assert_allclose(y, want["y"], rtol=1.01 * half, atol=1e-5)
    np.testing.assert_allclose(dx, want["dx"], rtol=1.01 * half, atol=1e-5)
    np.testing.assert_allclose(dgamma, want["dgamma"], rtol=1e-5, atol=1e-5)
    moments = np.zeros(5), np.ones(5)
    exact = batchnorm_inference(x.astype(np.float64), gamma, beta, *moments)
    got = batchnorm_inference(x, gamma, beta, *moments)
    np.testing.assert_allclose(got, exact, rtol=1.01 * half, atol=1e-5)


def peak_memory(function, *arguments):
    """The most memory that a call held at once, in bytes, its results included."""
    tracemalloc.start()
    try:
        _results = function(*arguments)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_no_array_of_the_size_of_x_is_made_without_need():
    shape = (20, 10, 20, 20)
    x, gamma, beta, dy = draw(shape)
    cache = batchnorm_forward(x, gamma, beta)[1]
    slack = 0.2 * x.nbytes
    assert peak_memory(batchnorm_forward, x, gamma, beta) < 2 * x.nbytes + slack  # y, x_centred
    assert peak_memory(batchnorm_backward, dy, cache) < x.nbytes + slack
    assert peak_memory(batchnorm_inference, *draw_inference(shape)) < x.nbytes + slack
    moments = draw_inference((5, 20))[1:]
    assert peak_memory(fold_batchnorm, x, None, *moments) < x.nbytes + slack


def test_lists_are_welcome():
    x, gamma, beta, dy = (a.tolist() for a in draw((5, 3)))
    y, cache = batchnorm_forward(x, gamma, beta)
    np.testing.assert_array_equal(y, batchnorm_forward(*draw((5, 3))[:3])[0])
    dx, *_ = batchnorm_backward(dy, cache)
    np.testing.assert_array_equal(dx, batchnorm_backward(draw((5, 3))[3], cache)[0])
    inference = draw_inference((5, 3))
    np.testing.assert_array_equal(
        batchnorm_inference(*(a.tolist() for a in inference)), batchnorm_inference(*inference)
    )
    fold = draw((3, 4))[0], inference[2], *inference[1:]
    for a, b in zip(
        fold_batchnorm(*(a.tolist() for a in fold)), fold_batchnorm(*fold), strict=True
    ):
        np.testing.assert_array_equal(a, b)


def forward_error(shape=(5, 3), gamma=3, beta=3, eps=1e-5, dtype=float):
    batchnorm_forward(np.ones(shape, dtype), np.ones(gamma), np.ones(beta), eps)


def backward_error(shape):
    x, gamma, beta, _ = draw((5, 3))
    batchnorm_backward(np.ones(shape), batchnorm_forward(x, gamma, beta)[1])


def inference_error(shape=(5, 3), gamma=3, beta=3, mean=3, var=(1, 1, 1), eps=1e-5, dtype=float):
    vectors = np.ones(gamma), np.ones(beta), np.ones(mean), np.array(var, dtype=float)
    batchnorm_inference(np.ones(shape, dtype), *vectors, eps)


def fold_error(shape=(3, 4), bias=3, gamma=3, beta=3, mean=3, var=(1, 1, 1), eps=1e-5, dtype=float):
    vectors = (np.ones(n) for n in (bias, gamma, beta, mean))
    fold_batchnorm(np.ones(shape, dtype), *vectors, np.array(var, dtype=float), eps)


ONE_PER_CHANNEL = "{0} needs one {1} per channel, shape (3,), got {1}.shape=(4,)"
NOT_FLOAT = (
    "{0} needs floating-point numbers in {1}, got {1}.dtype=int32; "
    "convert with {1}.astype(np.float64)"
)
NO_CHANNELS = (
    "{0} needs x of shape (N, C) or (N, C, *spatial), got x.shape={1}; "
    "add the missing axis, for example with x[:, None]"
)
NEGATIVE_EPS = "{0} needs eps >= 0, got eps={1}; the usual value is 1e-5"
NEGATIVE_VAR = (
    "{0} needs running_var >= 0, got -2.0; "
    "a one-pass E[x^2] - E[x]^2 can turn negative: compute mean((x - mean)^2)"
)
TOO_FEW = (
    "batchnorm_forward needs more than one value per channel, got x.shape={0}; "
    "use batchnorm_inference for a single example"
)
DY_SHAPE = (
    "batchnorm_backward needs dy in the shape of x, (5, 3), got dy.shape={0}; "
    "pass the gradient of the loss with respect to y"
)
WEIGHT_SHAPE = (
    "fold_batchnorm needs a weight of shape (out, in) or (out, in, kh, kw), got weight.shape={0}"
)
FORWARD, INFERENCE, FOLD = "batchnorm_forward", "batchnorm_inference", "fold_batchnorm"
VALUE_ERRORS = [
    (forward_error, {"shape": (1, 3)}, TOO_FEW.format((1, 3))),
    (forward_error, {"shape": (1, 3, 1, 1)}, TOO_FEW.format((1, 3, 1, 1))),
    (forward_error, {"shape": (0, 3)}, TOO_FEW.format((0, 3))),
    (forward_error, {"shape": (5, 3, 0, 2)}, TOO_FEW.format((5, 3, 0, 2))),
    (forward_error, {"shape": (3,)}, NO_CHANNELS.format(FORWARD, (3,))),
    (forward_error, {"shape": ()}, NO_CHANNELS.format(FORWARD, ())),
    (forward_error, {"gamma": 4}, ONE_PER_CHANNEL.format(FORWARD, "gamma")),
    (forward_error, {"beta": 4}, ONE_PER_CHANNEL.format(FORWARD, "beta")),
    (forward_error, {"eps": -1e-5}, NEGATIVE_EPS.format(FORWARD, -1e-5)),
    (forward_error, {"eps": np.nan}, NEGATIVE_EPS.format(FORWARD, np.nan)),
    (backward_error, {"shape": ()}, DY_SHAPE.format(())),
    (backward_error, {"shape": (3,)}, DY_SHAPE.format((3,))),
    (backward_error, {"shape": (5, 3, 1)}, DY_SHAPE.format((5, 3, 1))),
    (inference_error, {"shape": (3,)}, NO_CHANNELS.format(INFERENCE, (3,))),
    (inference_error, {"gamma": 4}, ONE_PER_CHANNEL.format(INFERENCE, "gamma")),
    (inference_error, {"beta": 4}, ONE_PER_CHANNEL.format(INFERENCE, "beta")),
    (inference_error, {"mean": 4}, ONE_PER_CHANNEL.format(INFERENCE, "running_mean")),
    (inference_error, {"var": [1] * 4}, ONE_PER_CHANNEL.format(INFERENCE, "running_var")),
    (inference_error, {"var": [1, -2, 1]}, NEGATIVE_VAR.format(INFERENCE)),
    (inference_error, {"eps": -1.0}, NEGATIVE_EPS.format(INFERENCE, -1.0)),
    (fold_error, {"shape": (3,)}, WEIGHT_SHAPE.format((3,))),
    (fold_error, {"shape": (3, 4, 2)}, WEIGHT_SHAPE.format((3, 4, 2))),
    (fold_error, {"bias": 4}, ONE_PER_CHANNEL.format(FOLD, "bias")),
    (fold_error, {"gamma": 4}, ONE_PER_CHANNEL.format(FOLD, "gamma")),
    (fold_error, {"beta": 4}, ONE_PER_CHANNEL.format(FOLD, "beta")),
    (fold_error, {"mean": 4}, ONE_PER_CHANNEL.format(FOLD, "running_mean")),
    (fold_error, {"var": [1] * 4}, ONE_PER_CHANNEL.format(FOLD, "running_var")),
    (fold_error, {"var": [1, -2, 1]}, NEGATIVE_VAR.format(FOLD)),
    (fold_error, {"eps": -1.0}, NEGATIVE_EPS.format(FOLD, -1.0)),
]


@pytest.mark.parametrize(("call", "bad", "message"), VALUE_ERRORS)
def test_value_errors_say_the_rule_and_what_came(call, bad, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call(**bad)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (forward_error, NOT_FLOAT.format(FORWARD, "x")),
        (inference_error, NOT_FLOAT.format(INFERENCE, "x")),
        (fold_error, NOT_FLOAT.format(FOLD, "weight")),
    ],
)
def test_whole_numbers_are_refused_with_the_way_out(call, message):
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        call(dtype=np.int32)


def test_a_running_variance_of_zero_is_accepted():
    inference_error(var=[0, 1, 1])
    fold_error(var=[0, 1, 1])


# The comparison above must reject each mistake that learners make, at the quantity it breaks, and
# some that they do not make.
AXES, M = (0, 2, 3), 4 * 5 * 6
IMAGES, ROWS = (*draw((4, 3, 5, 6)), 1e-2), (*draw((9, 3)), 1e-2)


def column(v):
    return v.reshape(1, -1, 1, 1)


def mean(a, axes=AXES):
    return a.mean(axis=axes, keepdims=True)


def var(a):
    return a.var(axis=AXES, keepdims=True)


def standardized(x, eps):
    return (x - mean(x)) / np.sqrt(var(x) + eps)


FORWARD_MISTAKES = {m.name: m.answer for m in find("spatial_batchnorm_forward").mistakes} | {
    "eps_squared": lambda x, g, b, eps: column(g) * standardized(x, eps**2) + column(b),
    "fresh_running_averages": lambda x, g, b, eps: column(g) * x / np.sqrt(1 + eps) + column(b),
    "size_of_gamma": lambda x, g, b, eps: column(np.abs(g)) * standardized(x, eps) + column(b),
}

# Each formula gets dy, x_hat and, as columns, gamma and s = 1/sqrt(var + eps).
GRADIENT_MISTAKES = {
    "means over N only": (
        "dx",
        lambda dy, x_hat, g, s: g * s * (dy - mean(dy, 0) - x_hat * mean(dy * x_hat, 0)),
    ),
    "variance with m - 1 in the backward only": (
        "dx",
        lambda dy, x_hat, g, s: g * s * (dy - mean(dy) - x_hat * mean(dy * x_hat) * M / (M - 1)),
    ),
    "zeros": ("dx", lambda dy, x_hat, g, s: np.zeros_like(dy)),
    "kept as a column": ("dgamma", lambda dy, x_hat, g, s: column((dy * x_hat).sum(AXES))),
    "the sign of a mean": ("dbeta", lambda dy, x_hat, g, s: -dy.sum(AXES)),
    "summed over everything": ("dbeta", lambda dy, x_hat, g, s: np.full(3, dy.sum())),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("mistake", FORWARD_MISTAKES)
def test_a_mistaken_forward_is_rejected(mistake):
    forward = lambda *arguments: (FORWARD_MISTAKES[mistake](*arguments), None)  # noqa: E731
    with pytest.raises(AssertionError, match=r"^y (differs by|has shape)"):
        assert_equals_torch(forward, batchnorm_backward, *IMAGES)


@pytest.mark.parametrize("mistake", find("batchnorm_backward").mistakes, ids=lambda m: m.name)
def test_a_mistaken_backward_is_rejected(mistake):
    with pytest.raises(AssertionError, match=rf"^{mistake.about[0]} (differs by|has shape)"):
        assert_equals_torch(batchnorm_forward, mistake.answer, *ROWS)


@pytest.mark.parametrize("mistake", GRADIENT_MISTAKES)
def test_a_mistaken_backward_of_images_is_rejected(mistake):
    name, formula = GRADIENT_MISTAKES[mistake]

    def backward(dy, cache):
        gradients = dict(zip(("dx", "dgamma", "dbeta"), batchnorm_backward(dy, cache), strict=True))
        gradients[name] = formula(dy, cache.x_hat, column(cache.gamma), column(cache.inv_std))
        return gradients.values()

    with pytest.raises(AssertionError, match=rf"^{name} (differs by|has shape)"):
        assert_equals_torch(batchnorm_forward, backward, *IMAGES)


def test_the_comparison_accepts_the_six_gradients_of_the_paper():
    """Another right answer passes: the comparison does not reject everything."""

    def forward(x, gamma, beta, eps):
        y = column(gamma) * standardized(x, eps) + column(beta)
        return y, (x - mean(x), 1 / np.sqrt(var(x) + eps), column(gamma))

    def backward(dy, cache):
        x_centred, inv_std, gamma = cache
        dx_hat = dy * gamma
        dvar = (dx_hat * x_centred).sum(AXES, keepdims=True) * -0.5 * inv_std**3
        dmean = -(dx_hat * inv_std).sum(AXES, keepdims=True) - 2 * dvar * mean(x_centred)
        dx = dx_hat * inv_std + dvar * 2 * x_centred / M + dmean / M
        return dx, (dy * x_centred * inv_std).sum(AXES), dy.sum(AXES)

    assert_equals_torch(forward, backward, *IMAGES)
