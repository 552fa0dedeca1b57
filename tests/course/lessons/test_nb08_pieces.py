"""Pieces of the experiments on what shapes training: each does what its claim measures."""

import dataclasses

import numpy as np
import pytest

from bnlab import functional as F
from bnlab.course.experiments.bench import decades, deep_net, scores, train
from bnlab.course.experiments.ledger import ledger
from bnlab.course.experiments.widths import widths
from bnlab.course.lessons.nb06.small_cnn import steps_to
from bnlab.course.lessons.nb08 import depth
from bnlab.course.lessons.nb08.figure_one import curves_at_best
from bnlab.course.lessons.nb08.gradient_growth import PREDICTED_GROWTH, growth_per_layer
from bnlab.course.lessons.nb08.internal_shift import linear_net, shift_by_layer
from bnlab.course.lessons.nb08.landscape import along_the_gradient
from bnlab.course.lessons.nb08.residual import KINDS, Residual, residual_net
from bnlab.data import load_digits
from bnlab.gradcheck import gradcheck
from bnlab.layers import BatchNorm, Linear, ReLU, Sequential


@pytest.fixture(scope="module")
def digits():
    return load_digits(0, np.float32)


def test_decades_of_no_rate_of_one_and_of_several():
    assert decades(np.array([])) == -1
    assert decades(np.array([0.3])) == 0
    assert decades(np.array([0.1, 3.0])) == pytest.approx(np.log10(30))


def test_widths_are_those_of_the_rates_at_the_target():
    lrs = np.array([0.1, 1.0, 10.0])
    sides = np.array([[[0.95, 0.2, 0.1]], [[0.94, 0.96, 0.95]]])  # without and with, one seed
    np.testing.assert_allclose(widths(lrs, sides, 0.95), [[0], [1]])


def test_a_budget_is_what_a_run_of_that_length_reaches(digits):
    config = dataclasses.replace(depth.Deep(), budgets=(4, 12, 20))
    found = depth._at_budgets(config, digits, deep_net(True, 0), 0.1, seed=0)
    model = deep_net(True, 0)
    train(model, digits, 0.1, 0, steps=12)
    np.testing.assert_array_equal(found[1], scores(model, digits))
    assert not np.array_equal(found[0], found[2])


def test_a_run_that_diverges_keeps_what_it_has_at_later_budgets(digits):
    config = dataclasses.replace(depth.Deep(), budgets=(2, 4, 40))
    found = np.array(depth._at_budgets(config, digits, deep_net(False, 0), 1e4, seed=0))
    assert found.shape == (3, 2)
    assert found[2].max() < 0.3


@pytest.mark.parametrize("kind", KINDS)
def test_residual_gradients(kind):
    rng = np.random.default_rng(0)
    norm = [BatchNorm(3)] if kind == "bn" else []
    block = Residual(Sequential(*norm, ReLU(), Linear(3, 3, rng=rng)), kind == "skipinit")
    if kind == "skipinit":
        block.alpha = np.array([0.7])
    x, dy = rng.normal(size=(2, 6, 3))
    block(x)
    found = {"x": block.backward(dy), **block.grads}
    names = ["x", *block.parameters()]
    values = {"x": x, **{n: p.copy() for n, p in block.parameters().items()}}

    def run(*inputs):
        for name, value in zip(names[1:], inputs[1:], strict=True):
            block.parameters()[name][...] = value
        return block(inputs[0])

    gradcheck(run, [values[n] for n in names], [found[n] for n in names], dy)


def test_skipinit_starts_as_the_identity_and_saves_its_state():
    model = residual_net("skipinit", 0, blocks=2, width=8)
    x = np.random.default_rng(1).normal(size=(4, 8)).astype(np.float32)
    np.testing.assert_array_equal(model[1](x), x)
    state = residual_net("bn", 0, blocks=1, width=4).eval().state_dict()
    assert {"1.branch.0.running_mean", "1.branch.2.weight"} <= set(state)
    plain, bn = (residual_net(kind, 5, blocks=2, width=8) for kind in ("plain", "bn"))
    np.testing.assert_array_equal(plain[2].branch[-1].weight, bn[2].branch[-1].weight)


def test_w14_the_growth_is_the_predicted_one():
    signals = ledger()["W14"]
    small = {"activations": ("relu",), "width": 100, "rows": 256, "seeds": (0,)}
    arrays = signals.run(dataclasses.replace(signals.config, **small))
    growth = growth_per_layer(arrays["relu_bn"][0, 1], skip=5)
    assert growth == pytest.approx(PREDICTED_GROWTH, rel=0.02)
    assert growth_per_layer(arrays["relu_plain"][0, 1], skip=5) == pytest.approx(1, abs=0.03)


def test_the_shift_is_measured_after_the_layers_below_have_stepped(digits):
    x, y = digits.x_train[:40].astype(float), digits.y_train[:40]
    model = linear_net(True, 0, depth=3, width=6)
    before = model.state_dict()
    cosines = shift_by_layer(model, x, y, lr=0.5)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])

    def gradients():
        _, cache = F.cross_entropy_forward(model.train()(x), y)
        model.backward(F.cross_entropy_backward(cache))
        return {name: g.copy() for name, g in model.grads.items()}

    first = gradients()
    for name in ("0.weight", "1.weight", "1.bias"):  # all that lies below the second linear layer
        model.parameters()[name][...] -= np.float32(0.5) * first[name]
    second = gradients()
    g, h = first["2.weight"].ravel(), second["2.weight"].ravel()
    expected = g @ h / np.sqrt((g @ g) * (h @ h))
    assert cosines[0] == pytest.approx(expected, rel=1e-5)
    assert len(cosines) == 2


def test_no_step_means_no_shift(digits):
    cosines = shift_by_layer(deep_net(True, 0), digits.x_train[:60], digits.y_train[:60], lr=0.0)
    np.testing.assert_allclose(cosines, 1, rtol=1e-5)


def test_at_one_small_rate_the_shift_of_the_linear_net_falls_too():
    shift = ledger()["W4"]
    config = {"linear_lrs": (0.01, 0.01), "steps": 60, "every": 20, "seeds": (0,)}
    arrays = shift.run(dataclasses.replace(shift.config, **config))
    assert arrays["linear_bn"].mean() > arrays["linear_plain"].mean() + 0.1


def test_along_the_gradient_goes_downhill_at_first_and_leaves_the_model_alone(digits):
    model = deep_net(True, 0)
    x, y = digits.x_train[:60], digits.y_train[:60]
    before = model.state_dict()
    losses, beta = along_the_gradient(model, x, y, reach=(1e-3, 1e-2))
    start, _ = F.cross_entropy_forward(model.train()(x), y)
    model.load_state_dict(before)
    assert start > losses[0] > losses[1]
    assert beta > 0
    again, _ = along_the_gradient(model, x, y, reach=(1e-3, 1e-2))
    np.testing.assert_array_equal(losses, again)
    far, _ = along_the_gradient(model, x, y, reach=(1e-2,))  # every step starts from here
    assert far[0] == pytest.approx(losses[1], rel=1e-6)


def test_the_curve_is_chosen_by_validation():
    both = np.zeros((1, 2, 5, 2))
    both[0, 0, -1], both[0, 1, -1] = (0.9, 0.2), (0.5, 0.8)
    chosen = curves_at_best({"steps": np.zeros((1, 5)), "plain": both, "bn": both})
    assert chosen["plain"][0, -1] == 0.2
    assert steps_to(0.95, np.array([0, 10]), np.array([0.1, 0.2])) == np.inf
