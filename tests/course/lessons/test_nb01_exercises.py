"""Exercises of notebook 01: references against oracles, right answers in many styles, wrong ones.

That each mistake is diagnosed as itself is tested for the whole course in test_exercises.py.
"""

import math

import numpy as np
import pytest

import bnlab
from bnlab.course import check
from bnlab.course.exercises.edits import edited
from bnlab.course.lessons.nb01.ex_covariate_shift import PERCENTILES, activation_percentiles
from bnlab.course.lessons.nb01.ex_standardize import STANDARDIZE, standardize
from bnlab.course.lessons.nb01.ex_whitening import ZCA, zca_whiten


def drawn_again(exercise, seeds=(10, 11, 12)):
    """Arguments of the cases, and of the same cases drawn from other seeds."""
    for case in exercise.cases:
        yield case.arguments()
        for seed in seeds:
            yield tuple(case.draw(np.random.default_rng(seed)))


# ---------------------------------------------------------------- references against oracles


def test_percentiles_equal_torch():
    torch = pytest.importorskip("torch")
    for (a,) in drawn_again(PERCENTILES):
        q = torch.tensor([0.15, 0.50, 0.85], dtype=torch.float64)
        theirs = torch.quantile(torch.from_numpy(a), q, dim=0)
        np.testing.assert_allclose(activation_percentiles(a), theirs, rtol=1e-12, atol=1e-12)


def test_standardize_is_batch_norm_without_gamma_and_beta():
    for x, eps in drawn_again(STANDARDIZE):
        c = x.shape[1]
        y, _ = bnlab.batchnorm_forward(x, np.ones(c), np.zeros(c), eps)
        np.testing.assert_allclose(standardize(x, eps), y, rtol=1e-9, atol=1e-10)


def test_standardize_equals_torch():
    torch = pytest.importorskip("torch")
    for x, eps in drawn_again(STANDARDIZE):
        y = torch.nn.functional.batch_norm(torch.from_numpy(x), None, None, training=True, eps=eps)
        np.testing.assert_allclose(standardize(x, eps), y, rtol=1e-9, atol=1e-9)


def test_whitening_is_the_symmetric_inverse_root():
    """W = W', W (cov + eps I) W = I, and W is positive: no other matrix does all three."""
    for x, eps in drawn_again(ZCA):
        centred, identity = x - x.mean(axis=0), np.eye(x.shape[1])
        if np.linalg.matrix_rank(centred) < x.shape[1]:
            continue
        whitening = np.linalg.lstsq(centred, zca_whiten(x, eps))[0]  # (C, C)
        covariance = np.cov(x, rowvar=False, bias=True) + eps * identity
        np.testing.assert_allclose(whitening, whitening.T, atol=1e-8)
        np.testing.assert_allclose(whitening @ covariance @ whitening, identity, atol=1e-8)
        assert np.linalg.eigvalsh(whitening).min() > 0


def test_whitening_equals_torch():
    torch = pytest.importorskip("torch")
    for x, eps in drawn_again(ZCA):
        centred = torch.from_numpy(x) - torch.from_numpy(x).mean(dim=0)
        u, s, vh = torch.linalg.svd(centred, full_matrices=False)
        theirs = u * (s / torch.sqrt(s**2 / len(x) + eps)) @ vh
        np.testing.assert_allclose(zca_whiten(x, eps), theirs, rtol=1e-7, atol=1e-8)


# ---------------------------------------------------------------- right answers in other styles


def percentiles_by_sorting(a):
    """Sorted in place, on a copy; interpolated by hand; loops."""
    a = a.copy()
    a.sort(axis=0)
    out = np.zeros((3, a.shape[1]))
    for i, q in enumerate((0.15, 0.50, 0.85)):
        place = q * (len(a) - 1)
        low = math.floor(place)
        high = min(low + 1, len(a) - 1)
        for c in range(a.shape[1]):
            out[i, c] = a[low, c] + (place - low) * (a[high, c] - a[low, c])
    return out


def standardize_in_loops(x, eps):
    z = np.empty_like(x)
    for c in range(x.shape[1]):
        mean = sum(x[:, c]) / len(x)
        var = sum((value - mean) ** 2 for value in x[:, c]) / len(x)
        for n in range(len(x)):
            z[n, c] = (x[n, c] - mean) / math.sqrt(var + eps)
    return z


def standardize_einsum(x, eps):
    centred = x - np.einsum("nc->c", x) / len(x)
    return centred / np.sqrt(np.einsum("nc,nc->c", centred, centred) / len(x) + eps)


def standardize_in_place(x, eps):
    x = x.copy()
    x -= x.mean(axis=0)
    x /= np.sqrt((x * x).mean(axis=0) + eps)
    return x


def standardize_single_precision(x, eps):
    x = x.astype(np.float32)
    return (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + np.float32(eps))


def zca_eps_on_the_diagonal(x, eps):
    centred = x - x.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred / len(x) + eps * np.eye(x.shape[1]))
    return centred @ (vectors * values**-0.5) @ vectors.T


def zca_by_svd_of_the_covariance(x, eps):
    centred = x - x.mean(axis=0)
    u, s, _ = np.linalg.svd(centred.T @ centred / len(x))
    return centred @ u @ np.diag(1 / np.sqrt(s + eps)) @ u.T


def zca_by_svd_of_the_data(x, eps):
    centred = x - x.mean(axis=0)
    u, s, vh = np.linalg.svd(centred, full_matrices=False)
    return u * (s / np.sqrt(s**2 / len(x) + eps)) @ vh


def zca_with_other_signs(x, eps):
    centred = x - x.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred / len(x))
    vectors = -vectors[:, ::-1]  # the other sign, the other order
    return centred @ vectors / np.sqrt(values[::-1] + eps) @ vectors.T


def zca_by_eig(x, eps):
    centred = x - x.mean(axis=0)
    values, vectors = np.linalg.eig(centred.T @ centred / len(x) + eps * np.eye(x.shape[1]))
    return (centred @ vectors @ np.diag(values**-0.5) @ np.linalg.inv(vectors)).real


def zca_by_iteration(x, eps):
    """The inverse root by the iteration of Denman and Beavers, no eigenvector in sight."""
    centred = x - x.mean(axis=0)
    inverse = np.eye(x.shape[1])
    root = np.cov(x, rowvar=False, bias=True) + eps * inverse
    for _ in range(40):
        root, inverse = (root + np.linalg.inv(inverse)) / 2, (inverse + np.linalg.inv(root)) / 2
    return centred @ inverse


def zca_in_loops(x, eps):
    n, c = x.shape
    mean = [sum(x[:, j]) / n for j in range(c)]
    centred = np.array([[x[i, j] - mean[j] for j in range(c)] for i in range(n)])
    covariance = np.zeros((c, c))
    for j in range(c):
        for k in range(c):
            covariance[j, k] = sum(centred[i, j] * centred[i, k] for i in range(n)) / n
    values, vectors = np.linalg.eigh(covariance)
    whitening = np.zeros((c, c))
    for value, vector in zip(values, vectors.T, strict=True):
        whitening += np.outer(vector, vector) / math.sqrt(value + eps)
    return centred @ whitening


def zca_einsum(x, eps):
    centred = x - x.mean(axis=0)
    values, vectors = np.linalg.eigh(np.einsum("ni,nj->ij", centred, centred) / len(x))
    return np.einsum("ni,ik,k,jk->nj", centred, vectors, 1 / np.sqrt(values + eps), vectors)


def zca_in_place(x, eps):
    x = x.copy()
    x -= x.mean(axis=0)
    values, vectors = np.linalg.eigh(x.T @ x / len(x))
    return x.dot(vectors / np.sqrt(np.maximum(values, 0) + eps)).dot(vectors.T)


def zca_single_precision(x, eps):
    centred = (x - x.mean(axis=0)).astype(np.float32)
    values, vectors = np.linalg.eigh(centred.T @ centred / np.float32(len(x)))
    return centred @ (vectors / np.sqrt(values + np.float32(eps)) @ vectors.T)


def zca_and_its_matrix(x, eps):
    centred = x - x.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred / len(x))
    whitening = vectors / np.sqrt(values + eps) @ vectors.T
    return centred @ whitening, whitening


def through_np_cov(x, of_eigenvalues, bias=True):
    """Whiten by another route than the reference takes, so that the last digits differ."""
    values, vectors = np.linalg.eigh(np.cov(x, rowvar=False, bias=bias))
    return (x - x.mean(axis=0)) @ vectors @ np.diag(of_eigenvalues(values)) @ vectors.T


RIGHT = {
    "activation_percentiles": {
        "np.quantile": lambda a: np.quantile(a, (0.15, 0.5, 0.85), axis=0),
        "one by one": lambda a: np.stack([np.percentile(a, q, axis=0) for q in (15, 50, 85)]),
        "with a median": lambda a: np.array(
            [np.percentile(a, 15, axis=0), np.median(a, axis=0), np.percentile(a, 85, axis=0)]
        ),
        "sorted in loops": percentiles_by_sorting,
        "single precision": lambda a: np.float32(
            np.percentile(np.float32(a), [15, 50, 85], axis=0)
        ),
        "and the mean": lambda a: (np.percentile(a, [15, 50, 85], axis=0), a.mean(axis=0)),
    },
    "standardize": {
        "methods": lambda x, eps: (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + eps),
        "keepdims": lambda x, eps: (
            (x - np.mean(x, 0, keepdims=True)) * (np.var(x, 0, keepdims=True) + eps) ** -0.5
        ),
        "std squared": lambda x, eps: (x - x.mean(0)) / (x.std(0) ** 2 + eps) ** 0.5,
        "loops": standardize_in_loops,
        "einsum": standardize_einsum,
        "in place on a copy": standardize_in_place,
        "single precision": standardize_single_precision,
        "and the statistics": lambda x, eps: (standardize(x, eps), x.mean(axis=0), x.var(axis=0)),
    },
    "zca_whiten": {
        "np.cov": lambda x, eps: through_np_cov(x, lambda v: 1 / np.sqrt(v + eps)),
        "eps on the diagonal": zca_eps_on_the_diagonal,
        "svd of the covariance": zca_by_svd_of_the_covariance,
        "svd of the data": zca_by_svd_of_the_data,
        "other signs": zca_with_other_signs,
        "eig": zca_by_eig,
        "iteration": zca_by_iteration,
        "loops": zca_in_loops,
        "einsum": zca_einsum,
        "in place on a copy": zca_in_place,
        "single precision": zca_single_precision,
        "and its matrix": zca_and_its_matrix,
    },
}


@pytest.mark.parametrize(("name", "label"), [(n, k) for n in RIGHT for k in RIGHT[n]])
def test_a_right_answer_passes_whatever_its_style(name, label):
    report = check(name, RIGHT[name][label])
    assert report.outcome == "correct", report


def test_a_one_pass_variance_is_warned_about():
    def one_pass(x, eps):
        mean = x.mean(axis=0)
        return (x - mean) / np.sqrt((x**2).mean(axis=0) - mean**2 + eps)

    report = check("standardize", one_pass)
    assert report.outcome == "correct"
    assert "subtract the mean first" in report.message


# ---------------------------------------------------------------- wrong answers


def zca_pseudo(x, eps):
    u, s, vh = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    return u[:, s > 1e-9] @ vh[s > 1e-9] * np.sqrt(len(x))


WRONG = {
    "activation_percentiles": {
        "over the features": lambda a: np.percentile(a, [15, 50, 85], axis=1),
        "over everything": lambda a: np.percentile(a, [15, 50, 85]),
        "features first": lambda a: np.percentile(a, [15, 50, 85], axis=0).T,
        "the median alone": lambda a: np.median(a, axis=0),
        "nearest example": lambda a: np.percentile(a, [15, 50, 85], axis=0, method="nearest"),
        "of magnitudes": lambda a: np.percentile(np.abs(a), [15, 50, 85], axis=0),
        "5, 50, 95": lambda a: np.percentile(a, [5, 50, 95], axis=0),
        "16, 50, 84": lambda a: np.percentile(a, [16, 50, 84], axis=0),
        "a list": lambda a: [np.percentile(a, q, axis=0) for q in (15, 50, 85)],
        "sorted in place": lambda a: (a.sort(axis=0), np.percentile(a, [15, 50, 85], axis=0))[1],
    },
    "standardize": {
        "features by rows": lambda x, eps: (x.T - x.mean(axis=1)) / x.std(axis=1),
        "eps twice": lambda x, eps: (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 2 * eps),
        "eps added to x": lambda x, eps: (x - x.mean(0) + eps) / np.sqrt(x.var(0) + eps),
        "median for mean": lambda x, eps: (x - np.median(x, axis=0)) / np.sqrt(x.var(0) + eps),
        "where to": lambda x, eps: np.where(x.var(0) > 1e-9, standardize(x, eps), 1.0),
        "in place": lambda x, eps: np.divide(x - x.mean(0), np.sqrt(x.var(0) + eps), out=x),
    },
    "zca_whiten": {
        "features by rows": lambda x, eps: zca_whiten(x.T, eps).T,
        "the covariance": lambda x, eps: np.cov(x, rowvar=False, bias=True),
        "transposed Cholesky": lambda x, eps: (
            (x - x.mean(0))
            @ np.linalg.inv(np.linalg.cholesky(np.cov(x.T, bias=True) + eps * np.eye(x.shape[1])))
        ),
        "eps twice": lambda x, eps: zca_whiten(x, 2 * eps),
        "mean added again": lambda x, eps: zca_whiten(x, eps) + x.mean(axis=0),
        "negative root": lambda x, eps: -zca_whiten(x, eps),
        "clipped eigenvalues": edited(
            zca_whiten, {"whitening": "vectors / np.sqrt(np.maximum(values, eps)) @ vectors.T"}
        ),
        "pseudo-inverse": zca_pseudo,
    },
}


UNNAMED = {("standardize", "where to")}


@pytest.mark.parametrize(("name", "label"), [(n, k) for n in WRONG for k in WRONG[n]])
def test_a_wrong_answer_is_caught_and_named(name, label):
    report = check(name, WRONG[name][label])
    assert report.outcome in ("incorrect", "error")
    assert report.mistake or (name, label) in UNNAMED


def percentiles_of_everything(a):
    return np.percentile(a, [15, 50, 85])


def test_percentiles_without_an_axis_are_told_so():
    report = check("activation_percentiles", percentiles_of_everything)
    assert report.mistake == "wrong_shape"
    assert "`percentile` is called without axis=" in report.message


def test_statistics_of_the_rows_are_told_so_where_numpy_refuses_them():
    report = check("standardize", lambda x, eps: (x - x.mean(axis=1)) / np.sqrt(x.var(1) + eps))
    assert (report.outcome, report.mistake) == ("error", "one_for_each_example")
    assert "Each feature has its own mean and variance: axis=0." in report.message


@pytest.mark.parametrize("eps", [0, 1e-12])
def test_an_eps_too_small_to_count_in_whitening_is_told_as_that(eps):
    def whiten(x, _):
        u, s, vh = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
        return u * (s / np.sqrt(np.maximum(s**2 / len(x), 1e-12) + eps)) @ vh

    report = check("zca_whiten", whiten)
    assert report.mistake == "eps_without_effect"
    assert "missing, or only something too small to count" in report.message


@pytest.mark.parametrize(
    ("divide", "mistakes"),
    [
        (lambda var, eps: var + eps, ("divides_by_variance",)),
        (lambda var, eps: var, ("divides_by_variance", "eps_forgotten")),
        (lambda var, eps: np.sqrt(var - eps), ("subtracts_eps",)),
        (lambda var, eps: np.sqrt(var + 1e-8), ("eps_of_your_own",)),
    ],
)
def test_another_divisor_is_named(divide, mistakes):
    report = check("standardize", lambda x, eps: (x - x.mean(0)) / divide(x.var(0), eps))
    assert report.mistakes == mistakes


def pca_through_np_cov(x, eps):
    values, vectors = np.linalg.eigh(np.cov(x, rowvar=False, bias=True))
    return (x - x.mean(axis=0)) @ (vectors * (values + eps) ** -0.5)


def rows_for_columns(x, eps):
    values, vectors = np.linalg.eigh(np.cov(x, rowvar=False, bias=True))
    return (x - x.mean(axis=0)) @ (vectors / np.sqrt(values + eps)[:, None] @ vectors.T)


def turned_twice(x, eps):
    values, vectors = np.linalg.eigh(np.cov(x, rowvar=False, bias=True))
    return (x - x.mean(axis=0)) @ vectors @ np.diag((values + eps) ** -0.5) @ vectors


MISTAKES_IN_OTHER_WORDS = {
    "not_turned_back": pca_through_np_cov,
    "second_not_transposed": turned_twice,
    "eps_forgotten": lambda x, eps: through_np_cov(x, lambda v: v**-0.5),
    "eps_outside_root": lambda x, eps: through_np_cov(x, lambda v: 1 / (v**0.5 + eps)),
    "unbiased_covariance": lambda x, eps: through_np_cov(
        x, lambda v: (v + eps) ** -0.5, bias=False
    ),
    "root_forgotten": lambda x, eps: through_np_cov(x, lambda v: 1 / (v + eps)),
    "rows_scaled": rows_for_columns,
    "mean_added_again": lambda x, eps: through_np_cov(x, lambda v: (v + eps) ** -0.5) + x.mean(0),
    "eps_as_floor": lambda x, eps: through_np_cov(x, lambda v: np.clip(v, eps, None) ** -0.5),
}


@pytest.mark.parametrize("mistake", MISTAKES_IN_OTHER_WORDS)
def test_a_mistake_of_whitening_is_named_though_its_rounding_differs(mistake):
    assert check("zca_whiten", MISTAKES_IN_OTHER_WORDS[mistake]).mistake == mistake


def test_a_covariance_without_an_inverse_is_told_why():
    """The root of each entry, then the inverse: NumPy says no more than "Singular matrix"."""

    def whiten(x, eps):
        centred = x - x.mean(axis=0)
        return centred @ np.linalg.inv(np.sqrt(centred.T @ centred / len(x)))

    report = check("zca_whiten", whiten)
    assert (report.outcome, report.mistake) == ("error", "no_inverse")
    assert "a constant feature has variance 0" in report.message


def test_numbers_that_are_right_but_for_their_shape_are_told_how_to_get_it():
    percentiles = check("activation_percentiles", lambda a: activation_percentiles(a).T)
    assert ".T turns them back" in percentiles.message
    flat = check("standardize", lambda x, eps: standardize(x, eps).ravel())
    assert ".reshape(12, 5)" in flat.message


def test_two_numbers_that_differ_late_are_shown_with_the_digits_that_differ():
    """1e-5 relative: the first four digits say that a number differs from itself."""
    message = check("standardize", lambda x, eps: (1 + 1e-5) * standardize(x, eps)).message
    yours, right = message.split("yours is ")[1].split(", the right value is ")
    assert yours.split(" at ")[0] != right.split(". hint")[0]


@pytest.mark.parametrize(
    ("name", "answer"),
    [("which_shift", " B "), ("largest_factor", 1 / 1024), ("largest_factor", 0.00098),
     ("rank_from_a_batch", 31), ("rank_from_a_batch", np.int64(31))],
)  # fmt: skip
def test_a_question_is_answered_in_several_ways(name, answer):
    assert check(name, answer).outcome == "correct"


@pytest.mark.parametrize(
    ("name", "answer"),
    [("which_shift", "d"), ("largest_factor", 0.001 * 2), ("rank_from_a_batch", 30)],
)
def test_a_wrong_answer_to_a_question_is_caught(name, answer):
    assert check(name, answer).outcome in ("incorrect", "error")


@pytest.mark.parametrize(
    ("answer", "outcome", "mistake", "said"),
    [
        (0.001, "incorrect", "rounded", "Close: 0.001 is the right value, rounded."),
        (0.25**4, "incorrect", "four_sigmoids", "four sigmoids; there are five"),
        (0, "incorrect", "zero", "Small, but not 0"),
        ("1/1024", "correct", None, "(1/4)^5"),
    ],
)
def test_a_known_answer_about_five_sigmoids_gets_its_sentence(answer, outcome, mistake, said):
    report = check("largest_factor", answer)
    assert (report.outcome, report.mistake) == (outcome, mistake)
    assert said in report.message
    assert "Think again" not in report.message
