"""Claims S10 and B1 to B5: the identities run for real, and the verdicts follow the arrays."""

import dataclasses

import numpy as np
import pytest
from matplotlib import pyplot as plt

from bnlab.course.experiments.evidence import VERDICTS
from bnlab.course.experiments.ledger import ledger
from bnlab.course.lessons.nb04.effective_rate import B5_EFFECTIVE_RATE, row_rates, trained_logits
from bnlab.course.lessons.nb04.norm_growth import (
    B4_NORM_GROWTH,
    invariant_names,
    network,
    predicted_norms,
)
from bnlab.course.lessons.nb04.redundant_bias import B1_REDUNDANT_BIAS, S10_DETACHED_BIAS, bias_path
from bnlab.course.lessons.nb04.scale_invariance import (
    B2_SCALED_WEIGHTS,
    B3_SCALED_GRADIENT,
    row_cosines,
)

ALL = [S10_DETACHED_BIAS, B1_REDUNDANT_BIAS, B2_SCALED_WEIGHTS, B3_SCALED_GRADIENT, B4_NORM_GROWTH,
       B5_EFFECTIVE_RATE]  # fmt: skip
SMALL = {
    "S10": {"steps": 20},
    "B1": {"steps": 10},
    "B4": {"steps": 10},
    "B5": {"steps": 10, "sweep_steps": 60},
}
RESULTS = {}  # each small run is made once


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def arrays_of(experiment):
    name = experiment.claim.id
    if name not in RESULTS:
        config = dataclasses.replace(experiment.config, **SMALL.get(name, {}))
        RESULTS[name] = experiment.run(config)
    return dict(RESULTS[name])


def verdict(experiment, **planted):
    unknown = set(planted) - set(arrays_of(experiment))
    assert not unknown, f"planted nothing: {unknown}"
    return experiment.read(arrays_of(experiment) | planted).verdict


@pytest.mark.parametrize("experiment", ALL, ids=lambda e: e.claim.id)
def test_the_ledger_knows_it_and_the_verdict_is_the_one_we_teach(experiment):
    taught = {"S10": "IMPRECISE", "B1": "RIGHT", "B2": "IMPRECISE", "B3": "RIGHT", "B4": "RIGHT",
              "B5": "RIGHT"}  # fmt: skip
    assert ledger()[experiment.claim.id] is experiment
    assert experiment.claim.notebook == "04"
    assert verdict(experiment) == taught[experiment.claim.id]
    assert verdict(experiment) in VERDICTS


@pytest.mark.parametrize("experiment", ALL, ids=lambda e: e.claim.id)
def test_the_arrays_are_plain(experiment):
    for value in arrays_of(experiment).values():
        assert np.asarray(value).dtype.kind in "fib"


@pytest.mark.parametrize(
    "experiment", [S10_DETACHED_BIAS, B1_REDUNDANT_BIAS], ids=lambda e: e.claim.id
)
@pytest.mark.parametrize("seed", [1, 2])
def test_other_seeds_agree(experiment, seed):
    expected = experiment.evidence(**SMALL[experiment.claim.id]).verdict
    assert experiment.evidence(**SMALL[experiment.claim.id], seed=seed).verdict == expected


@pytest.mark.parametrize("seed", [1, 2])
def test_other_seeds_agree_on_the_scaled_weights(seed):
    assert B2_SCALED_WEIGHTS.evidence(seed=seed).verdict == "IMPRECISE"
    assert B3_SCALED_GRADIENT.evidence(seed=seed).verdict == "RIGHT"


# All figures have names on their axes, and no criterion looks at the run.


@pytest.mark.parametrize("experiment", ALL, ids=lambda e: e.claim.id)
def test_a_figure_has_names_on_its_axes(experiment):
    for ax in experiment.draw(arrays_of(experiment)).figure.axes:
        assert ax.get_xlabel()
        assert ax.get_ylabel() or all(label.get_text() for label in ax.get_yticklabels())


@pytest.mark.parametrize("experiment", ALL, ids=lambda e: e.claim.id)
def test_criteria_are_those_of_any_run_and_measurements_are_not(experiment):
    arrays = arrays_of(experiment)
    others = {name: 1 + 2 * np.asarray(value) for name, value in arrays.items()}
    one, other = experiment.judge(arrays), experiment.judge(others)
    assert [part.criterion for part in one] == [part.criterion for part in other]
    assert all(a.measured != b.measured for a, b in zip(one, other, strict=True))


def dots(ax):
    """Name of each row -> the values drawn in it, from left to right."""
    rows = [label.get_text() for label in ax.get_yticklabels()]
    lines = [line for line in ax.lines if line.get_marker() != "None"]
    points = [point for line in lines for point in line.get_xydata()]
    return {row: sorted(x for x, y in points if round(y) == k) for k, row in enumerate(rows)}


# S10.


def test_s10_the_detached_bias_moves_in_proportion_and_the_true_one_stays():
    config = dataclasses.replace(S10_DETACHED_BIAS.config, steps=30)
    moved, losses = bias_path(config, detached=True)
    np.testing.assert_allclose(moved, moved[0] * np.arange(1, 31), rtol=1e-9)
    assert moved[0] > 0.1
    assert np.ptp(losses) < 1e-12
    assert bias_path(config, detached=False)[0].max() < 1e-13


@pytest.mark.parametrize(
    ("planted", "expected"),
    [
        ({"attached": np.linspace(0.1, 2, 20), "left_of_b": 0.5}, "RIGHT"),
        ({"attached": np.linspace(0.1, 2, 20), "left_of_mean": 0.5}, "RIGHT"),
        ({"attached": np.linspace(0.1, 2, 20)}, "IMPRECISE"),
        ({"left_of_b": 0.5}, "IMPRECISE"),
        ({"detached": np.ones(20)}, "WRONG"),  # it jumps once and stays
        ({"detached": np.zeros(20)}, "WRONG"),
    ],
)
def test_s10_follows_the_arrays(planted, expected):
    assert verdict(S10_DETACHED_BIAS, **planted) == expected


def test_s10_is_drawn_with_both_ways_and_the_loss():
    arrays = arrays_of(S10_DETACHED_BIAS) | {"losses": np.full(20, 1.9)}
    ax = S10_DETACHED_BIAS.draw(arrays)
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), arrays["detached"])
    np.testing.assert_array_equal(ax.lines[1].get_ydata(), arrays["attached"])
    assert [text.get_text() for text in ax.texts] == ["true gradient", "the mean a constant"]
    loss = ax.figure.axes[1]
    np.testing.assert_array_equal(loss.lines[0].get_ydata(), 1.9)
    assert loss.get_ylim() == pytest.approx((1.71, 2.09))


# B1.


@pytest.mark.parametrize(
    ("planted", "expected"),
    [
        ({"before": 0.1, "moved": 0.1}, "WRONG"),
        ({"after": 0.1, "gradient_of_0.bias": 0.1}, "WRONG"),
        ({"before": 0.1}, "IMPRECISE"),
        ({"after": 0.1}, "IMPRECISE"),
        ({"moved": 0.1}, "IMPRECISE"),
        ({"gradient_of_0.bias": 0.1}, "IMPRECISE"),
    ],
)
def test_b1_follows_the_arrays(planted, expected):
    assert verdict(B1_REDUNDANT_BIAS, **planted) == expected


def test_b1_draws_the_gradients_of_all_biases():
    planted = {"gradient_of_0.bias": 1e-15, "gradient_of_1.bias": 0.25, "gradient_of_3.bias": 0.5}
    drawn = dots(B1_REDUNDANT_BIAS.draw(arrays_of(B1_REDUNDANT_BIAS) | planted))
    assert drawn["their bias"] == [1e-15]
    assert drawn["batch norm's beta"] == [0.25]
    assert drawn["bias of the last layer"] == [0.5]


def test_b1_the_biases_are_large_and_the_gradients_are_those_of_a_real_network():
    arrays = arrays_of(B1_REDUNDANT_BIAS)
    assert arrays["shift"] > 10
    assert arrays["gradient_of_0.bias"] < 1e-14 < 1e-2 < arrays["gradient_of_0.weight"]


# B2.


def test_b2_scaling_is_the_same_as_another_eps_and_a_mirror():
    arrays = arrays_of(B2_SCALED_WEIGHTS)
    positive = arrays["scales"] > 0
    assert arrays["change"][0, positive].max() < 1e-12
    assert arrays["change"][0, ~positive].min() > 1
    assert arrays["change_of_shrunk_eps"].max() < 1e-12
    assert 1e-3 < arrays["change"][1, 0] < 1  # a = 0.1 at the usual eps
    assert arrays["change"][1, 0] > 10 * arrays["change"][1, 2] > 1e-5


ONLY_EPS = np.array([[0.0, 0.0, 0.0, 0.0], [0.1, 0.1, 0.1, 0.1]])
ONLY_SIGN = np.array([[0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 1.0]])


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (np.zeros((2, 4)), "RIGHT"),
        (np.full((2, 4), 0.1), "WRONG"),
        (ONLY_EPS, "IMPRECISE"),
        (ONLY_SIGN, "IMPRECISE"),
    ],
)
def test_b2_follows_the_arrays(change, expected):
    assert verdict(B2_SCALED_WEIGHTS, change=change) == expected


def test_b2_draws_each_factor_with_and_without_eps():
    planted = {"change": np.array([[1e-15, 2e-15, 3e-15, 9.0], [1e-2, 1e-4, 1e-5, 9.0]]),
               "change_of_shrunk_eps": np.full((2, 4), 1e-14)}  # fmt: skip
    ax = B2_SCALED_WEIGHTS.draw(arrays_of(B2_SCALED_WEIGHTS) | planted)
    assert dots(ax)["a = 3"] == [2e-15, 1e-14, 1e-4]
    assert dots(ax)["a = -2"] == [1e-14, 9.0, 9.0]
    assert len(ax.get_legend().get_texts()) == 3


# B3.


def test_b3_every_part_holds_to_rounding():
    arrays = arrays_of(B3_SCALED_GRADIENT)
    for name in ("to_weights", "to_input", "by_row", "cosine"):
        assert np.max(arrays[name]) < 1e-13, name
    assert arrays["left_over"] < 1e-8  # gamma_k dgamma_k eps / (var_k + eps)
    assert arrays["negative"] > 0.5
    assert 1e-5 < arrays["to_weights_in_use"] < 0.1


@pytest.mark.parametrize(
    ("planted", "expected"),
    [
        ({"to_weights": np.array([1e-3]), "to_input": np.array([1e-3]), "to_weights_in_use": 0.1},
         "WRONG"),
        ({"to_weights": np.array([1e-3])}, "IMPRECISE"),
        ({"to_input": np.array([1e-3])}, "IMPRECISE"),
        ({"by_row": 1e-3}, "IMPRECISE"),
        ({"to_weights_in_use": 0.1}, "IMPRECISE"),
    ],
)  # fmt: skip
def test_b3_follows_the_arrays(planted, expected):
    assert verdict(B3_SCALED_GRADIENT, **planted) == expected


def test_b3_draws_what_holds_and_what_does_not():
    planted = {"to_input": np.array([1e-15, 3e-15]), "negative": 1.5}
    drawn = dots(B3_SCALED_GRADIENT.draw(arrays_of(B3_SCALED_GRADIENT) | planted))
    assert drawn["to the input, unchanged"] == [3e-15]
    assert drawn["to the weights, 1/a, a < 0"] == [1.5]


def test_row_cosines():
    cosines = row_cosines(np.array([[1.0, 0.0], [1.0, 1.0]]), np.array([[0.0, 5.0], [2.0, 2.0]]))
    np.testing.assert_allclose(cosines, [0, 1], atol=1e-15)


# B4.


def test_b4_the_norm_is_predicted_to_rounding_without_eps_and_nearly_with_it():
    arrays = arrays_of(B4_NORM_GROWTH)
    np.testing.assert_allclose(arrays["measured"][0], arrays["predicted"][0], rtol=1e-12)
    for errors in np.abs(arrays["measured"][1:] / arrays["predicted"][1:] - 1):
        assert 1e-9 < errors.max() < 1e-3
    assert arrays["measured"][0, -1] > arrays["measured"][0, 0] + 0.1


FLAT = {"first_gradient": np.ones(3), "growth": np.full(3, 1.5)}


@pytest.mark.parametrize(
    ("planted", "expected"),
    [
        (FLAT, "IMPRECISE"),
        ({"first_gradient": np.ones(3)}, "IMPRECISE"),
        ({"growth": np.full(3, 1.5)}, "IMPRECISE"),
        ({"growth": np.array([1.5, 1.4, 1.3])}, "IMPRECISE"),
    ],
)
def test_b4_follows_the_arrays(planted, expected):
    assert verdict(B4_NORM_GROWTH, **planted) == expected


@pytest.mark.parametrize("row", [0, 1, 2])
def test_b4_asks_for_the_prediction_at_every_eps(row):
    predicted = arrays_of(B4_NORM_GROWTH)["predicted"].copy()
    predicted[row, -1] *= 1.01
    assert verdict(B4_NORM_GROWTH, predicted=predicted) == "IMPRECISE"
    assert verdict(B4_NORM_GROWTH, predicted=predicted, **FLAT) == "WRONG"


def test_b4_draws_the_prediction_on_the_norm_and_the_growth_by_size():
    planted = {"growth": np.array([3.0, 1.5, 1.01])}
    left = B4_NORM_GROWTH.draw(arrays_of(B4_NORM_GROWTH) | planted)
    arrays = arrays_of(B4_NORM_GROWTH)
    np.testing.assert_array_equal(left.lines[0].get_ydata(), arrays["measured"][0])
    np.testing.assert_array_equal(left.lines[1].get_ydata(), arrays["predicted"][0])
    _, middle, right = left.figure.axes
    (gradient,), (growth,) = middle.lines, right.lines
    assert middle.get_ylabel() == "norm of the first gradient"
    assert right.get_ylabel() == "growth of the norm in 10 steps, %"
    np.testing.assert_array_equal(gradient.get_ydata(), arrays["first_gradient"])
    np.testing.assert_allclose(growth.get_ydata(), [200, 50, 1])
    np.testing.assert_array_equal(growth.get_xdata(), [0.1, 1, 10])


def test_predicted_norms_add_squares():
    np.testing.assert_allclose(predicted_norms(3.0, np.array([4.0, 12.0]), lr=1.0), [3, 5, 13])
    np.testing.assert_allclose(predicted_norms(3.0, np.array([8.0]), lr=0.5), [3, 5])


# B5.


def test_b5_longer_weights_with_their_rate_are_the_same_network():
    arrays = arrays_of(B5_EFFECTIVE_RATE)
    for name in ("equal", "equal_momentum", "equal_scaled_eps", "schedule"):
        assert arrays[name] < 1e-10, name
    assert 1e-5 < arrays["equal_in_use"] < 1
    assert min(arrays["every_rate"], arrays["only_weights"]) > 0.5


def test_b5_momentum_trains_another_network():
    config = dataclasses.replace(B5_EFFECTIVE_RATE.config, steps=5)
    plain, heavy = trained_logits(config), trained_logits(config, momentum=0.9)
    assert np.abs(plain - heavy).max() > 1e-2


@pytest.mark.parametrize("rate", [10.0, 90.0, 110.0])
def test_b5_no_other_rate_does_it(rate):
    config = dataclasses.replace(B5_EFFECTIVE_RATE.config, steps=5)
    plain, other = trained_logits(config), trained_logits(config, scale=10.0, rate=rate)
    assert np.abs(plain - other).max() > 1e-2


@pytest.mark.parametrize("pair", ["equal", "equal_momentum"])
def test_b5_follows_the_arrays(pair):
    falling = arrays_of(B5_EFFECTIVE_RATE)["norms"]
    assert verdict(B5_EFFECTIVE_RATE, **{pair: 0.1}) == "IMPRECISE"
    assert verdict(B5_EFFECTIVE_RATE, schedule=0.1) == "IMPRECISE"
    assert verdict(B5_EFFECTIVE_RATE, norms=falling[::-1]) == "IMPRECISE"
    everything = {pair: 0.1, "schedule": 0.1, "norms": falling[::-1]}
    assert verdict(B5_EFFECTIVE_RATE, **everything) == "WRONG"


def test_b5_draws_a_line_a_decay_and_a_dot_a_pair():
    arrays = arrays_of(B5_EFFECTIVE_RATE) | {"equal_momentum": 3e-14, "every_rate": 20.0}
    left = B5_EFFECTIVE_RATE.draw(arrays)
    np.testing.assert_array_equal([line.get_ydata() for line in left.lines], arrays["norms"])
    named = {text.get_text() for text in left.texts}
    assert named == {"decay 0", "decay 0.0001", "decay 0.001", "decay 0.01"}
    drawn = dots(left.figure.axes[1])
    assert drawn["the same with momentum"] == [3e-14]
    assert drawn["every rate x100"] == [20.0]


def test_b5_decay_shortens_the_weights_and_raises_the_rate():
    arrays = arrays_of(B5_EFFECTIVE_RATE)
    assert arrays["norms"].shape == arrays["rates"].shape == (4, len(arrays["sweep_steps"]))
    assert (np.diff(arrays["norms"][:, -1]) < 0).all()
    assert (np.diff(arrays["rates"][:, -1]) > 0).all()


def test_row_rates():
    np.testing.assert_allclose(row_rates(0.5, np.array([[3.0, 4.0], [0.0, 1.0]])), [0.02, 0.5])


# The network that B4 and B5 share.


def test_only_weights_with_batch_norm_behind_them_are_scaled():
    plain, scaled = (network(B4_NORM_GROWTH.config, scale) for scale in (1.0, 10.0))
    for name, array in plain.parameters().items():
        factor = 10 if name in invariant_names(plain) else 1
        np.testing.assert_array_equal(scaled.parameters()[name], factor * array)
    assert invariant_names(plain) == ["0.weight", "3.weight", "6.weight"]
