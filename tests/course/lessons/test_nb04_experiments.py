"""Claims S10 and B1 to B5: the identities run for real, and the verdicts follow the arrays."""

import dataclasses

import numpy as np
import pytest

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
    taught = {"S10": "WRONG", "B1": "RIGHT", "B2": "IMPRECISE", "B3": "RIGHT", "B4": "RIGHT",
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


# S10.


def test_s10_the_detached_bias_grows_in_proportion_and_the_true_one_stays():
    config = dataclasses.replace(S10_DETACHED_BIAS.config, steps=30)
    norms, losses = bias_path(config, detached=True)
    np.testing.assert_allclose(norms, norms[0] * np.arange(1, 31), rtol=1e-9)
    assert norms[0] > 0.1
    assert np.ptp(losses) < 1e-12
    assert bias_path(config, detached=False)[0].max() < 1e-13


def test_s10_follows_the_arrays():
    assert verdict(S10_DETACHED_BIAS, attached=np.linspace(0.1, 2, 20)) == "RIGHT"
    assert verdict(S10_DETACHED_BIAS, left_of_b=0.5) == "RIGHT"
    assert verdict(S10_DETACHED_BIAS, left_of_b=0.5, detached=np.ones(20)) == "IMPRECISE"


# B1.


def test_b1_follows_the_arrays():
    assert verdict(B1_REDUNDANT_BIAS, before=0.1) == "WRONG"
    assert verdict(B1_REDUNDANT_BIAS, after=0.1) == "WRONG"
    assert verdict(B1_REDUNDANT_BIAS, moved=0.1) == "IMPRECISE"
    assert verdict(B1_REDUNDANT_BIAS, **{"gradient_of_0.bias": 0.1}) == "IMPRECISE"
    assert verdict(B1_REDUNDANT_BIAS, **{"gradient_of_1.bias": 0.0}) == "IMPRECISE"
    assert verdict(B1_REDUNDANT_BIAS, **{"gradient_of_3.bias": 0.0}) == "IMPRECISE"


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
    assert arrays["change_of_mirrored"][0].max() < 1e-12
    assert arrays["change_of_shrunk_eps"].max() < 1e-12
    assert 1e-3 < arrays["change"][1, 0] < 1  # a = 0.1 at the usual eps
    assert arrays["change"][1, 0] > 10 * arrays["change"][1, 2] > 1e-5


def test_b2_follows_the_arrays():
    assert verdict(B2_SCALED_WEIGHTS, change=np.zeros((2, 4))) == "RIGHT"
    assert verdict(B2_SCALED_WEIGHTS, change=np.full((2, 4), 0.1)) == "WRONG"
    only_eps = np.array([[0.0, 0.0, 0.0, 0.0], [0.1, 0.1, 0.1, 0.1]])
    assert verdict(B2_SCALED_WEIGHTS, change=only_eps) == "IMPRECISE"


# B3.


def test_b3_every_part_holds_to_rounding():
    arrays = arrays_of(B3_SCALED_GRADIENT)
    for name in ("to_weights", "to_input", "by_row", "cosine"):
        assert np.max(arrays[name]) < 1e-13, name
    assert arrays["left_over"] < 1e-8  # gamma_k dgamma_k eps / (var_k + eps)
    assert arrays["negative"] > 0.5
    assert 1e-5 < arrays["to_weights_in_use"] < 0.1


def test_b3_follows_the_arrays():
    assert verdict(B3_SCALED_GRADIENT, to_weights=np.array([1e-3])) == "WRONG"
    assert verdict(B3_SCALED_GRADIENT, to_input=np.array([1e-3])) == "WRONG"
    assert (
        "orthogonal to its row: False"
        in B3_SCALED_GRADIENT.read(arrays_of(B3_SCALED_GRADIENT) | {"cosine": 0.1}).measured
    )


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


def test_b4_follows_the_arrays():
    arrays = arrays_of(B4_NORM_GROWTH)
    assert verdict(B4_NORM_GROWTH, first_gradient=np.array([1.0, 1.0, 1.0])) == "WRONG"
    assert verdict(B4_NORM_GROWTH, growth=np.array([1.5, 1.5, 1.5])) == "WRONG"
    assert verdict(B4_NORM_GROWTH, growth=np.array([1.5, 1.4, 1.3])) == "WRONG"
    assert verdict(B4_NORM_GROWTH, measured=arrays["measured"][:, ::-1]) == "WRONG"
    assert verdict(B4_NORM_GROWTH, predicted=1.01 * arrays["predicted"]) == "IMPRECISE"


def test_predicted_norms_add_squares():
    np.testing.assert_allclose(predicted_norms(3.0, np.array([4.0, 12.0]), lr=1.0), [3, 5, 13])
    np.testing.assert_allclose(predicted_norms(3.0, np.array([8.0]), lr=0.5), [3, 5])


# B5.


def test_b5_longer_weights_with_their_rate_are_the_same_network():
    arrays = arrays_of(B5_EFFECTIVE_RATE)
    for name in ("equal", "equal_scaled_eps", "schedule"):
        assert arrays[name] < 1e-10, name
    assert 1e-5 < arrays["equal_in_use"] < 1
    assert min(arrays["every_rate"], arrays["only_weights"]) > 0.5


@pytest.mark.parametrize("rate", [10.0, 90.0, 110.0])
def test_b5_no_other_rate_does_it(rate):
    config = dataclasses.replace(B5_EFFECTIVE_RATE.config, steps=5)
    plain, other = trained_logits(config), trained_logits(config, scale=10.0, rate=rate)
    assert np.abs(plain - other).max() > 1e-2


def test_b5_follows_the_arrays():
    arrays = arrays_of(B5_EFFECTIVE_RATE)
    assert verdict(B5_EFFECTIVE_RATE, equal=0.1) == "WRONG"
    assert verdict(B5_EFFECTIVE_RATE, schedule=0.1) == "IMPRECISE"
    assert verdict(B5_EFFECTIVE_RATE, norms=arrays["norms"][::-1]) == "IMPRECISE"


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
