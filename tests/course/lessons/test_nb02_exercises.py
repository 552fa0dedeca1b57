"""Exercises of notebook 02: references against the package and torch, styles, wrong answers."""

import functools

import numpy as np
import pytest
import torch

import bnlab
from bnlab.course import check
from bnlab.course.exercises.edits import edited
from bnlab.course.lessons.nb02.ex_batchnorm_algorithm import FORWARD, batchnorm_forward
from bnlab.course.lessons.nb02.ex_identity_parameters import IDENTITY, identity_parameters
from bnlab.course.lessons.nb02.recall import GAIN, WHICH, WHY
from bnlab.data import load_digits, minibatches
from bnlab.layers import Tanh, mlp
from bnlab.optim import SGD
from bnlab.training import fit


def _torch_forward(x, gamma, beta, eps):
    x, gamma, beta = (torch.from_numpy(a) for a in (x, gamma, beta))
    y = torch.nn.functional.batch_norm(x, None, None, gamma, beta, training=True, eps=eps)
    return y.numpy()


# References against independent oracles, on the cases and on others.


@pytest.mark.parametrize("case", FORWARD.cases, ids=lambda c: c.name)
def test_the_forward_reference_equals_the_package_on_its_cases(case):
    expected, _ = bnlab.batchnorm_forward(*case.arguments())
    np.testing.assert_allclose(batchnorm_forward(*case.arguments()), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("n", "c", "eps"), [(2, 1, 1e-5), (33, 7, 1e-3), (50, 2, 0.1)])
def test_the_forward_reference_equals_torch(n, c, eps):
    rng = np.random.default_rng(n)
    x = rng.normal(rng.normal(0, 3, c), rng.uniform(0.1, 4, c), (n, c))
    arguments = (x, rng.normal(size=c), rng.normal(size=c), eps)
    expected = _torch_forward(*arguments)
    np.testing.assert_allclose(batchnorm_forward(*arguments), expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("case", IDENTITY.cases, ids=lambda c: c.name)
def test_the_identity_reference_gives_x_back_through_the_package(case):
    x, eps = case.arguments()
    y, _ = bnlab.batchnorm_forward(x, *identity_parameters(x, eps), eps)
    np.testing.assert_allclose(y, x, rtol=1e-12, atol=1e-12)


def test_the_identity_reference_gives_x_back_through_torch():
    x = np.random.default_rng(0).normal(5, 0.01, (20, 3))
    y = _torch_forward(x, *identity_parameters(x, 1e-2), 1e-2)
    np.testing.assert_allclose(y, x, rtol=1e-12)


# Right answers in other styles, wrong answers that must be caught.


def with_keepdims(x, gamma, beta, eps):
    mean = np.mean(x, axis=0, keepdims=True)
    var = np.var(x, axis=0, keepdims=True)
    return (x - mean) / (var + eps) ** 0.5 * gamma[None, :] + beta[None, :]


def by_columns(x, gamma, beta, eps):
    columns = []
    for column, g, b in zip(x.T, gamma, beta, strict=True):
        distance = column - column.mean()
        columns.append(g * distance / np.sqrt(distance @ distance / len(x) + eps) + b)
    return np.stack(columns, axis=1)


def examples_in_columns(x, gamma, beta, eps):
    z = x.T
    z = z - z.mean(axis=1, keepdims=True)
    z = z / np.sqrt((z * z).mean(axis=1, keepdims=True) + eps)
    return (gamma[:, None] * z + beta[:, None]).T


def from_the_unbiased_variance(x, gamma, beta, eps):
    m = len(x)
    var = x.var(axis=0, ddof=1) * (m - 1) / m
    return gamma * (x - x.mean(axis=0)) * (var + eps) ** -0.5 + beta


def in_single_precision(x, gamma, beta, eps):
    x, gamma, beta = x.astype(np.float32), gamma.astype(np.float32), beta.astype(np.float32)
    centred = x - x.mean(axis=0, dtype=np.float64).astype(np.float32)
    return gamma * centred / np.sqrt((centred**2).mean(axis=0) + np.float32(eps)) + beta


def with_statistics_too(x, gamma, beta, eps):
    y = with_keepdims(x, gamma, beta, eps)
    return y, x.mean(axis=0), x.var(axis=0)


def by_hand(x, eps):
    mean = sum(x) / len(x)
    return (sum((x - mean) ** 2) / len(x) + eps) ** 0.5, mean


def as_a_list_of_two(x, eps):
    return [np.sqrt(np.var(x, axis=0) + eps), np.mean(x, axis=0)]


def read_off_the_package(x, eps):
    ones = np.ones(x.shape[1])
    _, cache = bnlab.batchnorm_forward(x, ones, 0 * ones, eps)
    return 1 / cache.inv_std, cache.mean, cache


def identity_in_single_precision(x, eps):
    x = x.astype(np.float32)
    return np.sqrt(x.var(axis=0) + np.float32(eps)), x.mean(axis=0)


RIGHT = {
    "batchnorm_forward": [
        with_keepdims, by_columns, examples_in_columns, from_the_unbiased_variance,
        in_single_precision, with_statistics_too,
    ],
    "identity_parameters": [
        by_hand, as_a_list_of_two, read_off_the_package, identity_in_single_precision,
    ],
}  # fmt: skip


@pytest.mark.parametrize(("name", "answer"), [(n, answer) for n in RIGHT for answer in RIGHT[n]])
def test_a_right_answer_passes_in_any_style(name, answer):
    report = check(name, answer)
    assert report.outcome == "correct", report


_forward = functools.partial(edited, batchnorm_forward)
_identity = functools.partial(edited, identity_parameters)

WRONG = {
    "batchnorm_forward": {
        "the mean of absolute deviations": _forward(
            {"x_hat": "(x - mean) / (np.abs(x - mean).mean(0) + eps)"}
        ),
        "the median for the mean": _forward(
            {"x_hat": "(x - np.median(x, axis=0)) / np.sqrt(var + eps)"}
        ),
        "the range for the deviation": _forward(
            {"x_hat": "(x - x.min(0)) / (np.ptp(x, axis=0) + eps)"}
        ),
        "eps squared": _forward({"x_hat": "(x - mean) / np.sqrt(var + eps**2)"}),
        "eps twice": _forward({"x_hat": "(x - mean) / (np.sqrt(var + eps) + eps)"}),
        "eps as a floor": _forward({"x_hat": "(x - mean) / np.sqrt(np.maximum(var, eps))"}),
        "the size of gamma": _forward({"return": "np.abs(gamma) * x_hat + beta"}),
        "one gamma for all": _forward({"return": "gamma[0] * x_hat + beta"}),
        "divided by gamma": _forward({"return": "x_hat / gamma + beta"}),
        "relu at the end": _forward({"return": "np.maximum(gamma * x_hat + beta, 0)"}),
        "without the last row": _forward(
            {"x_hat": "(x - x[:-1].mean(0)) / np.sqrt(x[:-1].var(0) + eps)"}
        ),
        "x itself": lambda x, gamma, beta, eps: x,
        "only the first column": _forward({"return": "(gamma * x_hat + beta)[:, 0]"}),
        "transposed": _forward({"return": "(gamma * x_hat + beta).T"}),
        "a name that does not exist": lambda x, gamma, beta, eps: gamma * xhat + beta,  # noqa: F821
    },
    "identity_parameters": {
        "statistics of each row": lambda x, eps: (np.sqrt(x.var(axis=1) + eps), x.mean(axis=1)),
        "statistics of the whole array": lambda x, eps: (np.sqrt(x.var() + eps), x.mean()),
        "the root forgotten for eps only": _identity({"gamma": "x.std(axis=0) + np.sqrt(eps)"}),
        "gamma alone": _identity({"return": "gamma"}),
        "beta by the first row": _identity({"beta": "x[0]"}),
        "the negative root": _identity({"gamma": "-np.sqrt(x.var(axis=0) + eps)"}),
        "eps for another library": _identity({"gamma": "np.sqrt(x.var(axis=0) + 1e-3)"}),
    },
}


@pytest.mark.parametrize(("name", "label"), [(n, label) for n in WRONG for label in WRONG[n]])
def test_a_wrong_answer_is_caught(name, label):
    assert check(name, WRONG[name][label]).outcome in ("incorrect", "error")


NAMES = {
    "batchnorm_forward": {
        "the mean of absolute deviations": "mean_distance",
        "the median for the mean": "median_for_the_mean",
        "the range for the deviation": "minimum_and_maximum",
        "eps squared": "squares_eps",
        "eps twice": "adds_eps_twice",
        "eps as a floor": "eps_as_floor",
        "the size of gamma": "gamma_without_its_sign",
        "one gamma for all": "one_gamma_for_all",
        "divided by gamma": "divides_by_gamma",
        "relu at the end": "relu_at_the_end",
        "without the last row": "last_row_left_out",
        "x itself": "returns_x",
    },
    "identity_parameters": {
        "the root forgotten for eps only": "eps_as_standard_deviation",
        "the negative root": "negative_gamma",
        "eps for another library": "eps_of_your_own",
    },
}


@pytest.mark.parametrize(("name", "label"), [(n, label) for n in NAMES for label in NAMES[n]])
def test_a_wrong_answer_is_named(name, label):
    assert check(name, WRONG[name][label]).mistakes == (NAMES[name][label],)


# Answers that people gave: the names, and a piece of what is said.


def an_eps_of_its_own(x, gamma, beta, eps):
    return gamma * (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-8) + beta


def eps_added_to_x(x, gamma, beta, eps):
    return gamma * (x - x.mean(0)) / np.std(x + eps, axis=0) + beta


def eps_added_to_the_centred_x(x, gamma, beta, eps):
    centred = x - x.mean(0)
    return gamma * centred / np.sqrt(((centred + eps) ** 2).mean(0)) + beta


def eps_added_to_the_sum(x, gamma, beta, eps):
    centred = x - x.mean(0)
    return gamma * centred / np.sqrt(((centred**2).sum(0) + eps) / len(x)) + beta


def std_for_sqrt(x, gamma, beta, eps):
    return gamma * (x - x.mean(0)) / np.std(x.var(0) + eps) + beta


def by_the_variance(x, gamma, beta, eps):
    return gamma * (x - x.mean(0)) / (x.var(0) + eps) + beta


def by_the_variance_alone(x, gamma, beta, eps):
    return gamma * (x - x.mean(0)) / x.var(0) + beta


def eps_subtracted(x, gamma, beta, eps):
    return gamma * (x - x.mean(0)) / np.sqrt(x.var(0) - eps) + beta


def corrected_twice(x, gamma, beta, eps):
    m = len(x)
    return gamma * (x - x.mean(0)) / np.sqrt(x.var(0) * (m - 1) / m + eps) + beta


MET = {
    an_eps_of_its_own: ("eps_of_your_own", "You always use 1e-08 for eps"),
    eps_added_to_x: ("eps_forgotten", "eps is not in your variance"),
    eps_added_to_the_centred_x: ("squares_eps", "eps^2"),
    eps_added_to_the_sum: ("divides_eps_by_m", "divided by m"),
    std_for_sqrt: ("std_of_the_variances", "np.sqrt"),
    by_the_variance: ("divides_by_variance", "square root"),
    by_the_variance_alone: ("variance_without_eps", "add eps, then take the root"),
    eps_subtracted: ("subtracts_eps", "it is added"),
    corrected_twice: ("corrected_twice", "x.var divides by m"),
}


@pytest.mark.parametrize("answer", MET)
def test_an_answer_that_people_gave_is_named(answer):
    name, piece = MET[answer]
    report = check("batchnorm_forward", answer)
    assert (report.outcome, report.mistakes) == ("incorrect", (name,)), report
    assert piece in report.message


def test_a_column_of_parameters_gets_more_than_numpys_sentence():
    def forward(x, gamma, beta, eps):
        x_hat = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + eps)
        return x_hat * gamma[:, np.newaxis] + beta[:, np.newaxis]

    report = check("batchnorm_forward", forward)
    assert (report.outcome, report.mistake) == ("error", "features_in_a_column")
    assert "keep one value per feature, (C,)" in report.message
    assert "(5,1)" in report.message


def test_two_wrong_outputs_of_the_identity_are_both_named():
    report = check("identity_parameters", lambda x, eps: (x.var(axis=0), -x.mean(axis=0)))
    assert report.mistakes == ("variance_without_eps", "minus_the_mean")
    assert "another reason" not in report.message


def test_a_mistake_in_one_output_is_named_for_what_it_is():
    """The same gamma or beta stands in a pair of mistakes; the other one is right here."""
    right = identity_parameters
    ones = check("identity_parameters", lambda x, eps: (np.ones(x.shape[1]), right(x, eps)[1]))
    zeros = check("identity_parameters", lambda x, eps: (right(x, eps)[0], np.zeros(x.shape[1])))
    assert (ones.mistake, zeros.mistake) == ("gamma_of_one", "beta_of_zero")


# The question with a number: what the question says, computed.


def test_the_outlier_of_fifty_has_the_stated_x_hat():
    x = np.zeros((50, 1))
    x[-1] = 1000.0
    y, cache = bnlab.batchnorm_forward(x, [1.0], [0.0], eps=0.0)
    assert (cache.mean[0], cache.var[0]) == pytest.approx((20.0, 19600.0), rel=1e-12)
    assert check("largest_x_hat", float(y.max())).outcome == "correct"
    assert check("largest_x_hat", np.sqrt(50)).outcome == "incorrect"
    assert 980**2 / cache.var[0] == pytest.approx(49)
    assert 980 / cache.mean[0] == pytest.approx(49)
    assert np.linalg.norm(y) == pytest.approx(np.sqrt(50))


@pytest.mark.parametrize(
    ("value", "name", "piece"),
    [
        (49, "squared", "divide 980 by sqrt(19600)"),
        (140, "standard_deviation", "divide 980 by it"),
        (7.071, "length_of_x_hat", "zeros included"),
    ],
)
def test_a_wrong_x_hat_is_known(value, name, piece):
    report = check("largest_x_hat", value)
    assert (report.outcome, report.mistake) == ("incorrect", name)
    assert piece in report.message


# The closed-book questions: what they say of the network of notebook 00, measured.


def _inputs_of_tanh(s):
    """What goes into each tanh of 64-100-100-100-100-100-10 for 60 digits, (5, 60, 100)."""
    x, rng, inputs = load_digits().x_train[:60], np.random.default_rng(0), []
    for fan_in in (64, 100, 100, 100, 100):
        inputs.append(x @ rng.normal(0, s, (100, fan_in)).T)
        x = np.tanh(inputs[-1])
    return np.array(inputs)


def _accuracy(s, batchnorm):
    rng, digits = np.random.default_rng(0), load_digits()
    sizes = [64, 100, 100, 100, 100, 100, 10]
    model = mlp(sizes, activation=Tanh, batchnorm=batchnorm, std=s, rng=rng)
    run = {"steps": 200, "batch_size": 60, "rng": np.random.default_rng(1)}
    fit(model, digits.x_train, digits.y_train, SGD(model, lr=0.3), **run)
    fresh = minibatches(digits.x_test, digits.y_test, 60, np.random.default_rng(2))
    return np.mean([model(x).argmax(axis=1) == y for x, y in fresh])


def test_at_small_weights_the_signal_shrinks_and_no_unit_is_saturated():
    std = np.median(_inputs_of_tanh(0.03).std(axis=1), axis=1)  # of a typical feature, (5,)
    assert (std[1:] < std[:-1] / 2).all()
    assert np.abs(np.tanh(_inputs_of_tanh(0.03))).max() < 0.5
    assert (np.abs(np.tanh(_inputs_of_tanh(1.0)[1:])) > 0.97).mean() > 0.5
    assert round(np.log(10), 3) == 2.303


def test_batchnorm_gains_nothing_at_a_good_start_and_much_at_a_bad_one():
    assert _accuracy(0.14, batchnorm=False) == pytest.approx(0.96, abs=0.01)
    assert _accuracy(0.14, batchnorm=True) == pytest.approx(0.96, abs=0.01)
    assert _accuracy(0.03, batchnorm=False) < 0.15 < 0.9 < _accuracy(0.03, batchnorm=True)


def test_the_means_to_subtract_are_those_of_the_cache():
    x = np.random.default_rng(0).normal(size=(60, 100))
    _, cache = bnlab.batchnorm_forward(x, np.ones(100), np.zeros(100))
    np.testing.assert_allclose(x.mean(axis=0), cache.mean, atol=1e-12)
    assert check("means_to_subtract", ("b", 3)).outcome == "correct"


@pytest.mark.parametrize("question", [WHY, GAIN, WHICH], ids=lambda q: q.name)
def test_a_closed_book_question_knows_each_of_its_choices(question):
    assert question.taught < question.notebook
    assert {question.answer, *(m.answer for m in question.mistakes)} == set(question.choices)
    assert check(question.name, (question.answer, 2)).message == question.explanation
    for mistake in question.mistakes:
        report = check(question.name, (mistake.answer, 2))
        assert (report.outcome, report.mistake) == ("incorrect", mistake.name)
