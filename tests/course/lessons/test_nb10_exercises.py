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


# Wrong answers, as edits of the reference, and the mistake that each is told it made.

WRONG = {
    "merge_stats": {
        "the distances not squared": (
            {"between": "np.abs(means - mean)"},
            "distances_not_squared",
        ),
        "the distances subtracted": (
            {"var": "(share * (variances - between)).sum(axis=0)"},
            "distances_subtracted",
        ),
        "weights by the root of the counts": (
            {"share": "(np.sqrt(counts) / np.sqrt(counts).sum())[:, None]", "between": "0"},
            "weights_by_the_root",
        ),
        "the standard deviation": ({"return": "mean, np.sqrt(var)"}, "standard_deviation"),
        "the largest shard": (
            {"return": "means[counts.argmax()], variances[counts.argmax()]"},
            "largest_shard_alone",
        ),
        "the median of the means": (
            {"mean": "np.median(means, axis=0)", "between": "0"},
            "variance_of_means_forgotten",
        ),
        "the mean only": ({"return": "mean"}, "too_few_values"),
        "deviations averaged, distances kept": (
            {
                "var": "(share * np.sqrt(variances)).sum(axis=0) ** 2"
                " + (share * between).sum(axis=0)"
            },
            "deviations_averaged_distances_kept",
        ),
        "averages of the features": (
            {"return": "means.mean(axis=1), variances.mean(axis=1)"},
            "wrong_shape",
        ),
    },
    "layernorm_forward": {
        "keepdims forgotten": (
            {"mean": "x.mean(axis=1)", "var": "x.var(axis=1)"},
            "statistics_lack_an_axis",
        ),
        "eps squared": ({"x_hat": "(x - mean) / np.sqrt(var + eps**2)"}, "squared_eps"),
        "unit length": (
            {"x_hat": "x / np.linalg.norm(x, axis=1, keepdims=True)"},
            "unit_length",
        ),
        "minus beta": ({"return": "gamma * x_hat - beta"}, "subtracts_beta"),
        "softmax": ({"x_hat": "np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)"}, "softmax"),
        "one gamma for all": ({"return": "gamma[0] * x_hat + beta[0]"}, "one_gamma_for_all"),
        "twice": (
            {"return": "layernorm_forward(x_hat, gamma, beta, eps)"},
            "x_hat_normalized_twice",
        ),
        "x itself": ({"return": "x"}, "x_itself"),
    },
    "groupnorm_forward": {
        "gamma along the last axis": (
            {"return": "gamma * x_hat.reshape(x.shape) + beta"},
            "gamma_lacks_two_axes",
        ),
        "gamma forgotten": (
            {"return": "x_hat.reshape(x.shape) + beta[:, None, None]"},
            "scale_forgotten",
        ),
        "two groups always": ({"groups": "x.reshape(len(x), 2, -1)"}, None),
        "eps squared": ({"x_hat": "(groups - mean) / np.sqrt(var + eps**2)"}, "squared_eps"),
        "one group, channels last or not": ({"groups": "x.reshape(len(x), 1, -1)"}, "layer_norm"),
        "minus beta": (
            {"return": "groupnorm_forward(x, gamma, -beta, num_groups, eps)"},
            "subtracts_beta",
        ),
        "groups not put back": ({"return": "x_hat"}, "wrong_shape"),
        "x itself": ({"return": "x"}, "x_itself"),
    },
}
RAISES = ("keepdims forgotten", "gamma along the last axis", "two groups always")


@pytest.mark.parametrize(("exercise", "label"), [(name, k) for name in WRONG for k in WRONG[name]])
def test_a_wrong_answer_is_caught(exercise, label):
    changes, name = WRONG[exercise][label]
    report = check(exercise, edited(find(exercise).reference, changes))
    outcome = "error" if label in RAISES else "incorrect"
    assert (report.outcome, report.mistake) == (outcome, name)


# What a message says of a wrong answer, and what it may not say.


def without_keepdims(x, gamma, beta, eps):
    z = (x - x.mean(axis=1, keepdims=True)) / np.sqrt(x.var(axis=1) + eps)
    return gamma * z + beta


def means_of_five_axes(x, gamma, beta, num_groups, eps):
    n, c, h, w = x.shape
    groups = x.reshape(n, num_groups, c // num_groups, h, w)
    z = (groups - groups.mean(axis=(2, 3, 4))) / np.sqrt(groups.var(axis=(2, 3, 4)) + eps)
    return gamma[:, None, None] * z.reshape(x.shape) + beta[:, None, None]


def gamma_of_shape_c(x, gamma, beta, num_groups, eps):
    ones = np.ones_like(gamma)
    return groupnorm_forward(x, ones, 0 * ones, num_groups, eps) * gamma + beta


def instance_norm_with_eps_outside(x, gamma, beta, num_groups, eps):
    z = (x - x.mean((2, 3), keepdims=True)) / (x.std((2, 3), keepdims=True) + eps)
    return gamma[:, None, None] * z + beta[:, None, None]


def layer_norm_divided_by(divisor):
    def answer(x, gamma, beta, eps):
        return gamma * (x - x.mean(axis=1, keepdims=True)) / divisor(x, eps) + beta

    return answer


def _var(x, **more):
    return x.var(axis=1, keepdims=True, **more)


def plain_mean_and_distances_unweighted(counts, means, variances):
    return means.mean(axis=0), counts @ variances / counts.sum() + means.var(axis=0)


def right_mean(counts, means):
    return counts @ means / counts.sum()


TOLD = [
    (
        "layernorm_forward",
        layer_norm_divided_by(lambda x, eps: np.sqrt(_var(x) + 1e-7)),
        ("eps_of_your_own",),
        "You always use 1e-07 for eps",
        None,
    ),
    (
        "layernorm_forward",
        layer_norm_divided_by(lambda x, eps: _var(x)),
        ("variance_alone",),
        "not by the variance",
        None,
    ),
    (
        "layernorm_forward",
        layer_norm_divided_by(lambda x, eps: np.sqrt(_var(x) - eps)),
        ("subtracted_eps",),
        "You subtract eps",
        None,
    ),
    (
        "layernorm_forward",
        layer_norm_divided_by(lambda x, eps: np.std(_var(x) + eps)),
        ("spread_of_var",),
        "np.sqrt takes the root",
        None,
    ),
    (
        "layernorm_forward",
        layer_norm_divided_by(lambda x, eps: np.sqrt(_var(x, ddof=1) + 1e-8)),
        ("unbiased_variance", "eps_of_your_own"),
        "Two things at once.",
        None,
    ),
    ("layernorm_forward", without_keepdims, ("statistics_lack_an_axis",), "keepdims=True", None),
    (
        "groupnorm_forward",
        means_of_five_axes,
        ("statistics_lack_three_axes",),
        "keepdims=True",
        None,
    ),
    ("groupnorm_forward", gamma_of_shape_c, ("gamma_lacks_two_axes",), "[:, None, None]", None),
    (
        "groupnorm_forward",
        instance_norm_with_eps_outside,
        ("instance_norm", "eps_outside_root"),
        "Two things at once.",
        None,
    ),
    (
        "merge_stats",
        plain_mean_and_distances_unweighted,
        ("only_the_mean_unweighted", "distances_unweighted"),
        "The average of the variances is weighted",
        "The mean and the average variance are weighted",
    ),
    (
        "merge_stats",
        lambda n, means, variances: (right_mean(n, means), np.zeros_like(variances[0])),
        ("variance_left_at_zero",),
        "var is all 0",
        "mean",
    ),
    (
        "merge_stats",
        lambda n, means, variances: (right_mean(n, means) + 1, np.zeros_like(variances[0])),
        ("variance_left_at_zero",),
        "mean is wrong too, for another reason.",
        None,
    ),
    (
        "merge_stats",
        lambda n, means, variances: (n * means / n.sum(), variances),
        ("counts_along_the_features",),
        "counts[:, None]",
        None,
    ),
]


@pytest.mark.parametrize(("exercise", "answer", "names", "said", "not_said"), TOLD)
def test_an_answer_is_told_what_is_true_of_it(exercise, answer, names, said, not_said):
    report = check(exercise, answer)
    assert report.outcome in ("incorrect", "error")
    assert report.mistakes == names
    assert said in report.message
    assert not_said is None or not_said not in report.message


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


@pytest.mark.parametrize(
    ("question", "given", "name"),
    [
        ("a_batch_of_two", 501.5, "not_divided"),
        ("a_batch_of_two", 2, "not_centred"),
        ("a_batch_of_two", 498.5 / 498.5**2, "divided_by_variance"),
        ("variance_of_two_shards", 0.9 * 5 + 0.1 * 145, "mean_of_squares"),
        ("variance_of_two_shards", 1 + (1 + 81) / 2, "distances_unweighted"),
        ("variance_of_two_shards", 90 * 2 + 10 * 82, "sum_of_squares"),
    ],
)
def test_a_wrong_number_is_known(question, given, name):
    assert check(question, given).mistake == name
