"""Exercises of notebook 10: references against the package and torch, styles, wrong answers."""

import numpy as np
import pytest
import torch

from bnlab import functional as F
from bnlab.course import check
from bnlab.course.exercises.edits import edited
from bnlab.course.exercises.registry import find
from bnlab.course.lessons.nb10.ex_groupnorm import GROUPNORM, groupnorm_forward
from bnlab.course.lessons.nb10.ex_layernorm import LAYERNORM, layernorm_forward
from bnlab.course.lessons.nb10.ex_merge_stats import MERGE, merge_stats
from bnlab.course.lessons.nb10.shards import pooled_statistics

# References against independent oracles, on the cases and on others.


@pytest.mark.parametrize("case", MERGE.cases, ids=lambda c: c.name)
def test_the_merge_reference_equals_the_package_on_its_cases(case):
    found, expected = merge_stats(*case.arguments()), pooled_statistics(*case.arguments())
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("sizes", [(1, 1), (3, 9, 2), (40, 1, 7, 7, 20)])
def test_the_merge_reference_equals_torch_on_all_rows(sizes):
    rng = np.random.default_rng(len(sizes))
    x = torch.from_numpy(rng.normal(rng.normal(size=(sum(sizes), 1)), 1.0, (sum(sizes), 3)))
    parts = x.split(sizes)
    means = torch.stack([p.mean(dim=0) for p in parts]).numpy()
    variances = torch.stack([p.var(dim=0, correction=0) for p in parts]).numpy()
    mean, var = merge_stats(np.array(sizes), means, variances)
    np.testing.assert_allclose(mean, x.mean(dim=0), rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(var, x.var(dim=0, correction=0), rtol=1e-11)


@pytest.mark.parametrize("case", LAYERNORM.cases, ids=lambda c: c.name)
def test_the_layer_norm_reference_equals_the_package_and_torch(case):
    x, gamma, beta, eps = case.arguments()
    found = layernorm_forward(x, gamma, beta, eps)
    ours, _ = F.layernorm_forward(x, gamma, beta, eps)
    np.testing.assert_allclose(found, ours, rtol=1e-9, atol=1e-9)
    x, gamma, beta = map(torch.from_numpy, (x, gamma, beta))
    theirs = torch.layer_norm(x, [x.shape[1]], gamma, beta, eps)
    np.testing.assert_allclose(found, theirs, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("case", GROUPNORM.cases, ids=lambda c: c.name)
def test_the_group_norm_reference_equals_the_package_and_torch(case):
    x, gamma, beta, num_groups, eps = case.arguments()
    found = groupnorm_forward(x, gamma, beta, num_groups, eps)
    ours, _ = F.groupnorm_forward(x, gamma, beta, num_groups, eps)
    np.testing.assert_allclose(found, ours, rtol=1e-9, atol=1e-9)
    x, gamma, beta = map(torch.from_numpy, (x, gamma, beta))
    theirs = torch.group_norm(x, num_groups, gamma, beta, eps)
    np.testing.assert_allclose(found, theirs, rtol=1e-7, atol=1e-7)


# Right answers in other styles.


def two_at_a_time(counts, means, variances):
    """Chan, Golub and LeVeque's formula, one shard after the other."""
    n, mean, m2 = counts[0], means[0], counts[0] * variances[0]
    for k, other, var in zip(counts[1:], means[1:], variances[1:], strict=True):
        delta = other - mean
        m2 = m2 + k * var + delta**2 * n * k / (n + k)
        mean = mean + delta * k / (n + k)
        n = n + k
    return mean, m2 / n


def with_numpy_average(counts, means, variances):
    mean = np.average(means, axis=0, weights=counts)
    return [mean, np.average(variances + (means - mean) ** 2, axis=0, weights=counts)]


def with_einsum(counts, means, variances):
    share = counts / counts.sum()
    mean = np.einsum("r,rc->c", share, means)
    return mean, np.einsum("r,rc->c", share, variances + np.square(means - mean)), share


def merge_in_single_precision(counts, means, variances):
    share = (counts / counts.sum()).astype(np.float32)
    means, variances = means.astype(np.float32), variances.astype(np.float32)
    mean = share @ means
    return mean, share @ (variances + (means - mean) ** 2)


def by_rows(x, gamma, beta, eps):
    return np.stack([gamma * (r - r.mean()) / np.sqrt(r.var() + eps) + beta for r in x])


def transposed(x, gamma, beta, eps):
    z = x.T - x.T.mean(axis=0)
    return (z / (np.mean(z * z, axis=0) + eps) ** 0.5).T * gamma[None] + beta[None]


def layer_norm_of_the_package(x, gamma, beta, eps):
    return F.layernorm_forward(x, gamma, beta, eps)  # y and a cache


def layer_norm_in_single_precision(x, gamma, beta, eps):
    x, gamma, beta = (a.astype(np.float32) for a in (x, gamma, beta))
    z = x - x.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
    return gamma * z / np.sqrt((z * z).mean(axis=1, keepdims=True) + np.float32(eps)) + beta


def by_slices(x, gamma, beta, num_groups, eps):
    size, y = x.shape[1] // num_groups, x.copy()
    for n in range(len(x)):
        for start in range(0, x.shape[1], size):
            group = x[n, start : start + size]
            y[n, start : start + size] = (group - group.mean()) / np.sqrt(group.var() + eps)
    return y * gamma.reshape(1, -1, 1, 1) + beta.reshape(1, -1, 1, 1)


def in_five_axes(x, gamma, beta, num_groups, eps):
    n, c, h, w = x.shape
    z = x.reshape(n, num_groups, c // num_groups, h, w)
    z = z - z.mean(axis=(2, 3, 4), keepdims=True)
    z = z / np.sqrt((z**2).mean(axis=(2, 3, 4), keepdims=True) + eps)
    return np.einsum("nchw,c->nchw", z.reshape(x.shape), gamma) + beta[None, :, None, None]


def by_layer_norm(x, gamma, beta, num_groups, eps):
    groups = x.reshape(len(x) * num_groups, -1)
    ones = np.ones(groups.shape[1])
    z, _ = F.layernorm_forward(groups, ones, 0 * ones, eps)
    return gamma[:, None, None] * z.reshape(x.shape) + beta[:, None, None]


def group_norm_in_single_precision(x, gamma, beta, num_groups, eps):
    z = x.astype(np.float32).reshape(len(x), num_groups, -1)
    z = z - z.mean(axis=2, keepdims=True, dtype=np.float64).astype(np.float32)
    z = z / np.sqrt((z * z).mean(axis=2, keepdims=True) + np.float32(eps))
    gamma, beta = (a.astype(np.float32)[:, None, None] for a in (gamma, beta))
    return gamma * z.reshape(x.shape) + beta


RIGHT = {
    "merge_stats": {
        "two at a time": two_at_a_time,
        "with numpy average": with_numpy_average,
        "with einsum": with_einsum,
        "in single precision": merge_in_single_precision,
    },
    "layernorm_forward": {
        "by rows": by_rows,
        "transposed": transposed,
        "the package": layer_norm_of_the_package,
        "in single precision": layer_norm_in_single_precision,
    },
    "groupnorm_forward": {
        "by slices": by_slices,
        "in five axes": in_five_axes,
        "by layer norm": by_layer_norm,
        "in single precision": group_norm_in_single_precision,
    },
}


@pytest.mark.parametrize(("exercise", "label"), [(name, k) for name in RIGHT for k in RIGHT[name]])
def test_a_right_answer_passes_in_any_style(exercise, label):
    report = check(exercise, RIGHT[exercise][label])
    assert report.outcome == "correct", report


def test_a_merge_by_mean_squares_is_told_about_digits():
    def by_mean_squares(counts, means, variances):
        share = counts / counts.sum()
        mean = share @ means
        return mean, share @ (variances + means**2) - mean**2

    assert "distances" in check("merge_stats", by_mean_squares).message


# Wrong answers that must be caught, diagnosed or not, as edits of the reference.

WRONG = {
    "merge_stats": {
        "the distances not squared": {"between": "np.abs(means - mean)"},
        "the distances subtracted": {"var": "(share * (variances - between)).sum(axis=0)"},
        "weights by the root of the counts": {
            "share": "(np.sqrt(counts) / np.sqrt(counts).sum())[:, None]",
            "between": "0",
        },
        "the standard deviation": {"return": "mean, np.sqrt(var)"},
        "the largest shard": {"return": "means[counts.argmax()], variances[counts.argmax()]"},
        "the median of the means": {"mean": "np.median(means, axis=0)", "between": "0"},
        "the mean only": {"return": "mean"},
        "deviations averaged, distances kept": {
            "var": "(share * np.sqrt(variances)).sum(axis=0) ** 2 + (share * between).sum(axis=0)"
        },
        "averages of the features": {"return": "means.mean(axis=1), variances.mean(axis=1)"},
    },
    "layernorm_forward": {
        "keepdims forgotten": {"mean": "x.mean(axis=1)", "var": "x.var(axis=1)"},
        "eps squared": {"x_hat": "(x - mean) / np.sqrt(var + eps**2)"},
        "unit length": {"x_hat": "x / np.linalg.norm(x, axis=1, keepdims=True)"},
        "minus beta": {"return": "gamma * x_hat - beta"},
        "softmax": {"x_hat": "np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)"},
        "one gamma for all": {"return": "gamma[0] * x_hat + beta[0]"},
        "twice": {"return": "layernorm_forward(x_hat, gamma, beta, eps)"},
        "x itself": {"return": "x"},
    },
    "groupnorm_forward": {
        "gamma along the last axis": {"return": "gamma * x_hat.reshape(x.shape) + beta"},
        "gamma forgotten": {"return": "x_hat.reshape(x.shape) + beta[:, None, None]"},
        "two groups always": {"groups": "x.reshape(len(x), 2, -1)"},
        "eps squared": {"x_hat": "(groups - mean) / np.sqrt(var + eps**2)"},
        "one group, channels last or not": {"groups": "x.reshape(len(x), 1, -1)"},
        "minus beta": {"return": "groupnorm_forward(x, gamma, -beta, num_groups, eps)"},
        "groups not put back": {"return": "x_hat"},
        "x itself": {"return": "x"},
    },
}
RAISES = ("keepdims forgotten", "gamma along the last axis", "two groups always")


@pytest.mark.parametrize(("exercise", "label"), [(name, k) for name in WRONG for k in WRONG[name]])
def test_a_wrong_answer_is_caught(exercise, label):
    answer = edited(find(exercise).reference, WRONG[exercise][label])
    assert check(exercise, answer).outcome == ("error" if label in RAISES else "incorrect")


# The questions with a number: what they say, computed.


@pytest.mark.parametrize("larger", [11.0, 1000.0])
def test_the_larger_of_two_becomes_one(larger):
    x = np.array([3.0, larger])
    x_hat = float(((x - x.mean()) / x.std())[1])
    assert check("a_batch_of_two", x_hat).outcome == "correct"
    assert check("a_batch_of_two", 2 * x_hat).outcome == "incorrect"


def test_the_two_shards_have_the_stated_variance():
    first = np.repeat([1.0, 3.0], 45)  # mean 2, variance 1
    second = np.repeat([11.0, 13.0], 5)  # mean 12, variance 1
    assert (first.mean(), first.var(), second.mean(), second.var()) == (2, 1, 12, 1)
    rows = np.concatenate([first, second])
    assert check("variance_of_two_shards", float(rows.var())).outcome == "correct"
    assert check("variance_of_two_shards", float(rows.var(ddof=1))).mistake == "unbiased_variance"
