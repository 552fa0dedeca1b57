"""Exercises of notebook 04: right answers in every style, and wrong ones that must be caught."""

import numpy as np
import pytest
import torch

from bnlab.batchnorm import batchnorm_forward
from bnlab.course import check
from bnlab.course.exercises.edits import edited
from bnlab.course.exercises.registry import all_exercises
from bnlab.course.lessons.nb04.ex_redundant_bias import LINEAR, linear_batchnorm
from bnlab.course.lessons.nb04.ex_scale_invariance import effective_learning_rate, rescaled_gradient
from bnlab.functional import linear_forward


def draw(n=16, n_in=5, n_out=4, seed=0):
    rng = np.random.default_rng(seed)
    x, weight = rng.normal(1, 2, (n, n_in)), rng.normal(size=(n_out, n_in))
    return x, weight, rng.uniform(0.5, 2, n_out), rng.normal(size=n_out)


# The references against the package and against torch.


@pytest.mark.parametrize("case", LINEAR.cases, ids=lambda case: case.name)
def test_linear_batchnorm_is_the_package_on_every_case(case):
    x, weight, gamma, beta, eps = case.arguments()
    expected, _ = batchnorm_forward(linear_forward(x, weight)[0], gamma, beta, eps)
    np.testing.assert_allclose(linear_batchnorm(*case.arguments()), expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(("n", "n_in", "n_out", "eps"), [(16, 5, 4, 1e-5), (3, 1, 7, 0.1)])
def test_linear_batchnorm_is_torch(n, n_in, n_out, eps):
    arrays = draw(n, n_in, n_out)
    x, weight, gamma, beta = (torch.from_numpy(a) for a in arrays)
    z = torch.nn.functional.linear(x, weight)
    expected = torch.nn.functional.batch_norm(z, None, None, gamma, beta, training=True, eps=eps)
    np.testing.assert_allclose(linear_batchnorm(*arrays, eps), expected.numpy(), rtol=1e-11)


def torch_gradient(x, weight, gamma, beta):
    """Gradient of a nonlinear function of torch's batch norm at these weights; eps is nil."""
    x, gamma, beta = (torch.from_numpy(a) for a in (x, gamma, beta))
    weight = torch.tensor(weight, requires_grad=True)
    z = torch.nn.functional.linear(x, weight)
    y = torch.nn.functional.batch_norm(z, None, None, gamma, beta, training=True, eps=1e-15)
    (torch.tanh(y) * torch.cos(torch.arange(y.numel())).reshape(y.shape)).sum().backward()
    return weight.grad.numpy()


@pytest.mark.parametrize("a", [0.05, 0.7, 30.0])
def test_rescaled_gradient_is_what_torch_finds_at_the_scaled_weights(a):
    x, weight, gamma, beta = draw()
    here, there = (torch_gradient(x, s * weight, gamma, beta) for s in (1.0, a))
    np.testing.assert_allclose(rescaled_gradient(here, a), there, rtol=1e-8, atol=1e-12)


def test_a_row_of_length_one_turns_as_fast_at_its_effective_rate():
    x, weight, gamma, beta = draw()
    lr, lengths = 0.3, np.linalg.norm(weight, axis=1, keepdims=True)
    moved = weight - lr * torch_gradient(x, weight, gamma, beta)
    unit = weight / lengths
    rates = effective_learning_rate(lr, weight)
    moved_unit = unit - rates[:, None] * torch_gradient(x, unit, gamma, beta)
    np.testing.assert_allclose(direction(moved), direction(moved_unit), rtol=1e-9)
    too_slow = unit - 0.9 * rates[:, None] * torch_gradient(x, unit, gamma, beta)
    assert np.abs(direction(moved) - direction(too_slow)).max() > 1e-3


def direction(weight):
    return weight / np.linalg.norm(weight, axis=1, keepdims=True)


# Right answers in other styles.


def with_einsum(x, weight, gamma, beta, eps):
    z = np.einsum("ni,oi->no", x, weight)
    z = z - np.einsum("no->o", z) / len(z)
    std = np.sqrt(np.einsum("no,no->o", z, z) / len(z) + eps)
    return np.einsum("o,no->no", gamma / std, z) + beta


def with_loops(x, weight, gamma, beta, eps):
    y = np.empty((len(x), len(weight)))
    for k, row in enumerate(weight):
        z = np.array([sum(row * u) for u in x])
        centred = z - sum(z) / len(z)
        y[:, k] = gamma[k] * centred / (sum(centred**2) / len(z) + eps) ** 0.5 + beta[k]
    return y


def in_place(x, weight, gamma, beta, eps):
    z = x @ weight.T
    z -= z.mean(axis=0)
    z /= np.sqrt(np.square(z).mean(axis=0) + eps)
    z *= gamma
    z += beta
    return z


def in_float32(x, weight, gamma, beta, eps):
    x, weight, gamma, beta = (a.astype(np.float32) for a in (x, weight, gamma, beta))
    return linear_batchnorm(x, weight, gamma, beta, np.float32(eps))


def inputs_centred_first(x, weight, gamma, beta, eps):
    z = (x - x.mean(axis=0)) @ weight.T  # the mean of z is W times the mean of x
    return gamma * z / np.sqrt((z**2).mean(axis=0) + eps) + beta


def transposed(x, weight, gamma, beta, eps):
    z = weight @ x.T  # (out, N)
    std = np.sqrt(z.var(axis=1, keepdims=True) + eps)
    return (gamma[:, None] * (z - z.mean(axis=1, keepdims=True)) / std + beta[:, None]).T


RIGHT = {
    "linear_batchnorm": {
        "with a cache": lambda x, weight, *rest: batchnorm_forward(x @ weight.T, *rest),
        "einsum": with_einsum,
        "loops": with_loops,
        "in place": in_place,
        "float32": in_float32,
        "inputs centred first": inputs_centred_first,
        "transposed": transposed,
        "with a bias that cancels": lambda x, weight, gamma, beta, eps: linear_batchnorm(
            np.c_[x, np.ones(len(x))], np.c_[weight, beta], gamma, beta, eps
        ),
    },
    "rescaled_gradient": {
        "times the inverse": lambda grad_w, a: grad_w * (1 / a),
        "loops": lambda grad_w, a: np.array([[g / a for g in row] for row in grad_w]),
        "einsum": lambda grad_w, a: np.einsum("oi,->oi", grad_w, 1 / a),
        "float32": lambda grad_w, a: grad_w.astype(np.float32) / np.float32(a),
        "with an extra": lambda grad_w, a: (np.divide(grad_w, a), "extra"),
    },
    "effective_learning_rate": {
        "norm": lambda lr, weight: lr / np.linalg.norm(weight, axis=1) ** 2,
        "loop": lambda lr, weight: np.array([lr / sum(w * w) for w in weight]),
        "einsum": lambda lr, weight: lr / np.einsum("oi,oi->o", weight, weight),
        "diagonal": lambda lr, weight: lr / np.diag(weight @ weight.T),
        "float32": lambda lr, weight: np.float32(lr) / (weight.astype("f4") ** 2).sum(axis=1),
        "with an extra": lambda lr, weight: (lr * np.linalg.norm(weight, axis=1) ** -2.0, "extra"),
    },
}


@pytest.mark.parametrize(("name", "label"), [(n, k) for n in RIGHT for k in RIGHT[n]])
def test_right_answers_in_other_styles(name, label):
    report = check(name, RIGHT[name][label])
    assert report.outcome == "correct", report


# Wrong answers, most of them known.


def changes_the_weights(x, weight, gamma, beta, eps):
    weight -= weight.mean(axis=0)
    return linear_batchnorm(x, weight, gamma, beta, eps)


WRONG = {
    "linear_batchnorm": {
        "weight not transposed": lambda x, weight, *rest: linear_batchnorm(x, weight.T, *rest),
        "variance of the inputs": edited(
            linear_batchnorm, {"var": "(weight**2).sum(axis=1) * x.var()"}
        ),
        "eps as a floor": edited(
            linear_batchnorm, {"x_hat": "(z - mean) / np.sqrt(np.maximum(var, eps))"}
        ),
        "positive gamma": edited(linear_batchnorm, {"return": "np.abs(gamma) * x_hat + beta"}),
        "centred by the first row": edited(
            linear_batchnorm, {"x_hat": "(z - z[0]) / np.sqrt(var + eps)"}
        ),
        "one pass": edited(
            linear_batchnorm,
            {"z": "(x @ weight.T).astype(np.float32)", "var": "(z**2).mean(axis=0) - mean**2"},
        ),
        "changes the weights": changes_the_weights,
        "forgets to return": edited(linear_batchnorm, {"return": "None"}),
    },
    "rescaled_gradient": {
        "only for a above 1": lambda grad_w, a: grad_w / max(a, 1.0),
        "a small number added": lambda grad_w, a: grad_w / (a + 1e-3),
        "transposed": lambda grad_w, a: grad_w.T / a,
        "unit length, then divided": lambda grad_w, a: grad_w / a / np.linalg.norm(grad_w),
        "signs lost": lambda grad_w, a: np.abs(grad_w) / a,
        "the factor alone": lambda grad_w, a: 1 / a,
    },
    "effective_learning_rate": {
        "columns": lambda lr, weight: lr / (weight**2).sum(axis=0),
        "keepdims": lambda lr, weight: lr / (weight**2).sum(axis=1, keepdims=True),
        "the whole matrix": lambda lr, weight: lr / (weight**2).sum(),
        "third power": lambda lr, weight: lr / np.linalg.norm(weight, axis=1) ** 3,
        "a small number added": lambda lr, weight: lr / ((weight**2).sum(axis=1) + 1e-5),
        "variance": lambda lr, weight: lr / (weight.var(axis=1) * weight.shape[1]),
    },
}


UNNAMED = {
    ("linear_batchnorm", "one pass"),
    ("rescaled_gradient", "a small number added"),
    ("effective_learning_rate", "a small number added"),
}


@pytest.mark.parametrize(("name", "label"), [(n, k) for n in WRONG for k in WRONG[n]])
def test_wrong_answers_are_caught_and_named(name, label):
    report = check(name, WRONG[name][label])
    assert report.outcome in ("incorrect", "error")
    assert report.mistake or (name, label) in UNNAMED


def test_the_rate_itself_is_told_its_shape_and_nothing_about_a_loop():
    report = check("effective_learning_rate", lambda lr, weight: lr)
    assert report.message == "rates should have shape (4,), yours has ()."


@pytest.mark.parametrize(
    ("linear", "mistake", "said"),
    [
        (lambda x, w: x @ w, "not_transposed", "x @ weight.T"),
        (lambda x, w: x.dot(w), "not_transposed_for_dot", "x @ weight.T"),
        (lambda x, w: x * w, "not_transposed_for_dot", "x @ weight.T"),
        (lambda x, w: x @ w.T - (x @ w.T).mean(axis=1), "one_for_each_example", "axis=0"),
    ],
)
def test_shapes_that_do_not_fit_are_explained(linear, mistake, said):
    def answer(x, weight, gamma, beta, eps):
        return linear_batchnorm(linear(x, weight), np.eye(len(weight)), gamma, beta, eps)

    report = check("linear_batchnorm", answer)
    assert (report.outcome, report.mistake) == ("error", mistake)
    assert said in report.message


@pytest.mark.parametrize("floor", [1e-9, 1e-12])
def test_a_floor_that_counts_only_at_zero_is_told_as_that(floor):
    answer = edited(linear_batchnorm, {"x_hat": f"(z - mean) / np.sqrt(np.maximum(var, {floor}))"})
    report = check("linear_batchnorm", answer)
    assert report.mistakes == ("no_eps_but_at_zero",)
    assert "You always use" not in report.message


def test_words_of_batchnorm_forward_speak_of_z_here():
    known = {m.name: m for m in LINEAR.mistakes}
    assert "z - (mean / std)" in known["parentheses_forgotten"].sentence
    assert known["scales_x"].changes == {"x_hat": "z"}


def test_a_column_of_rates_is_told_about_its_shape():
    report = check("effective_learning_rate", lambda lr, w: lr / (w**2).sum(axis=1, keepdims=True))
    assert "drop the extra axis" in report.message


def test_the_minutes_are_those_of_the_notebook():
    mine = [e for e in all_exercises().values() if e.notebook == "04"]
    assert sum(e.minutes for e in mine) == 18
