"""Claims of notebook 01 about sigmoids: planted results flip the verdicts, small runs are made."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from bnlab.course.experiments import bench
from bnlab.course.experiments.bench import input_of_last
from bnlab.course.lessons.nb01 import saturation, sigmoid_inputs
from bnlab.course.lessons.nb01.saturation import S6_DEPTH, S7_FORMULA
from bnlab.course.lessons.nb01.sigmoid_inputs import S4_OVER_TIME
from bnlab.data import load_digits
from bnlab.layers import Linear, Sigmoid
from bnlab.optim import SGD
from bnlab.training import evaluate, fit


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def criteria(experiment, arrays):
    return [part.criterion for part in experiment.judge(arrays)]


# ---------------------------------------------------------------- S4


def planted_s4(moved, widths=(1.0, 0.4)):
    """In 3 seeds the last layer's medians move this far; widths of the first and the last layer."""
    moved = np.broadcast_to(moved, 3)
    moves = np.stack([np.full(3, 0.3), moved], axis=1)[..., None] * np.ones(4)  # (S, 2, C)
    typical = np.linspace(0, moves[..., 0], 5).transpose(1, 2, 0)[..., None] + [-0.5, 0, 0.5]
    return {
        "steps": np.array([[0, 20, 40, 60, 80]] * 3),
        "moves_plain": moves,
        "moves_bn": 0.1 * moves,
        "width_plain": np.tile(widths, (3, 1)),
        "width_bn": np.full((3, 2), 2.0),
        "typical_plain": typical,  # (S, 2, T, 3)
        "typical_bn": 0.1 * typical,
    }


@pytest.mark.parametrize(
    ("moved", "widths", "verdict"),
    [
        (3.0, (1.0, 0.4), "IMPRECISE"),
        (3.0, (0.4, 1.0), "IMPRECISE"),  # layers differ, whichever is the wider one
        (0.2, (1.0, 0.4), "RIGHT"),  # layers differ and each stays as it is
        (0.2, (1.0, 1.0), "IMPRECISE"),
        (3.0, (1.0, 1.0), "WRONG"),
        ([0.2, 0.2, 3.0], (1.0, 0.4), "CANNOT TELL"),
        ([0.2, 0.2, 3.0], (1.0, 1.0), "CANNOT TELL"),
    ],
)
def test_s4_asks_whether_a_distribution_shifts_over_layers_or_over_time(moved, widths, verdict):
    arrays = planted_s4(moved, widths)
    assert S4_OVER_TIME.read(arrays).verdict == verdict
    assert criteria(S4_OVER_TIME, arrays) == criteria(S4_OVER_TIME, planted_s4(1.0))


def test_s4_says_how_far_the_medians_move():
    measured = S4_OVER_TIME.read(planted_s4(3.0)).measured
    assert measured == (
        "first layer 1.00, last 0.40; by 3.0, in the first layer by 0.3; with batch norm by 0.3 "
        "and 0.0"
    )


def test_s4_draws_percentiles_of_both_layers_and_both_sides():
    arrays = planted_s4(3.0)
    first, last, normalized = S4_OVER_TIME.draw(arrays).figure.axes
    np.testing.assert_allclose(first.lines[1].get_ydata(), np.linspace(0, 0.3, 5))
    np.testing.assert_allclose(last.lines[1].get_ydata(), np.linspace(0, 3, 5))
    np.testing.assert_allclose(normalized.lines[1].get_ydata(), np.linspace(0, 0.3, 5))
    np.testing.assert_array_equal(last.lines[0].get_xdata(), arrays["steps"][0])
    assert (first.get_xlabel(), first.get_ylabel()) == (
        "step of training",
        "input of a typical sigmoid",
    )
    assert last.get_title() == "last layer, without batch norm"


def test_s4_runs_small():
    arrays = S4_OVER_TIME.run(sigmoid_inputs.Trace(steps=200, every=100, seeds=(0, 1, 2)))
    assert arrays["moves_plain"].shape == arrays["moves_bn"].shape == (3, 2, 100)
    assert arrays["typical_plain"].shape == arrays["typical_bn"].shape == (3, 2, 3, 3)
    assert arrays["steps"][0].tolist() == [0, 100, 200]
    for side in ("plain", "bn"):
        assert (np.diff(arrays[f"typical_{side}"]) >= 0).all(), "15th <= 50th <= 85th"
        way = np.ptp(arrays[f"typical_{side}"][..., 1], axis=-1)  # (S, 2)
        further = (arrays[f"moves_{side}"] > way[..., None] + 1e-3).mean(axis=-1)
        np.testing.assert_allclose(further, 0.5, atol=0.06)  # half of them move further
    assert S4_OVER_TIME.read(arrays).verdict == "IMPRECISE"
    assert arrays["width_bn"] == pytest.approx(2.1, abs=0.2), "84th - 16th of a normal is 2"


@pytest.mark.parametrize("batchnorm", [False, True])
def test_what_the_first_sigmoids_receive_are_pixels_times_weights(batchnorm):
    model = bench.sigmoid_net(3, batchnorm, seed=0)
    x = load_digits(dtype=np.float32).x_val
    first, last = sigmoid_inputs.received(model, x, batchnorm)
    z = model[0](x)
    if batchnorm:
        z = (z - z.mean(axis=0)) / np.sqrt(z.var(axis=0) + 1e-5)
    np.testing.assert_allclose(first, z, atol=1e-3)
    np.testing.assert_array_equal(last, input_of_last(model, x))


@pytest.mark.parametrize("batchnorm", [False, True])
def test_the_input_of_the_last_sigmoid_is_what_training_sees(batchnorm):
    model = bench.sigmoid_net(2, batchnorm, seed=0)
    before = model.state_dict()
    x = load_digits(dtype=np.float32).x_val
    seen = input_of_last(model, x)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    z = x
    for layer in model.layers[:-2]:
        z = layer(z)
    np.testing.assert_array_equal(seen, z)
    assert seen.shape == (len(x), 100)
    if batchnorm:
        np.testing.assert_allclose(seen.mean(axis=0), 0, atol=1e-4)


def test_both_nets_start_from_the_same_weights():
    nets = [bench.sigmoid_net(3, batchnorm, seed=5) for batchnorm in (False, True)]
    plain, normalized = ([m.weight for m in net if isinstance(m, Linear)] for net in nets)
    for a, b in zip(plain, normalized, strict=True):
        np.testing.assert_array_equal(a, b)
    assert sum(isinstance(layer, Sigmoid) for layer in nets[0]) == 3


# ---------------------------------------------------------------- S6 and S7


def planted_s6(slopes=(0.25, 6.6e-3, 4.5e-5), small=(0.3, 0.02, 3e-4), large=(0.5, 0.2, 0.1)):
    """Three seeds; the first of two rates is best on validation images, the other in the test."""
    accuracy = np.zeros((3, 2, 3, 2, 2))
    accuracy[..., 0, :], accuracy[..., 1, :] = [0.9, 0.6], [0.5, 0.95]
    return {
        "inputs": np.array([0.0, 5.0, 10.0]),
        "slopes": np.array(slopes),
        "depths": np.array([1, 3, 7]),
        "stds": np.array([0.14, 0.5]),
        "lrs": np.array([0.1, 2.0]),
        "gradient_plain": np.array([[small, large]] * 3),
        "accuracy_plain": accuracy,
        "gradient_bn": np.full((3, 2, 3), 0.4),
        "accuracy_bn": np.full((3, 2, 3, 2, 2), 0.95),
    }


GROWS = (0.1, 0.2, 0.3)


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "RIGHT"),
        ({"slopes": (0.25, 0.2, 0.2)}, "IMPRECISE"),
        ({"small": (0.3, 0.02, 0.03)}, "IMPRECISE"),  # 7 layers get more than 3
        ({"large": GROWS}, "IMPRECISE"),
        ({"slopes": (0.25, 0.2, 0.2), "small": GROWS, "large": GROWS}, "WRONG"),
    ],
)
def test_s6_needs_slopes_and_gradients_to_vanish_from_small_and_large_weights(changes, verdict):
    arrays = planted_s6(**changes)
    assert S6_DEPTH.read(arrays).verdict == verdict
    assert criteria(S6_DEPTH, arrays) == criteria(S6_DEPTH, planted_s6())


def test_s6_cannot_tell_if_seeds_disagree():
    arrays = planted_s6()
    arrays["gradient_plain"][1, 1] = GROWS
    assert S6_DEPTH.read(arrays).verdict == "CANNOT TELL"


def test_s6_names_the_weights_and_the_rate_chosen_on_validation_images():
    evidence = S6_DEPTH.read(planted_s6())
    assert "standard deviation 0.14: 1 deep 0.3, after training 60% at rate 0.1" in (
        evidence.measured
    )
    assert "7 deep 0.0003, after training 60% at rate 0.1" in evidence.measured
    assert "standard deviation 0.14 and 0.5, 400 steps of 60 images, rates 0.1, 0.5" in (
        evidence.setting
    )


def test_s6_draws_gradients_and_what_is_learned():
    left, right = S6_DEPTH.draw(planted_s6()).figure.axes
    lines = {line.get_label(): line for line in left.lines}
    assert list(lines) == ["std 0.14", "std 0.14, batch norm", "std 0.5", "std 0.5, batch norm"]
    np.testing.assert_allclose(lines["std 0.5"].get_ydata(), [0.5, 0.2, 0.1])
    np.testing.assert_allclose(right.lines[0].get_ydata(), 60)
    assert (left.get_xlabel(), left.get_yscale()) == ("hidden layers of sigmoids", "log")
    assert right.get_ylabel() == "test accuracy at the best rate, %"


def test_s6_runs_small():
    evidence = S6_DEPTH.evidence(depths=(1, 5), lrs=(2.0,), steps=20)
    assert evidence.verdict == "RIGHT"


def test_s6_keeps_validation_and_test_accuracy_at_each_rate():
    config = saturation.Depths(depths=(1,), stds=(0.14, 0.5), lrs=(1e-3, 2.0), steps=60, seeds=(3,))
    digits = load_digits(3, np.float32)
    arrays = S6_DEPTH.run(config)
    for k, lr in enumerate(config.lrs):
        model, rng = bench.sigmoid_net(1, True, 3, 0.5), np.random.default_rng(3)
        fit(model, digits.x_train, digits.y_train, SGD(model, lr), steps=60, batch_size=60, rng=rng)
        parts = (digits.x_val, digits.y_val), (digits.x_test, digits.y_test)
        expected = [evaluate(model, *part) for part in parts]
        assert arrays["accuracy_bn"][0, 1, 0, k] == pytest.approx(expected)
    assert arrays["accuracy_bn"].shape == (1, 2, 1, 2, 2)
    assert arrays["accuracy_bn"][0, 0, 0, 1, 1] != arrays["accuracy_bn"][0, 1, 0, 1, 1]


def test_gradients_from_first_to_last_layer_equal_torch():
    torch = pytest.importorskip("torch")
    digits = load_digits(dtype=np.float32)
    x, y = digits.x_train[:100], digits.y_train[:100]
    model = bench.sigmoid_net(2, False, seed=0)
    layers = []
    for layer in model:
        if isinstance(layer, Linear):
            layers.append(torch.nn.Linear(*layer.weight.shape[::-1]))
            layers[-1].load_state_dict({"weight": torch.tensor(layer.weight),
                                        "bias": torch.tensor(layer.bias)})  # fmt: skip
        else:
            layers.append(torch.nn.Sigmoid())
    net = torch.nn.Sequential(*layers)
    torch.nn.functional.cross_entropy(net(torch.tensor(x)), torch.tensor(y)).backward()
    theirs = (net[0].weight.grad.norm() / net[-1].weight.grad.norm()).item()
    assert saturation.first_to_last(model, x, y) == pytest.approx(theirs, rel=1e-4)


def test_slopes_are_the_derivative():
    x, h = np.linspace(-6, 6, 13), 1e-6
    numerical = (1 / (1 + np.exp(-x - h)) - 1 / (1 + np.exp(-x + h))) / (2 * h)
    np.testing.assert_allclose(saturation.slopes(x), numerical, atol=1e-9)


def test_s7_the_minus_makes_another_function():
    evidence = S7_FORMULA.evidence()
    assert evidence.verdict == "WRONG"
    assert (
        evidence.measured == "at -0.1 and 0.1 it is -9.51 and 10.5, the sigmoid is 0.475 and 0.525"
    )


def test_s7_flips_if_the_formulas_agree():
    arrays = S7_FORMULA.run(saturation.Grid())
    x, wrong = arrays["x"], criteria(S7_FORMULA, arrays)
    np.testing.assert_allclose(arrays["sigmoid"], (1 + np.tanh(x / 2)) / 2, atol=1e-14)
    arrays["said"] = arrays["sigmoid"] + 1e-13
    assert S7_FORMULA.read(arrays).verdict == "RIGHT"
    assert criteria(S7_FORMULA, arrays) == wrong
    arrays["said"][20] += 1e-11
    assert S7_FORMULA.read(arrays).verdict == "WRONG"


def test_s7_draws_both_formulas_and_breaks_the_line_at_the_pole():
    arrays = S7_FORMULA.run(saturation.Grid())
    ax = S7_FORMULA.draw(arrays)
    sigmoid, left, right = ax.lines
    np.testing.assert_array_equal(sigmoid.get_ydata(), arrays["sigmoid"])
    assert left.get_xdata().max() < 0 < right.get_xdata().min()
    np.testing.assert_array_equal([*left.get_ydata(), *right.get_ydata()], arrays["said"])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("x", "value")
