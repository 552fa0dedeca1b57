"""Claims of notebook 02: each identity for real, and planted arrays that flip each verdict."""

import numpy as np
import pytest
import torch

import bnlab
from bnlab.course.experiments.bench import EXACT, digits_activations
from bnlab.course.experiments.evidence import Definition
from bnlab.course.lessons.nb02.algorithm import (
    A1_ALGORITHM,
    A3_OTHER_CENTRE,
    A4_DOUBLE_CENTRING,
    A17_ONE_ROW,
    double_centring,
)
from bnlab.course.lessons.nb02.normalized import (
    A9_LINEAR_PART,
    A10_AFTER_RELU,
    A11_TWO_MOMENTS,
    A18_BOUND,
    normal_quantiles,
    two_humps,
)
from bnlab.course.lessons.nb02.notation import (
    A5_PER_FEATURE,
    A6_NOTATION,
    A13_STATISTICS,
    A14_PARAMETERS,
)
from bnlab.course.lessons.nb02.scale_and_shift import (
    A7_SUBTRACTED_SHIFT,
    A8_IDENTITY,
    A15_TWO_AFFINES,
)

VERDICTS = {
    A1_ALGORITHM: "RIGHT", A3_OTHER_CENTRE: "WRONG", A4_DOUBLE_CENTRING: "WRONG",
    A5_PER_FEATURE: "IMPRECISE", A6_NOTATION: "IMPRECISE", A7_SUBTRACTED_SHIFT: "IMPRECISE",
    A8_IDENTITY: "WRONG", A9_LINEAR_PART: "RIGHT", A10_AFTER_RELU: "WRONG",
    A11_TWO_MOMENTS: "IMPRECISE", A13_STATISTICS: "WRONG", A14_PARAMETERS: "WRONG",
    A15_TWO_AFFINES: "IMPRECISE", A17_ONE_ROW: "IMPRECISE", A18_BOUND: "IMPRECISE",
}  # fmt: skip
SMALLER = {A17_ONE_ROW: {"seeds": (0, 1), "batches": 20}}


def _id(value):
    return value.claim.id if hasattr(value, "claim") else str(value)


@pytest.mark.parametrize(("entry", "verdict"), VERDICTS.items(), ids=_id)
def test_the_verdict_of_each_claim(entry, verdict):
    evidence = entry.evidence(**SMALLER.get(entry, {}))
    assert evidence.verdict == verdict, evidence
    assert evidence.claim.notebook == "02"
    kind = "definition" if isinstance(entry, Definition) else "identity"
    assert evidence.claim.kind == ("experiment" if entry is A17_ONE_ROW else kind)


# Arrays that are not what we found must give another verdict.

FLIPS = [
    (A1_ALGORITHM, {"difference": 1e-3, "difference_unbiased": 0.0}, "WRONG"),
    (A3_OTHER_CENTRE, {"said": np.ones(3), "var": np.ones(3), "square": np.zeros(3)}, "RIGHT"),
    (A4_DOUBLE_CENTRING, {"std": np.ones(3), "std_right": np.ones(3), "predicted": np.ones(3)},
     "RIGHT"),
    (A7_SUBTRACTED_SHIFT, {"difference": 0.5, "error_minus": 0.0, "error_plus": 2.0}, "WRONG"),
    (A7_SUBTRACTED_SHIFT, {"difference": 0.0, "error_minus": 0.0, "error_plus": 0.0}, "RIGHT"),
    (A7_SUBTRACTED_SHIFT, {"difference": 0.0, "error_minus": 2.0, "error_plus": 2.0}, "WRONG"),
    (A7_SUBTRACTED_SHIFT, {"difference": 0.0, "error_minus": 2.0, "error_plus": 0.0}, "WRONG"),
    (A8_IDENTITY, {"said": 0.0, "paper": 1e-5, "exact": 0.0}, "RIGHT"),
    (A9_LINEAR_PART, {"gammas": [1, 8], "r_squared": np.array([0.6, 0.5])}, "WRONG"),
    (A9_LINEAR_PART, {"gammas": [1, 8], "r_squared": np.array([0.98, 0.97])}, "IMPRECISE"),
    (A10_AFTER_RELU, {"mean_before": 0.0, "var_before": 1.0, "mean": 0.0, "var": 1.0, "zeros": 0.5},
     "RIGHT"),
    (A11_TWO_MOMENTS, {"mean": 0.0, "var": 1.0, "near_zero": 0.38, "near_zero_normal": 0.38},
     "RIGHT"),
    (A11_TWO_MOMENTS, {"mean": 0.0, "var": 0.5, "near_zero": 0.0, "near_zero_normal": 0.38},
     "WRONG"),
    (A15_TWO_AFFINES, {"difference": 0.5, "threes": 1.0, "threes_normalized": 1.0}, "WRONG"),
    (A15_TWO_AFFINES, {"difference": 0.0, "threes": 1.0, "threes_normalized": 1.0}, "RIGHT"),
    (A17_ONE_ROW, {"sizes": np.array([8, 32]), "spread": np.zeros((2, 3))}, "RIGHT"),
    (A17_ONE_ROW, {"sizes": np.array([8, 32]), "spread": np.array([[0.2, 0.4, 0.5]])}, "WRONG"),
    (A17_ONE_ROW, {"sizes": np.array([8, 32]), "spread": np.array([[0.4, 0.2, 0.1]])}, "WRONG"),
    (A17_ONE_ROW, {"sizes": np.array([8, 32]), "spread": np.array([[0.2, 0.4, 0.0]])}, "WRONG"),
]  # fmt: skip


@pytest.mark.parametrize(("experiment", "arrays", "verdict"), FLIPS, ids=_id)
def test_other_arrays_give_another_verdict(experiment, arrays, verdict):
    assert experiment.read(arrays).verdict == verdict
    assert verdict != VERDICTS[experiment]


# Every value on its limit: `<` leaves it out, `<=` lets it in.

LIMITS = [
    (A7_SUBTRACTED_SHIFT, {"difference": EXACT, "error_minus": 0.0, "error_plus": 1e-6},
     "IMPRECISE"),
    (A8_IDENTITY, {"said": EXACT, "paper": 1e-5, "exact": 0.0}, "RIGHT"),
    (A9_LINEAR_PART, {"gammas": [1, 8], "r_squared": np.array([0.95, 0.8])}, "WRONG"),
    (A9_LINEAR_PART, {"gammas": [1, 8], "r_squared": np.array([0.98, 0.9])}, "IMPRECISE"),
    (A11_TWO_MOMENTS, {"mean": 1e-6, "var": 1.0, "near_zero": 0.38, "near_zero_normal": 0.38},
     "WRONG"),
    (A11_TWO_MOMENTS, {"mean": 0.0, "var": 1.0, "near_zero": 0.05, "near_zero_normal": 0.0},
     "IMPRECISE"),
    (A15_TWO_AFFINES, {"difference": EXACT, "threes": 1.0, "threes_normalized": 1 - 0.05},
     "IMPRECISE"),
]  # fmt: skip


@pytest.mark.parametrize(("experiment", "arrays", "verdict"), LIMITS, ids=_id)
def test_a_value_on_its_limit_is_judged_as_the_criterion_says(experiment, arrays, verdict):
    assert experiment.read(arrays).verdict == verdict


@pytest.mark.parametrize(("mean", "var"), [(0.0, 0.5), (0.01, 1.0)])
def test_activations_are_normalized_only_if_both_moments_are(mean, var):
    arrays = {"mean_before": 0.0, "var_before": 1.0, "mean": mean, "var": var, "zeros": 0.5}
    assert A10_AFTER_RELU.read(arrays).verdict == "WRONG"


BOUND = np.array([1.0, 7.0])


@pytest.mark.parametrize(
    ("changed", "verdict"),
    [
        ({"heavy": np.array([1.0, 8.0])}, "WRONG"),  # above the bound
        ({"normal": np.array([1.0, 8.0])}, "WRONG"),
        ({"heavy": BOUND * (1 + 1e-12)}, "IMPRECISE"),  # above it by rounding, which is allowed
        ({"outlier": np.array([0.7, 6.9])}, "WRONG"),  # the bound is never met
        ({"outlier": BOUND * (1 - 1e-7)}, "WRONG"),  # met in 7 digits is not met
        ({"scaled": BOUND}, "RIGHT"),  # y would be bounded as well
        ({"scaled": BOUND * (1 + 1e-12)}, "RIGHT"),  # beyond it by rounding is not beyond
        ({"scaled": 1.5 * BOUND}, "IMPRECISE"),
    ],
)
def test_the_bound_is_judged_by_each_of_its_parts(changed, verdict):
    arrays = {"bound": BOUND, "outlier": BOUND, "scaled": 10 * BOUND,
              "heavy": BOUND, "normal": 0.5 * BOUND}  # fmt: skip
    assert A18_BOUND.read(arrays).verdict == "IMPRECISE"
    assert A18_BOUND.read(arrays | changed).verdict == verdict


# What the sentence says of planted arrays.


def test_the_linear_part_is_left_at_the_largest_gamma_and_each_is_listed():
    evidence = A9_LINEAR_PART.read({"gammas": [1, 4, 8], "r_squared": np.array([0.98, 0.92, 0.8])})
    assert evidence.verdict == "RIGHT"
    listed = "0.98 at gamma = 1, 0.92 at gamma = 4, 0.80 at gamma = 8"
    assert evidence.measured.endswith(f": {listed}")


def test_the_parameters_of_the_identity_are_exact_up_to_their_limit():
    measured = A8_IDENTITY.read({"said": 1.0, "paper": 1e-5, "exact": EXACT}).measured
    assert measured.endswith(": True")


@pytest.mark.parametrize(
    ("threes", "normalized", "found", "lost"), [(1.0, 0.3, True, False), (0.9, 0.2, False, True)]
)
def test_the_threes_found_before_and_after_batch_norm_are_said(threes, normalized, found, lost):
    arrays = {"difference": 0.0, "threes": threes, "threes_normalized": normalized}
    measured = A15_TWO_AFFINES.read(arrays).measured
    assert f"over 90% of them: {found}, after batch norm under 30%: {lost}" in measured


# The runs against oracles that do not use bnlab.batchnorm.


def test_activations_have_means_and_variances_of_their_own():
    z, labels = digits_activations(50, 7, seed=3)
    assert z.shape == (50, 7)
    assert labels.shape == (50,)
    assert np.ptp(z.mean(axis=0)) > 0.1
    assert not np.array_equal(z, digits_activations(50, 7, seed=4)[0])


def test_the_difference_that_m_minus_1_makes_is_torchs_own():
    config = A1_ALGORITHM.config
    z, _ = digits_activations(config.rows, config.features, config.seed)
    gamma, beta = np.random.default_rng(config.seed).normal(size=(2, config.features))
    x = torch.from_numpy(z)
    outputs = [
        torch.from_numpy(gamma) * (x - x.mean(0)) / (x.var(0, correction=c) + config.eps).sqrt()
        + torch.from_numpy(beta)
        for c in (0, 1)
    ]
    expected = float((outputs[0] - outputs[1]).abs().max())
    assert A1_ALGORITHM.run(config)["difference_unbiased"] == pytest.approx(expected, rel=1e-9)


def test_the_other_centre_inflates_by_the_squared_distance():
    arrays = A3_OTHER_CENTRE.run(A3_OTHER_CENTRE.config)
    z, _ = digits_activations(64, 100, seed=0)
    np.testing.assert_allclose(arrays["said"], z.var(axis=0) + z.mean(axis=0) ** 2, rtol=1e-12)
    assert arrays["said"].max() > 3 * arrays["var"].max()


@pytest.mark.parametrize("experiment", [A3_OTHER_CENTRE, A4_DOUBLE_CENTRING, A8_IDENTITY], ids=_id)
def test_the_explanation_of_a_wrong_formula_holds_to_rounding(experiment):
    measured = experiment.evidence().measured
    assert measured.endswith(": True"), measured


def test_double_centring_divides_by_the_wrong_root():
    z = np.random.default_rng(0).normal(3, 1, (40, 2))
    wrong = double_centring(z, 0.0)
    right = (z - z.mean(0)) / np.sqrt(z.var(0) + z.mean(0) ** 2)
    np.testing.assert_allclose(wrong, right, rtol=1e-12)
    np.testing.assert_allclose(double_centring(z - z.mean(0), 0.0).std(0), 1, rtol=1e-12)


def test_r_squared_is_that_of_a_least_squares_line():
    arrays = A9_LINEAR_PART.run(A9_LINEAR_PART.config)
    x = normal_quantiles(5000)
    for gamma, found in zip(arrays["gammas"], arrays["r_squared"], strict=True):
        y = 1 / (1 + np.exp(-gamma * x))
        residual = y - np.polyval(np.polyfit(x, y, 1), x)
        assert found == pytest.approx(1 - residual.var() / y.var(), abs=2e-3)
    assert arrays["r_squared"] == pytest.approx([0.984, 0.930, 0.838, 0.752], abs=1e-3)


def test_moments_after_relu_are_the_exact_ones():
    arrays = A10_AFTER_RELU.run(A10_AFTER_RELU.config)
    assert arrays["mean"] == pytest.approx(1 / np.sqrt(2 * np.pi), abs=1e-4)
    assert arrays["var"] == pytest.approx(1 / 2 - 1 / (2 * np.pi), abs=1e-4)
    assert arrays["zeros"] == 0.5


def test_two_humps_are_two_humps():
    x = two_humps(1000)
    assert ((x > 6) & (x < 8)).mean() > 0.45
    assert ((x > 12) & (x < 14)).mean() > 0.45
    assert not ((x > 9) & (x < 11)).any()


def test_each_part_of_the_bound_is_drawn():
    arrays = A18_BOUND.run(A18_BOUND.config)
    assert (arrays["normal"][2:] < 0.8 * arrays["heavy"][2:]).all()
    assert (arrays["scaled"] == 10 * arrays["outlier"]).all()


def test_a_row_alone_with_the_whole_training_set_always_gives_the_same():
    arrays = A17_ONE_ROW.run(type(A17_ONE_ROW.config)(batches=3, seeds=(5,)))
    assert arrays["spread"].shape == (1, 4)
    assert arrays["spread"][0, :3].min() > 0.01
    assert arrays["spread"][0, 3] < 1e-12


# A broken package must not look right in the ledger: planted mistakes change verdicts or numbers.


def _broken(forward):
    """A batchnorm_forward with one mistake, and a cache that fits it."""

    def batchnorm_forward(x, gamma, beta, eps=1e-5):
        _, cache = bnlab.batchnorm_forward(x, gamma, beta, eps)
        inv_std = forward(x, cache, eps)
        fields = {"inv_std": inv_std, "var": 1 / inv_std**2 - eps}
        cache = type(cache)(**{**vars(cache), **fields})
        return np.asarray(gamma) * cache.x_hat + np.asarray(beta), cache

    return batchnorm_forward


MISTAKES = {
    "m - 1": lambda x, cache, eps: 1 / np.sqrt(x.var(axis=0, ddof=1) + eps),
    "eps outside the root": lambda x, cache, eps: 1 / (x.std(axis=0) + eps),
    "double centring": lambda x, cache, eps: 1 / np.sqrt(cache.var + cache.mean**2 + eps),
}


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_broken_forward_pass_changes_the_evidence(mistake, monkeypatch):
    entries = (A1_ALGORITHM, A8_IDENTITY)
    before = [str(e.evidence()) for e in entries]
    for module in ("algorithm", "scale_and_shift"):
        name = f"bnlab.course.lessons.nb02.{module}.batchnorm_forward"
        monkeypatch.setattr(name, _broken(MISTAKES[mistake]))
    assert A1_ALGORITHM.evidence().verdict == "WRONG"
    assert all(str(e.evidence()) != b for e, b in zip(entries, before, strict=True))
