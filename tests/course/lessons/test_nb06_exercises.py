"""Exercises of notebook 06: references against the package and torch, styles, wrong answers."""

import numpy as np
import pytest
import torch

import bnlab
from bnlab import functional as F
from bnlab.course import check
from bnlab.course.lessons.nb06.ex_effective_batch_size import effective_batch_size
from bnlab.course.lessons.nb06.ex_fold_conv import FOLD, fold_conv
from bnlab.course.lessons.nb06.ex_spatial_batchnorm import (
    SPATIAL,
    images,
    spatial_batchnorm_forward,
)

# References against independent oracles, on the cases and on others.


@pytest.mark.parametrize("case", SPATIAL.cases, ids=lambda c: c.name)
def test_the_spatial_reference_equals_the_package_on_its_cases(case):
    expected, _ = bnlab.batchnorm_forward(*case.arguments())
    found = spatial_batchnorm_forward(*case.arguments())
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("shape", "eps"), [((5, 2, 3, 7), 1e-5), ((1, 6, 2, 2), 1e-3), ((9, 1, 1, 4), 0.1)]
)
def test_the_spatial_reference_equals_torch(shape, eps):
    x, gamma, beta, eps = images(*shape, eps=eps)(np.random.default_rng(shape[0]))
    tensors = [torch.from_numpy(a) for a in (x, gamma, beta)]
    expected = torch.nn.functional.batch_norm(
        tensors[0], None, None, tensors[1], tensors[2], training=True, eps=eps
    ).numpy()
    found = spatial_batchnorm_forward(x, gamma, beta, eps)
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("case", FOLD.cases, ids=lambda c: c.name)
def test_the_fold_reference_equals_the_package_on_its_cases(case):
    for found, expected in zip(
        fold_conv(*case.arguments()), bnlab.fold_batchnorm(*case.arguments()), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("case", FOLD.cases, ids=lambda c: c.name)
@pytest.mark.parametrize("stride", [1, 2])
def test_the_folded_convolution_does_the_work_of_both(case, stride):
    weight, bias, *norm, eps = case.arguments()
    x = np.random.default_rng(1).normal(size=(3, weight.shape[1], 7, 6))
    z, _ = F.conv2d_forward(x, weight, bias, stride=stride)
    gamma, beta, mean, var = (torch.from_numpy(a) for a in norm)
    expected = torch.nn.functional.batch_norm(
        torch.from_numpy(z), mean, var, gamma, beta, training=False, eps=eps
    ).numpy()
    folded, _ = F.conv2d_forward(x, *fold_conv(weight, bias, *norm, eps), stride=stride)
    np.testing.assert_allclose(folded, expected, rtol=1e-9, atol=1e-9)


def test_the_fold_reference_equals_torchs_own_fold():
    weight, bias, *norm, eps = FOLD.cases[0].arguments()
    out, n_in, *kernel = weight.shape
    convolution = torch.nn.Conv2d(n_in, out, kernel, dtype=torch.float64)
    layer = torch.nn.BatchNorm2d(out, eps=eps, dtype=torch.float64)
    with torch.no_grad():
        parameters = (convolution.weight, convolution.bias, layer.weight, layer.bias)
        for p, a in zip((*parameters, layer.running_mean, layer.running_var),
                        (weight, bias, *norm), strict=True):  # fmt: skip
            p.copy_(torch.from_numpy(a))
    folded = torch.nn.utils.fusion.fuse_conv_bn_eval(convolution.eval(), layer.eval())
    found = fold_conv(weight, bias, *norm, eps)
    np.testing.assert_allclose(found[0], folded.weight.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(found[1], folded.bias.detach().numpy(), rtol=1e-12)


@pytest.mark.parametrize("shape", [(2, 3, 4), (1, 1, 1), (3, 1, 5)])
def test_the_effective_batch_size_is_the_number_of_values(shape):
    assert effective_batch_size(*shape) == np.zeros(shape).size


# spatial_batchnorm_forward: right answers in other styles, wrong ones that must be caught.


def through_a_table(x, gamma, beta, eps):
    n, c, h, w = x.shape
    table = x.transpose(0, 2, 3, 1).reshape(-1, c)
    table = gamma * (table - table.mean(axis=0)) / np.sqrt(table.var(axis=0) + eps) + beta
    return table.reshape(n, h, w, c).transpose(0, 3, 1, 2)


def channel_by_channel(x, gamma, beta, eps):
    y = np.empty_like(x)
    for c in range(x.shape[1]):
        values = x[:, c]
        y[:, c] = gamma[c] * (values - values.mean()) / (values.var() + eps) ** 0.5 + beta[c]
    return y


def with_einsum(x, gamma, beta, eps):
    m = effective_batch_size(*np.delete(x.shape, 1))
    centred = x - (np.einsum("nchw->c", x) / m)[None, :, None, None]
    var = np.einsum("nchw,nchw->c", centred, centred) / m
    return np.einsum("c,nchw->nchw", gamma / np.sqrt(var + eps), centred) + beta.reshape(-1, 1, 1)


def merged_from_images(x, gamma, beta, eps):
    means = x.mean(axis=(2, 3))  # (N, C)
    mean = means.mean(axis=0)[:, None, None]
    var = x.var(axis=(2, 3)).mean(axis=0) + means.var(axis=0)
    scale = gamma / np.sqrt(var + eps)
    return scale[:, None, None] * (x - mean) + beta[:, None, None]


def in_single_precision(x, gamma, beta, eps):
    centred = (x - x.mean(axis=(0, 2, 3), keepdims=True)).astype(np.float32)
    var = (centred**2).mean(axis=(0, 2, 3), keepdims=True)
    gamma, beta = (v.astype(np.float32).reshape(1, -1, 1, 1) for v in (gamma, beta))
    return gamma * centred / np.sqrt(var + np.float32(eps)) + beta


def with_a_cache(x, gamma, beta, eps):
    return bnlab.batchnorm_forward(x, gamma, beta, eps)


RIGHT_SPATIAL = [through_a_table, channel_by_channel, with_einsum, merged_from_images,
                 in_single_precision, with_a_cache]  # fmt: skip


@pytest.mark.parametrize("answer", RIGHT_SPATIAL)
def test_a_right_spatial_forward_passes_in_any_style(answer):
    report = check("spatial_batchnorm_forward", answer)
    assert report.outcome == "correct", report


def _x_hat(x, eps, axes=(0, 2, 3), of=None):
    of = x if of is None else of
    mean, var = of.mean(axis=axes, keepdims=True), of.var(axis=axes, keepdims=True)
    return (x - mean) / np.sqrt(var + eps)


def _affine(x_hat, gamma, beta):
    return gamma[:, None, None] * x_hat + beta[:, None, None]


WRONG_SPATIAL = {
    "dense code": lambda x, gamma, beta, eps: gamma * _x_hat(x, eps, 0) + beta,
    "gamma not lifted, raises where C is not W": lambda x, gamma, beta, eps: (
        gamma * _x_hat(x, eps) + beta
    ),
    "batch and rows": lambda x, gamma, beta, eps: _affine(_x_hat(x, eps, (0, 2)), gamma, beta),
    "batch and columns": lambda x, gamma, beta, eps: _affine(_x_hat(x, eps, (0, 3)), gamma, beta),
    "batch and channels": lambda x, gamma, beta, eps: _affine(_x_hat(x, eps, (0, 1)), gamma, beta),
    "statistics of the first image": lambda x, gamma, beta, eps: _affine(
        _x_hat(x, eps, of=x[:1]), gamma, beta
    ),
    "images swapped with channels": lambda x, gamma, beta, eps: _affine(
        _x_hat(x, eps, (1, 2, 3)), gamma, beta
    ),
    "channels first after the table": lambda x, gamma, beta, eps: through_a_table(
        x, gamma, beta, eps
    ).transpose(0, 2, 3, 1),
    "eps squared": lambda x, gamma, beta, eps: _affine(_x_hat(x, eps**2), gamma, beta),
    "one gamma for all": lambda x, gamma, beta, eps: gamma[0] * _x_hat(x, eps) + beta[0],
    "the size of gamma": lambda x, gamma, beta, eps: _affine(_x_hat(x, eps), np.abs(gamma), beta),
    "relu at the end": lambda x, gamma, beta, eps: np.maximum(
        _affine(_x_hat(x, eps), gamma, beta), 0
    ),
    "means of the maps": lambda x, gamma, beta, eps: _affine(_x_hat(x, eps), gamma, beta).mean(
        axis=(2, 3)
    ),
    "x itself": lambda x, gamma, beta, eps: x,
}


@pytest.mark.parametrize("name", WRONG_SPATIAL)
def test_a_wrong_spatial_forward_is_caught(name):
    report = check("spatial_batchnorm_forward", WRONG_SPATIAL[name])
    assert report.outcome in ("incorrect", "error")


def test_a_one_pass_variance_loses_its_digits_where_the_mean_is_large():
    def one_pass(x, gamma, beta, eps):
        x = x.astype(np.float32)
        mean = x.mean(axis=(0, 2, 3), keepdims=True)
        var = (x**2).mean(axis=(0, 2, 3), keepdims=True) - mean**2
        return _affine((x - mean) / np.sqrt(var + np.float32(eps)), gamma, beta)

    report = check("spatial_batchnorm_forward", one_pass)
    assert report.outcome == "incorrect"


# fold_conv: the same.


def by_output_channel(weight, bias, gamma, beta, running_mean, running_var, eps):
    scales = gamma / (running_var + eps) ** 0.5
    kernels = [s * kernel for s, kernel in zip(scales, weight, strict=True)]
    old = np.zeros(len(weight)) if bias is None else bias
    return np.stack(kernels), scales * old + beta - scales * running_mean


def with_einsum_fold(weight, bias, gamma, beta, running_mean, running_var, eps):
    scale = gamma * (running_var + eps) ** -0.5
    old = 0 if bias is None else bias
    return [np.einsum("o,oijk->oijk", scale, weight), beta - scale * (running_mean - old)]


def through_a_matrix(weight, bias, gamma, beta, running_mean, running_var, eps):
    scale = np.diag(gamma / np.sqrt(running_var + eps))
    old = np.zeros_like(beta) if bias is None else bias
    flat = scale @ weight.reshape(len(weight), -1)
    return flat.reshape(weight.shape), scale @ (old - running_mean) + beta, scale


def by_the_package(weight, bias, gamma, beta, running_mean, running_var, eps):
    return bnlab.fold_batchnorm(weight, bias, gamma, beta, running_mean, running_var, eps)


@pytest.mark.parametrize(
    "answer", [by_output_channel, with_einsum_fold, through_a_matrix, by_the_package]
)
def test_a_right_fold_passes_in_any_style(answer):
    report = check("fold_conv", answer)
    assert report.outcome == "correct", report


WRONG_FOLD = {
    "the weight of a linear layer": lambda w, b, g, t, m, v, e: (
        (g / np.sqrt(v + e))[:, None] * w, fold_conv(w, b, g, t, m, v, e)[1]
    ),
    "None is not thought of": lambda w, b, g, t, m, v, e: (
        fold_conv(w, b, g, t, m, v, e)[0], t + (b - m) * g / np.sqrt(v + e)
    ),
    "bias of None stays None": lambda w, b, g, t, m, v, e: (
        fold_conv(w, b, g, t, m, v, e)[0],
        None if b is None else fold_conv(w, b, g, t, m, v, e)[1],
    ),
    "mean and variance swapped": lambda w, b, g, t, m, v, e: fold_conv(
        w, b, g, t, v, np.abs(m), e
    ),
    "eps twice": lambda w, b, g, t, m, v, e: fold_conv(w, b, g, t, m, v, 2 * e),
    "the other order": lambda w, b, g, t, m, v, e: fold_conv(w, b, g, t, m, v, e)[::-1],
    "nothing folded": lambda w, b, g, t, m, v, e: (w, np.zeros(len(w)) if b is None else b),
    "flattened": lambda w, b, g, t, m, v, e: (
        fold_conv(w, b, g, t, m, v, e)[0].reshape(len(w), -1), fold_conv(w, b, g, t, m, v, e)[1]
    ),
    "only the weight": lambda w, b, g, t, m, v, e: fold_conv(w, b, g, t, m, v, e)[0],
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG_FOLD)
def test_a_wrong_fold_is_caught(name):
    assert check("fold_conv", WRONG_FOLD[name]).outcome in ("incorrect", "error")


# effective_batch_size, and what the questions say.


@pytest.mark.parametrize(
    "answer",
    [
        lambda n, h, w: w * h * n,
        lambda n, h, w: float(np.prod([n, h, w])),
        lambda n, h, w: np.zeros((n, h, w)).size,
        lambda n, h, w: sum(1 for _ in np.ndindex(n, h, w)),
    ],
)
def test_a_right_count_passes_in_any_style(answer):
    assert check("effective_batch_size", answer).outcome == "correct"


@pytest.mark.parametrize(
    "answer",
    [lambda n, h, w: n + h * w, lambda n, h, w: n * h, lambda n, h, w: (n - 1) * h * w,
     lambda n, h, w: max(n, h * w), lambda n, h, w: np.sqrt(n * h * w)],
)  # fmt: skip
def test_a_wrong_count_is_caught(answer):
    assert check("effective_batch_size", answer).outcome == "incorrect"


def test_only_the_layer_behind_global_pooling_refuses_a_single_image():
    for side in (32, 8):
        bnlab.batchnorm_forward(np.ones((1, 3, side, side)), np.ones(3), np.zeros(3))
    with pytest.raises(ValueError, match="more than one value per channel"):
        bnlab.batchnorm_forward(np.ones((1, 3, 1, 1)), np.ones(3), np.zeros(3))


def test_a_reshaped_column_holds_two_image_columns_of_everything():
    n, c, _, w = np.indices((64, 4, 8, 8))
    for k in range(4):
        members = [axis.reshape(-1, 4)[:, k] for axis in (n, c, w)]
        assert [len(np.unique(m)) for m in members[:2]] == [64, 4]
        assert set(members[2].tolist()) == {k, k + 4}


def test_a_batch_norm_before_a_padded_convolution_is_another_matter():
    """Line d of the notes: the best single convolution fails at the border, not inside."""
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(4, 2, 6, 6)), rng.normal(size=(3, 2, 3, 3))
    gamma, beta, mean, var = rng.uniform(0.5, 2, (4, 2))
    normalized = bnlab.batchnorm_inference(x, gamma, beta, mean, var)
    y, _ = F.conv2d_forward(normalized, weight, padding=1)
    scale = gamma / np.sqrt(var + 1e-5)
    bias = np.einsum("oijk,i->o", weight, beta - mean * scale)
    gap = np.abs(F.conv2d_forward(x, weight * scale[:, None, None], bias, padding=1)[0] - y)
    assert gap[:, :, 1:-1, 1:-1].max() < 1e-12
    assert gap.max() > 0.1
