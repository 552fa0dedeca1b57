"""Exercises of notebook 06: references against the package and torch, styles, wrong answers."""

import numpy as np
import pytest
import torch

import bnlab
from bnlab import functional as F
from bnlab.course import check
from bnlab.course.exercises.edits import edited
from bnlab.course.exercises.registry import find
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


# Right answers in other styles: first of spatial_batchnorm_forward.


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


# fold_conv


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


RIGHT = {
    "spatial_batchnorm_forward": [
        through_a_table,
        channel_by_channel,
        with_einsum,
        merged_from_images,
        in_single_precision,
        with_a_cache,
    ],
    "fold_conv": [by_output_channel, with_einsum_fold, through_a_matrix, by_the_package],
    "effective_batch_size": [
        lambda n, h, w: w * h * n,
        lambda n, h, w: float(np.prod([n, h, w])),
        lambda n, h, w: np.zeros((n, h, w)).size,
        lambda n, h, w: sum(1 for _ in np.ndindex(n, h, w)),
    ],
}


@pytest.mark.parametrize(
    ("exercise", "answer"), [(name, answer) for name in RIGHT for answer in RIGHT[name]]
)
def test_a_right_answer_passes_in_any_style(exercise, answer):
    report = check(exercise, answer)
    assert report.outcome == "correct", report


# Wrong answers that must be caught, as functions or as edits of the reference.

WRONG = {
    "spatial_batchnorm_forward": {
        "dense code": {"axes": "0", "return": "gamma * x_hat + beta"},
        "gamma not lifted, raises where C is not W": {"return": "gamma * x_hat + beta"},
        "batch and rows": {"axes": "(0, 2)"},
        "batch and columns": {"axes": "(0, 3)"},
        "batch and channels": {"axes": "(0, 1)"},
        "statistics of the first image": {
            "mean": "x[:1].mean(axis=axes, keepdims=True)",
            "var": "x[:1].var(axis=axes, keepdims=True)",
        },
        "images swapped with channels": {"axes": "(1, 2, 3)"},
        "channels first after the table": lambda *a: through_a_table(*a).transpose(0, 2, 3, 1),
        "eps squared": {"x_hat": "(x - mean) / np.sqrt(var + eps**2)"},
        "one gamma for all": {"return": "gamma[0] * x_hat + beta[0]"},
        "the size of gamma": {
            "return": "np.abs(gamma)[:, None, None] * x_hat + beta[:, None, None]"
        },
        "relu at the end": lambda *a: np.maximum(spatial_batchnorm_forward(*a), 0),
        "means of the maps": lambda *a: spatial_batchnorm_forward(*a).mean(axis=(2, 3)),
        "x itself": {"return": "x"},
    },
    "fold_conv": {
        "the weight of a linear layer": {"new_weight": "scale[:, None] * weight"},
        "None is not thought of": {"bias": "bias"},
        "bias of None stays None": lambda w, b, *rest: (
            fold_conv(w, b, *rest)[0],
            None if b is None else fold_conv(w, b, *rest)[1],
        ),
        "mean and variance swapped": lambda w, b, g, t, m, v, e: fold_conv(
            w, b, g, t, v, np.abs(m), e
        ),
        "eps twice": {"scale": "gamma / np.sqrt(running_var + 2 * eps)"},
        "the other order": {"return": "new_bias, new_weight"},
        "nothing folded": {"return": "weight, bias + 0 * beta"},
        "flattened": {"return": "new_weight.reshape(len(weight), -1), new_bias"},
        "only the weight": {"return": "new_weight"},
    },
    "effective_batch_size": {
        "images added": {"return": "n + h * w"},
        "one side": {"return": "n * h"},
        "one image less": {"return": "(n - 1) * h * w"},
        "the larger number": {"return": "max(n, h * w)"},
        "the root": lambda n, h, w: np.sqrt(n * h * w),
    },
}
RAISES = {  # in some case; the others return something wrong
    "dense code",
    "gamma not lifted, raises where C is not W",
    "the weight of a linear layer",
    "None is not thought of",
}


def _wrong(exercise, label):
    answer = WRONG[exercise][label]
    return answer if callable(answer) else edited(find(exercise).reference, answer)


UNNAMED = {"mean and variance swapped"}


@pytest.mark.parametrize(
    ("exercise", "label"), [(name, label) for name in WRONG for label in WRONG[name]]
)
def test_a_wrong_answer_is_caught_and_named(exercise, label):
    report = check(exercise, _wrong(exercise, label))
    assert report.outcome == ("error" if label in RAISES else "incorrect"), report
    assert report.mistake or label in UNNAMED, report


def test_statistics_per_pixel_and_an_eps_outside_the_root_are_both_named():
    def answer(x, gamma, beta, eps):
        x_hat = (x - x.mean(axis=0)) / (x.std(axis=0) + eps)
        return gamma[:, None, None] * x_hat + beta[:, None, None]

    report = check("spatial_batchnorm_forward", answer)
    assert report.mistakes == ("statistics_per_pixel", "eps_outside_root")
    assert report.message.startswith("Two things at once.")


def not_lifted(x, gamma, beta, eps):
    mean, var = x.mean((0, 2, 3), keepdims=True), x.var((0, 2, 3), keepdims=True)
    return gamma * (x - mean) / np.sqrt(var + eps) + beta


def without_keepdims(x, gamma, beta, eps):
    x_hat = (x - x.mean((0, 2, 3))) / np.sqrt(x.var((0, 2, 3)) + eps)
    return gamma[:, None, None] * x_hat + beta[:, None, None]


def once_lifted(x, gamma, beta, eps):
    return gamma[:, None] * edited(spatial_batchnorm_forward, {"return": "x_hat"})(x, 1, 0, eps)


def by_image(x, gamma, beta, eps):
    return gamma[:, None, None] * (x - x.mean((2, 3))) + beta[:, None, None]


@pytest.mark.parametrize(
    ("answer", "mistake", "said"),
    [
        (not_lifted, "meets_the_columns", "gamma[:, None, None]"),
        (without_keepdims, "meets_the_columns", "a mean without keepdims"),
        (once_lifted, "meets_the_rows", "gamma[:, None, None]"),
        (by_image, "one_for_each_image", "axes 0, 2 and 3"),
    ],
)
def test_shapes_that_do_not_fit_the_images_are_explained(answer, mistake, said):
    report = check("spatial_batchnorm_forward", answer)
    assert (report.outcome, report.mistake) == ("error", mistake)
    assert said in report.message


@pytest.mark.parametrize(
    ("scale", "mistake"),
    [("scale", "columns"), ("scale[:, None]", "rows"), ("scale[:, None, None]", "inputs")],
)
def test_a_scale_that_does_not_meet_the_output_channels_is_explained(scale, mistake):
    report = check("fold_conv", edited(fold_conv, {"new_weight": f"weight * {scale}"}))
    assert (report.outcome, report.mistake) == ("error", f"scale_meets_the_{mistake}")
    assert "scale[:, None, None, None] * weight" in report.message


def test_a_one_pass_variance_loses_its_digits_where_the_mean_is_large():
    def one_pass(x, gamma, beta, eps):
        x = x.astype(np.float32)
        mean = x.mean(axis=(0, 2, 3), keepdims=True)
        var = (x**2).mean(axis=(0, 2, 3), keepdims=True) - mean**2
        x_hat = (x - mean) / np.sqrt(var + np.float32(eps))
        return gamma[:, None, None] * x_hat + beta[:, None, None]

    report = check("spatial_batchnorm_forward", one_pass)
    assert report.outcome == "incorrect"


# What the questions say.


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
