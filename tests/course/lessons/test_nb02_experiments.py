"""Claims of notebook 02: each identity for real, and planted arrays that flip each verdict."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

import bnlab
from bnlab.course.experiments.bench import EXACT, digits_activations
from bnlab.course.experiments.evidence import Definition
from bnlab.course.lessons.nb02.algorithm import (
    A1_ALGORITHM,
    A4_DOUBLE_CENTRING,
    A17_ONE_ROW,
    double_centring,
)
from bnlab.course.lessons.nb02.bound import A18_BOUND
from bnlab.course.lessons.nb02.normalized import (
    A9_LINEAR_PART,
    A10_AFTER_RELU,
    A11_TWO_MOMENTS,
    normal_quantiles,
    two_humps,
)
from bnlab.course.lessons.nb02.notation import (
    A5_PER_FEATURE,
    A6_NOTATION,
    A13_STATISTICS,
    A14_PARAMETERS,
)
from bnlab.course.lessons.nb02.running_variance import A3_OTHER_CENTRE, running_means
from bnlab.course.lessons.nb02.scale_and_shift import (
    A7_SUBTRACTED_SHIFT,
    A8_IDENTITY,
    A15_TWO_AFFINES,
)

VERDICTS = {
    A1_ALGORITHM: "RIGHT", A3_OTHER_CENTRE: "IMPRECISE", A4_DOUBLE_CENTRING: "WRONG",
    A5_PER_FEATURE: "IMPRECISE", A6_NOTATION: "IMPRECISE", A7_SUBTRACTED_SHIFT: "IMPRECISE",
    A8_IDENTITY: "WRONG", A9_LINEAR_PART: "RIGHT", A10_AFTER_RELU: "WRONG",
    A11_TWO_MOMENTS: "IMPRECISE", A13_STATISTICS: "WRONG", A14_PARAMETERS: "WRONG",
    A15_TWO_AFFINES: "IMPRECISE", A17_ONE_ROW: "IMPRECISE", A18_BOUND: "IMPRECISE",
}  # fmt: skip
SMALLER = {A17_ONE_ROW: {"seeds": (0, 1, 2)}}


def _id(value):
    return value.claim.id if hasattr(value, "claim") else str(value)


@pytest.mark.parametrize(("entry", "verdict"), VERDICTS.items(), ids=_id)
def test_the_verdict_of_each_claim(entry, verdict):
    evidence = entry.evidence(**SMALLER.get(entry, {}))
    assert evidence.verdict == verdict, evidence
    assert evidence.claim.notebook == "02"
    kind = "definition" if isinstance(entry, Definition) else "identity"
    assert evidence.claim.kind == ("experiment" if entry is A17_ONE_ROW else kind)


# Planted arrays for each verdict that a judge can give, and values on their limits: a limit that a
# criterion names is kept by a value on it (`<=`) or not (`<`).


def stream(first=1.0, settled=1.0):
    """Arrays of A3 with 30 channels and two batch sizes: what comes out, in variances of 4."""
    spread = np.tile([0.9, 1.1], 15) * 4.0
    return {
        "variance": 4.0,
        "sizes": np.array([2, 8]),
        "about_a": np.full((2, 6), 5.0),
        "about_own": np.full((2, 6), 3.0),
        "first": np.outer(np.broadcast_to(first, 2), spread),
        "settled": np.outer(np.broadcast_to(settled, 2), spread),
        "settled_own": np.full((2, 30), 3.0),
    }


def shifted(difference, minus, plus):
    return {"difference": difference, "error_minus": minus, "error_plus": plus}


def moments(mean, var):
    """Arrays of A10: before a nonlinearity, and after ReLU, sigmoid and tanh."""
    names = ["ReLU", "sigmoid", "tanh"]
    return {"activations": names, "mean": np.array([0, *mean]), "var": np.array([1, *var])}


def humps(mean=0.0, var=1.0, near=0.0):
    edges = np.linspace(-3, 3, 61)
    drawn = {"edges": edges, "density": np.zeros(60), "density_normal": np.ones(60)}
    return {"mean": mean, "var": var, "near_zero": near, "near_zero_normal": 0.38, **drawn}


def logits(difference=0.0, threes=1.0, normalized=1.0):
    return {"difference": difference, "threes": threes, "threes_normalized": normalized}


def rows(*spread):
    return {"sizes": np.array([8, 32]), "spread": np.array(spread)}


BOUND = np.array([1.0, 7.0])


def bounded(**changed):
    drawn = {"outlier": BOUND, "scaled": 10 * BOUND, "heavy": BOUND, "normal": 0.5 * BOUND}
    return {"bound": BOUND, **drawn, **changed}


def centred(std):
    drawn = {"offset": np.array([0.0, 2.0, 1.0]), "predicted": np.array([1.0, 0.4, 0.7])}
    return {"std": np.array([1.0, 1.0, std]), "std_right": np.ones(3), **drawn}


def identity(said):
    return {"said": said, "paper": 1e-5, "exact": 1e-16}


def fit_of_line(*r_squared):
    return {"gammas": np.array([1.0, 4.0, 8.0]), "r_squared": np.array(r_squared)}


PLANTED = [
    (A1_ALGORITHM, {"difference": EXACT, "difference_unbiased": 0.1}, "RIGHT"),
    (A1_ALGORITHM, {"difference": 2 * EXACT, "difference_unbiased": 0.0}, "WRONG"),
    (A3_OTHER_CENTRE, stream(first=7.0), "IMPRECISE"),
    (A3_OTHER_CENTRE, stream(), "RIGHT"),
    (A3_OTHER_CENTRE, stream(first=7.0, settled=0.5), "WRONG"),
    (A3_OTHER_CENTRE, stream(first=7.0, settled=[1.0, 0.5]), "WRONG"),  # one batch size is off
    (A3_OTHER_CENTRE, stream(first=7.0, settled=1.2), "WRONG"),
    (A3_OTHER_CENTRE, stream(settled=1.04), "CANNOT TELL"),  # 4 +- 3.8%
    (A3_OTHER_CENTRE, stream(first=[1.0, 7.0], settled=[1.0, 1.04]), "CANNOT TELL"),
    (A4_DOUBLE_CENTRING, centred(0.4), "WRONG"),
    (A4_DOUBLE_CENTRING, centred(1.002), "WRONG"),
    (A4_DOUBLE_CENTRING, centred(0.9995), "RIGHT"),
    (A7_SUBTRACTED_SHIFT, shifted(0.0, 1e-9, 2.0), "IMPRECISE"),
    (A7_SUBTRACTED_SHIFT, shifted(0.5, 2.0, 2.0), "WRONG"),
    (A7_SUBTRACTED_SHIFT, shifted(EXACT, 0.0, 0.0), "RIGHT"),
    (A7_SUBTRACTED_SHIFT, shifted(0.0, 0.0, 1e-6), "IMPRECISE"),
    (A7_SUBTRACTED_SHIFT, shifted(0.5, 0.0, 0.0), "IMPRECISE"),
    (A8_IDENTITY, identity(8.7), "WRONG"),
    (A8_IDENTITY, identity(EXACT), "RIGHT"),
    (A9_LINEAR_PART, fit_of_line(0.98, 0.92, 0.8), "RIGHT"),
    (A9_LINEAR_PART, fit_of_line(0.95, 0.99, 0.99), "RIGHT"),
    (A9_LINEAR_PART, fit_of_line(0.94, 0.99, 0.99), "WRONG"),
    (A10_AFTER_RELU, moments([0.4, 0.5, 0.0], [0.34, 0.04, 0.39]), "WRONG"),
    (A10_AFTER_RELU, moments([0.0, 0.5, 0.0], [1.0, 0.04, 0.39]), "IMPRECISE"),
    (A10_AFTER_RELU, moments([0.0, 0.0, 0.0], [1.0, 1.0, 1.0]), "RIGHT"),
    (A10_AFTER_RELU, moments([0.01, 0.5, 0.0], [1.0, 0.04, 0.39]), "WRONG"),
    (A10_AFTER_RELU, moments([-0.4, 0.5, -0.5], [1.0, 0.04, 1.0]), "WRONG"),
    (A11_TWO_MOMENTS, humps(), "IMPRECISE"),
    (A11_TWO_MOMENTS, humps(near=0.38), "RIGHT"),
    (A11_TWO_MOMENTS, humps(near=0.34), "RIGHT"),
    (A11_TWO_MOMENTS, humps(near=0.44), "IMPRECISE"),
    (A11_TWO_MOMENTS, humps(var=0.5), "WRONG"),
    (A11_TWO_MOMENTS, humps(mean=-1.0), "WRONG"),
    (A11_TWO_MOMENTS, humps(mean=1e-3, near=0.38), "IMPRECISE"),
    (A15_TWO_AFFINES, logits(normalized=0.1), "IMPRECISE"),
    (A15_TWO_AFFINES, logits(EXACT), "RIGHT"),
    (A15_TWO_AFFINES, logits(difference=0.5), "IMPRECISE"),
    (A15_TWO_AFFINES, logits(difference=0.5, normalized=0.1), "WRONG"),
    (A15_TWO_AFFINES, logits(normalized=1 - 0.05), "IMPRECISE"),
    (A17_ONE_ROW, rows(*[[0.4, 0.2, 0.0]] * 3), "IMPRECISE"),
    (A17_ONE_ROW, rows(*[[0.0, 0.0, 0.0]] * 3), "RIGHT"),
    (A17_ONE_ROW, rows(*[[0.4, 0.2, 0.1]] * 3), "WRONG"),
    (A17_ONE_ROW, rows(*[[0.4, 0.0, 0.0]] * 3), "IMPRECISE"),  # not at each batch size
    (A17_ONE_ROW, rows(*[[0.4, 0.2, 0.0]] * 2), "CANNOT TELL"),  # two seeds
    (A17_ONE_ROW, rows([0.0, 0.0, 0.0], *[[0.4, 0.2, 0.0]] * 2), "CANNOT TELL"),
    (A18_BOUND, bounded(), "IMPRECISE"),
    (A18_BOUND, bounded(heavy=np.array([1.0, 8.0])), "WRONG"),  # above the bound
    (A18_BOUND, bounded(normal=np.array([1.0, 8.0])), "WRONG"),
    (A18_BOUND, bounded(outlier=np.array([1.1, 7.0])), "WRONG"),
    (A18_BOUND, bounded(heavy=BOUND * (1 + 1e-12)), "IMPRECISE"),  # above it by rounding
    (A18_BOUND, bounded(scaled=BOUND), "RIGHT"),  # y would be bounded as well
    (A18_BOUND, bounded(scaled=BOUND * (1 + 1e-12)), "RIGHT"),
    (A18_BOUND, bounded(scaled=np.array([1.0, 8.0])), "IMPRECISE"),
]


@pytest.mark.parametrize(("experiment", "arrays", "verdict"), PLANTED, ids=_id)
def test_a_verdict_follows_from_the_arrays_and_a_criterion_does_not(experiment, arrays, verdict):
    assert experiment.read(arrays).verdict == verdict
    first = next(other for entry, other, _ in PLANTED if entry is experiment)
    criteria, others = ([part.criterion for part in experiment.judge(a)] for a in (arrays, first))
    assert criteria == others


def test_each_judge_is_planted_with_more_than_one_verdict():
    for entry in VERDICTS:
        if not isinstance(entry, Definition):
            assert len({verdict for e, _, verdict in PLANTED if e is entry}) > 1, entry.claim.id


# What the sentence says of planted arrays.

SAID = [
    (A3_OTHER_CENTRE, stream(first=7.0, settled=[1.0, 1.2]), "7.0 times the variance; 4.00, 4.80 "
     "for batches of 2, 8, of 4; about the batch's own mean 3.00, 3.00"),
    (A4_DOUBLE_CENTRING, centred(0.4), "0.40 to 1.00, Algorithm 1 1.00 to 1.00"),
    (A8_IDENTITY, identity(8.67), "largest difference 8.7; 1e-05 with the paper's (sqrt(Var), "
     "mean), 1e-16 with (sqrt(Var + eps), mean)"),
    (A9_LINEAR_PART, fit_of_line(0.98, 0.92, 0.8), "R^2 by gamma: 0.980 at 1, 0.920 at 4, 0.800 "
     "at 8"),
    (A10_AFTER_RELU, moments([0.4, 0.5, -0.1], [0.34, 0.04, 0.39]), "0.400 and 0.340; 0.500 and "
     "0.040; 0.100 and 0.390"),
    (A15_TWO_AFFINES, logits(normalized=0.07), "largest difference 0e+00; 7%, without 100%"),
    (A17_ONE_ROW, rows([0.4, 0.2, 0.0], [0.6, 0.2, 0.0]), "its standard deviation over batches is "
     "0.50 at m = 8, 0.20 at m = 32; standard deviation 0.00"),
    (A18_BOUND, bounded(), "at most 1.00 times as far; up to 10.0 times as far"),
]  # fmt: skip


@pytest.mark.parametrize(("experiment", "arrays", "measured"), SAID, ids=_id)
def test_what_was_measured_is_said(experiment, arrays, measured):
    assert experiment.read(arrays).measured == measured


# The figures: their axes, and a line that has the data.


def drawn(experiment, arrays):
    """The figure's first axes, its lines by label, and those without one."""
    ax = experiment.draw(arrays)
    ax.figure.canvas.draw()
    assert ax.get_ylabel() or ax.get_yticklabels()
    lines = {line.get_label(): line for line in ax.lines}
    plt.close(ax.figure)
    return ax, lines


def test_errors_are_drawn_beside_their_tolerance():
    cases = [
        (A1_ALGORITHM, {"difference": 1e-15, "difference_unbiased": 0.1}, [1e-15, 0.1], EXACT),
        (A7_SUBTRACTED_SHIFT, shifted(0.0, 1e-9, 2.0), [1e-9, 2.0], 1e-6),
        (A8_IDENTITY, identity(8.7), [1e-16, 8.7, 1e-5], EXACT),
    ]
    for experiment, arrays, expected, tolerance in cases:
        ax, lines = drawn(experiment, arrays)
        ends = [lines[f"{side} the tolerance"].get_xdata() for side in ("within", "beyond")]
        np.testing.assert_allclose(np.concatenate(ends), expected)
        assert f"tolerance {tolerance:.0e}" in {text.get_text() for text in ax.texts}
        assert ax.get_xlabel()


def test_early_and_settled_are_drawn_side_by_side():
    arrays = stream(settled=[1.0, 1.2])
    left, lines = drawn(A3_OTHER_CENTRE, arrays)
    np.testing.assert_array_equal(lines["from the running mean"].get_ydata(), arrays["about_a"][1])
    right = left.figure.axes[1]
    np.testing.assert_allclose(right.lines[0].get_ydata(), [4.0, 4.8])
    np.testing.assert_array_equal(right.lines[2].get_ydata(), [4.0, 4.0])
    assert left.get_xlabel() == "update, batches of 8"
    assert right.get_xlabel() == "batch size, once a has settled"


def test_double_centring_is_drawn_against_the_mean():
    ax, lines = drawn(A4_DOUBLE_CENTRING, centred(0.4))
    np.testing.assert_array_equal(lines["centred twice"].get_ydata(), [1.0, 1.0, 0.4])
    np.testing.assert_array_equal(lines["centred twice"].get_xdata(), [0.0, 2.0, 1.0])
    predicted = lines["std / sqrt(variance + mean^2)"]
    np.testing.assert_array_equal(predicted.get_ydata(), [1.0, 0.7, 0.4])
    assert ax.get_ylabel() == "standard deviation after"


def test_the_linear_part_is_drawn_over_gamma():
    ax, lines = drawn(A9_LINEAR_PART, fit_of_line(0.98, 0.92, 0.8))
    np.testing.assert_array_equal(lines["normal\ninput"].get_ydata(), [0.98, 0.92, 0.8])
    assert "95%, nearly linear" in {text.get_text() for text in ax.texts}


def test_moments_are_drawn_as_points_with_names():
    ax, _ = drawn(A10_AFTER_RELU, moments([0.4, 0.5, 0.0], [0.36, 0.04, 0.36]))
    points = [np.ravel(line.get_data()) for line in ax.lines]
    np.testing.assert_allclose(points, [(0, 1), (0.4, 0.6), (0.5, 0.2), (0, 0.6)])
    names = [text.get_text() for text in ax.texts]
    assert names == ["normalized", "after ReLU", "after sigmoid", "after tanh"]


def test_both_shapes_are_drawn():
    ax, _ = drawn(A11_TWO_MOMENTS, humps())
    normalized, normal = (patch.get_data() for patch in ax.patches)
    np.testing.assert_array_equal(normalized.values, np.zeros(60))
    np.testing.assert_array_equal(normal.values, np.ones(60))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("normalized value", "density")


@pytest.mark.parametrize(
    ("experiment", "arrays", "names", "values"),
    [
        (A15_TWO_AFFINES, logits(normalized=0.07), ["logits as they are", "normalized logits"],
         [[100], [7]]),
        (A17_ONE_ROW, rows([0.4, 0.2, 0.0], [0.5, 0.2, 0.0]),
         ["8 images", "32 images", "the whole training set"], [[0.4, 0.5], [0.2, 0.2], [0, 0]]),
    ],
    ids=_id,
)  # fmt: skip
def test_groups_are_drawn_side_by_side(experiment, arrays, names, values):
    ax, _ = drawn(experiment, arrays)
    assert [label.get_text().replace("\n", " ") for label in ax.get_xticklabels()] == names
    points = [line.get_ydata() for line in ax.lines if line.get_marker() == "o"]
    for found, expected in zip(points, values, strict=True):
        np.testing.assert_allclose(found, expected)


def test_the_bound_is_drawn_with_what_keeps_it_and_what_does_not():
    ax, lines = drawn(A18_BOUND, bounded())
    np.testing.assert_array_equal(lines["sqrt(m - 1)"].get_data(), [[2, 50], BOUND])
    np.testing.assert_array_equal(lines["y of one outlier, gamma 10"].get_ydata(), 10 * BOUND)
    np.testing.assert_array_equal(lines["x_hat, normal batches"].get_ydata(), 0.5 * BOUND)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("batch size m", "largest distance from 0")


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


def test_a_running_mean_has_seen_the_batches_before_only():
    means = np.random.default_rng(3).normal(size=(6, 2))
    a = running_means(means, momentum=0.3)
    for t in range(6):
        expected = sum(0.3 * 0.7 ** (t - 1 - k) * means[k] for k in range(t))
        np.testing.assert_allclose(a[t], expected, atol=1e-15)


def test_distances_from_another_centre_are_the_variance_and_a_square():
    """Of the runs themselves: mean((z - a)^2) is the batch variance plus (mean - a)^2."""
    config = type(A3_OTHER_CENTRE.config)(sizes=(4,), updates=20, settling=5, channels=3, seed=7)
    arrays = A3_OTHER_CENTRE.run(config)
    z = np.random.default_rng(7).normal(5, 2, (20, 4, 3))
    square = (z.mean(axis=1) - running_means(z.mean(axis=1), 0.1)) ** 2  # (T, C)
    np.testing.assert_allclose(arrays["about_own"][0], z.var(axis=1).mean(axis=-1))
    np.testing.assert_allclose(
        arrays["about_a"][0], (z.var(axis=1) + square).mean(axis=-1), rtol=1e-12
    )
    np.testing.assert_allclose(arrays["first"][0], (z[0] ** 2).mean(axis=0))
    settled = (z.var(axis=1) + square)[5:].mean(axis=0)
    np.testing.assert_allclose(arrays["settled"][0], settled)


def test_a_settled_running_mean_is_the_less_biased_centre():
    """Expected: (1 + momentum/(2 - momentum)/m) variances about a, (1 - 1/m) about the batch's."""
    arrays = A3_OTHER_CENTRE.run(A3_OTHER_CENTRE.config)
    m = arrays["sizes"]
    expected = 4 * (1 + 0.1 / 1.9 / m), 4 * (1 - 1 / m)
    for name, values in zip(("settled", "settled_own"), expected, strict=True):
        np.testing.assert_allclose(arrays[name].mean(axis=-1), values, rtol=0.03)


def test_double_centring_divides_by_the_wrong_root():
    z = np.random.default_rng(0).normal(3, 1, (40, 2))
    wrong = double_centring(z, 0.0)
    right = (z - z.mean(0)) / np.sqrt(z.var(0) + z.mean(0) ** 2)
    np.testing.assert_allclose(wrong, right, rtol=1e-12)
    np.testing.assert_allclose(double_centring(z - z.mean(0), 0.0).std(0), 1, rtol=1e-12)
    arrays = A4_DOUBLE_CENTRING.run(A4_DOUBLE_CENTRING.config)
    np.testing.assert_allclose(arrays["std"], arrays["predicted"], atol=1e-12)
    assert arrays["offset"].max() > 1


def test_the_identity_is_exact_with_eps_under_the_root():
    arrays = A8_IDENTITY.run(A8_IDENTITY.config)
    assert arrays["exact"] < 1e-12 < arrays["paper"] < 1e-3


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
    relu, half = 1 / np.sqrt(2 * np.pi), 0.5
    assert arrays["mean"] == pytest.approx([0, relu, half, 0], abs=1e-4)
    assert arrays["var"][:2] == pytest.approx([1, 1 / 2 - 1 / (2 * np.pi)], abs=1e-4)
    x = np.linspace(-9, 9, 20_001)
    density = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi) * (x[1] - x[0])
    sigmoid, tanh = ((f(x) ** 2 * density).sum() for f in (lambda x: 1 / (1 + np.exp(-x)), np.tanh))
    assert arrays["var"][2:] == pytest.approx([sigmoid - 0.25, tanh], abs=1e-4)


def test_two_humps_are_two_humps():
    x = two_humps(1000)
    assert ((x > 6) & (x < 8)).mean() > 0.45
    assert ((x > 12) & (x < 14)).mean() > 0.45
    assert not ((x > 9) & (x < 11)).any()
    arrays = A11_TWO_MOMENTS.run(A11_TWO_MOMENTS.config)
    middle = (arrays["edges"][:-1] + arrays["edges"][1:]) / 2
    assert arrays["density"][abs(middle) < 0.5].max() < 0.01
    normal = np.exp(-(middle**2) / 2) / np.sqrt(2 * np.pi)
    np.testing.assert_allclose(arrays["density_normal"], normal, atol=0.01)


def test_one_outlier_meets_the_bound_and_gamma_leaves_it():
    arrays = A18_BOUND.run(A18_BOUND.config)
    np.testing.assert_allclose(arrays["outlier"], np.sqrt([1, 4, 49, 999]), rtol=1e-12)
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
