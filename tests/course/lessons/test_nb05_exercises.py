"""Exercises of notebook 05: references against the package and torch, styles, wrong answers."""

import math

import numpy as np
import pytest
import torch

import bnlab
from bnlab import layers
from bnlab.course import check
from bnlab.course.exercises.edits import edited
from bnlab.course.exercises.registry import find
from bnlab.course.lessons.nb05.ex_fold_linear import FOLD, fold_linear
from bnlab.course.lessons.nb05.ex_inference import INFERENCE, batchnorm_inference
from bnlab.course.lessons.nb05.ex_running_statistics import UPDATE, update_running_stats


def assert_equal(got, want, rtol=1e-11):
    np.testing.assert_allclose(got, want, rtol=rtol, atol=1e-12)


def torch_layer(arrays, eps=1e-5, momentum=0.1):
    """BatchNorm1d in float64 with (weight, bias, running_mean, running_var)."""
    layer = torch.nn.BatchNorm1d(len(arrays[0]), eps=eps, momentum=momentum, dtype=torch.float64)
    names = ("weight", "bias", "running_mean", "running_var")
    state = {name: torch.from_numpy(a) for name, a in zip(names, arrays, strict=True)}
    layer.load_state_dict(state, strict=False)
    return layer


# References against the package's layer and torch, on the cases and on others.


@pytest.mark.parametrize("case", UPDATE.cases, ids=lambda c: c.name)
def test_one_update_equals_the_layer_and_torch(case):
    running_mean, running_var, x, momentum = case.arguments()
    got = update_running_stats(running_mean, running_var, x, momentum)
    layer = layers.BatchNorm(x.shape[1], momentum=momentum)
    layer.running_mean[:], layer.running_var[:] = running_mean, running_var
    layer(x)
    zeros = np.zeros_like(running_mean)
    theirs = torch_layer((zeros, zeros, running_mean, running_var), momentum=momentum)
    theirs(torch.from_numpy(x))
    assert_equal(got, (layer.running_mean, layer.running_var))
    assert_equal(got, (theirs.running_mean.numpy(), theirs.running_var.numpy()))


@pytest.mark.parametrize("momentum", [0.01, 0.5, 1.0])
def test_many_updates_equal_torch(momentum):
    rng = np.random.default_rng(0)
    theirs = torch.nn.BatchNorm1d(3, momentum=momentum, dtype=torch.float64)
    statistics = np.zeros(3), np.ones(3)
    for _ in range(5):
        x = rng.normal(2, 3, (9, 3))
        statistics = update_running_stats(*statistics, x, momentum)
        theirs(torch.from_numpy(x))
    assert_equal(statistics, (theirs.running_mean.numpy(), theirs.running_var.numpy()))


@pytest.mark.parametrize("case", INFERENCE.cases, ids=lambda c: c.name)
def test_inference_equals_the_package_and_torch(case):
    x, *arrays, eps = case.arguments()
    got = batchnorm_inference(x, *arrays, eps)
    theirs = torch_layer(arrays, eps).eval()(torch.from_numpy(x)).detach().numpy()
    assert_equal(got, bnlab.batchnorm_inference(x, *arrays, eps))
    assert_equal(got, theirs, rtol=1e-9)  # torch multiplies out where the mean is large


@pytest.mark.parametrize("case", FOLD.cases, ids=lambda c: c.name)
def test_folding_equals_the_package_and_the_two_layers_of_torch(case):
    weight, bias, *arrays, eps = case.arguments()
    folded = fold_linear(weight, bias, *arrays, eps)
    for got, want in zip(folded, bnlab.fold_batchnorm(weight, bias, *arrays, eps), strict=True):
        assert_equal(got, want)
    u = np.random.default_rng(0).normal(size=(11, weight.shape[1]))
    tensors = [None if a is None else torch.from_numpy(a) for a in (u, weight, bias)]
    y = torch_layer(arrays, eps).eval()(torch.nn.functional.linear(*tensors)).detach().numpy()
    assert_equal(u @ folded[0].T + folded[1], y, rtol=1e-9)


# Right answers in other styles: first of update_running_stats.


def as_a_step_towards_the_batch(running_mean, running_var, x, momentum):
    mean = np.einsum("nc->c", x) / len(x)
    var = np.einsum("nc,nc->c", x - mean, x - mean) / (len(x) - 1)
    return (
        running_mean + momentum * (mean - running_mean),
        running_var + momentum * (var - running_var),
    )


def by_columns(running_mean, running_var, x, momentum):
    means, variances = [], []
    for i in range(x.shape[1]):
        mean = sum(x[:, i]) / len(x)
        var = sum((value - mean) ** 2 for value in x[:, i]) / (len(x) - 1)
        means.append((1 - momentum) * running_mean[i] + momentum * mean)
        variances.append((1 - momentum) * running_var[i] + momentum * var)
    return np.array(means), np.array(variances)


def in_place_on_copies(running_mean, running_var, x, momentum):
    running_mean, running_var = running_mean.copy(), running_var.copy()
    m = len(x)
    running_mean *= 1 - momentum
    running_mean += momentum * x.mean(axis=0)
    running_var *= 1 - momentum
    running_var += momentum * x.var(axis=0) * m / (m - 1)
    return [running_mean, running_var]


def by_the_layer(running_mean, running_var, x, momentum):
    layer = layers.BatchNorm(x.shape[1], momentum=momentum)
    layer.running_mean, layer.running_var = running_mean.copy(), running_var.copy()
    y = layer(x)
    return layer.running_mean, layer.running_var, y


def in_single_precision(running_mean, running_var, x, momentum):
    mean = x.mean(axis=0)
    var = (x - mean).astype(np.float32).var(axis=0, ddof=1)
    a = np.float32(momentum)
    old_mean, old_var = running_mean.astype(np.float32), running_var.astype(np.float32)
    return old_mean * (1 - a) + a * mean.astype(np.float32), old_var * (1 - a) + a * var


# batchnorm_inference


def one_row_at_a_time(x, gamma, beta, running_mean, running_var, eps):
    rows = []
    for row in x:
        rows.append((row - running_mean) * gamma / (running_var + eps) ** 0.5 + beta)
    return np.stack(rows)


def with_math(x, gamma, beta, running_mean, running_var, eps):
    y = np.empty_like(x)
    for i, j in np.ndindex(x.shape):
        std = math.sqrt(running_var[j] + eps)
        y[i, j] = gamma[j] * (x[i, j] - running_mean[j]) / std + beta[j]
    return y


def as_an_affine_map(x, gamma, beta, running_mean, running_var, eps):
    scale = gamma / np.sqrt(running_var + eps)
    return x * scale + (beta - running_mean * scale)


def by_the_package(x, gamma, beta, running_mean, running_var, eps):
    return bnlab.batchnorm_inference(x, gamma, beta, running_mean, running_var, eps), "and more"


def inference_in_single_precision(x, gamma, beta, running_mean, running_var, eps):
    arrays = (x, gamma, beta, running_mean, running_var)
    return batchnorm_inference(*(a.astype(np.float32) for a in arrays), np.float32(eps))


# fold_linear


def with_a_diagonal_matrix(weight, bias, gamma, beta, running_mean, running_var, eps):
    matrix = np.diag(gamma / np.sqrt(running_var + eps))
    bias = np.zeros(len(weight)) if bias is None else bias
    return matrix @ weight, matrix @ (bias - running_mean) + beta


def row_by_row(weight, bias, gamma, beta, running_mean, running_var, eps):
    new_weight, new_bias = weight.copy(), beta.copy()
    for k in range(len(weight)):
        scale = gamma[k] * (running_var[k] + eps) ** -0.5
        new_weight[k] *= scale
        new_bias[k] += ((0 if bias is None else bias[k]) - running_mean[k]) * scale
    return new_weight, new_bias


def through_the_transpose(weight, bias, gamma, beta, running_mean, running_var, eps):
    scale = gamma / np.sqrt(running_var + eps)
    folded = beta - running_mean * scale
    if bias is not None:
        folded = folded + bias * scale
    return (weight.T * scale).T, folded


def by_asking_the_two_layers(weight, bias, gamma, beta, running_mean, running_var, eps):
    """The image of 0 is the bias; the images of the unit vectors are the columns."""
    n_in = weight.shape[1]
    inputs = np.vstack([np.zeros(n_in), np.eye(n_in)]) @ weight.T + (0 if bias is None else bias)
    y = bnlab.batchnorm_inference(inputs, gamma, beta, running_mean, running_var, eps)
    return (y[1:] - y[0]).T, y[0]


def fold_in_single_precision(weight, bias, *arrays):
    single = [np.asarray(a, np.float32) for a in (weight, *arrays)]
    bias = None if bias is None else bias.astype(np.float32)
    return fold_linear(single[0], bias, *single[1:])


RIGHT = {
    "update_running_stats": [
        as_a_step_towards_the_batch,
        by_columns,
        in_place_on_copies,
        by_the_layer,
        in_single_precision,
    ],
    "batchnorm_inference": [
        one_row_at_a_time,
        with_math,
        as_an_affine_map,
        by_the_package,
        inference_in_single_precision,
    ],
    "fold_linear": [
        with_a_diagonal_matrix,
        row_by_row,
        through_the_transpose,
        by_asking_the_two_layers,
        fold_in_single_precision,
    ],
}


@pytest.mark.parametrize(
    ("exercise", "answer"), [(name, answer) for name in RIGHT for answer in RIGHT[name]]
)
def test_a_right_answer_passes_in_any_style(exercise, answer):
    report = check(exercise, answer)
    assert report.outcome == "correct", report


# Wrong answers that must be caught, as functions or as edits of the reference.


def _in_place(running_mean, running_var, x, momentum):
    running_mean *= 1 - momentum
    running_mean += momentum * x.mean(axis=0)
    running_var *= 1 - momentum
    running_var += momentum * x.var(axis=0, ddof=1)
    return running_mean, running_var


WRONG = {
    "update_running_stats": {
        "in place on the arguments": _in_place,
        "the wrong axis": {"mean": "x.mean(axis=1)", "var": "x.var(axis=1, ddof=1)"},
        "nothing moves": {"return": "running_mean, running_var"},
        "only the mean moves": {"return": "new_mean, running_var"},
        "only one is returned": {"return": "new_mean"},
        "the last example": {"mean": "x[-1]"},
        "the median": {"mean": "np.median(x, axis=0)"},
        "momentum squared": lambda r, v, x, a: update_running_stats(r, v, x, a**2),
        "reversed for the mean alone": {
            "new_mean": "momentum * running_mean + (1 - momentum) * mean"
        },
        "deviations averaged and squared": lambda r, v, x, a: (
            (1 - a) * r + a * x.mean(0),
            ((1 - a) * np.sqrt(v) + a * x.std(0, ddof=1)) ** 2,
        ),
        "divided by m + 1": {"var": "x.var(axis=0) * len(x) / (len(x) + 1)"},
        "rows of the running mean": {"return": "new_mean[None], new_var[None]"},
        "a name that does not exist": {"mean": "average"},
    },
    "batchnorm_inference": {
        "biased variance undone": {
            "x_hat": "(x - running_mean) / np.sqrt(running_var * (len(x) - 1) / len(x) + eps)"
        },
        "half running, half batch": lambda x, g, b, r, v, e: batchnorm_inference(
            x, g, b, (r + x.mean(0)) / 2, (v + x.var(0)) / 2, e
        ),
        "momentum 0.1 for the mean only": lambda x, g, b, r, v, e: batchnorm_inference(
            x, g, b, 0.9 * r + 0.1 * x.mean(0), v, e
        ),
        "eps as a floor": {"x_hat": "(x - running_mean) / np.sqrt(np.maximum(running_var, eps))"},
        "eps squared": {"x_hat": "(x - running_mean) / np.sqrt(running_var + eps**2)"},
        "the size of gamma": {"return": "np.abs(gamma) * x_hat + beta"},
        "mean added": {"x_hat": "(x + running_mean) / np.sqrt(running_var + eps)"},
        "beta forgotten": {"return": "gamma * x_hat"},
        "gamma forgotten": {"return": "x_hat + beta"},
        "x itself": {"return": "x"},
        "one row for all": {"return": "(gamma * x_hat + beta)[:1]"},
        "transposed": {"return": "(gamma * x_hat + beta).T"},
        "nothing returned": {"return": "None"},
    },
    "fold_linear": {
        "scale on the wrong side": {"new_weight": "weight * scale"},
        "None is not expected": {"bias": "bias"},
        "a bias of None stays None": lambda w, b, *rest: (
            fold_linear(w, b, *rest)[0],
            None if b is None else fold_linear(w, b, *rest)[1],
        ),
        "the size of gamma": {"scale": "np.abs(gamma) / np.sqrt(running_var + eps)"},
        "one scale for all": {
            "scale": "np.full_like(gamma, (gamma / np.sqrt(running_var + eps)).mean())"
        },
        "scaled twice": {"scale": "gamma / np.sqrt(running_var + eps) * gamma"},
        "bias subtracted": {"new_bias": "beta - (bias + running_mean) * scale"},
        "beta subtracted": {"new_bias": "(bias - running_mean) * scale - beta"},
        "eps twice": {"scale": "gamma / np.sqrt(running_var + 2 * eps)"},
        "weight transposed": {"return": "new_weight.T, new_bias"},
        "weight alone": {"return": "new_weight"},
        "outputs swapped": {"return": "new_bias, new_weight"},
        "nothing folded": {"return": "weight, beta"},
    },
}
RAISES = {  # in some case; the others return something wrong
    "the wrong axis",
    "a name that does not exist",
    "scale on the wrong side",
    "None is not expected",
}


def _wrong(exercise, label):
    answer = WRONG[exercise][label]
    return answer if callable(answer) else edited(find(exercise).reference, answer)


UNNAMED = {"a name that does not exist"}  # Python's error says it


@pytest.mark.parametrize(
    ("exercise", "label"), [(name, label) for name in WRONG for label in WRONG[name]]
)
def test_a_wrong_answer_is_caught_and_named(exercise, label):
    report = check(exercise, _wrong(exercise, label))
    assert report.outcome == ("error" if label in RAISES else "incorrect"), report
    assert report.mistake or label in UNNAMED, report


def test_a_reversed_mean_alone_is_named():
    answer = _wrong("update_running_stats", "reversed for the mean alone")
    report = check("update_running_stats", answer)
    assert report.mistake == "momentum_reversed_in_the_mean"


MEAN_REVERSED, VAR_REVERSED = "momentum_reversed_in_the_mean", "momentum_reversed_in_the_variance"
UPDATES = {  # answer -> names, what is said, what is not
    "the rule of Keras": (
        lambda rm, rv, x, m: (m * rm + (1 - m) * x.mean(0), m * rv + (1 - m) * x.var(0)),
        ("rule_of_keras",), "divided by N: that is how Keras 3 does it", "as in your",
    ),
    "reversed, unbiased": (
        lambda rm, rv, x, m: (m * rm + (1 - m) * x.mean(0), m * rv + (1 - m) * x.var(0, ddof=1)),
        ("momentum_reversed",), "That is the rule of Keras", "biased",
    ),
    "mean reversed, variance left alone": (
        lambda rm, rv, x, m: (m * rm + (1 - m) * x.mean(0), rv),
        (MEAN_REVERSED, "variance_left_alone"), "Your running variance does not move", "mean moves",
    ),
    "mean left alone, variance reversed": (
        lambda rm, rv, x, m: (rm, m * rv + (1 - m) * x.var(0, ddof=1)),
        ("mean_left_alone", VAR_REVERSED), "In your running variance momentum", "as in your mean",
    ),
    "variance reversed and biased": (
        lambda rm, rv, x, m: ((1 - m) * rm + m * x.mean(0), m * rv + (1 - m) * x.var(0)),
        (VAR_REVERSED, "biased_variance"), "Two things at once", "as in your mean",
    ),
    "mean reversed, variance biased": (
        lambda rm, rv, x, m: (m * rm + (1 - m) * x.mean(0), (1 - m) * rv + m * x.var(0)),
        (MEAN_REVERSED, "biased_variance"), "You feed the biased variance", "as in your variance",
    ),
    "a momentum of its own, biased": (
        lambda rm, rv, x, m: (0.9 * rm + 0.1 * x.mean(0), 0.9 * rv + 0.1 * x.var(0)),
        ("momentum_fixed", "biased_variance"), "You always use 0.1", "multiplies the old",
    ),
    "mean left alone, variance reversed and biased": (
        lambda rm, rv, x, m: (rm, m * rv + (1 - m) * x.var(0)),
        ("mean_left_alone",), "running_var is wrong too, for another reason.", "as in your",
    ),
}  # fmt: skip


@pytest.mark.parametrize("label", UPDATES)
def test_what_is_said_of_an_update_is_true_of_it(label):
    answer, names, said, unsaid = UPDATES[label]
    report = check("update_running_stats", answer)
    assert (report.outcome, report.mistakes) == ("incorrect", names)
    assert said in report.message
    assert unsaid not in report.message


def test_statistics_of_the_rows_are_told_so_where_numpy_refuses_them():
    report = check("update_running_stats", _wrong("update_running_stats", "the wrong axis"))
    assert report.mistake == "one_for_each_example"
    assert "The running statistics have one for each feature: axis=0." in report.message


def test_the_variance_without_root_and_without_eps_is_named():
    report = check("batchnorm_inference", lambda x, g, b, m, v, eps: g * (x - m) / v + b)
    assert report.mistake == "variance_without_eps"
    assert "the variance alone: add eps, then take the root" in report.message


@pytest.mark.parametrize("offset", ["(bias - running_mean) * scale", "bias * scale"])
def test_a_bias_of_none_counts_as_zero(offset):
    answer = edited(fold_linear, {"bias": "bias", "new_bias": f"beta + {offset}"})
    report = check("fold_linear", answer)
    assert report.outcome == "error"
    assert "let it count as 0" in report.message


def test_a_scale_that_meets_the_columns_is_told_of_the_rows():
    report = check("fold_linear", _wrong("fold_linear", "scale on the wrong side"))
    assert (report.outcome, report.mistake) == ("error", "columns_scaled")
    assert "scale[:, None] * weight" in report.message


def test_the_training_formula_is_named():
    def batchnorm_inference(x, gamma, beta, running_mean, running_var, eps):
        return bnlab.batchnorm_forward(x, gamma, beta, eps)[0] if len(x) > 1 else x * 0 + beta

    assert check("batchnorm_inference", batchnorm_inference).mistake == "batch_statistics"


def test_a_layer_that_tracks_in_evaluation_mode_is_caught():
    def tracking(x, gamma, beta, running_mean, running_var, eps):
        running_mean += 0.1 * (x.mean(axis=0) - running_mean)
        return batchnorm_inference(x, gamma, beta, running_mean, running_var, eps)

    assert check("batchnorm_inference", tracking).mistake == "changes_inputs"


# The question with a number: what the question says, computed.


def test_the_momentum_of_the_question_is_the_translation():
    """Keras' rule, old * momentum + new * (1 - momentum), moves torch's layer as far."""
    x, answer = torch.tensor([[2.0], [6.0]], dtype=torch.float64), find("torch_momentum").answer
    layer = torch.nn.BatchNorm1d(1, momentum=answer, dtype=torch.float64)
    layer(x)
    assert layer.running_mean.item() == pytest.approx(0 * 0.997 + 4 * (1 - 0.997))
    assert check("torch_momentum", answer).outcome == "correct"
    assert check("torch_momentum", 0.997).mistake == "copied"
