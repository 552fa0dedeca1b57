"""Claims of notebook 01 about data: planted results flip the verdicts, small runs are made."""

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pytest

from bnlab import functional as F
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
    Scaling,
    best_rate,
    correlated_features,
    descend,
    eigenvalue_ratio,
    scaled_inputs,
    whiten,
)
from bnlab.data import ink, lightest_and_heaviest, load_digits
from bnlab.layers import BatchNorm, Linear
from bnlab.training import evaluate


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def criteria(experiment, arrays):
    return [part.criterion for part in experiment.judge(arrays)]


@pytest.mark.parametrize("entry", [S1_TERM, S5_CAUSE])
def test_a_definition_rests_on_its_source(entry):
    assert entry.evidence().verdict == "WRONG"
    assert "section 2" in entry.claim.source


# ---------------------------------------------------------------- S2


def planted_s2(light_on_heavy, any_on_heavy=(0.96, 0.95, 0.97, 0.96), by_label=0):
    alike = np.full(4, 0.95)
    return {
        "chosen_by_label": np.array([0, 0, 0, by_label]),
        "light_on_light": alike,
        "light_on_heavy": np.array(light_on_heavy),
        "any_on_light": alike - 0.01,
        "any_on_heavy": np.array(any_on_heavy),
    }


LOSS, GAIN = (0.90, 0.91, 0.90, 0.92), (0.99, 0.98, 1.00, 0.995)
NOISY = (0.90, 0.99, 0.91, 0.98)  # a mean loss of 1.5 +- 12 points


@pytest.mark.parametrize(
    ("heavy", "by_label", "verdict"),
    [
        (LOSS, 0, "RIGHT"),
        (NOISY, 0, "CANNOT TELL"),
        (GAIN, 0, "IMPRECISE"),
        (LOSS, 1, "IMPRECISE"),  # one image of one seed was chosen by its label
        (GAIN, 1, "WRONG"),
    ],
)
def test_s2_needs_a_choice_by_pictures_that_costs_accuracy(heavy, by_label, verdict):
    arrays = planted_s2(heavy, by_label=by_label)
    assert S2_INK.read(arrays).verdict == verdict
    assert criteria(S2_INK, arrays) == criteria(S2_INK, planted_s2(LOSS))


def test_s2_widens_its_interval_for_the_overlap_of_the_splits():
    """A mean loss of 2.5 points with a standard error of 0.65 is not enough for 4 splits."""
    light = np.array((0.96, 0.95, 0.97, 0.96)) - [0.01, 0.02, 0.03, 0.04]
    assert S2_INK.read(planted_s2(light)).verdict == "CANNOT TELL"


def test_s2_reports_means_in_percent():
    evidence = S2_INK.read(planted_s2([0.90, 0.92, 0.90, 0.92], [0.96, 0.96, 0.96, 0.96]))
    assert "91.0% and 96.0%, +5.0 +- " in evidence.measured
    assert "rate 0.1" in evidence.setting
    assert evidence.setting.endswith("8 seeds (0 to 7)")


def test_s2_draws_a_column_for_each_training_and_test_set():
    ax = S2_INK.draw(planted_s2(LOSS))
    names = [label.get_text().replace("\n", " ") for label in ax.get_xticklabels()]
    assert names[1] == "trained on light images, tested on heavy"
    points = [line.get_ydata() for line in ax.lines if line.get_marker() == "o"]
    np.testing.assert_allclose(points[1], 100 * np.array(LOSS))
    assert ax.get_ylabel() == "test accuracy, %"


def test_s2_runs_small():
    arrays = S2_INK.run(Selection(steps=100, seeds=(0, 1)))
    assert set(arrays) == set(planted_s2(LOSS))
    assert (arrays["chosen_by_label"] == 0).all()
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


# ---------------------------------------------------------------- S8 and S9


def planted_s8(shifted, raw, standardized):
    """Losses (S, 4, T) that fall below 0.3 after the given steps, one for all or one a split."""
    losses = np.ones((3, 4, 60))
    for scale, needed in enumerate((shifted, raw, 5, standardized)):
        for split, steps in enumerate(np.broadcast_to(needed, 3)):
            losses[split, scale, steps:] = 0.1
    ratios = np.array([[7e3, 600, 40, 20]] * 3)
    return {"target": 0.3, "ratios": ratios, "rates": np.ones((3, 4)), "losses": losses}


@pytest.mark.parametrize(
    ("steps", "verdict"),
    [
        ((60, 20, 4), "RIGHT"),
        ((60, 4, 20), "IMPRECISE"),  # raw pixels are faster
        ((20, 60, 20), "IMPRECISE"),  # as many steps are not fewer
        ((4, 4, 20), "WRONG"),
        ((60, 20, (4, 4, 30)), "CANNOT TELL"),
        ((4, 4, 60), "WRONG"),  # standardized inputs never get there, the others do
        ((60, 60, 59), "RIGHT"),  # at the last step, the others never
        ((60, 60, 60), "CANNOT TELL"),  # nothing has trained
        (((4, 4, 60), (4, 4, 60), (20, 20, 60)), "CANNOT TELL"),  # nor in one of the splits
    ],
)
def test_s8_needs_fewer_steps_in_every_split_than_from_either_input(steps, verdict):
    arrays = planted_s8(*steps)
    assert S8_INPUTS.read(arrays).verdict == verdict
    assert criteria(S8_INPUTS, arrays) == criteria(S8_INPUTS, planted_s8(9, 9, 9))


def test_s8_says_steps_and_eigenvalues():
    measured = S8_INPUTS.read(planted_s8(60, 20, 4)).measured
    assert measured == (
        "4 and 20 steps; largest eigenvalue over the median one 20 and 600; "
        "4 and over 59 steps; largest eigenvalue over the median one 20 and 7,000"
    )


def test_s8_draws_the_loss_of_each_scale_and_the_target():
    arrays = planted_s8(60, 20, 4)
    ax = S8_INPUTS.draw(arrays)
    lines = {line.get_label(): line for line in ax.lines}
    np.testing.assert_array_equal(lines["raw"].get_ydata(), arrays["losses"][0, 1, 1:])
    np.testing.assert_array_equal(lines["standardized"].get_ydata(), arrays["losses"][0, 3, 1:])
    np.testing.assert_array_equal(lines["raw"].get_xdata(), np.arange(1, 60))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("step of gradient descent", "test loss")
    assert "target 0.3" in {text.get_text() for text in ax.texts}


def test_s8_runs_small():
    small = {"lrs": (0.01, 3.0), "steps": 30}
    assert S8_INPUTS.evidence(**small, seeds=(0, 1, 2)).verdict == "RIGHT"
    assert S8_INPUTS.evidence(**small, seeds=(0,)).verdict == "CANNOT TELL"


def test_s8_leaves_out_rates_that_make_the_loss_rise():
    rising, slow, fast = [2.3, 9, 0.1], [2.3, 2, 1], [2.3, 2, 0.5]
    assert best_rate(np.array([rising, slow, fast]), target=0.3) == 2
    assert best_rate(np.array([rising, slow]), target=1.5) == 1


def test_s8_chooses_on_validation_images_and_reports_test_images():
    config = Scaling(lrs=(0.01, 3.0), steps=5, seeds=(0,))
    digits, arrays = load_digits(0), S8_INPUTS.run(config)
    raw = scaled_inputs(digits)["raw"]
    on_val, on_test = descend(digits, raw, arrays["rates"][0, 1], 5).T
    np.testing.assert_array_equal(arrays["losses"][0, 1], on_test)
    model = Linear(64, 10, rng=np.random.default_rng(0), std=0)
    parts = (digits.x_val, digits.y_val), (digits.x_test, digits.y_test)
    first = [F.cross_entropy_forward(model(x), y)[0] for x, y in parts]
    assert [on_val[0], on_test[0]] == pytest.approx(first)
    assert not np.allclose(on_val[1:], on_test[1:], rtol=1e-4)


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


def test_s9_standardized_inputs_are_as_correlated_as_before():
    arrays = S9_WHITENING.run(S9_WHITENING.config)
    np.testing.assert_allclose(arrays["standardized"], arrays["before"], atol=1e-12)
    assert np.abs(arrays["whitened"]).max() < 1e-12
    evidence = S9_WHITENING.read(arrays)
    assert evidence.verdict == "WRONG"
    assert "0.59 before and 0.59 after" in evidence.measured
    assert evidence.measured.endswith("rank 3")


def test_s9_flips_if_standardizing_decorrelates():
    arrays = S9_WHITENING.run(S9_WHITENING.config)
    wrong = criteria(S9_WHITENING, arrays)
    arrays["standardized"] = arrays["whitened"]
    assert S9_WHITENING.read(arrays).verdict == "RIGHT"
    assert criteria(S9_WHITENING, arrays) == wrong
    arrays["standardized"] = arrays["whitened"] - 1e-6 * np.eye(30)[7]
    assert S9_WHITENING.read(arrays).verdict == "WRONG", "one negative correlation is left"


def test_s9_draws_correlations_before_and_after():
    arrays = S9_WHITENING.run(S9_WHITENING.config)
    ax = S9_WHITENING.draw(arrays)
    lines = {line.get_label(): line for line in ax.lines}
    np.testing.assert_array_equal(lines["whitened (ZCA)"].get_ydata(), arrays["whitened"])
    standardized = lines["mean 0 and variance 1"]
    np.testing.assert_allclose(standardized.get_xdata(), standardized.get_ydata(), atol=1e-12)
    assert (ax.get_xlabel(), ax.get_ylabel()) == (
        "correlation of two features",
        "their correlation afterwards",
    )


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
