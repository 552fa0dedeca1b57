"""Claims W1 to W14, A12 and A16: the pieces for real, the verdicts on planted arrays."""

import dataclasses
import json

import numpy as np
import pytest

from bnlab import functional as F
from bnlab.course.experiments import results
from bnlab.course.experiments.bench import accuracy_at_best, deep_net, rate_sweep, train
from bnlab.course.experiments.evidence import VERDICTS, Definition
from bnlab.course.experiments.ledger import ids, ledger
from bnlab.course.experiments.record import as_markdown
from bnlab.course.experiments.results import evidence_of, keep, stored, stored_evidence
from bnlab.course.lessons.nb06.small_cnn import steps_to
from bnlab.course.lessons.nb08.blind_accuracy import (
    MISTAKES,
    W9_BLIND,
    gradient_error,
    property_error,
)
from bnlab.course.lessons.nb08.depth import W3_DEPTH
from bnlab.course.lessons.nb08.figure_one import W7_FIGURE_ONE, curves_at_best, rates_as_good
from bnlab.course.lessons.nb08.gradient_growth import (
    PREDICTED_GROWTH,
    W14_SIGNALS,
    growth_per_layer,
)
from bnlab.course.lessons.nb08.initialization import W2_INITIALIZATION
from bnlab.course.lessons.nb08.internal_shift import (
    A16_COUPLING,
    W4_SHIFT,
    linear_net,
    shift_by_layer,
)
from bnlab.course.lessons.nb08.landscape import W5_LANDSCAPE, along_the_gradient
from bnlab.course.lessons.nb08.learning_rates import W1_RATES, W8_TIME, decades
from bnlab.course.lessons.nb08.noise_after import W6_NOISE, ShiftingNoise, noisy_net
from bnlab.course.lessons.nb08.only_batchnorm import PARTS, W10_ONLY_BATCHNORM, names_of
from bnlab.course.lessons.nb08.placement import A12_PLACE, placed_net
from bnlab.course.lessons.nb08.residual import KINDS, Residual, residual_net
from bnlab.course.lessons.nb08.robustness import W11_ROBUSTNESS
from bnlab.data import load_digits
from bnlab.gradcheck import gradcheck
from bnlab.layers import BatchNorm, Linear, ReLU, Sequential
from bnlab.optim import SGD

TAUGHT = {
    "A12": "CONTESTED", "A16": "WRONG", "W1": "RIGHT", "W2": "RIGHT", "W3": "IMPRECISE",
    "W4": "CONTESTED", "W5": "RIGHT", "W6": "RIGHT", "W7": "RIGHT", "W8": "WRONG",
    "W9": "WRONG", "W10": "RIGHT", "W11": "RIGHT", "W12": "IMPRECISE", "W13": "CONTESTED",
    "W14": "IMPRECISE",
}  # fmt: skip
STORED = ("A12", "W1", "W2", "W3", "W4", "W6", "W7", "W10")


@pytest.fixture(scope="module")
def digits():
    return load_digits(0, np.float32)


def flipped(experiment, **planted):
    """The verdict when some of the stored arrays are replaced."""
    arrays = stored(experiment.claim.id)[0]
    assert set(planted) <= set(arrays)
    return experiment.read(arrays | planted).verdict


# The ledger.


@pytest.mark.parametrize("name", TAUGHT)
def test_the_ledger_has_a_row_that_agrees_with_what_we_teach(name):
    entry = ledger()[name]
    assert entry.claim.notebook == "08"
    evidence = entry.evidence() if isinstance(entry, Definition) else stored_evidence(entry)
    assert evidence.verdict == TAUGHT[name]


@pytest.mark.parametrize("name", STORED)
def test_a_stored_result_is_of_the_present_config_and_says_what_is_stored(name):
    entry = ledger()[name]
    _, about = stored(name)
    assert about["config"] == json.loads(json.dumps(dataclasses.asdict(entry.config)))
    assert entry.read(stored(name)[0]).verdict == stored_evidence(entry).verdict
    assert entry.read(stored(name)[0]).measured == stored_evidence(entry).measured


# Running small: the whole way from the config to a verdict.

SMALL = {
    "W1": {"activations": ("relu",), "lrs": (0.1, 1.0), "steps": 20, "seeds": (0,)},
    "W2": {"scales": (0.01, 1.0), "lrs": (0.1,), "depths": (1,), "steps": 20, "seeds": (0,)},
    "W3": {"activations": ("relu",), "depth": 2, "lrs": (0.1,), "steps": 5, "blocks": 2,
           "block_lrs": (0.1,), "block_steps": 5, "seeds": (0,)},
    "W4": {"steps": 4, "every": 2, "linear_depth": 4, "seeds": (0,)},
    "W5": {"activations": ("relu",), "steps": 4, "every": 2, "seeds": (0,)},
    "W6": {"sizes": (0.0, 0.1), "lrs": (0.3,), "steps": 20, "seeds": (0,)},
    "W7": {"plain_lrs": (2.0,), "bn_lrs": (2.0,), "steps": 20, "every": 10, "seeds": (0, 1)},
    "W9": {"steps": 20, "seeds": (0,)},
    "W10": {"depth": 2, "lrs": (0.3,), "steps": 20, "seeds": (0,)},
    "W11": {"steps": 20, "seeds": (0, 1)},
    "W14": {"activations": ("relu",), "depth": 16, "width": 50, "rows": 64, "seeds": (0,)},
    "A12": {"activations": ("relu",), "lrs": (0.1,), "steps": 5, "seeds": (0, 1)},
    "A16": {"steps": 10, "seeds": (0,)},
}  # fmt: skip


@pytest.mark.parametrize("name", SMALL)
def test_a_small_run_gives_the_same_evidence_twice(name):
    one, two = (ledger()[name].evidence(**SMALL[name]) for _ in range(2))
    assert one == two
    assert one.verdict in VERDICTS


def test_w8_counts_steps_and_time_on_a_small_run():
    assert W8_TIME.evidence(plain_lrs=(0.1,), bn_lrs=(0.3,), steps=20, seeds=(0,)).measured


# What the experiments share.


def test_both_sides_start_from_the_same_weights():
    plain, bn = (deep_net(batchnorm, 3, scale=0.5) for batchnorm in (False, True))
    weights = [[layer.weight for layer in net if isinstance(layer, Linear)] for net in (plain, bn)]
    for a, b in zip(*weights, strict=True):
        np.testing.assert_array_equal(a, b)
    full = deep_net(False, 3)
    np.testing.assert_allclose(plain[0].weight, full[0].weight / 2, rtol=1e-6)


def test_the_rate_is_chosen_on_validation_and_judged_on_test():
    accuracy = np.zeros((2, 3, 4, 2))  # seeds, something, rates, (validation, test)
    accuracy[:, 1, 2] = (0.9, 0.3)
    accuracy[:, 1, 3] = (0.8, 0.7)
    np.testing.assert_allclose(accuracy_at_best(accuracy), [[0, 0.3, 0]] * 2)


def test_a_sweep_starts_anew_at_each_rate(digits):
    one, two = (
        rate_sweep(lambda: deep_net(True, 0), digits, lrs, 0, steps=15)
        for lrs in ((0.1, 0.5), (0.5,))
    )
    np.testing.assert_array_equal(one[1], two[0])


def test_what_is_kept_can_be_read_again(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "course_files", lambda: tmp_path)
    small = dataclasses.replace(A12_PLACE.config, activations=("relu",), lrs=(0.1,), steps=3)
    arrays = A12_PLACE.run(dataclasses.replace(small, seeds=(0, 1)))
    evidence = keep(A12_PLACE, arrays, seconds=1.4)
    assert stored_evidence(A12_PLACE) == evidence
    np.testing.assert_allclose(stored("A12")[0]["relu_after"], arrays["relu_after"])
    about = json.loads((tmp_path / "data" / "results" / "A12.json").read_text())
    assert (about["claim"], about["seconds"]) == ("A12", 1)
    assert stored_evidence(W1_RATES) is None


def test_the_table_has_a_line_for_each_claim_in_the_order_of_the_course():
    names = [n for n in ids() if n[0] == "W"]
    assert names == [f"W{k}" for k in range(1, 15)]
    found = {n: evidence_of(ledger()[n]) for n in names}
    lines = as_markdown(found).splitlines()
    assert len(lines) == 2 + len(names)
    assert "seven changes" not in lines[2]
    assert "[08](08_does_it_work_and_why.ipynb)" in lines[2]
    assert all(line.count(" | ") == 5 for line in [lines[0], *lines[2:]])
    assert found["W12"][1] == "source"
    assert found["W1"][1] == "stored"


def test_an_identity_without_a_stored_verdict_is_computed():
    assert evidence_of(ledger()["S7"])[1] == "live"


# W1, W2, W8.


def test_w1_follows_the_arrays():
    arrays = stored("W1")[0]
    swapped = {"relu_plain": arrays["relu_bn"], "relu_bn": arrays["relu_plain"]}
    swapped |= {"sigmoid_plain": arrays["sigmoid_bn"], "sigmoid_bn": arrays["sigmoid_plain"]}
    assert flipped(W1_RATES, **swapped) == "NOT REPRODUCED"
    assert flipped(W1_RATES, relu_plain=arrays["relu_bn"]) == "NOT REPRODUCED"
    only_higher = arrays["relu_bn"].copy()
    only_higher[:, :5] = 0  # a narrow window, further to the right
    assert flipped(W1_RATES, relu_bn=only_higher) == "IMPRECISE"


def test_decades_of_no_rate_and_of_one():
    lrs = np.array([0.1, 1.0])
    assert decades(lrs, np.array([0.5, 0.5]), 0.95) == -1
    assert decades(lrs, np.array([0.5, 0.95]), 0.95) == 0


def test_w2_follows_the_arrays():
    arrays = stored("W2")[0]
    worse = 0.2 * arrays["plain"] + 0.8
    assert flipped(W2_INITIALIZATION, bn=worse) == "IMPRECISE"
    assert flipped(W2_INITIALIZATION, plain=arrays["bn"], bn=arrays["plain"]) == "WRONG"


def _times(plain, bn):
    sides = {"plain": plain, "bn": bn}
    arrays = {s: np.array([[[v, 0.9]] for v in values]) for s, values in sides.items()}
    return arrays | {"seconds": np.array([1.0, 2.0]), "target": 0.95}


@pytest.mark.parametrize(
    ("plain", "bn", "verdict"),
    [((100, 90), (20, 30), "WRONG"), ((20, 30), (90, 80), "RIGHT"),
     ((100, 20), (30, 30), "IMPRECISE")],
)  # fmt: skip
def test_w8_follows_the_arrays(plain, bn, verdict):
    evidence = W8_TIME.read(_times(plain, bn))
    assert evidence.verdict == verdict
    assert "2.0 times as much" in evidence.measured


# W3 and W14.


def _accuracy(value):
    return np.full((2, 1, 2), value)


@pytest.mark.parametrize(
    ("planted", "verdict"),
    [({}, "RIGHT"), ({"relu_bn": 0.3}, "IMPRECISE"), ({"residual_skipinit": 0.99}, "IMPRECISE"),
     ({"relu_bn": 0.3, "sigmoid_bn": 0.11}, "WRONG")],
)  # fmt: skip
def test_w3_follows_the_arrays(planted, verdict):
    values = {"sigmoid_plain": 0.1, "sigmoid_bn": 0.9, "relu_plain": 0.4, "relu_bn": 0.6,
              "residual_plain": 0.1, "residual_bn": 0.9, "residual_skipinit": 0.8}  # fmt: skip
    arrays = {name: _accuracy(value) for name, value in (values | planted).items()}
    assert W3_DEPTH.read(arrays | {"depth": [40, 40], "blocks": [9, 9]}).verdict == verdict


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
    arrays = W14_SIGNALS.run(dataclasses.replace(W14_SIGNALS.config, activations=("relu",),
                                                 width=100, rows=256, seeds=(0,)))  # fmt: skip
    growth = growth_per_layer(arrays["relu_bn"][0, 1], skip=5)
    assert growth == pytest.approx(PREDICTED_GROWTH, rel=0.02)
    assert growth_per_layer(arrays["relu_plain"][0, 1], skip=5) == pytest.approx(1, abs=0.03)


def test_w14_follows_the_arrays():
    flat, steep = np.ones((2, 20)), 1.3 ** np.arange(20.0) * np.ones((2, 1))
    for forward, backward, verdict in (
        (flat, flat, "RIGHT"), (flat, steep, "IMPRECISE"), (steep, steep, "WRONG"),
        (steep, flat, "WRONG"),
    ):  # fmt: skip
        arrays = {"skip": [2, 2], "relu_bn": np.stack([forward, backward], axis=1)}
        assert W14_SIGNALS.read(arrays).verdict == verdict


def test_w14_wants_every_seed():
    flat = np.ones((2, 20))
    one_steep = np.stack([np.ones(20), 1.3 ** np.arange(20.0)])
    for forward, backward, verdict in ((flat, one_steep, "IMPRECISE"), (one_steep, flat, "WRONG")):
        arrays = {"skip": [2, 2], "relu_bn": np.stack([forward, backward], axis=1)}
        assert W14_SIGNALS.read(arrays).verdict == verdict


# W4 and A16.


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


def test_w4_follows_the_arrays():
    arrays = stored("W4")[0]
    assert flipped(W4_SHIFT, linear_bn=arrays["linear_plain"] + 0.1) == "IMPRECISE"
    ones = {name: np.ones_like(arrays[name]) for name in ("relu_bn", "linear_bn")}
    assert flipped(W4_SHIFT, **ones) == "RIGHT"
    assert flipped(W4_SHIFT, relu_bn=arrays["relu_plain"] - 0.1) == "WRONG"
    neither = np.array([[0.1], [-0.1], [0.1]])  # one seed says the opposite of the others
    assert flipped(W4_SHIFT, relu_bn=arrays["relu_plain"] + neither) == "IMPRECISE"
    assert flipped(W4_SHIFT, linear_bn=arrays["linear_plain"] - neither) == "IMPRECISE"


def test_at_one_small_rate_the_shift_of_the_linear_net_falls_too():
    config = {"linear_lrs": (0.01, 0.01), "steps": 60, "every": 20, "seeds": (0,)}
    arrays = W4_SHIFT.run(dataclasses.replace(W4_SHIFT.config, **config))
    assert arrays["linear_bn"].mean() > arrays["linear_plain"].mean() + 0.1


def test_a16_follows_the_arrays():
    arrays = {"plain": np.array([[0.9, 0.1]]), "bn": np.array([[0.98, 0.1]])}
    assert A16_COUPLING.read(arrays).verdict == "WRONG"
    assert A16_COUPLING.read(arrays | {"bn": np.array([[0.9999, 0.1]])}).verdict == "RIGHT"
    one_of_two = np.array([[0.9999, 0.1], [0.98, 0.1]])
    assert A16_COUPLING.read(arrays | {"bn": one_of_two}).verdict == "WRONG"


# W5, W6.


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


def _band(low, high, beta):
    return np.array([[[low, high, beta]] * 3] * 2)


@pytest.mark.parametrize(
    ("bn", "verdict"),
    [((1, 1.1, 2), "RIGHT"), ((1, 1.1, 20), "IMPRECISE"), ((1, 4, 2), "IMPRECISE"),
     ((1, 4, 20), "WRONG")],
)  # fmt: skip
def test_w5_follows_the_arrays(bn, verdict):
    arrays = {"steps": np.zeros((2, 3)), "relu_plain": _band(1, 3, 10), "relu_bn": _band(*bn)}
    assert W5_LANDSCAPE.read(arrays).verdict == verdict


@pytest.mark.parametrize("part", [1, 2])  # the largest loss, beta
def test_w5_wants_every_seed(part):
    bn = _band(1, 1.1, 2)
    bn[1, :, part] = 50
    arrays = {"steps": np.zeros((2, 3)), "relu_plain": _band(1, 3, 10), "relu_bn": bn}
    assert W5_LANDSCAPE.read(arrays).verdict == "IMPRECISE"


def test_the_noise_shifts_features_anew_in_each_step_and_not_in_evaluation():
    layer = ShiftingNoise(0.5, np.random.default_rng(0))
    x = np.ones((2000, 4), np.float32)
    one, two = layer(x), layer(x)
    assert one.dtype == np.float32
    assert np.abs(one.mean(axis=0) - 1).max() > 0.1
    assert np.abs(one.mean(axis=0) - two.mean(axis=0)).max() > 0.1
    assert layer.eval()(x) is x
    dy = np.random.default_rng(1).normal(size=x.shape)
    shifted = x + np.float32(1.0)
    layer = ShiftingNoise(0.5, np.random.default_rng(3)).train()
    y = layer(x)
    dx = layer.backward(dy)
    slope = ShiftingNoise(0.5, np.random.default_rng(3))(shifted) - y
    np.testing.assert_allclose(dx, dy * slope, rtol=1e-3, atol=1e-4)


def test_noise_stands_behind_every_batch_norm():
    kinds = [type(layer).__name__ for layer in noisy_net(0.1, 0, "relu")]
    assert kinds[:4] == ["Linear", "BatchNorm", "ShiftingNoise", "ReLU"]
    assert kinds.count("ShiftingNoise") == 3


@pytest.mark.parametrize(
    ("noisy", "verdict"),
    [((0.98, 0.97, 0.3), "RIGHT"), ((0.98, 0.93, 0.9), "IMPRECISE"), ((0.98, 0.8, 0.3), "WRONG"),
     ((0.85, 0.85, 0.85), "WRONG")],
)  # fmt: skip
def test_w6_follows_the_arrays(noisy, verdict):
    arrays = {
        "sizes": np.array([[0.0, 0.1, 2.0]] * 2), "mild": np.array([0.1, 0.1]),
        "plain": _accuracy(0.9),
        "noisy": np.array([[[[v, v]] for v in noisy]] * 2),
    }  # fmt: skip
    assert W6_NOISE.read(arrays).verdict == verdict


# W7.


def _curves(*values):
    """Seeds that differ a little, one rate, (2, 1, T, 2)."""
    return np.array([[[[v + s, v + s] for v in values]] for s in (0.0, 1e-4)])


@pytest.mark.parametrize(
    ("bn", "verdict"),
    [((0.1, 0.96, 0.99), "RIGHT"), ((0.1, 0.96, 0.96), "NOT REPRODUCED"),
     ((0.1, 0.1, 0.99), "WRONG")],
)  # fmt: skip
def test_w7_follows_the_arrays(bn, verdict):
    arrays = {"steps": np.array([[0, 50, 100]] * 2), "target": np.array([0.95, 0.95]),
              "plain": _curves(0.1, 0.5, 0.96), "bn": _curves(*bn)}  # fmt: skip
    assert W7_FIGURE_ONE.read(arrays).verdict == verdict


def _figure(plain, bn):
    steps = 50 * np.arange(plain.shape[2])
    return {"steps": np.array([steps] * 2), "target": np.full(2, 0.95), "plain": plain, "bn": bn}


def test_w7_wants_every_seed_to_be_faster():
    plain, bn = _curves(0.1, 0.96, 0.96), _curves(0.96, 0.96, 0.99)
    bn[1, :, 0] = bn[1, :, 1] = 0.1
    assert W7_FIGURE_ONE.read(_figure(plain, bn)).verdict == "WRONG"


def test_w7_judges_the_end_by_the_last_fifth():
    plain = _curves(*[0.1] * 4, *[0.96] * 6)
    bn = _curves(0.1, *[0.96] * 7, 0.99, 0.96)  # ahead in the last fifth, not at the last point
    assert W7_FIGURE_ONE.read(_figure(plain, bn)).verdict == "RIGHT"


@pytest.mark.parametrize("slightly", [-1e-5, 1e-5])
def test_w7_does_not_hang_on_two_rates_that_validation_cannot_tell_apart(slightly):
    two = np.concatenate([_curves(0.1, 0.5, 0.9), _curves(0.1, 0.5, 0.9)], axis=1)
    two[:, 0, -1, 0] += slightly + np.array([1e-3, -1e-3])
    two[:, 1, -1, 1] = 0.99  # one of them is as good as batch norm
    arrays = _figure(two, _curves(0.96, 0.96, 0.99))
    assert rates_as_good(two[:, :, -1, 0]) == [0, 1]
    assert W7_FIGURE_ONE.read(arrays).verdict == "NOT REPRODUCED"
    two[:, 1, -1, 0] = 0.5  # no longer a rate that one would choose
    assert W7_FIGURE_ONE.read(arrays).verdict == "RIGHT"


def test_the_curve_is_chosen_by_validation():
    curves = np.zeros((1, 2, 5, 2))
    curves[0, 0, -1], curves[0, 1, -1] = (0.9, 0.2), (0.5, 0.8)
    chosen = curves_at_best({"steps": np.zeros((1, 5)), "plain": curves, "bn": curves})
    assert chosen["plain"][0, -1] == 0.2
    assert steps_to(0.95, np.array([0, 10]), np.array([0.1, 0.2])) == np.inf


# W9.


def test_the_property_and_the_gradient_find_different_mistakes():
    bad_property = {name for name, make in MISTAKES.items() if property_error(make) > 1e-3}
    bad_gradient = {name for name, make in MISTAKES.items() if gradient_error(make) > 1e-6}
    assert bad_property == {"double centring"}
    assert bad_gradient == {"beta with the wrong sign", "variance held constant"}


@pytest.mark.parametrize(
    ("accuracy", "gradient", "verdict"),
    [((0.98, 0.98, 0.98, 0.975), 1.0, "WRONG"), ((0.98, 0.9, 0.9, 0.9), 1.0, "RIGHT"),
     ((0.98, 0.98, 0.98, 0.9), 1.0, "IMPRECISE"), ((0.98, 0.98, 0.98, 0.98), 0.0, "IMPRECISE")],
)  # fmt: skip
def test_w9_follows_the_arrays(accuracy, gradient, verdict):
    arrays = {"accuracy": np.array([accuracy] * 2), "margin": np.ones(2),
              "property": np.zeros(4), "gradient": np.array([0.0, 1, 1, gradient])}  # fmt: skip
    assert W9_BLIND.read(arrays).verdict == verdict
    assert W9_BLIND.read(arrays | {"gradient": np.ones(4)}).verdict != "WRONG"


# W10, W11, A12.


def test_only_the_named_part_is_trained(digits):
    model = deep_net(True, 0, depth=2)
    before = model.state_dict()
    norms = names_of(model, "batch norm")
    assert norms == ["1.weight", "1.bias", "4.weight", "4.bias"]
    frozen = [n for n in model.parameters() if n not in norms]
    optimizer = SGD(model, 0.5, groups=[{"names": frozen, "lr": 0.0}])
    _, cache = F.cross_entropy_forward(model(digits.x_train[:60]), digits.y_train[:60])
    model.backward(F.cross_entropy_backward(cache))
    optimizer.step()
    for name, array in model.parameters().items():
        assert np.array_equal(array, before[name]) == (name in frozen), name
    assert sorted(names_of(model, "everything")) == sorted(model.parameters())


@pytest.mark.parametrize(
    ("tested", "verdict"),
    [((0.9, 0.7, 0.98), "RIGHT"), ((0.75, 0.7, 0.98), "IMPRECISE"), ((0.6, 0.7, 0.98), "WRONG"),
     ((0.9, 0.95, 0.98), "IMPRECISE")],
)  # fmt: skip
def test_w10_follows_the_arrays(tested, verdict):
    accuracy = np.array([[[[v, v]] for v in tested]] * 2)  # (S, parts, R, 2)
    arrays = {"accuracy": accuracy, "numbers": np.array([[3, 2, 9]] * 2)}
    assert len(PARTS) == 3
    assert W10_ONLY_BATCHNORM.read(arrays).verdict == verdict


def test_w10_wants_every_seed():
    accuracy = np.array(
        [[[[v, v]] for v in seed] for seed in ((0.9, 0.7, 0.98), (0.9, 0.95, 0.98))]
    )
    arrays = {"accuracy": accuracy, "numbers": np.array([[3, 2, 9]] * 2)}
    assert W10_ONLY_BATCHNORM.read(arrays).verdict == "IMPRECISE"


@pytest.mark.parametrize(
    ("bn", "verdict"), [(0.5, "RIGHT"), (0.9, "WRONG"), (0.7, "NOT REPRODUCED")]
)
def test_w11_follows_the_arrays(bn, verdict):
    noise = np.array([-0.01, 0.0, 0.012])
    plain = np.array([[0.97, 0.7]] * 3)
    arrays = {"noises": np.array([[0.0, 0.4]] * 3), "plain": plain,
              "bn": np.column_stack([plain[:, 0], bn + noise])}  # fmt: skip
    assert W11_ROBUSTNESS.read(arrays).verdict == verdict


def test_placed_nets_have_the_same_weights_and_another_order():
    before, after = (placed_net(place, "tanh", 4) for place in (True, False))
    np.testing.assert_array_equal(before[3].weight, after[3].weight)
    kinds = [[type(layer).__name__ for layer in net[:3]] for net in (before, after)]
    assert kinds == [["Linear", "BatchNorm", "Tanh"], ["Linear", "Tanh", "BatchNorm"]]
    assert before[0].bias is None
    assert after[0].bias is not None


@pytest.mark.parametrize(("gap", "verdict"), [(0.1, "RIGHT"), (-0.1, "WRONG"), (0, "CONTESTED")])
def test_a12_follows_the_arrays(gap, verdict):
    noise = np.array([[0.0], [0.01], [0.02]])
    arrays = {"lrs": np.full((3, 1), 0.1), "relu_before": 0.8 + gap + noise[::-1],
              "relu_after": 0.8 + noise}  # fmt: skip
    assert A12_PLACE.read(arrays).verdict == verdict
    other = {"tanh_before": 0.8 + noise, "tanh_after": 0.8 + noise[::-1]}  # no difference there
    assert A12_PLACE.read(arrays | other).verdict == "CONTESTED"


def test_training_is_decided_by_the_seed(digits):
    one, two = (deep_net(True, 0) for _ in range(2))
    losses = [train(model, digits, 0.1, 7, steps=5).loss for model in (one, two)]
    np.testing.assert_array_equal(*losses)
