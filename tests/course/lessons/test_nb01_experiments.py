"""Claims of notebook 01: planted results flip the verdicts, identities and small runs are made."""

from itertools import pairwise

import numpy as np
import pytest

from bnlab.course.experiments import bench
from bnlab.course.experiments.bench import input_of_last
from bnlab.course.lessons.nb01 import saturation
from bnlab.course.lessons.nb01.covariate_shift import (
    S1_TERM,
    S2_INK,
    S5_CAUSE,
    Selection,
    small_classifier,
)
from bnlab.course.lessons.nb01.ex_standardize import standardize
from bnlab.course.lessons.nb01.ex_whitening import zca_whiten
from bnlab.course.lessons.nb01.input_scaling import (
    S8_INPUTS,
    S9_WHITENING,
    best_run,
    correlated_features,
    eigenvalue_ratio,
    scaled_inputs,
    whiten,
)
from bnlab.course.lessons.nb01.saturation import S4_OVER_TIME, S6_DEPTH, S7_FORMULA
from bnlab.data import ink, lightest_and_heaviest, load_digits
from bnlab.layers import BatchNorm, Linear, Sigmoid
from bnlab.optim import SGD
from bnlab.training import evaluate, fit


@pytest.mark.parametrize("entry", [S1_TERM, S5_CAUSE])
def test_a_definition_rests_on_its_source(entry):
    assert entry.evidence().verdict == "WRONG"
    assert "section 2" in entry.claim.source


# ---------------------------------------------------------------- S2


def planted_s2(light_on_heavy, any_on_heavy):
    alike = np.full(4, 0.95)
    return {
        "light_on_light": alike,
        "light_on_heavy": np.array(light_on_heavy),
        "any_on_light": alike,
        "any_on_heavy": np.array(any_on_heavy),
    }


def test_s2_needs_a_loss_larger_than_its_error():
    any_ink = [0.96, 0.95, 0.97, 0.96]
    clear = planted_s2([0.90, 0.91, 0.90, 0.92], any_ink)
    none = planted_s2(any_ink, any_ink[::-1])
    noisy = planted_s2([0.90, 0.99, 0.91, 0.98], any_ink)  # a mean loss of 1.5 +- 4.1 points
    gain = planted_s2([0.98, 0.99, 0.99, 0.98], any_ink)
    assert S2_INK.read(clear).verdict == "RIGHT"
    assert S2_INK.read(none).verdict == "NOT REPRODUCED"
    assert S2_INK.read(noisy).verdict == "NOT REPRODUCED"
    assert S2_INK.read(gain).verdict == "NOT REPRODUCED"


def test_s2_reports_means_in_percent():
    evidence = S2_INK.read(planted_s2([0.90, 0.92, 0.90, 0.92], [0.96, 0.96, 0.96, 0.96]))
    assert "91.0% of heavy ones" in evidence.measured
    assert "5.0 +- 1.2 points" in evidence.uncertainty


def test_s2_runs_small():
    arrays = S2_INK.run(Selection(steps=100, seeds=(0, 1)))
    assert set(arrays) == {"light_on_light", "light_on_heavy", "any_on_light", "any_on_heavy"}
    assert all(values.shape == (2,) for values in arrays.values())
    assert (arrays["any_on_heavy"] > arrays["light_on_heavy"]).all()


def test_s2_selects_by_ink_alone():
    digits = load_digits()
    (light, _), (heavy, _) = lightest_and_heaviest(digits.x_train, digits.y_train, 0.3)
    assert ink(light).max() < ink(heavy).min()
    assert len(light) == len(heavy) == round(0.3 * len(digits.x_train))


def test_a_small_classifier_learns():
    digits = load_digits(dtype=np.float32)
    model = small_classifier(digits.x_train, digits.y_train, Selection(), seed=0)
    assert evaluate(model, digits.x_test, digits.y_test) > 0.9
    assert not any(isinstance(layer, BatchNorm) for layer in model)


# ---------------------------------------------------------------- S4


def planted_s4(moved):
    """Percentiles (S, T, 3, C) of a spread of 1 at first; the median moves, the 15th does not."""
    medians = np.linspace(0, moved, 5)
    band = np.stack([np.full(5, -0.5), medians, medians + 0.5], axis=1)  # (T, 3)
    plain = np.broadcast_to(band[None, :, :, None], (2, 5, 3, 4))
    return {"steps": np.arange(5), "plain": plain, "bn": 0.1 * plain}


def test_s4_needs_a_median_that_moves_by_more_than_the_spread():
    assert S4_OVER_TIME.read(planted_s4(3.0)).verdict == "IMPRECISE"
    assert S4_OVER_TIME.read(planted_s4(0.2)).verdict == "RIGHT"
    assert "over 3.0 (typical) to 3.0; with batch norm over 0.3" in (
        S4_OVER_TIME.read(planted_s4(3.0)).measured
    )


def test_s4_runs_small():
    arrays = S4_OVER_TIME.run(saturation.Trace(steps=200, every=100, seeds=(0,)))
    assert arrays["plain"].shape == arrays["bn"].shape == (1, 3, 3, 100)
    assert arrays["steps"].tolist() == [[0, 100, 200]]
    for name in ("plain", "bn"):
        assert (np.diff(arrays[name], axis=2) >= 0).all(), "15th <= 50th <= 85th"
    assert S4_OVER_TIME.read(arrays).verdict == "IMPRECISE"
    widths = arrays["bn"][0, 0, 2] - arrays["bn"][0, 0, 0]
    assert np.median(widths) == pytest.approx(2.1, abs=0.2), "84th - 16th of a normal is 2"


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


def planted_s6(slopes=(0.25, 6.6e-3, 4.5e-5), gradient=(0.3, 0.02, 3e-4), accuracy=(0.9, 0.6, 0.1)):
    return {
        "slopes": np.array(slopes),
        "depths": np.array([1, 3, 7]),
        "gradient_plain": np.array([gradient, gradient]),
        "accuracy_plain": np.array([accuracy, accuracy]),
        "gradient_bn": np.full((2, 3), 0.4),
        "accuracy_bn": np.full((2, 3), 0.95),
    }


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "RIGHT"),
        ({"slopes": (0.25, 0.2, 0.2)}, "IMPRECISE"),
        ({"gradient": (0.3, 0.02, 0.03)}, "IMPRECISE"),
        ({"accuracy": (0.9, 0.6, 0.5)}, "IMPRECISE"),
        ({"gradient": (0.1, 0.2, 0.3), "accuracy": (0.9, 0.9, 0.9)}, "WRONG"),
    ],
)
def test_s6_needs_slopes_gradients_and_learning_to_vanish(changes, verdict):
    assert S6_DEPTH.read(planted_s6(**changes)).verdict == verdict


def test_s6_runs_small():
    evidence = S6_DEPTH.evidence(depths=(1, 5), lrs=(2.0,), steps=60, seeds=(0,))
    assert evidence.verdict == "RIGHT"


def test_s6_chooses_on_validation_images_and_reports_test_images():
    config = saturation.Depths(depths=(1,), lrs=(1e-3, 2.0), steps=60, seeds=(3,))
    digits = load_digits(3, np.float32)
    accuracies = []
    for lr in config.lrs:
        model, rng = bench.sigmoid_net(1, True, seed=3), np.random.default_rng(3)
        fit(model, digits.x_train, digits.y_train, SGD(model, lr), steps=60, batch_size=60, rng=rng)
        accuracies.append(evaluate(model, digits.x_test, digits.y_test))
    assert S6_DEPTH.run(config)["accuracy_bn"] == pytest.approx(max(accuracies))
    assert accuracies[0] < accuracies[1] < 1


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
    assert evidence.measured.startswith("it gives -9.5 and 10.5 at -0.1 and 0.1;")
    assert evidence.measured.endswith("True")


def test_s7_flips_if_the_formulas_agree():
    arrays = S7_FORMULA.run(saturation.Grid())
    arrays["said"] = arrays["right"]
    assert S7_FORMULA.read(arrays).verdict == "RIGHT"


# ---------------------------------------------------------------- S8 and S9


def planted_s8(raw, standardized):
    """Losses (S, 4, T) that fall below 0.3 after the given steps; those of the first never do."""
    losses = np.ones((2, 4, 60))
    for scale, steps in enumerate((60, raw, 5, standardized)):
        losses[:, scale, steps:] = 0.1
    return {"target": 0.3, "ratios": np.array([[7e3, 600, 40, 20]] * 2), "losses": losses}


def test_s8_needs_fewer_steps_in_every_split():
    assert S8_INPUTS.read(planted_s8(20, 4)).verdict == "RIGHT"
    assert S8_INPUTS.read(planted_s8(4, 20)).verdict == "WRONG"
    assert S8_INPUTS.read(planted_s8(4, 4)).verdict == "NOT REPRODUCED"
    mixed = planted_s8(20, 4)
    mixed["losses"][1] = planted_s8(4, 20)["losses"][1]
    assert S8_INPUTS.read(mixed).verdict == "NOT REPRODUCED"
    assert "7,000, 600, 40, 20" in S8_INPUTS.read(planted_s8(20, 4)).measured
    assert "rate over 59, 20, 5, 4" in S8_INPUTS.read(planted_s8(20, 4)).measured


def test_s8_runs_small():
    evidence = S8_INPUTS.evidence(lrs=(0.01, 3.0), steps=30, seeds=(0,))
    assert evidence.verdict == "RIGHT"


def test_s8_leaves_out_rates_that_make_the_loss_rise():
    rising, slow, fast = np.array([2.3, 9, 0.1]), np.array([2.3, 2, 1]), np.array([2.3, 2, 0.5])
    assert best_run([rising, slow, fast], target=0.3) is fast
    assert best_run([rising, slow], target=1.5) is slow


def test_s8_scales_inputs_by_the_training_images():
    digits = load_digits()
    scales = scaled_inputs(digits, eps=1e-5)
    together = np.concatenate([digits.x_train, digits.x_test])
    mean = digits.x_train.mean(axis=0)
    np.testing.assert_allclose(
        scales["standardized"](digits.x_train), standardize(digits.x_train, 1e-5), atol=1e-12
    )
    np.testing.assert_allclose(scales["centred"](together), together - mean, atol=0)
    np.testing.assert_array_equal(scales["raw"](together), together)
    np.testing.assert_array_equal(scales["plus 1"](together), together + 1)


def test_s8_the_eigenvalue_ratio_of_the_digits():
    digits = load_digits()
    ratios = [eigenvalue_ratio(scale(digits.x_train)) for scale in scaled_inputs(digits).values()]
    assert all(a > 2 * b for a, b in pairwise(ratios))
    assert ratios[1:] == pytest.approx([640, 43.5, 19.5], rel=0.01)


def test_s9_holds_exactly():
    evidence = S9_WHITENING.evidence()
    assert evidence.verdict == "WRONG"
    assert "(no correlation changes: True), after ZCA 0: True" in evidence.measured
    assert evidence.measured.endswith("rank 3")


def test_s9_flips_if_standardizing_decorrelates():
    arrays = S9_WHITENING.run(S9_WHITENING.config)
    arrays["standardized"] = arrays["whitened"]
    evidence = S9_WHITENING.read(arrays)
    assert evidence.verdict == "RIGHT"
    assert "no correlation changes: False" in evidence.measured


@pytest.mark.parametrize("eps", [0.0, 1e-5, 0.3])
def test_two_routes_to_zca_agree(eps):
    """The package goes by the singular values of the data, the exercise by its covariance."""
    x = correlated_features(S9_WHITENING.config) + 3
    np.testing.assert_allclose(whiten(x, eps), zca_whiten(x, eps), atol=1e-10)


def test_whitened_features_are_white_and_closest_to_the_centred_ones():
    x = correlated_features(S9_WHITENING.config)
    z, centred = whiten(x), x - x.mean(axis=0)
    np.testing.assert_allclose(np.cov(z, rowvar=False, bias=True), np.eye(6), atol=1e-12)
    rng = np.random.default_rng(0)
    for _ in range(20):
        turn, _ = np.linalg.qr(rng.normal(size=(6, 6)))
        assert ((z @ turn - centred) ** 2).sum() > ((z - centred) ** 2).sum()
