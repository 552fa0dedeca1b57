"""Exercises of notebook 03: references against the package and torch, styles, wrong answers."""

import functools

import numpy as np
import pytest
import torch

import bnlab
from bnlab import gradcheck
from bnlab.course import check
from bnlab.course.exercises.edits import edited
from bnlab.course.lessons.nb03.ex_backpropagation import STAGED, batchnorm_backward_staged
from bnlab.course.lessons.nb03.ex_closed_form import CLOSED_FORM, batchnorm_backward
from bnlab.course.lessons.nb03.ex_numerical_gradient import NUMERICAL_GRADIENT, numerical_gradient
from bnlab.course.lessons.nb03.questions import SHARE


def by_torch(dy, x, gamma, beta, eps):
    """The six gradients by automatic differentiation of Algorithm 1, written out."""
    dy, x, gamma, beta = (torch.tensor(a, requires_grad=True) for a in (dy, x, gamma, beta))
    mean = x.mean(dim=0)
    var = ((x - mean) ** 2).mean(dim=0)
    x_hat = (x - mean) / torch.sqrt(var + eps)
    for node in (mean, var, x_hat):
        node.retain_grad()
    (gamma * x_hat + beta).backward(dy.detach())
    nodes = {"dx_hat": x_hat, "dvar": var, "dmean": mean, "dx": x, "dgamma": gamma, "dbeta": beta}
    return {name: node.grad.numpy() for name, node in nodes.items()}


# References against independent oracles, on the cases and on others.


@pytest.mark.parametrize("case", STAGED.cases, ids=lambda c: c.name)
def test_the_staged_reference_equals_torch_on_its_cases(case):
    expected = by_torch(*case.arguments())
    for name, value in batchnorm_backward_staged(*case.arguments()).items():
        assert gradcheck.relative_error(value, expected[name]) < 1e-9, name


@pytest.mark.parametrize("case", STAGED.cases, ids=lambda c: c.name)
def test_both_references_equal_the_package(case):
    dy, x, gamma, beta, eps = case.arguments()
    _, cache = bnlab.batchnorm_forward(x, gamma, beta, eps)
    stages = batchnorm_backward_staged(dy, x, gamma, beta, eps)
    package = bnlab.batchnorm_backward(dy, cache)
    closed = batchnorm_backward(dy, cache)
    for name, ours, short in zip(("dx", "dgamma", "dbeta"), package, closed, strict=True):
        np.testing.assert_allclose(stages[name], ours, rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(short, ours, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("n", "c", "eps"), [(3, 1, 1e-5), (33, 7, 1e-3), (50, 2, 0.1)])
def test_both_references_equal_torch_on_other_batches(n, c, eps):
    rng = np.random.default_rng(n)
    x = rng.normal(rng.normal(0, 3, c), rng.uniform(0.1, 4, c), (n, c))
    dy, gamma, beta = rng.normal(size=(n, c)), rng.normal(size=c), rng.normal(size=c)
    expected = by_torch(dy, x, gamma, beta, eps)
    stages = batchnorm_backward_staged(dy, x, gamma, beta, eps)
    _, cache = bnlab.batchnorm_forward(x, gamma, beta, eps)
    closed = dict(zip(CLOSED_FORM.outputs, batchnorm_backward(dy, cache), strict=True))
    for name, value in [*stages.items(), *closed.items()]:
        np.testing.assert_allclose(value, expected[name], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("case", NUMERICAL_GRADIENT.cases, ids=lambda c: c.name)
def test_the_numerical_reference_equals_the_package(case):
    f, x, dy = case.arguments()
    expected = gradcheck.numerical_gradient(f, x, np.asarray(dy))
    assert gradcheck.relative_error(numerical_gradient(f, x, dy), expected) < 1e-5


# Right answers in other styles.


def without_the_second_term(dy, x, gamma, beta, eps):
    m, mean = len(x), np.mean(x, axis=0, keepdims=True)
    std = np.sqrt(((x - mean) ** 2).mean(axis=0) + eps)
    dx_hat = np.multiply(dy, gamma)
    dvar = np.einsum("nc,nc->c", dx_hat, x - mean) * -0.5 * std**-3.0
    dmean = np.einsum("nc,c->c", dx_hat, -1 / std)
    dx = dx_hat / std + (dvar * 2 * (x - mean) + dmean) / m
    dgamma = np.einsum("nc,nc->c", dy, (x - mean) / std)
    return dict(dx_hat=dx_hat, dvar=dvar, dmean=dmean, dx=dx, dgamma=dgamma, dbeta=dy.sum(0))


def by_the_closed_form(dy, x, gamma, beta, eps):
    stages = without_the_second_term(dy, x, gamma, beta, eps)
    _, cache = bnlab.batchnorm_forward(x, gamma, beta, eps)
    dx, dgamma, dbeta = bnlab.batchnorm_backward(dy, cache)
    return stages | {"dx": dx, "dgamma": dgamma, "dbeta": dbeta, "extra": 0}


def by_loops(dy, x, gamma, beta, eps):
    columns = [_one_feature(*c, eps) for c in zip(dy.T, x.T, gamma, strict=True)]
    names = columns[0]
    return {n: np.stack([column[n] for column in columns], axis=-1) for n in names}


def _one_feature(dy, x, gamma, eps):
    m, mean = len(x), sum(x) / len(x)
    var = sum((v - mean) ** 2 for v in x) / m
    dx_hat = np.array([g * gamma for g in dy])
    dvar = sum(g * (v - mean) * -0.5 * (var + eps) ** -1.5 for g, v in zip(dx_hat, x, strict=True))
    dmean = sum(-g / (var + eps) ** 0.5 for g in dx_hat)
    dx = [g / (var + eps) ** 0.5 + dvar * 2 * (v - mean) / m + dmean / m
          for g, v in zip(dx_hat, x, strict=True)]  # fmt: skip
    dgamma = sum(g * (v - mean) / (var + eps) ** 0.5 for g, v in zip(dy, x, strict=True))
    return {"dx_hat": dx_hat, "dvar": np.array(dvar), "dmean": np.array(dmean),
            "dx": np.array(dx), "dgamma": np.array(dgamma), "dbeta": np.array(sum(dy))}  # fmt: skip


def in_single_precision(dy, x, gamma, beta, eps):
    x = x - x.mean(axis=0)  # otherwise a large mean leaves float32 few digits
    arguments = (a.astype(np.float32) for a in (dy, x, gamma, beta))
    return without_the_second_term(*arguments, np.float32(eps))


def in_place_on_copies(dy, x, gamma, beta, eps):
    x, dx = x.copy(), dy.copy()
    x -= x.mean(axis=0)
    var = (x**2).mean(axis=0)
    x /= np.sqrt(var + eps)
    dx *= gamma
    dx_hat = dx.copy()
    dvar = -0.5 * (dx_hat * x).sum(axis=0) / (var + eps)
    dx -= dx_hat.mean(axis=0)
    dx -= x * (dx_hat * x).mean(axis=0)
    dx /= np.sqrt(var + eps)
    dmean = -dx_hat.sum(axis=0) / np.sqrt(var + eps)
    return {"dx": dx, "dx_hat": dx_hat, "dmean": dmean, "dvar": dvar,
            "dbeta": np.sum(dy, 0), "dgamma": np.sum(dy * x, 0)}  # fmt: skip


def with_the_paper_stages(dy, cache):
    m, std = len(dy), np.sqrt(cache.var + cache.eps)
    dx_hat = dy * cache.gamma
    dvar = (dx_hat * cache.x_centred).sum(0) * -0.5 * std**-3
    dmean = -dx_hat.sum(0) / std
    dx = dx_hat / std + dvar * 2 * cache.x_centred / m + dmean / m
    return dx, (dy * cache.x_hat).sum(0), dy.sum(0)


def over_m_outside(dy, cache):
    m, x_hat = dy.shape[0], cache.x_hat
    total = m * dy - np.sum(dy, axis=0) - x_hat * np.sum(dy * x_hat, axis=0)
    return cache.gamma * cache.inv_std / m * total, np.sum(dy * x_hat, axis=0), np.sum(dy, axis=0)


def by_the_projection(dy, cache):
    m, x_hat = len(dy), cache.x_hat
    p = np.eye(m) - 1 / m - np.einsum("ic,jc->cij", x_hat, x_hat) / m  # (C, N, N)
    dx = np.einsum("cij,jc->ic", p, dy) * cache.gamma * cache.inv_std
    return [dx, np.einsum("nc,nc->c", dy, x_hat), np.einsum("nc->c", dy)]


def by_features(dy, cache):
    dx, dgamma, dbeta = np.empty_like(dy), [], []
    for c in range(dy.shape[1]):
        g, x_hat = dy[:, c], cache.x_hat[:, c]
        dx[:, c] = cache.gamma[c] * cache.inv_std[c] * (g - g.mean() - x_hat * (g @ x_hat) / len(g))
        dgamma.append(g @ x_hat)
        dbeta.append(g.sum())
    return dx, np.array(dgamma), np.array(dbeta)


def closed_in_single_precision(dy, cache):
    dy, x_hat = dy.astype(np.float32), cache.x_hat.astype(np.float32)
    scale = (cache.gamma * cache.inv_std).astype(np.float32)
    dx = scale * (dy - dy.mean(axis=0) - x_hat * (dy * x_hat).mean(axis=0))
    return dx, (dy * x_hat).sum(axis=0), dy.sum(axis=0)


def closed_in_place_on_its_copy(dy, cache):
    dx, x_hat = dy.copy(), cache.x_hat
    dx -= dy.mean(axis=0)
    dx -= x_hat * (dx * x_hat).mean(axis=0)  # the centred dy: the same, since x_hat is centred
    dx *= cache.gamma * cache.inv_std
    return dx, (dy * x_hat).sum(axis=0), dy.sum(axis=0), x_hat


def central(h):
    def answer(f, x, dy):
        gradient = np.empty(x.shape)
        for i in np.ndindex(x.shape):
            above, below = x.copy(), x.copy()
            above[i] += h
            below[i] -= h
            gradient[i] = (np.sum(dy * f(above)) - np.sum(dy * f(below))) / (2 * h)
        return gradient

    return answer


def in_place_and_restored(f, x, dy):
    gradient = np.zeros_like(x)
    it = np.nditer(x, flags=["multi_index"])
    for _ in it:
        i, old = it.multi_index, x[it.multi_index]
        x[i] = old + 1e-5
        above = np.array(f(x))
        x[i] = old - 1e-5
        below = np.array(f(x))
        x[i] = old
        gradient[i] = ((above - below) * dy).sum() / 2e-5
    return gradient


def flattened(f, x, dy):
    basis = 1e-5 * np.eye(x.size).reshape(-1, *x.shape)
    slopes = [np.sum(dy * (f(x + e) - f(x - e))) / 2e-5 for e in basis]
    return np.array(slopes).reshape(x.shape)


def scaled_step(f, x, dy):
    return gradcheck.numerical_gradient(f, x, np.asarray(dy))


def five_points(f, x, dy):
    near, far = central(1e-3)(f, x, dy), central(2e-3)(f, x, dy)
    return (4 * near - far) / 3


def returned_in_single_precision(f, x, dy):
    return central(1e-5)(f, x, dy).astype(np.float32)


RIGHT = {
    "batchnorm_backward_staged": [
        without_the_second_term, by_the_closed_form, by_loops, by_torch, in_single_precision,
        in_place_on_copies,
    ],
    "batchnorm_backward": [
        with_the_paper_stages, over_m_outside, by_the_projection, by_features,
        bnlab.batchnorm_backward, closed_in_single_precision, closed_in_place_on_its_copy,
    ],
    "numerical_gradient": [
        in_place_and_restored, flattened, scaled_step, five_points, returned_in_single_precision,
    ],
}  # fmt: skip


@pytest.mark.parametrize(("name", "answer"), [(n, answer) for n in RIGHT for answer in RIGHT[n]])
def test_a_right_answer_passes_in_any_style(name, answer):
    report = check(name, answer)
    assert report.outcome == "correct", report


# Wrong answers that must be caught.


def _changes_x(dy, x, gamma, beta, eps):
    stages = batchnorm_backward_staged(dy, x, gamma, beta, eps)
    x -= x.mean(axis=0)
    return stages


def _changes_dy(dy, cache):
    answer = batchnorm_backward(dy, cache)
    dy -= dy.mean(axis=0)
    return answer


def _changes_cache(dy, cache):
    answer = batchnorm_backward(dy, cache)
    cache.x_centred[...] *= 2
    return answer


def _left_modified(f, x, dy):
    gradient = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        x[i] += 1e-5
        above = f(x)
        x[i] -= 2e-5
        gradient[i] = np.sum(dy * (above - f(x))) / 2e-5
    return gradient


def _moved_forward_and_not_put_back(f, x, dy):
    x, gradient = x.copy(), np.zeros_like(x)
    for i in np.ndindex(x.shape):
        before = f(x)
        x[i] += 1e-5
        gradient[i] = np.sum(dy * (f(x) - before)) / 1e-5
    return gradient


_staged = functools.partial(edited, batchnorm_backward_staged)
_closed = functools.partial(edited, batchnorm_backward)

WRONG = {
    "batchnorm_backward_staged": {
        "dx is dy": _staged({"dx": "dy"}),
        "dx is zero": _staged({"dx": "0 * dy"}),
        "no dvar": lambda *a: {
            n: v for n, v in batchnorm_backward_staged(*a).items() if n != "dvar"
        },
        "a tuple": lambda *a: tuple(batchnorm_backward_staged(*a).values()),
        "dbeta per row": _staged({"dbeta": "dy"}),
        "dbeta over everything": _staged({"dbeta": "dy.sum()"}),
        "dgamma over features": _staged({"dgamma": "dy.sum(1)"}),
        "dmean kept as a row": lambda dy, x, g, b, e: (
            batchnorm_backward_staged(dy, x, g, b, e)
            | {"dmean": -(dy * g).sum(axis=0, keepdims=True)}
        ),
        "features counted for rows": _staged(
            {"dx": "dx_hat * inv_std + (2 * dvar * centred + dmean) / dy.shape[1]"}
        ),
        "dvar of the unbiased variance": _staged(
            {
                "dvar": "-0.5 * (dx_hat * centred).sum(axis=0) * inv_std**3 * (m - 1) / m",
                "dx": "dx_hat * inv_std + dvar * 2 * centred / (m - 1) + dmean / m",
            }
        ),
        "gamma for its size": lambda dy, x, g, b, e: batchnorm_backward_staged(
            dy, x, np.abs(g), b, e
        ),
        "x changed": _changes_x,
        "ones upstream": lambda dy, *rest: batchnorm_backward_staged(np.ones_like(dy), *rest),
        "rows and columns exchanged": lambda *a: {
            n: v.T for n, v in batchnorm_backward_staged(*a).items()
        },
    },
    "batchnorm_backward": {
        "dx alone": _closed({"return": "dx"}),
        "parameters first": _closed({"return": "dbeta, dgamma, dx"}),
        "the whole array's mean": _closed({"dx": "factor * (dy - dy.mean())"}),
        "the mean added": _closed({"dx": "factor * (dy - mean - along) + 2 * factor * mean"}),
        "the size of gamma": _closed({"factor": "abs(cache.gamma) * cache.inv_std"}),
        "the exact projection, as if eps were 0": lambda dy, cache: batchnorm_backward(
            dy - cache.x_hat * (dy * cache.x_hat).sum(0) / ((cache.x_hat**2).sum(0) + 1e-300), cache
        ),
        "dy changed": _changes_dy,
        "cache changed": _changes_cache,
        "a cache of its own kind": lambda dy, cache: cache["x_hat"],
    },
    "numerical_gradient": {
        "x left modified": _left_modified,
        "not put back, one-sided": _moved_forward_and_not_put_back,
        "in single precision": lambda f, x, dy: central(np.float32(1e-5))(
            f, x.astype(np.float32), dy
        ),
        "only the first axis": lambda f, x, dy: np.array(
            [np.sum(dy * (f(x + e) - f(x - e))) / 2e-5 for e in 1e-5 * np.eye(len(x))]
        ),
        "the slope along dy": lambda f, x, dy: (f(x + 1e-5 * dy) - f(x - 1e-5 * dy)) / 2e-5,
        "each output on its own": lambda f, x, dy: dy * (f(x + 1e-5) - f(x - 1e-5)) / 2e-5,
        "dy squared": lambda f, x, dy: central(1e-5)(f, x, dy * dy),
        "the upstream is f(x)": lambda f, x, dy: central(1e-5)(f, x, f(x)),
        "zero": lambda f, x, dy: np.zeros_like(x),
    },
}


@pytest.mark.parametrize(("name", "label"), [(n, label) for n in WRONG for label in WRONG[n]])
def test_a_wrong_answer_is_caught(name, label):
    assert check(name, WRONG[name][label]).outcome in ("incorrect", "error")


NAMES = {
    "batchnorm_backward_staged": {
        "dx is dy": "dx_of_dy",
        "dx is zero": "dx_zero",
        "features counted for rows": "features_for_rows",
        "dvar of the unbiased variance": "dvar_of_the_unbiased_variance",
        "gamma for its size": "gamma_without_its_sign",
        "ones upstream": "upstream_of_ones",
    },
    "batchnorm_backward": {
        "the whole array's mean": "one_number_subtracted",
        "the mean added": "first_term_added",
        "the size of gamma": "gamma_without_its_sign",
        "the exact projection, as if eps were 0": "projected_exactly",
    },
    "numerical_gradient": {
        "not put back, one-sided": "one_sided_and_not_put_back",
        "dy squared": "upstream_twice",
        "zero": "no_difference",
    },
}


@pytest.mark.parametrize(("name", "label"), [(n, label) for n in NAMES for label in NAMES[n]])
def test_a_wrong_answer_is_named(name, label):
    report = check(name, WRONG[name][label])
    assert report.mistake == NAMES[name][label]
    assert "another reason" not in report.message


# Answers that people gave: the names, what is said of them and what is not.


def with_dmean_of_the_other_sign(dy, x, gamma, beta, eps):
    m, centred = len(x), x - x.mean(0)
    s = np.sqrt((centred**2).mean(0) + eps)
    dx_hat = gamma * dy
    dvar = -0.5 * (dx_hat * centred).sum(0) / s**3
    paths = dx_hat / s + 2 * centred * dvar / m
    dmean = paths.sum(0)
    return dict(dx_hat=dx_hat, dvar=dvar, dmean=dmean, dx=paths - dmean / m,
                dgamma=(dy * centred / s).sum(0), dbeta=dy.sum(0))  # fmt: skip


def of_the_unbiased_forward(dy, x, gamma, beta, eps):
    """The true gradient of a forward pass whose variance is divided by m - 1."""
    dy, x, gamma, beta = (torch.tensor(a, requires_grad=True) for a in (dy, x, gamma, beta))
    mean, var = x.mean(dim=0), x.var(dim=0)
    x_hat = (x - mean) / torch.sqrt(var + eps)
    for node in (mean, var, x_hat):
        node.retain_grad()
    (gamma * x_hat + beta).backward(dy.detach())
    nodes = {"dx_hat": x_hat, "dvar": var, "dmean": mean, "dx": x, "dgamma": gamma, "dbeta": beta}
    return {name: node.grad.numpy() for name, node in nodes.items()}


def each_row_alone(dy, cache):
    m = len(dy)
    dx = cache.gamma * cache.inv_std * (dy - dy / m - cache.x_hat**2 * dy / m)
    return dx, (dy * cache.x_hat).sum(0), dy.sum(0)


def the_diagonal_of_the_jacobian(dy, cache):
    m, x_hat = len(dy), cache.x_hat
    p = np.eye(m) - 1 / m - np.einsum("ic,jc->cij", x_hat, x_hat) / m  # (C, N, N)
    dx = np.einsum("cii,ic->ic", p, dy) * cache.gamma * cache.inv_std
    return dx, (dy * x_hat).sum(0), dy.sum(0)


def never_computed(dy, cache):
    return np.zeros_like(dy), (dy * cache.x_hat).sum(0), dy.sum(0)


def without_eps_in_the_factor(dy, cache):
    s, dx_hat, m = np.sqrt(cache.var), dy * cache.gamma, len(dy)
    dvar = -0.5 * (dx_hat * cache.x_hat).sum(0) / cache.var
    dx = dx_hat / s + dvar * 2 * cache.x_hat * s / m - dx_hat.sum(0) / s / m
    return dx, (dy * cache.x_hat).sum(0), dy.sum(0)


def wrong_in_two_ways(dy, cache):
    return cache.gamma * dy, (dy * cache.x_hat).mean(0), dy.sum(0)


def wrong_in_one_known_way(dy, cache):
    return cache.gamma * dy + 1, (dy * cache.x_hat).mean(0), dy.sum(0)


def with_the_variance_for_its_root(dy, cache):
    x_hat, m = cache.x_hat, len(dy)
    bracket = dy - dy.mean(0) - x_hat * (dy * x_hat).sum(0) / m
    return cache.gamma / (cache.var + cache.eps) * bracket, (dy * x_hat).sum(0), dy.sum(0)


def dgamma_left_at_zero(dy, cache):
    dx, dgamma, dbeta = batchnorm_backward(dy, cache)
    return dx, np.zeros_like(dgamma), dbeta


MET = [
    (with_dmean_of_the_other_sign, ("dmean_sign",), "a convention", "dx is wrong"),
    (with_dmean_of_the_other_sign, ("dmean_sign",), "-sum(dx_hat) / sqrt(var + eps)", "dvar"),
    (of_the_unbiased_forward, ("gradient_of_the_unbiased_forward",), "m - 1", "another reason"),
    (each_row_alone, ("no_sum_over_the_batch",), "diagonal of the Jacobian", "dgamma"),
    (the_diagonal_of_the_jacobian, ("no_sum_over_the_batch",), "over the batch", "dgamma"),
    (never_computed, ("dx_zero",), "was it ever filled", "dgamma"),
    (without_eps_in_the_factor, ("eps_forgotten_in_the_factor",), "cache.inv_std", "dgamma"),
    (wrong_in_two_ways, ("dx_is_dx_hat", "dgamma_averaged"), "dx is gamma * dy", "dbeta"),
    (wrong_in_one_known_way, ("dgamma_averaged",), "dx is wrong too, for another reason", "dbeta"),
    (with_the_variance_for_its_root, ("divides_by_variance",), "cache.inv_std has it", "dgamma"),
    (dgamma_left_at_zero, ("dgamma_zero",), "the sum of dy * x_hat", "dx"),
]


@pytest.mark.parametrize(("answer", "names", "said", "unsaid"), MET)
def test_an_answer_that_people_gave_gets_a_true_message(answer, names, said, unsaid):
    staged = answer in (with_dmean_of_the_other_sign, of_the_unbiased_forward)
    report = check("batchnorm_backward_staged" if staged else "batchnorm_backward", answer)
    assert (report.outcome, report.mistakes) == ("incorrect", names), report
    assert said in report.message
    assert unsaid not in report.message


@pytest.mark.parametrize("output", ["dx", "dvar", "dmean", "dgamma", "dbeta"])
def test_an_output_that_was_never_computed_is_named(output):
    def answer(*arguments):
        made = batchnorm_backward_staged(*arguments)
        return made | {output: np.zeros_like(made[output])}

    report = check("batchnorm_backward_staged", answer)
    assert report.mistakes == (f"{output}_zero",)
    assert f"Your {output} is 0" in report.message


@pytest.mark.parametrize("output", ["dvar", "dmean"])
def test_a_sum_without_an_axis_is_named(output):
    def answer(dy, x, gamma, beta, eps):
        made = batchnorm_backward_staged(dy, x, gamma, beta, eps)
        inv_std, dx_hat = 1 / np.sqrt(x.var(0) + eps), made["dx_hat"]
        sums = {"dvar": -0.5 * np.sum(dx_hat * (x - x.mean(0))) * inv_std**3,
                "dmean": -np.sum(dx_hat) * inv_std}  # fmt: skip
        return made | {output: sums[output]}

    report = check("batchnorm_backward_staged", answer)
    assert report.mistakes == (f"{output}_over_everything",)


def _statistics_of_rows(dy, x, gamma, beta, eps):
    centred = x - x.mean(axis=1)
    return centred * dy


def _sums_of_rows(dy, x, gamma, beta, eps):
    return (dy * gamma).sum(axis=1) / np.sqrt(x.var(axis=0) + eps)


@pytest.mark.parametrize(
    ("exercise", "answer", "name"),
    [
        ("batchnorm_backward_staged", _statistics_of_rows, "statistics_of_rows"),
        ("batchnorm_backward_staged", _sums_of_rows, "sums_over_rows"),
        ("batchnorm_backward", lambda dy, cache: dy - np.mean(dy, axis=1), "means_of_rows"),
    ],
)
def test_values_of_rows_get_more_than_numpys_sentence(exercise, answer, name):
    report = check(exercise, answer)
    assert (report.outcome, report.mistake) == ("error", name)
    assert "one value for each row" in report.message
    assert "NumPy says" in report.message


# What is said of a wrong answer.


def test_two_mistakes_at_once_are_both_named():
    answer = _staged(
        {
            "dx": "dx_hat * inv_std + 2 / m * dvar * centred",
            "dgamma": "gamma * (dy * centred * inv_std).sum(axis=0)",
        }
    )
    message = check("batchnorm_backward_staged", answer).message
    assert "the way through the mean" in message
    assert "gamma times too large" in message


def test_a_right_dmean_is_not_blamed_for_a_sign_in_dx():
    answer = _staged({"dx": "dx_hat * inv_std + (dvar * 2 * centred - dmean) / m"})
    assert check("batchnorm_backward_staged", answer).mistake == "mean_path_subtracted"


def test_no_name_is_given_whose_sentence_would_be_false():
    """dx equals that of a forgotten gamma, but "your dx_hat is dy itself" is not true."""

    def answer(dy, x, gamma, beta, eps):
        right, without = (
            batchnorm_backward_staged(dy, x, g, beta, eps) for g in (gamma, np.ones_like(gamma))
        )
        return right | {"dx_hat": dy + gamma, "dx": without["dx"]}

    report = check("batchnorm_backward_staged", answer)
    assert (report.outcome, report.mistake) == ("incorrect", None)
    assert report.message.startswith("dx_hat is wrong")


def test_a_modified_x_is_named():
    assert check("numerical_gradient", _left_modified).mistake == "changes_inputs"


# numerical_gradient: any sensible step is right, one-sided differences are recognised.


def one_sided(h):
    def answer(f, x, dy):
        gradient, here = np.zeros_like(x), np.sum(dy * f(x))
        for i in np.ndindex(x.shape):
            moved = x.copy()
            moved[i] += h
            gradient[i] = (np.sum(dy * f(moved)) - here) / h
        return gradient

    return answer


@pytest.mark.parametrize("h", [0.02, 1e-3, 1e-4, 1e-5, 3e-6, 1e-6, 1e-7, 1e-8, 1e-9])
def test_a_central_difference_passes_with_any_sensible_step(h):
    report = check("numerical_gradient", central(h))
    assert report.outcome == "correct", report


@pytest.mark.parametrize("h", [0.02, 0.01, 1e-9, 1e-8])
def test_a_step_that_costs_digits_is_right_with_a_warning(h):
    report = check("numerical_gradient", central(h))
    assert report.outcome == "correct"
    assert "A warning: digits are lost" in report.message
    assert "1e-5 lies between" in report.message


@pytest.mark.parametrize(
    "answer", [*RIGHT["numerical_gradient"], *map(central, [1e-3, 1e-4, 1e-5, 1e-6, 1e-7])]
)
def test_a_step_that_is_good_enough_gets_no_warning(answer):
    assert "warning" not in check("numerical_gradient", answer).message


@pytest.mark.parametrize("h", [1e-4, 1e-5, 3e-6, 1e-6, 1e-7, 1e-8])
def test_a_one_sided_difference_is_recognised_with_any_step(h):
    assert check("numerical_gradient", one_sided(h)).mistake == "forward_difference"
    assert check("numerical_gradient", one_sided(-h)).mistake == "backward_difference"


@pytest.mark.parametrize("h", [0.3, 0.1, 1e-10, 1e-12, 1e-16])
def test_a_step_that_is_too_large_or_too_small_is_caught(h):
    assert check("numerical_gradient", central(h)).outcome == "incorrect"


# The questions: what they say, computed.


def test_an_upstream_of_ones_gives_zero():
    x = np.random.default_rng(0).normal(size=(32, 4))
    _, cache = bnlab.batchnorm_forward(x, np.ones(4), np.zeros(4))
    assert np.abs(bnlab.batchnorm_backward(np.ones((32, 4)), cache)[0]).max() < 1e-14


def test_the_share_that_is_lost():
    rng = np.random.default_rng(0)
    x, dy = rng.normal(size=(2, 32, 20_000))
    _, cache = bnlab.batchnorm_forward(x, x.std(axis=0), np.zeros(20_000), eps=0.0)
    dx, _, _ = bnlab.batchnorm_backward(dy, cache)
    lost = 100 * (1 - (dx**2).sum() / (dy**2).sum())
    assert lost == pytest.approx(SHARE.answer, abs=0.1)


@pytest.mark.parametrize(
    ("value", "name", "piece"),
    [
        (6.3, "rounded", "Close"),
        (100 * (1 - 30 / 32), None, "2 / 32"),
        (0.0625, "a_fraction", "Right as a fraction"),
        (2, "a_count", "per cent of all 32"),
        (100 * 2 / 31, "off_by_one", "divide by 31"),
        (100 * 2 / 30, "of_the_rest", "the 30 that are left"),
        (100 * (1 - 1 / 32), "left_by_the_mean", "how much do both take"),
        (1 / 32, "one_as_a_fraction", "two are lost"),
        (1 - 2 / 32, "rest_as_a_fraction", "gets through"),
    ],
)
def test_a_wrong_share_is_known(value, name, piece):
    report = check("share_that_is_lost", value)
    assert report.mistake == name
    assert (report.outcome == "correct") == (name is None)
    assert piece in report.message


def test_the_notes_are_true_but_for_one():
    rng = np.random.default_rng(0)
    x, dy = rng.normal(size=(2, 9, 3))

    def backward(dy, x, gamma):
        return bnlab.batchnorm_backward(
            dy, bnlab.batchnorm_forward(x, gamma * np.ones(3), np.zeros(3), 0.0)[1]
        )

    dx, dgamma, _ = backward(dy, x, 1.0)
    np.testing.assert_allclose(backward(dy, x, 2.0)[0], 2 * dx, atol=1e-14)  # a
    np.testing.assert_allclose(backward(dy, x, 2.0)[1], dgamma)
    np.testing.assert_allclose(backward(dy + 5.0, x, 1.0)[0], dx, atol=1e-13)  # b
    np.testing.assert_allclose(backward(dy, 10 * x, 1.0)[0], dx / 10, atol=1e-14)  # d
    two = backward(dy[:2], x[:2], 1.0)[0]
    assert np.abs(two).max() < 1e-12  # c: a check on two rows sees nothing
