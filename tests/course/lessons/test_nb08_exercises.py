"""Exercises of notebook 08: the reference against torch, styles, wrong answers, the numbers."""

import numpy as np
import pytest
import torch

from bnlab.course import check
from bnlab.course.lessons.nb08.ex_gradient_cosine import COSINE, gradient_cosine
from bnlab.course.lessons.nb08.gradient_growth import PREDICTED_GROWTH
from bnlab.course.lessons.nb08.internal_shift import cosine


def _torch_cosine(g, h):
    g, h = (torch.from_numpy(a).reshape(-1) for a in (g, h))
    return float(torch.nn.functional.cosine_similarity(g, h, dim=0, eps=1e-300))


@pytest.mark.parametrize("case", COSINE.cases, ids=lambda c: c.name)
def test_the_reference_equals_torch_and_the_package_on_its_cases(case):
    g, h = case.arguments()
    assert gradient_cosine(g, h) == pytest.approx(_torch_cosine(g, h), rel=1e-12, abs=1e-14)
    assert gradient_cosine(g, h) == pytest.approx(cosine(g, h), rel=1e-12, abs=1e-14)


@pytest.mark.parametrize("shape", [(7,), (3, 4), (2, 3, 5), (2, 2, 3, 3)])
def test_the_reference_equals_torch_on_other_shapes(shape):
    g, h = np.random.default_rng(len(shape)).normal(size=(2, *shape))
    assert gradient_cosine(g, h) == pytest.approx(_torch_cosine(g, h), rel=1e-12)


def by_dot(g, h):
    a, b = np.ravel(g), np.ravel(h)
    length = np.sqrt((a @ a) * (b @ b))
    return (a @ b) / length if length else 0.0


def by_einsum(g, h):
    if not g.any() or not h.any():
        return 0.0
    a, b = g.reshape(-1), h.reshape(-1)
    return np.einsum("i,i", a, b) / (np.linalg.norm(a) * np.linalg.norm(b))


def by_unit_vectors(g, h):
    lengths = [np.sqrt(np.sum(a * a)) for a in (g, h)]
    if min(lengths) == 0:
        return 0
    return np.sum((g / lengths[0]) * (h / lengths[1]))


def by_loop(g, h):
    products = squares_g = squares_h = 0.0
    for a, b in zip(g.flat, h.flat, strict=True):
        products, squares_g, squares_h = products + a * b, squares_g + a * a, squares_h + b * b
    return products / (squares_g * squares_h) ** 0.5 if squares_g * squares_h else 0.0


def by_the_distance_of_unit_vectors(g, h):
    if not (g.any() and h.any()):
        return 0.0
    return 1 - np.sum((g / np.linalg.norm(g) - h / np.linalg.norm(h)) ** 2) / 2


def with_the_angle_too(g, h):
    value = by_dot(g, h)
    return value, np.arccos(np.clip(value, -1, 1))


RIGHT = {
    "gradient_cosine": {
        "dot product": by_dot,
        "einsum": by_einsum,
        "unit vectors": by_unit_vectors,
        "loop": by_loop,
        "a tiny guard": lambda g, h: (
            np.sum(g * h) / max(np.linalg.norm(g) * np.linalg.norm(h), 1e-300)
        ),
        "single precision": lambda g, h: np.float32(by_unit_vectors(np.float32(g), np.float32(h))),
        "distance of unit vectors": by_the_distance_of_unit_vectors,
        "with the angle too": with_the_angle_too,
    },
}


@pytest.mark.parametrize(("name", "label"), [(n, k) for n in RIGHT for k in RIGHT[n]])
def test_a_right_cosine_passes_in_any_style(name, label):
    report = check(name, RIGHT[name][label])
    assert report.outcome == "correct", report


WRONG = {
    "gradient_cosine": {
        "sine": (lambda g, h: np.sqrt(1 - by_dot(g, h) ** 2), None),
        "angle in degrees": (
            lambda g, h: np.degrees(np.arccos(np.clip(by_dot(g, h), -1, 1))),
            "angle_in_degrees",
        ),
        "squared": (lambda g, h: by_dot(g, h) ** 2, "squared"),
        "minus": (lambda g, h: -by_dot(g, h), "negated"),
        "one for a zero gradient": (
            lambda g, h: by_dot(g, h) if g.any() and h.any() else 1.0,
            "one_for_zero",
        ),
        "share of equal signs": (
            lambda g, h: np.mean(np.sign(g) == np.sign(h)),
            "share_of_equal_signs",
        ),
        "cosine of each row": (lambda g, h: np.array(list(map(by_dot, g, h))), "wrong_shape"),
        "ratio of the lengths": (
            lambda g, h: np.linalg.norm(g) / max(np.linalg.norm(h), 1e-300),
            None,
        ),
        "without the sum": (lambda g, h: g * h, "wrong_shape"),
        "maximum norms": (
            lambda g, h: np.sum(g * h) / max(abs(g).max() * abs(h).max(), 1e-300),
            "largest_entries",
        ),
        "length of g twice, root": (
            lambda g, h: by_dot(g, h) * np.linalg.norm(h),
            "length_of_h_forgotten",
        ),
        "clipped at zero": (lambda g, h: max(by_dot(g, h), 0.0), "clipped_at_zero"),
    },
}


@pytest.mark.parametrize(("name", "label"), [(n, k) for n in WRONG for k in WRONG[n]])
def test_a_wrong_cosine_is_caught(name, label):
    answer, mistake = WRONG[name][label]
    report = check(name, answer)
    assert (report.outcome, report.mistake) == ("incorrect", mistake)


def _lengths(g, h):
    return np.linalg.norm(g) * np.linalg.norm(h)


TOLD = [
    (lambda g, h: np.sum(g * h) / max(_lengths(g, h), 1e-8), "maximum_1e_8", "small number"),
    (lambda g, h: np.sum(g * h) / (_lengths(g, h) + 1e-12), "add_1e_12", "small number"),
    (lambda g, h: np.dot(g, h) / _lengths(g, h), "product_of_matrices", "np.sum(g * h)"),
    (
        lambda g, h: np.sum(g * h) / _lengths(g, h) if _lengths(g, h) else np.nan,
        "zero_divided_by_zero",
        "you return NaN",
    ),
    (
        lambda g, h: 0.0 if not np.linalg.norm(g) else np.sum(g * h) / _lengths(g, h),
        "zero_h_forgotten",
        "NaN when h is",
    ),
]


@pytest.mark.parametrize(("answer", "name", "said"), TOLD)
def test_a_cosine_is_told_what_is_true_of_it(answer, name, said):
    report = check("gradient_cosine", answer)
    assert report.outcome in ("incorrect", "error")
    assert report.mistake == name
    assert said in report.message


def test_the_predicted_gradient_is_that_of_the_formula():
    answer = PREDICTED_GROWTH**20
    assert answer == pytest.approx((np.pi / (np.pi - 1)) ** 10, rel=1e-12)
    for rounded in (answer, 46, 45.8, 1.21**20):
        assert check("gradient_at_the_bottom", rounded).outcome == "correct"
    for wrong in (40, 52, 24):
        assert check("gradient_at_the_bottom", wrong).outcome == "incorrect"
    assert "rounded to 1.2" in check("gradient_at_the_bottom", 1.2**20).message
    assert check("gradient_at_the_bottom", np.log(answer)).mistake == "logarithm"
    assert check("gradient_at_the_bottom", (np.pi / (np.pi - 1)) ** 5).mistake == "ten_layers"


@pytest.mark.parametrize(
    ("name", "answer"),
    [("fair_comparison", "c"), ("what_the_cosines_say", "b"), ("test_that_finds_the_sign", "c")],
)
def test_the_choices(name, answer):
    for choice in "abc":
        expected = "correct" if choice == answer else "incorrect"
        assert check(name, choice).outcome == expected
