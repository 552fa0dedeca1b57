"""Claims D1 to D7: identities run for real, and each verdict turned by planted arrays."""

import functools

import numpy as np
import pytest
from matplotlib import pyplot as plt

import bnlab
from bnlab.course.lessons.nb03 import backpropagation, gradient_geometry, wrong_gradients
from bnlab.course.lessons.nb03.backpropagation import D1_STAGES, D2_CLOSED_FORM, D4_ZERO_TERM, Batch
from bnlab.course.lessons.nb03.gradient_geometry import D3_PROJECTION, D6_SMALL_BATCHES
from bnlab.course.lessons.nb03.wrong_gradients import D5_ONES, D7_STOPPED
from bnlab.gradcheck import numerical_gradient, relative_error

ALL = (D1_STAGES, D2_CLOSED_FORM, D3_PROJECTION, D4_ZERO_TERM, D5_ONES, D6_SMALL_BATCHES,
       D7_STOPPED)  # fmt: skip


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


@pytest.mark.parametrize("experiment", ALL, ids=lambda e: e.claim.id)
def test_the_claim_holds(experiment):
    evidence = experiment.evidence()
    assert evidence.verdict == "RIGHT", evidence
    assert evidence.setting


@pytest.mark.parametrize("experiment", [D1_STAGES, D2_CLOSED_FORM, D4_ZERO_TERM, D7_STOPPED],
                         ids=lambda e: e.claim.id)  # fmt: skip
@pytest.mark.parametrize("batch", [{"rows": 3}, {"rows": 17, "features": 2, "seed": 5},
                                   {"eps": 1e-3, "seed": 6}])  # fmt: skip
def test_it_holds_for_other_batches(experiment, batch):
    assert experiment.evidence(**batch).verdict == "RIGHT"


def test_the_blindness_of_the_squares_goes_with_eps():
    assert D5_ONES.evidence(rows=17, seed=5).verdict == "RIGHT"
    blind, seeing = (D5_ONES.run(Batch(eps=eps)) for eps in (1e-5, 1e-1))
    assert blind["dx_squares"] < 1e-3 < 1e-1 < seeing["dx_squares"]


def test_claims_carry_their_rows():
    assert [e.claim.id for e in ALL] == [f"D{k}" for k in range(1, 8)]
    assert {e.claim.notebook for e in ALL} == {"03"}
    assert {e.claim.kind for e in ALL} == {"identity"}


# Planted arrays: another result gives another verdict.


@functools.cache
def result(claim_id):
    (experiment,) = (e for e in ALL if e.claim.id == claim_id)
    return experiment.run(experiment.config)


def arrays_of(experiment, **changes):
    found = result(experiment.claim.id)
    assert set(changes) <= set(found), "planted nothing"
    return {**found, **changes}


def planted(experiment, **changes):
    return experiment.read(arrays_of(experiment, **changes)).verdict


@pytest.mark.parametrize("name", backpropagation.D1_STAGES.run(Batch())["names"])
def test_d1_sees_each_of_the_six(name):
    names = arrays_of(D1_STAGES)["names"]
    errors = [0.01 if n == name else 1e-12 for n in names]
    assert planted(D1_STAGES, from_measured=errors) == "WRONG"
    assert planted(D1_STAGES, from_torch=errors) == "WRONG"


NO_PROJECTION = {name: np.full(5, 0.1) for name in gradient_geometry.D3_ERRORS.values()}
NO_RANK = {"rank": np.array([2, 3, 5, 8, 32])}
SEEING = {"ones": np.ones(7), "dx_ones": 0.1, "dx_squares": 1.0}
NO_SHARE = {"rms": np.ones(4)}
NO_ARTEFACT = {"gradient": np.array([[3.3, 3.2], [1.0, 1.1]])}


@pytest.mark.parametrize(
    ("experiment", "changes", "verdict"),
    [
        (D2_CLOSED_FORM, {"from_stages": 1e-6}, "WRONG"),
        (D2_CLOSED_FORM, {"from_torch": 1e-6}, "WRONG"),
        (D3_PROJECTION, NO_RANK | NO_PROJECTION, "WRONG"),
        (D3_PROJECTION, NO_PROJECTION, "IMPRECISE"),
        (D3_PROJECTION, {"rank": np.array([0, 2, 3, 6, 30])}, "IMPRECISE"),
        (D3_PROJECTION, {"idempotent": np.array([0, 0, 0, 0, 1e-3])}, "IMPRECISE"),
        (D3_PROJECTION, {"symmetric": np.array([0, 0, 0, 0, 1e-3])}, "IMPRECISE"),
        (D3_PROJECTION, {"to_ones": np.array([0, 0, 1e-3, 0, 0])}, "IMPRECISE"),
        (D3_PROJECTION, {"to_x_hat": np.array([0, 0, 1e-3, 0, 0])}, "IMPRECISE"),
        (D3_PROJECTION, {"to_formula": np.array([0.1, 0, 0, 0, 0])}, "IMPRECISE"),
        (D4_ZERO_TERM, {"share": 1e-3}, "WRONG"),
        (D4_ZERO_TERM, {"change": 1e-3}, "WRONG"),
        (D5_ONES, SEEING, "WRONG"),
        (D5_ONES, {"ones": np.ones(7)}, "IMPRECISE"),
        (D5_ONES, {"ones": np.array([0, 0, 0, 0, 1, 1, 1])}, "IMPRECISE"),
        (D5_ONES, {"ones": np.array([0, 0, 0, 0, 0, 1, 1])}, "RIGHT"),
        (D5_ONES, {"random": np.zeros(7)}, "IMPRECISE"),
        (D5_ONES, {"random": np.ones(7)}, "IMPRECISE"),  # the right one is found wrong
        (D5_ONES, {"random": np.array([0, 0, 1, 1, 1, 1, 1])}, "IMPRECISE"),
        (D5_ONES, {"dx_ones": 0.1}, "IMPRECISE"),
        (D5_ONES, {"dx_squares": 1.0}, "IMPRECISE"),
        (D6_SMALL_BATCHES, NO_SHARE | NO_ARTEFACT, "WRONG"),
        (D6_SMALL_BATCHES, {"rms": np.array([0.1, 0.577, 0.707, 0.866])}, "IMPRECISE"),
        (D6_SMALL_BATCHES, {"rms": np.array([0, 0.577, 0.707, 0.93])}, "IMPRECISE"),
        (D6_SMALL_BATCHES, NO_ARTEFACT, "IMPRECISE"),
        (D7_STOPPED, {"mean": 1e-9}, "WRONG"),
        (D7_STOPPED, {"variance": 1e-9}, "WRONG"),
        (D7_STOPPED, {"both": 1e-9}, "WRONG"),
        (D7_STOPPED, {"neither": 1e-3}, "WRONG"),
    ],
)
def test_a_verdict_follows_from_the_arrays(experiment, changes, verdict):
    assert planted(experiment, **changes) == verdict


@pytest.mark.parametrize(
    ("experiment", "changes"),
    [
        (D1_STAGES, {"from_torch": [1.0] * 6}),
        (D2_CLOSED_FORM, {"from_torch": 1.0}),
        (D3_PROJECTION, NO_RANK | NO_PROJECTION),
        (D4_ZERO_TERM, {"share": 1.0}),
        (D5_ONES, SEEING),
        (D6_SMALL_BATCHES, NO_SHARE | NO_ARTEFACT),
        (D7_STOPPED, {"neither": 1.0}),
    ],
    ids=lambda value: value.claim.id if hasattr(value, "claim") else "",
)
def test_criteria_are_those_of_any_run_and_measurements_are_not(experiment, changes):
    one, other = (experiment.judge(arrays_of(experiment, **c)) for c in ({}, changes))
    assert [part.criterion for part in one] == [part.criterion for part in other]
    assert [part.measured for part in one] != [part.measured for part in other]


# Figures: axes with names, and the right data in them.


@pytest.mark.parametrize("experiment", ALL, ids=lambda e: e.claim.id)
def test_a_figure_has_names_on_its_axes(experiment):
    ax = experiment.draw(arrays_of(experiment))
    assert ax.get_xlabel()
    assert ax.get_ylabel() or all(label.get_text() for label in ax.get_yticklabels())


def dots(ax):
    """Name of each row -> the values drawn in it, from left to right."""
    rows = [label.get_text() for label in ax.get_yticklabels()]
    points = [
        point for line in ax.lines for point in line.get_xydata() if line.get_marker() != "None"
    ]
    return {row: sorted(x for x, y in points if round(y) == k) for k, row in enumerate(rows)}


def test_the_figure_of_the_six_stages_has_both_witnesses():
    measured, by_torch = np.arange(1, 7) * 1e-9, np.arange(1, 7) * 1e-15
    ax = D1_STAGES.draw(arrays_of(D1_STAGES, from_measured=measured, from_torch=by_torch))
    drawn = dots(ax)
    assert list(drawn) == ["dx_hat", "dvar", "dmean", "dx", "dgamma", "dbeta"]
    np.testing.assert_allclose(drawn["dmean"], [3e-15, 3e-9])
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names == ["by finite differences", "by torch"]
    assert [text.get_text() for text in ax.texts] == ["torch: 1e-10", "differences: 1e-7"]


@pytest.mark.parametrize(
    ("experiment", "changes", "row", "value"),
    [
        (D2_CLOSED_FORM, {"from_torch": 3e-3}, "closed form against torch", [3e-3]),
        (D3_PROJECTION, {"to_ones": np.array([0, 7e-3, 0, 0, 0])}, "P 1 and 0", [7e-3]),
        (D4_ZERO_TERM, {"change": 2e-3}, "change of dx if it is multiplied by -100", [2e-3]),
        (D5_ONES, {n: np.full(7, v) for n, v in (("ones", 1e-9), ("squares", 1e-4), ("random", 2))},
         "gamma forgotten", [1e-9, 1e-4, 2]),
        (D7_STOPPED, {"variance": 0.25}, "stopped at the variance", [0.25]),
    ],
)  # fmt: skip
def test_a_figure_shows_what_was_measured(experiment, changes, row, value):
    drawn = dots(experiment.draw(arrays_of(experiment, **changes)))
    np.testing.assert_allclose(drawn[row], value)


def test_the_figure_of_small_batches_has_the_share_and_the_artefact():
    gradient = np.array([[3.0, 3e-9], [1.0, 1e-9], [2.0, 2e-9]])
    left = D6_SMALL_BATCHES.draw(arrays_of(D6_SMALL_BATCHES, gradient=gradient))
    m, share = left.lines[0].get_data()
    np.testing.assert_allclose(share, np.sqrt(1 - 2 / m))
    np.testing.assert_allclose(left.lines[1].get_ydata()[1:], [0.577, 0.707, 0.866], atol=0.01)
    right = left.figure.axes[1]
    np.testing.assert_array_equal(right.lines[0].get_xydata(), [[1e-5, 2.0], [1e-11, 2e-9]])
    assert (right.get_xlabel(), right.get_yscale()) == ("eps", "log")


# A wrong package must not get the verdict.


def detached_mean(dy, cache):
    dx, dgamma, dbeta = bnlab.batchnorm_backward(dy, cache)
    return dx + cache.gamma * cache.inv_std * dy.mean(axis=0), dgamma, dbeta


def detached_variance(dy, cache):
    _, dgamma, dbeta = bnlab.batchnorm_backward(dy, cache)
    return cache.gamma * cache.inv_std * (dy - dy.mean(axis=0)), dgamma, dbeta


def gamma_missing(dy, cache):
    dx, dgamma, dbeta = bnlab.batchnorm_backward(dy, cache)
    return dx / cache.gamma, dgamma, dbeta


@pytest.mark.parametrize("fault", [detached_mean, detached_variance, gamma_missing])
@pytest.mark.parametrize(("module", "experiment"), [(backpropagation, D2_CLOSED_FORM),
                                                    (wrong_gradients, D5_ONES)])  # fmt: skip
def test_a_wrong_backward_pass_turns_the_verdict(monkeypatch, fault, module, experiment):
    monkeypatch.setattr(module, "batchnorm_backward", fault)
    assert experiment.evidence().verdict in ("WRONG", "IMPRECISE")


@pytest.mark.parametrize("fault", [detached_mean, detached_variance])
@pytest.mark.parametrize("experiment", [D3_PROJECTION, D6_SMALL_BATCHES], ids=lambda e: e.claim.id)
def test_a_wrong_backward_pass_is_no_projection_of_rank_m_minus_2(monkeypatch, fault, experiment):
    monkeypatch.setattr(gradient_geometry, "batchnorm_backward", fault)
    assert experiment.evidence().verdict in ("WRONG", "IMPRECISE")


# The pieces that the notebook calls.


def test_functions_of_nodes_all_pass_through_the_same_output():
    _, x, gamma, beta = backpropagation.drawn_batch(Batch(rows=6, features=3, seed=1))
    y, _ = bnlab.batchnorm_forward(x, gamma, beta, 1e-3)
    for f, value in backpropagation.functions_of_nodes(x, gamma, beta, 1e-3).values():
        np.testing.assert_allclose(f(value), y, rtol=1e-12, atol=1e-12)


def test_the_gradient_of_the_mean_is_the_same_with_the_variance_held():
    dy, x, gamma, beta = backpropagation.drawn_batch(Batch())
    stages = backpropagation.staged_gradients(dy, x, gamma, beta, 1e-5)
    var = x.var(axis=0)
    alone = numerical_gradient(
        lambda mean: gamma * (x - mean) / np.sqrt(var + 1e-5) + beta, x.mean(axis=0), dy
    )
    assert relative_error(alone, stages["dmean"]) < 1e-7


def test_a_stopped_gradient_is_the_bare_scale():
    dy, x, gamma, beta = backpropagation.drawn_batch(Batch())
    _, cache = bnlab.batchnorm_forward(x, gamma, beta, 1e-5)
    stopped = wrong_gradients.stopped_gradient(dy, x, gamma, beta, 1e-5)
    np.testing.assert_allclose(stopped, gamma * cache.inv_std * dy, rtol=1e-12)
    whole = wrong_gradients.stopped_gradient(dy, x, gamma, beta, 1e-5, stop=())
    np.testing.assert_allclose(whole, bnlab.batchnorm_backward(dy, cache)[0], rtol=1e-10)


@pytest.mark.parametrize("seed", range(4))
def test_two_rows_leave_a_gradient_that_eps_makes(seed):
    gradients = [gradient_geometry.pair_network_gradient(eps, seed) for eps in (1e-9, 1e-11)]
    assert gradients[1] < 1e-3 * gradients[0]


def test_the_share_of_two_rows_is_zero():
    assert gradient_geometry.share_that_passes(2, 100, np.random.default_rng(0)) < 1e-12
