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


# Wrong answers, functions or edits of the reference, and the mistake that each is told it made.


def a_running_average(x, gamma, beta, ghost_size, eps):
    seen = [x[: i - i % ghost_size + ghost_size] for i in range(len(x))]
    y = [(row - s.mean(0)) / np.sqrt(s.var(0) + eps) for row, s in zip(x, seen, strict=True)]
    return gamma * np.array(y) + beta


WRONG = {
    "ghost_batchnorm_forward": {
        "the last ghost left out": (
            {"return": "np.vstack([*(gamma * x_hat[:-1] + beta), x[-ghost_size:]])"},
            "last_ghost_left_alone",
        ),
        "rows in another order": (
            {"return": "gamma * x_hat.swapaxes(0, 1).reshape(x.shape) + beta"},
            "rows_in_another_order",
        ),
        "features split too": (
            {
                "ghosts": "x.T.reshape(x.shape[1], -1, ghost_size)",
                "mean": "ghosts.mean(axis=0)",
                "var": "ghosts.var(axis=0)",
                "return": "gamma * x_hat.reshape(x.shape[1], -1).T + beta",
            },
            "layer_norm",
        ),
        "statistics of the ghost before": (
            {
                "mean": "np.roll(ghosts, 1, axis=0).mean(axis=1, keepdims=True)",
                "var": "np.roll(ghosts, 1, axis=0).var(axis=1, keepdims=True)",
            },
            "statistics_of_the_ghost_before",
        ),
        "a running average": (a_running_average, "all_rows_so_far"),
        "three dimensions": ({"return": "gamma * x_hat + beta"}, "wrong_shape"),
        "x itself": ({"return": "x"}, "x_itself"),
    },
    "predicted_noise": {
        "the share left out": (lambda m, n: np.sqrt(1 - m / n), "share_left_out"),
        "n + 1": (lambda m, n: np.sqrt((n - m) / ((n + 1) * m)), "n_plus_1"),
        "n - m + 1": (lambda m, n: np.sqrt((n - m + 1) / (n * m)), "both_one_too_large"),
        "n - m - 1": (
            lambda m, n: np.sqrt(abs(n - m - 1) / ((n - 1) * m)),
            "one_too_few_left",
        ),
        "of n values": (lambda m, n: 1 / np.sqrt(n), "of_n_values"),
        "negative": (lambda m, n: -np.sqrt((n - m) / ((n - 1) * m)), "negative"),
        "whole numbers": (lambda m, n: np.sqrt((n - m) // ((n - 1) * m)), "whole_numbers"),
        "a fourth root": (lambda m, n: ((n - m) / ((n - 1) * m)) ** 0.25, "root_taken_twice"),
        "right for every m but n": (
            lambda m, n: 1.0 if m == n else predicted_noise(m, n),
            "whole_set_apart",
        ),
    },
}


@pytest.mark.parametrize(("exercise", "label"), [(name, k) for name in WRONG for k in WRONG[name]])
def test_a_wrong_answer_is_caught(exercise, label):
    answer, name = WRONG[exercise][label]
    answer = answer if callable(answer) else edited(find(exercise).reference, answer)
    report = check(exercise, answer)
    assert (report.outcome, report.mistake) == ("incorrect", name)


# What a message says of a wrong answer, and what it may not say.


def _by_ghosts(ghost):
    """The answer that calls ghost(part, gamma, beta, eps) for each ghost."""

    def answer(x, gamma, beta, ghost_size, eps):
        starts = range(0, len(x), ghost_size)
        return np.vstack([ghost(x[i : i + ghost_size], gamma, beta, eps) for i in starts])

    return answer


def without_keepdims(x, gamma, beta, ghost_size, eps):
    ghosts = x.reshape(-1, ghost_size, x.shape[1])
    z = (ghosts - ghosts.mean(axis=1, keepdims=True)) / np.sqrt(ghosts.var(axis=1) + eps)
    return gamma * z.reshape(x.shape) + beta


GHOSTS = "ghost_batchnorm_forward"
TOLD = [
    (
        GHOSTS,
        _by_ghosts(lambda x, g, b, eps: g * (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-8) + b),
        ("eps_of_your_own",),
        "You always use 1e-08 for eps",
        None,
    ),
    (
        GHOSTS,
        _by_ghosts(lambda x, g, b, eps: g * (x - x.mean(0)) / np.std(x + eps, axis=0) + b),
        ("eps_forgotten",),
        "added to x, it changes nothing",
        "leave eps out",
    ),
    (
        GHOSTS,
        _by_ghosts(lambda x, g, b, eps: g * (x - x.mean(0)) / x.var(0) + b),
        ("variance_alone",),
        "not by the variance",
        None,
    ),
    (
        GHOSTS,
        _by_ghosts(
            lambda x, g, b, eps: (
                g * (x - x.mean(0)) / np.sqrt((((x - x.mean(0)) ** 2).sum(0) + eps) / len(x)) + b
            )
        ),
        ("divided_eps",),
        "divided by the number of values",
        None,
    ),
    (
        GHOSTS,
        lambda x, g, b, size, eps: g * (x - x.mean(0)) / (x.std(0) + eps) + b,
        ("whole_batch", "eps_outside_root"),
        "Two things at once.",
        None,
    ),
    (GHOSTS, without_keepdims, ("statistics_lack_an_axis",), "keepdims=True", None),
    (
        "predicted_noise",
        lambda m, n: np.sqrt(1 / m - 1 / n),
        ("n_for_n_minus_1",),
        "or 1 / m - 1 / n",
        "You divide by n",
    ),
    (
        "predicted_noise",
        lambda m, n: np.sqrt((n - m) / ((n - 1) * m**2)),
        ("m_outside_root",),
        "divided by m",
        "outside the root",
    ),
    (
        "predicted_noise",
        lambda m, n: int(predicted_noise(m, n)),
        ("whole_numbers",),
        "int()",
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


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ((4 / 12) ** 0.5, "standard_deviations"),
        (33.3, "percent"),
        (16, "mean_square"),
        (8 / 4, "mean_forgotten_inverse"),
        ("3/4", "not_doubled_inverse"),
    ],
)
def test_a_wrong_ratio_of_variances_is_known(given, name):
    assert check("dropped_variance", given).mistake == name
