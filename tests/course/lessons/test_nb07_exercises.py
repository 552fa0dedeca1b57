"""Exercises of notebook 07: references against the package and torch, styles, wrong answers."""

from itertools import combinations

import numpy as np
import pytest
import torch

import bnlab
from bnlab.course import check
from bnlab.course.exercises.edits import edited
from bnlab.course.exercises.registry import find
from bnlab.course.lessons.nb07.ex_ghost_batches import GHOST, ghost_batchnorm_forward
from bnlab.course.lessons.nb07.ex_predicted_noise import NOISE, predicted_noise
from bnlab.course.lessons.nb07.ghost_batches import GhostBatchNorm
from bnlab.course.lessons.nb07.regularization import without_replacement

# References against independent oracles, on the cases and on others.


def _torch_ghosts(x, gamma, beta, ghost_size, eps):
    x, gamma, beta = (torch.from_numpy(a) for a in (x, gamma, beta))
    parts = [
        torch.nn.functional.batch_norm(part, None, None, gamma, beta, training=True, eps=eps)
        for part in x.split(ghost_size)
    ]
    return torch.cat(parts).numpy()


@pytest.mark.parametrize("case", GHOST.cases, ids=lambda c: c.name)
def test_the_ghost_reference_equals_torch_on_its_cases(case):
    expected = _torch_ghosts(*case.arguments())
    found = ghost_batchnorm_forward(*case.arguments())
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("n", "c", "size"), [(12, 1, 3), (30, 7, 5), (8, 2, 8), (128, 5, 2)])
def test_the_ghost_reference_equals_torch_and_the_layer(n, c, size):
    rng = np.random.default_rng(n)
    x = rng.normal(rng.normal(0, 3, c), rng.uniform(0.1, 4, c), (n, c))
    gamma, beta = rng.normal(size=(2, c))
    found = ghost_batchnorm_forward(x, gamma, beta, size, 1e-5)
    expected = _torch_ghosts(x, gamma, beta, size, 1e-5)
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-11)
    layer = GhostBatchNorm(c, size)
    layer.load_state_dict({**layer.state_dict(), "weight": gamma, "bias": beta})
    np.testing.assert_allclose(found, layer(x), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("case", NOISE.cases, ids=lambda c: c.name)
def test_the_noise_reference_equals_the_lesson(case):
    assert predicted_noise(*case.arguments()) == without_replacement(*case.arguments())


@pytest.mark.parametrize(("m", "n"), [(1, 2), (1, 6), (2, 6), (5, 6), (6, 6), (4, 9)])
def test_the_noise_reference_equals_all_batches_enumerated(m, n):
    x = np.random.default_rng(n).exponential(size=n)
    means = np.array([x[list(rows)].mean() for rows in combinations(range(n), m)])
    noise = np.sqrt(((means - x.mean()) ** 2).mean()) / x.std()
    assert predicted_noise(m, n) == pytest.approx(noise, rel=1e-12, abs=1e-12)


# Right answers in other styles.


def loop_with_the_package(x, gamma, beta, ghost_size, eps):
    starts = range(0, len(x), ghost_size)
    parts = [bnlab.batchnorm_forward(x[i : i + ghost_size], gamma, beta, eps)[0] for i in starts]
    return np.concatenate(parts)


def in_place_on_a_copy(x, gamma, beta, ghost_size, eps):
    y = x.copy()
    for i in range(0, len(y), ghost_size):
        y[i : i + ghost_size] -= y[i : i + ghost_size].mean(axis=0)
        y[i : i + ghost_size] /= np.sqrt((y[i : i + ghost_size] ** 2).mean(axis=0) + eps)
    y *= gamma
    y += beta
    return y


def by_averaging_matrix(x, gamma, beta, ghost_size, eps):
    average = np.kron(np.eye(len(x) // ghost_size), np.full((ghost_size, ghost_size), 1))
    average = average / ghost_size
    centred = x - average @ x
    return gamma * centred / np.sqrt(average @ centred**2 + eps) + beta


def by_einsum_and_more(x, gamma, beta, ghost_size, eps):
    parts = x.reshape(len(x) // ghost_size, ghost_size, -1)
    mean = np.einsum("gnc->gc", parts) / ghost_size
    centred = parts - mean[:, None]
    var = np.einsum("gnc,gnc->gc", centred, centred) / ghost_size
    y = gamma * centred / np.sqrt(var + eps)[:, None] + beta
    return y.reshape(x.shape), (mean, var)


def in_single_precision(x, gamma, beta, ghost_size, eps):
    x, gamma, beta = (a.astype(np.float32) for a in (x, gamma, beta))
    return loop_with_the_package(x, gamma, beta, ghost_size, np.float32(eps))


RIGHT = {
    "ghost_batchnorm_forward": {
        "loop with the package": loop_with_the_package,
        "in place on a copy": in_place_on_a_copy,
        "by averaging matrix": by_averaging_matrix,
        "by einsum and more": by_einsum_and_more,
        "in single precision": in_single_precision,
    },
    "predicted_noise": {
        "two roots": lambda m, n: np.sqrt((n - m) / (n - 1)) / np.sqrt(m),
        "a power": lambda m, n: ((1 / m) * (1 - (m - 1) / (n - 1))) ** 0.5,
        "difference of two fractions": lambda m, n: np.sqrt((n / m - 1) / (n - 1)),
        "in an array": lambda m, n: np.array((n - m) / (m * (n - 1))) ** 0.5,
    },
}


@pytest.mark.parametrize(("exercise", "label"), [(name, k) for name in RIGHT for k in RIGHT[name]])
def test_a_right_answer_passes_in_any_style(exercise, label):
    report = check(exercise, RIGHT[exercise][label])
    assert report.outcome == "correct", report


# Wrong answers that must be caught, diagnosed or not: functions, or edits of the reference.


def a_running_average(x, gamma, beta, ghost_size, eps):
    seen = [x[: i - i % ghost_size + ghost_size] for i in range(len(x))]
    y = [(row - s.mean(0)) / np.sqrt(s.var(0) + eps) for row, s in zip(x, seen, strict=True)]
    return gamma * np.array(y) + beta


WRONG = {
    "ghost_batchnorm_forward": {
        "the last ghost left out": {
            "return": "np.r_[(gamma * x_hat[:-1] + beta).reshape(-1, x.shape[1]), x[-ghost_size:]]"
        },
        "rows in another order": {"return": "gamma * x_hat.swapaxes(0, 1).reshape(x.shape) + beta"},
        "features split too": {
            "ghosts": "x.T.reshape(x.shape[1], -1, ghost_size)",
            "mean": "ghosts.mean(axis=0)",
            "var": "ghosts.var(axis=0)",
            "return": "gamma * x_hat.reshape(x.shape[1], -1).T + beta",
        },
        "statistics of the ghost before": {
            "mean": "np.roll(ghosts, 1, axis=0).mean(axis=1, keepdims=True)",
            "var": "np.roll(ghosts, 1, axis=0).var(axis=1, keepdims=True)",
        },
        "a running average": a_running_average,
        "three dimensions": {"return": "gamma * x_hat + beta"},
        "x itself": {"return": "x"},
    },
    "predicted_noise": {
        "the share left out": lambda m, n: np.sqrt(1 - m / n),
        "n + 1": lambda m, n: np.sqrt((n - m) / ((n + 1) * m)),
        "n - m + 1": lambda m, n: np.sqrt((n - m + 1) / (n * m)),
        "n - m - 1": lambda m, n: np.sqrt(abs(n - m - 1) / ((n - 1) * m)),
        "of n values": lambda m, n: 1 / np.sqrt(n),
        "negative": lambda m, n: -np.sqrt((n - m) / ((n - 1) * m)),
        "whole numbers": lambda m, n: np.sqrt((n - m) // ((n - 1) * m)),
        "a fourth root": lambda m, n: ((n - m) / ((n - 1) * m)) ** 0.25,
        "right for every m but n": lambda m, n: 1.0 if m == n else predicted_noise(m, n),
    },
}


@pytest.mark.parametrize(("exercise", "label"), [(name, k) for name in WRONG for k in WRONG[name]])
def test_a_wrong_answer_is_caught(exercise, label):
    answer = WRONG[exercise][label]
    answer = answer if callable(answer) else edited(find(exercise).reference, answer)
    assert check(exercise, answer).outcome == "incorrect"


# Questions: what they say, computed.


def test_half_the_noise_takes_117_of_1000():
    target = predicted_noise(32, 1000) / 2
    assert min(range(1, 1001), key=lambda m: abs(predicted_noise(m, 1000) - target)) == 117
    assert predicted_noise(32, 1000) == pytest.approx(0.174, abs=5e-4)


def test_dropout_at_one_half_leaves_a_third_of_the_variance():
    z = 2 + 2 * np.array([-1.0, 1.0])  # mean 2, variance 4
    training = np.concatenate([0 * z, 2 * z])
    assert training.mean() == z.mean() == 2.0
    ratio = z.var() / training.var()
    assert check("dropped_variance", ratio).outcome == "correct"
