"""Bug hunt of notebook 09: each layer has its one mistake, and the evidence its answer names."""

import subprocess
import sys

import nbformat
import numpy as np
import pytest
import torch

from bnlab.course import check
from bnlab.course.exercises.registry import all_exercises
from bnlab.course.lessons.nb09.broken_layers import MISTAKES, healthy, layer
from bnlab.data import course_files
from bnlab.gradcheck import gradcheck

QUESTIONS = {k: all_exercises()[f"bug_hunt_{k}"] for k in range(1, 11)}
ANSWERS = {k: question.answer for k, question in QUESTIONS.items()}


def _draw(*shape, mean=0.0):
    return np.random.default_rng(len(shape)).normal(mean, 2, shape)


BATCHES = {
    "rows": _draw(8, 3, mean=3.0),
    "two rows": _draw(2, 3),
    "large mean": _draw(16, 3, mean=1e8),
    "images": _draw(4, 3, 2, 2, mean=1.0),
}
OUTPUTS = ("y", "dx", "dgamma", "dbeta", "running_mean", "running_var", "y_eval", "after_eval")


def _observe(made, x):
    """Everything a learner can see of one batch in training and one in evaluation mode."""
    y = made.train()(x)
    dx = made.backward(np.random.default_rng(9).normal(size=x.shape))
    seen = [y, dx, *made.grads.values(), made.running_mean.copy(), made.running_var.copy()]
    seen += [made.eval()(x), made.running_mean.copy()]
    return dict(zip(OUTPUTS, seen, strict=True))


def _differs(made, x):
    """Names of the outputs in which a layer differs from the healthy one."""
    ours, right = _observe(made, x), _observe(healthy(), x)
    return {n for n in OUTPUTS if not np.allclose(ours[n], right[n], rtol=1e-4, atol=1e-7)}


EVALUATION = {"y_eval"}
STORED = {"running_mean", "running_var", "y_eval", "after_eval"}
# What differs, and on which batches; on all others nothing does.
TRACES = {
    1: (STORED, BATCHES),
    2: (EVALUATION, BATCHES),
    3: ({"dx"}, BATCHES),
    4: ({"after_eval", "y_eval"}, BATCHES),
    5: ({"y", "dx", "dgamma", "running_var", "y_eval"}, ["images"]),
    6: ({"running_var", "y_eval"}, BATCHES),
    7: (set(), []),
    8: ({"dgamma", "dbeta"}, BATCHES),
    9: ({"y"}, ["large mean"]),
    10: ({"y", "dx", "dgamma"}, BATCHES),
}


@pytest.mark.parametrize("name", BATCHES)
@pytest.mark.parametrize("number", TRACES)
def test_a_broken_layer_differs_where_its_mistake_is_and_nowhere_else(number, name):
    traces, batches = TRACES[number]
    expected = traces if name in batches else set()
    if number == 4 and name == "large mean":
        expected = {"after_eval"} | (_differs(layer(4), BATCHES[name]) & EVALUATION)
    assert _differs(layer(number), BATCHES[name]) == expected


def test_the_healthy_layer_is_torchs():
    theirs = torch.nn.BatchNorm1d(3).double()
    theirs.load_state_dict({n: torch.as_tensor(a) for n, a in healthy().state_dict().items()})
    x, ours = BATCHES["rows"], healthy()
    np.testing.assert_allclose(ours(x), theirs(torch.from_numpy(x)).detach(), rtol=1e-10)
    np.testing.assert_allclose(ours.running_var, theirs.running_var, rtol=1e-12)


# The evidence that each explanation names.


def test_layer_1_keeps_nine_tenths_of_the_new_mean():
    made, x = layer(1), BATCHES["rows"]
    made(x)
    np.testing.assert_allclose(made.running_mean / x.mean(axis=0), 0.9)
    assert made.momentum == 0.1


def test_layer_2_normalizes_by_the_company():
    made, x = layer(2), BATCHES["rows"]
    made(x)
    y = made.eval()(x)
    np.testing.assert_allclose(y.mean(axis=0), made.bias, atol=1e-12)
    np.testing.assert_allclose(y.std(axis=0), made.weight, rtol=1e-4)
    assert np.abs(made(x[:4])[0] - y[0]).min() > 0.01
    with pytest.raises(ValueError, match="more than one value"):
        made(x[:1])


def test_layer_3_has_a_dx_whose_columns_do_not_sum_to_zero():
    x, dy = BATCHES["rows"], np.random.default_rng(1).normal(size=(8, 3))
    for made, sums in ((healthy(), False), (layer(3), True)):
        made(x)
        assert (np.abs(made.backward(dy).sum(axis=0)) > 1e-3).any() == sums


def test_layer_4_counts_evaluation_batches():
    made = layer(4).eval()
    made(BATCHES["rows"])
    assert made.num_batches_tracked == 1


def test_layer_5_darkens_a_bright_corner():
    x = BATCHES["images"].copy()
    x[:, :, 0, 0] += 50
    assert healthy()(x)[:, 0, 0, 0].mean() > 2
    np.testing.assert_allclose(layer(5)(x)[:, 0, 0, 0].mean(), 0, atol=1e-12)


def test_layer_6_stores_half_the_variance_of_two_rows():
    ours, right = layer(6), healthy()
    for made in (ours, right):
        made(BATCHES["two rows"])
    np.testing.assert_allclose((right.running_var - 0.9) / (ours.running_var - 0.9), 2)


def test_layer_7_magnifies_the_deviation_of_a_constant_feature():
    factors = []
    for made in (healthy(), layer(7)):
        rng = np.random.default_rng(0)
        for _ in range(300):
            made(rng.normal(size=(8, 3)) * [1, 1, 0])
        made.eval()
        y = made(np.array([[0, 0, 0.01], [0, 0, 0]]))
        factors.append(np.diff(-y, axis=0)[0] / 0.01 / made.weight)
    assert factors[0][2] == pytest.approx(316.2, rel=1e-3)
    assert factors[1][2] > 1e6, "more than eps outside the root could give, 1e5"


def test_layer_8_divides_gradients_by_the_number_of_values():
    for x in BATCHES.values():
        ours, right = layer(8), healthy()
        for made in (ours, right):
            made(x)
            made.backward(np.random.default_rng(2).normal(size=x.shape))
        m = x.size // 3
        np.testing.assert_allclose(right.grads["bias"] / ours.grads["bias"], m)


def test_layer_9_fails_only_far_from_zero():
    x = _draw(64, 3)
    np.testing.assert_allclose(layer(9)(x), healthy()(x), rtol=1e-9, atol=1e-9)
    spread = layer(9)(x / 2 + 1e8).std(axis=0) / healthy().weight
    assert (np.abs(spread - 1) > 0.02).any()


@pytest.mark.parametrize("m", [2, 4, 50])
def test_layer_10_divides_by_the_unbiased_variance(m):
    x = _draw(m, 3)
    y = layer(10)(x)
    right = healthy().weight * (x - x.mean(0)) / np.sqrt(x.var(0, ddof=1) + 1e-5) + healthy().bias
    np.testing.assert_allclose(y, right, rtol=1e-12)
    share = y.std(axis=0) / healthy().weight
    np.testing.assert_allclose(share, np.sqrt((m - 1) / m), rtol=1e-4)


@pytest.mark.parametrize("number", [5, 10])
@pytest.mark.parametrize("x", [BATCHES["rows"], BATCHES["images"]], ids=["rows", "images"])
def test_the_gradients_of_layers_5_and_10_fit_their_forward_pass(number, x):
    made, dy = layer(number), np.random.default_rng(3).normal(size=x.shape)
    made(x)
    dx = made.backward(dy)
    gradients = [dx, made.grads["weight"], made.grads["bias"]]

    def forward(x, gamma, beta):
        other = layer(number)
        other.weight[:], other.bias[:] = gamma, beta
        return other(x)

    gradcheck(forward, [x, made.weight, made.bias], gradients, dy, rtol=1e-6)


# The questions.


def test_every_layer_has_another_mistake_and_four_names_are_left():
    assert len(set(ANSWERS.values())) == 10
    left = set(MISTAKES) - set(ANSWERS.values())
    assert left == {"eps outside", "gamma missing", "reshape", "updates twice"}
    assert all(question.choices == tuple(MISTAKES) for question in QUESTIONS.values())


def test_the_notebook_lists_the_names():
    path = course_files() / "notebooks" / "09_field_guide.ipynb"
    text = "".join(cell.source for cell in nbformat.read(path, as_version=4).cells)
    assert all(f"| `{name}` |" in text for name in MISTAKES)
    assert text.count("\n| `") == len(MISTAKES)


@pytest.mark.parametrize("number", ANSWERS)
def test_a_wrong_name_never_passes_and_near_misses_get_a_reason(number):
    for name in MISTAKES:
        report = check(f"bug_hunt_{number}", name)
        assert (report.outcome == "correct") == (name == ANSWERS[number])
    reasons = QUESTIONS[number].mistakes
    assert len(reasons) >= 3
    assert all(m.answer in MISTAKES and m.answer != ANSWERS[number] for m in reasons)


def test_an_unknown_name_is_told_the_names():
    report = check("bug_hunt_1", "momentum wrong")
    assert report.outcome == "error"
    assert "momentum reversed" in report.message


def test_hints_do_not_name_the_mistake():
    for number, question in QUESTIONS.items():
        assert not any(ANSWERS[number] in hint.lower() for hint in question.hints)


@pytest.mark.parametrize("number", [0, 11, "3", None])
def test_there_are_ten_layers(number):
    with pytest.raises(ValueError, match="numbered 1 to 10, got"):
        layer(number)


def test_a_layer_does_not_print_its_mistake():
    for number in ANSWERS:
        assert "BatchNorm" in repr(layer(number)), "the class name must not give it away"


def test_the_hunt_needs_no_torch():
    code = "import sys, bnlab.course.lessons.nb09.broken_layers; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
