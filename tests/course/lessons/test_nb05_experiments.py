"""Experiments of notebook 05: verdicts flip with planted arrays, identities run for real."""

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt

from bnlab.course.experiments import bench
from bnlab.course.lessons.nb05 import evaluation
from bnlab.course.lessons.nb05 import recomputed_statistics as recomputed
from bnlab.course.lessons.nb05 import training_by_averages as averages
from bnlab.course.lessons.nb05.folding import T6_FOLDING, fold_network
from bnlab.data import Digits, contrast, load_digits
from bnlab.gradcheck import numerical_gradient, relative_error
from bnlab.layers import BatchNorm, Conv2d, Linear, ReLU, Sequential, mlp
from bnlab.training import evaluate


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def digits():
    return load_digits(dtype=np.float32)


@pytest.fixture(scope="module")
def net(digits):
    """A trained network; tests must leave it alone."""
    return bench.trained_net(digits, seed=0, steps=150)


def same_state(a, b):
    return all(np.array_equal(a[name], b[name]) for name in a)


def criteria(experiment, arrays):
    return [part.criterion for part in experiment.judge(arrays)]


def groups(ax):
    """Name of each group of a strip -> the values drawn in it."""
    names = [label.get_text().replace("\n", " ") for label in ax.get_xticklabels()]
    points = [line.get_ydata() for line in ax.lines if line.get_marker() == "o"]
    return dict(zip(names, points, strict=True))


# T1: the affine map.


def t1_arrays(**changes):
    return {"alone": 0.0, "shuffled": 0.0, "affine": 1e-15, "moved": 0.0, **changes}


@pytest.mark.parametrize("name", ["alone", "shuffled", "affine", "moved"])
def test_t1_flips_with_each_array(name):
    read = evaluation.T1_AVERAGES.read
    assert read(t1_arrays()).verdict == "RIGHT"
    assert read(t1_arrays(**{name: 1e-3})).verdict == "IMPRECISE"
    assert read(dict.fromkeys(t1_arrays(), 1e-3)).verdict == "WRONG"


def test_t1_asks_the_same_of_every_run_and_draws_it():
    one, other = t1_arrays(), t1_arrays(affine=2e-3)
    assert criteria(evaluation.T1_AVERAGES, one) == criteria(evaluation.T1_AVERAGES, other)
    ax = evaluation.T1_AVERAGES.draw(other)
    assert [label.get_text() for label in ax.get_yticklabels()][2] == "factor and offset"
    np.testing.assert_array_equal(ax.lines[1].get_xydata(), [[2e-3, 2]])  # beyond the tolerance


def test_t1_for_real():
    assert evaluation.T1_AVERAGES.evidence().verdict == "RIGHT"


def test_t1_sees_statistics_that_move_in_evaluation(monkeypatch):
    forward = BatchNorm._forward

    def moving(self, x):
        if not self.training:
            self.running_mean += 1e-9
        return forward(self, x)

    monkeypatch.setattr(BatchNorm, "_forward", moving)
    assert evaluation.T1_AVERAGES.evidence(features=5).verdict != "RIGHT"


# T2: shuffled and sorted.


def t2_arrays(**changes):
    ones = np.ones(3)
    fixed = {f"fixed{how}": 0.98 * ones for how in ("", "_shuffled", "_sorted", "_single")}
    own = {"shuffled": np.array([0.95, 0.96, 0.97]), "sorted": np.array([0.2, 0.3, 0.25])}
    return {**fixed, **own, **changes}


ORDER = {"fixed_sorted": np.full(3, 0.5)}
ALONE = {"fixed_single": np.array([0.10, 0.11, 0.12])}


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "WRONG"),
        (ORDER | ALONE, "RIGHT"),
        (ORDER, "IMPRECISE"),
        ({"fixed_shuffled": np.array([0.98, 0.98, 0.97])}, "IMPRECISE"),
        (ALONE, "IMPRECISE"),
        ({"fixed_single": np.array([0.98, 0.97, 0.99])}, "CANNOT TELL"),
        ({name: values[:1] for name, values in t2_arrays().items()}, "CANNOT TELL"),  # one seed
    ],
)
def test_t2_flips_with_its_arrays(changes, verdict):
    assert evaluation.T2_ONE_BATCH.read(t2_arrays(**changes)).verdict == verdict


def test_t2_asks_the_same_of_every_run_and_draws_all_five():
    one, other = t2_arrays(), t2_arrays(**ORDER, **ALONE)
    assert criteria(evaluation.T2_ONE_BATCH, one) == criteria(evaluation.T2_ONE_BATCH, other)
    ax = evaluation.T2_ONE_BATCH.draw(other)
    assert ax.get_ylabel() == "test accuracy, %"
    drawn = groups(ax)
    assert list(drawn) == ["averages, shuffled", "averages, by class", "averages, one by one",
                           "own batch, shuffled", "own batch, by class"]  # fmt: skip
    np.testing.assert_allclose(drawn["averages, by class"], 50)
    np.testing.assert_allclose(drawn["averages, one by one"], [10, 11, 12])
    np.testing.assert_allclose(drawn["own batch, by class"], [20, 30, 25])


def test_t2_at_its_smallest():
    found = evaluation.T2_ONE_BATCH.evidence(steps=100, seeds=(0, 1))
    assert (found.verdict, found.open) == ("CANNOT TELL", [1, 2])
    assert found.reduced == "100 of 1,000 steps, 2 of 6 seeds"


def test_testing_in_training_mode_leaves_the_model_alone(digits, net):
    before = net.state_dict()
    batches = bench.batches_of(np.arange(450), 32)
    assert batches.shape == (14, 32)
    assert 0 <= evaluation.accuracy_in_train_mode(net, digits.x_test, digits.y_test, batches) <= 1
    assert same_state(before, net.state_dict())
    assert not net.training
    assert not any(layer.training for layer in net)


def test_accuracy_in_training_mode_is_that_of_batch_statistics():
    """By hand, with one layer: in a batch of its own class a feature tells nothing."""
    model = Sequential(BatchNorm(2))
    x, y = np.array([[9.0, 0], [8, 0], [0, 9], [0, 8]]), np.array([0, 0, 1, 1])
    mixed, by_class = np.array([[0, 1, 2, 3]]), np.array([[0, 1], [2, 3]])
    assert evaluation.accuracy_in_train_mode(model, x, y, mixed) == 1.0
    assert evaluation.accuracy_in_train_mode(model, x, y, by_class) == 0.5


# T3: pairs.


def t3_arrays(feeds=(True, False, True), **changes):
    arrays = {"unbiased": np.ones(4), "biased": np.full(4, np.sqrt(2)),
              "names": ["PyTorch", "Keras 3", "the paper"], "feeds_unbiased": feeds}  # fmt: skip
    return arrays | changes


@pytest.mark.parametrize(
    ("arrays", "verdict"),
    [
        (t3_arrays(), "IMPRECISE"),
        (t3_arrays((True, True, True)), "RIGHT"),
        (t3_arrays((True, True, True), unbiased=np.full(4, 1.1)), "IMPRECISE"),
        (t3_arrays((True, True, True), biased=np.ones(4)), "IMPRECISE"),
        (t3_arrays((True, True, False)), "WRONG"),
        (t3_arrays(unbiased=np.full(4, 1.1)), "WRONG"),
        (t3_arrays(biased=np.ones(4)), "WRONG"),
    ],
)
def test_t3_flips_with_its_arrays(arrays, verdict):
    assert evaluation.T3_UNBIASED.read(arrays).verdict == verdict


def test_t3_asks_the_same_of_every_run_and_draws_who_does_what():
    one, other = t3_arrays(), t3_arrays((True, True, True), biased=np.full(4, 1.5))
    assert criteria(evaluation.T3_UNBIASED, one) == criteria(evaluation.T3_UNBIASED, other)
    left, right = evaluation.T3_UNBIASED.draw(
        other | {"feeds_unbiased": (True, False, True)}
    ).figure.axes
    np.testing.assert_allclose(groups(left)["biased variance"], 1.5)
    assert [label.get_text() for label in right.get_yticklabels()] == other["names"]
    assert [label.get_text() for label in right.get_xticklabels()] == ["biased", "unbiased"]
    np.testing.assert_array_equal(right.lines[0].get_xdata(), [1, 0, 1])


def test_t3_for_real():
    arrays = evaluation.T3_UNBIASED.run(evaluation.Pairs(rows=12, features=3))
    np.testing.assert_allclose(arrays["unbiased"], 1, rtol=1e-13)
    np.testing.assert_allclose(arrays["biased"], np.sqrt(2), rtol=1e-13)
    found = evaluation.T3_UNBIASED.evidence()
    assert found.verdict == "IMPRECISE"
    assert found.measured.startswith("1.000 and 1.414 with batches of two; 4 of 11 conventions")


# T5 and S3: statistics computed afresh.


def test_fresh_statistics_are_those_of_the_inputs():
    rng = np.random.default_rng(0)
    model = Sequential(Linear(4, 3, rng=rng), BatchNorm(3), ReLU(), BatchNorm(3)).eval()
    x = rng.normal(3, 2, (50, 4))
    before = model.state_dict()
    fresh = recomputed.with_statistics_of(model, x, batch_size=50)
    z = x @ model[0].weight.T + model[0].bias
    np.testing.assert_allclose(fresh[1].running_mean, z.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(fresh[1].running_var, z.var(axis=0, ddof=1), rtol=1e-12)
    second = np.maximum((z - z.mean(0)) / np.sqrt(z.var(0) + 1e-5), 0)
    np.testing.assert_allclose(fresh[3].running_mean, second.mean(axis=0), rtol=1e-12)
    assert same_state(before, model.state_dict())
    assert same_state(dict(model.parameters()), dict(fresh.parameters()))
    assert not fresh.training
    assert fresh[1].momentum == 0.1


def test_fresh_statistics_average_the_batches_alike():
    x = np.random.default_rng(0).normal(size=(35, 2))
    model = Sequential(BatchNorm(2, momentum=0.3))
    fresh = recomputed.with_statistics_of(model, x, batch_size=10)  # 5 rows are left over
    batches = x[:30].reshape(3, 10, 2)
    np.testing.assert_allclose(fresh[0].running_mean, batches.mean(axis=(0, 1)), rtol=1e-12)
    variances = batches.var(axis=1, ddof=1)
    np.testing.assert_allclose(fresh[0].running_var, variances.mean(axis=0), rtol=1e-12)
    assert (fresh[0].momentum, model[0].momentum) == (0.3, 0.3)


def t5_arrays(early=0.2, late=0.0):
    noise = np.array([-0.001, 0.0, 0.001])
    running = 0.7 + noise
    return {"early_running": running, "early_recomputed": running + early + noise[::-1],
            "late_running": 0.98 + noise, "late_recomputed": 0.98 + late + noise[::-1],
            "left": np.full(3, 0.8)}  # fmt: skip


@pytest.mark.parametrize(
    ("early", "late", "verdict"),
    [
        (0.2, 0.0, "RIGHT"),
        (0.2, 0.15, "IMPRECISE"),
        (0.2, -0.15, "IMPRECISE"),
        (0.0, 0.0, "IMPRECISE"),  # nothing early, nothing late
        (0.01, 0.0, "CANNOT TELL"),
        (0.2, 0.01, "CANNOT TELL"),
        (0.0, 0.15, "NOT REPRODUCED"),
        (-0.2, 0.15, "NOT REPRODUCED"),
    ],
)
def test_t5_flips_with_its_arrays(early, late, verdict):
    assert recomputed.T5_LAG.read(t5_arrays(early, late)).verdict == verdict


def test_t5_asks_the_same_of_every_run_and_draws_both_times():
    one, other = t5_arrays(), t5_arrays(0.1, 0.01)
    assert criteria(recomputed.T5_LAG, one) == criteria(recomputed.T5_LAG, other)
    drawn = groups(recomputed.T5_LAG.draw(other))
    assert list(drawn) == ["early, averages", "early, recomputed", "late, averages",
                           "late, recomputed"]  # fmt: skip
    np.testing.assert_allclose(drawn["early, averages"], [69.9, 70.0, 70.1])
    np.testing.assert_allclose(drawn["early, recomputed"], 80)
    np.testing.assert_allclose(drawn["late, averages"], [97.9, 98.0, 98.1])


def test_t5_at_its_smallest():
    found = recomputed.T5_LAG.evidence(late_steps=150, seeds=(0, 1))
    assert found.verdict == "CANNOT TELL"
    assert "150 steps" in found.setting


def s3_arrays(adapted, shift="contrast"):
    ones = np.ones(len(adapted))
    return {"clean": 0.98 * ones, f"{shift}_as_it_is": 0.28 * ones,
            f"{shift}_adapted": np.array(adapted), f"{shift}_retrained": 0.97 * ones}  # fmt: skip


ENOUGH, SOME, NOTHING = [0.96, 0.97, 0.95], [0.70, 0.75, 0.72], [0.30, 0.28, 0.20]


@pytest.mark.parametrize(
    ("adapted", "verdict"),
    [
        (ENOUGH, "WRONG"),
        ([0.96, 0.97, 0.80], "CANNOT TELL"),  # not in every seed
        (SOME, "RIGHT"),
        (NOTHING, "RIGHT"),
        (ENOUGH[:1], "CANNOT TELL"),
    ],
)
def test_s3_flips_with_its_arrays(adapted, verdict):
    assert recomputed.S3_RETRAIN.read(s3_arrays(adapted)).verdict == verdict


def test_s3_asks_the_same_of_every_run_and_draws_a_panel_a_shift():
    one = {**s3_arrays(ENOUGH), **s3_arrays(NOTHING, "inversion")}
    other = {**s3_arrays(SOME), **s3_arrays(SOME, "inversion")}
    assert criteria(recomputed.S3_RETRAIN, one) == criteria(recomputed.S3_RETRAIN, other)
    ax = recomputed.S3_RETRAIN.draw(one)
    assert ax.get_ylabel() == "test accuracy, %"
    assert [panel.get_title() for panel in ax.figure.axes] == ["contrast", "inversion"]
    drawn = [groups(panel) for panel in ax.figure.axes]
    np.testing.assert_allclose(drawn[0]["new statistics"], [96, 97, 95])
    np.testing.assert_allclose(drawn[1]["new statistics"], [30, 28, 20])
    np.testing.assert_allclose(drawn[1]["trained from scratch"], 97)
    assert "without a shift" in [text.get_text() for text in ax.texts]


def test_s3_at_its_smallest():
    arrays = recomputed.S3_RETRAIN.run(recomputed.Shifted(("contrast",), steps=80, seeds=(0,)))
    assert arrays["contrast_as_it_is"] < 0.6
    assert arrays["contrast_adapted"] > 0.85
    assert arrays["contrast_retrained"] > 0.85
    assert recomputed.S3_RETRAIN.read(arrays).verdict == "CANNOT TELL"


def test_one_shift_that_is_undone_and_one_that_is_not():
    arrays = {**s3_arrays(NOTHING, "inversion"), **s3_arrays(ENOUGH, "contrast")}
    assert recomputed.S3_RETRAIN.read(arrays).verdict == "IMPRECISE"


def test_a_change_of_contrast_is_undone_and_an_inversion_is_not(digits, net):
    x, y = digits.x_test, digits.y_test
    clean = evaluate(net, x, y)
    low = contrast(x, -0.75)
    adapted = recomputed.with_statistics_of(net, contrast(digits.x_val, -0.75), 202)
    assert evaluate(net, low, y) < 0.5
    assert evaluate(adapted, low, y) > clean - 0.03
    adapted = recomputed.with_statistics_of(net, 1 - digits.x_val, 202)
    assert evaluate(adapted, 1 - x, y) < 0.2


def test_batch_norm_of_a_scaled_and_offset_input_is_unchanged_and_of_a_mirrored_one_mirrored():
    """Why contrast is undone and inversion is not: the first layer, in float64, eps 0."""
    rng = np.random.default_rng(0)
    x, layers = rng.uniform(size=(40, 6)), [Linear(6, 4, rng=rng), BatchNorm(4, eps=0.0)]
    model = recomputed.with_statistics_of(Sequential(*layers), x, 40)
    for factor, sign in ((0.25, 1), (-1.0, -1)):
        moved = factor * x + 0.5
        adapted = recomputed.with_statistics_of(model, moved, 40)
        np.testing.assert_allclose(adapted(moved), sign * model(x), rtol=1e-10, atol=1e-12)


def test_the_shifts_keep_pixels_and_are_what_the_notebook_says():
    x = load_digits().x_val
    for shift in recomputed.SHIFTS.values():
        y = shift(x)
        assert y.shape == x.shape
        assert 0 <= y.min() <= y.max() <= 1
    np.testing.assert_allclose(recomputed.SHIFTS["contrast"](x), 0.25 * x + 0.375, rtol=1e-12)
    np.testing.assert_allclose(recomputed.SHIFTS["inversion"](x), 1 - x)


# T6: folding.


def t6_arrays(folded=4e-7, without_eps=5e-5, layers=(10, 7)):
    return {"folded": np.full(3, folded), "without_eps": np.full(3, without_eps),
            "layers": np.array([layers] * 3)}  # fmt: skip


def test_t6_flips_with_its_arrays():
    assert T6_FOLDING.read(t6_arrays()).verdict == "RIGHT"
    assert T6_FOLDING.read(t6_arrays(folded=5e-5)).verdict == "WRONG"
    assert T6_FOLDING.read(t6_arrays(layers=(10, 10))).verdict == "WRONG"
    one_is_off = t6_arrays() | {"folded": np.array([4e-7, 5e-5, 4e-7])}
    assert T6_FOLDING.read(one_is_off).verdict == "CANNOT TELL"
    two = {name: values[:2] for name, values in t6_arrays().items()}
    assert T6_FOLDING.read(two).verdict == "CANNOT TELL"


def test_t6_asks_the_same_of_every_run_and_draws_both_foldings():
    one, other = t6_arrays(), t6_arrays(folded=5e-5)
    assert criteria(T6_FOLDING, one) == criteria(T6_FOLDING, other)
    ax = T6_FOLDING.draw(one)
    within, beyond = ax.lines[:2]
    np.testing.assert_allclose([*within.get_xdata(), *beyond.get_xdata()], [4e-7, 5e-5])
    assert ax.get_yticklabels()[0].get_text() == "folded"
    assert ax.get_xlabel()


def test_t6_at_its_smallest():
    found = T6_FOLDING.evidence(steps=50, seeds=(0, 1, 2))
    assert found.verdict == "RIGHT"
    assert "50 steps" in found.setting
    assert found.measured.startswith("10 layers become 7")


@pytest.mark.parametrize("with_bias", [True, False])
def test_a_folded_network_does_the_same(with_bias):
    rng = np.random.default_rng(0)
    model = Sequential(
        Conv2d(1, 4, 3, bias=with_bias, rng=rng), BatchNorm(4, eps=1e-3), ReLU(),
        Conv2d(4, 2, 3, rng=rng), BatchNorm(2),
    )  # fmt: skip
    for layer in bench.batchnorm_layers(model):
        layer.weight[:], layer.bias[:] = rng.normal(size=(2, layer.num_features))
        layer.running_mean[:] = rng.normal(size=layer.num_features)
        layer.running_var[:] = rng.uniform(1e-4, 2, layer.num_features)
    before = model.eval().state_dict()
    x = rng.normal(size=(3, 1, 6, 6))
    folded = fold_network(model)
    assert [type(layer).__name__ for layer in folded] == ["Conv2d", "ReLU", "Conv2d"]
    np.testing.assert_allclose(folded(x), model(x), rtol=1e-10, atol=1e-12)
    assert np.abs(fold_network(model, eps=0.0)(x) - model(x)).max() > 1e-4
    assert same_state(before, model.state_dict())


# A2: training by averages.


def averaging_layer(gradient):
    layer = averages.BatchNormByAverages(3, momentum=0.3, gradient=gradient)
    layer.weight[:], layer.bias[:] = [1.0, -2.0, 0.5], [0.1, 0.2, 0.3]
    layer.running_mean[:], layer.running_var[:] = [0.5, 1.0, 2.0], [1.0, 3.0, 0.2]
    return layer


def backward(gradient):
    rng = np.random.default_rng(0)
    x, dy = rng.normal(1, 2, (2, 7, 3))
    layer = averaging_layer(gradient)
    layer(x)
    return x, dy, layer, layer.backward(dy)


def test_the_true_gradient_through_the_averages():
    x, dy, layer, dx = backward(gradient=0.3)
    assert relative_error(dx, numerical_gradient(lambda x: averaging_layer(0.3)(x), x, dy)) < 1e-8
    for name in ("weight", "bias"):

        def output(value, name=name):
            fresh = averaging_layer(0.3)
            setattr(fresh, name, value)
            return fresh(x)

        expected = numerical_gradient(output, getattr(layer, name).copy(), dy)
        assert relative_error(layer.grads[name], expected) < 1e-8


def test_the_stopped_gradient_is_torchs_with_detached_averages():
    x, dy, _, dx = backward(gradient=0.0)
    start = averaging_layer(0.0)
    u = torch.from_numpy(x).requires_grad_()
    old = [torch.from_numpy(a.copy()) for a in (start.running_mean, start.running_var)]
    new = [u.mean(0).detach(), u.var(0, correction=0).detach()]
    mean, var = (0.7 * o + 0.3 * n for o, n in zip(old, new, strict=True))
    y = torch.from_numpy(start.weight) * (u - mean) / torch.sqrt(var + start.eps)
    y.backward(torch.from_numpy(dy))
    np.testing.assert_allclose(dx, u.grad.numpy(), rtol=1e-10)


def test_with_momentum_1_the_averages_are_the_batch():
    rng = np.random.default_rng(0)
    x, dy = rng.normal(1, 2, (2, 7, 3))
    ours, plain = averages.BatchNormByAverages(3, 1.0, 1.0), BatchNorm(3)
    np.testing.assert_allclose(ours(x), plain(x), rtol=1e-10)
    np.testing.assert_allclose(ours.backward(dy), plain.backward(dy), rtol=1e-9, atol=1e-12)


def test_evaluation_uses_the_averages_and_leaves_them():
    layer = averaging_layer(0.3)
    before = layer.eval().state_dict()
    x = np.random.default_rng(0).normal(size=(4, 3))
    y = layer(x)
    expected = (x - before["running_mean"]) / np.sqrt(before["running_var"] + 1e-5)
    np.testing.assert_allclose(y, before["weight"] * expected + before["bias"], rtol=1e-12)
    assert same_state(before, layer.state_dict())


def test_the_whole_gradient_lets_no_mean_through():
    _, dy, layer, dx = backward(gradient=1.0)
    np.testing.assert_allclose(dx.mean(axis=0), 0, atol=1e-12)
    assert np.abs(backward(gradient=0.3)[3].mean(axis=0)).min() > 1e-3
    np.testing.assert_allclose(layer.grads["bias"], dy.sum(axis=0))


def test_a_stopped_batch_norm_has_its_output_and_torchs_detached_gradient():
    rng = np.random.default_rng(0)
    x, dy = rng.normal(1, 2, (2, 7, 3))
    stopped, plain = averages.BatchNormStopped(3), BatchNorm(3)
    for layer in (stopped, plain):
        layer.weight[:] = [1.0, -2.0, 0.5]
    np.testing.assert_array_equal(stopped(x), plain(x))
    u = torch.from_numpy(x).requires_grad_()
    mean, var = u.mean(0).detach(), u.var(0, correction=0).detach()
    y = torch.from_numpy(plain.weight) * (u - mean) / torch.sqrt(var + plain.eps)
    y.backward(torch.from_numpy(dy))
    np.testing.assert_allclose(stopped.backward(dy), u.grad.numpy(), rtol=1e-10)
    plain.backward(dy)
    assert same_state(plain.grads, stopped.grads)
    assert same_state(plain.state_dict(), stopped.state_dict())


def test_all_methods_start_from_the_same_weights():
    states = [averages.network(method, seed=3).state_dict() for method in averages.METHODS]
    assert all(same_state(states[0], state) for state in states[1:])
    bare = averages.network("batch statistics", seed=3, bias=False)
    assert same_state(bare.state_dict(), states[0])
    assert {"0.bias", "3.bias", "6.bias"} == states[0].keys() - bare.state_dict().keys()
    assert averages.largest_bias(bare) == 0
    model = averages.network("batch statistics", seed=3)
    assert averages.largest_bias(model) == 0
    model[3].bias[:2] = 3, 4
    model[9].bias[:] = 100  # of the logits: no batch norm follows
    assert averages.largest_bias(model) == 5


NOISE = np.array([-0.002, 0.0, 0.002])
OWN = {"batch statistics": 0.98, "averages, whole gradient": 0.97, "batch, gradient stopped": 0.97}


def a2_arrays(through=0.93, stopped=0.90, without_biases=0.0, **fast):
    """Three seeds, two rates, of which the second is worse by 10 points unless `fast` says more."""
    own = OWN | {"averages, gradient through": through, "averages, gradient stopped": stopped}
    slow = np.array([own[method] for method in averages.METHODS])
    table = np.stack([slow, slow - 0.1], axis=-1)  # (methods, rates)
    for method, value in fast.items():
        table[
            list(averages.METHODS).index(f"averages, gradient {method.removesuffix('_fast')}"), 1
        ] = value
    both = np.stack([table, table])  # (biases, methods, rates)
    both[1, 1:] += without_biases
    accuracy = both + NOISE[::-1, None, None, None]
    accuracy[:, :, 0] += 2 * NOISE[:, None, None]  # batch statistics vary in their own way
    return {"lrs": np.array([0.1, 1.0]), "accuracy": np.stack([accuracy - 0.03, accuracy], axis=-1),
            "bias_norm": np.zeros((3, 2, 5, 2))}  # fmt: skip


@pytest.mark.parametrize(
    ("arrays", "verdict"),
    [
        (a2_arrays(), "WRONG"),
        (a2_arrays(0.99, 0.99), "RIGHT"),
        (a2_arrays(0.99), "IMPRECISE"),  # one of the two kinds keeps up
        (a2_arrays(without_biases=0.1), "IMPRECISE"),  # biases would be to blame
        (a2_arrays(0.976), "CANNOT TELL"),  # half a point, more or less
        ({name: array[:1] for name, array in a2_arrays().items() if name != "lrs"}, "CANNOT TELL"),
    ],
)
def test_a2_flips_with_its_arrays(arrays, verdict):
    assert averages.A2_AVERAGES.read(arrays).verdict == verdict


def test_a2_compares_at_the_best_rate_of_each_method_on_validation_images():
    """The averages do well at the second rate only: the validation images have to find it."""
    arrays = a2_arrays(0.4, 0.4, through_fast=0.99, stopped_fast=0.99)
    assert averages.A2_AVERAGES.read(arrays).verdict == "RIGHT"
    misled = arrays["accuracy"].copy()
    misled[..., 0] = misled[..., ::-1, 0]
    assert averages.A2_AVERAGES.read(arrays | {"accuracy": misled}).verdict != "RIGHT"


def test_a2_asks_the_same_of_every_run_and_draws_five_methods_four_times():
    one, other = a2_arrays(), a2_arrays(0.99, without_biases=0.1)
    assert criteria(averages.A2_AVERAGES, one) == criteria(averages.A2_AVERAGES, other)
    ax = averages.A2_AVERAGES.draw(a2_arrays(through_fast=0.95, without_biases=0.01))
    panels = {panel.get_title(): groups(panel) for panel in ax.figure.axes}
    rates = "rate 0.1", "each at its best rate"
    assert list(panels) == [f"{rate}, {bias}" for bias in averages.BIASES for rate in rates]
    means = [drawn["averages, gradient through"].mean() for drawn in panels.values()]
    np.testing.assert_allclose(means, [93, 95, 94, 96])
    assert all(len(drawn) == 5 for drawn in panels.values())
    assert ax.get_ylabel() == "test accuracy, %"


def test_the_methods_differ_in_their_gradient_only():
    layers = [make(3, 0.25, np.float64) for make in averages.METHODS.values()]
    kinds = [type(layer).__name__ for layer in layers]
    assert kinds == ["BatchNorm", *["BatchNormByAverages"] * 3, "BatchNormStopped"]
    assert [layer.momentum for layer in layers] == [0.25] * 5
    assert [layer.gradient for layer in layers[1:4]] == [0.25, 0.0, 1.0]


def test_a2_at_its_smallest():
    arrays = averages.A2_AVERAGES.run(averages.Race(lrs=(1.0,), steps=60, seeds=(0,)))
    assert arrays["accuracy"].shape == (1, 2, 5, 1, 2)
    assert arrays["bias_norm"].shape == (1, 2, 5, 1)
    best = averages.at_best_rates(arrays)["with biases"]
    assert best["batch statistics"] > best["averages, gradient stopped"]
    assert arrays["bias_norm"][0, 0, 0] < 1e-5 < 0.1 < arrays["bias_norm"][0, 0, 2]
    assert (arrays["bias_norm"][:, 1] == 0).all()
    assert averages.A2_AVERAGES.read(arrays).verdict == "CANNOT TELL"


# The shared training run.


def test_the_trained_net_is_reproducible_and_in_evaluation_mode(digits):
    states = [bench.trained_net(digits, 1, steps=5).state_dict() for _ in range(2)]
    assert same_state(*states)
    model = bench.trained_net(digits, 1, steps=5, momentum=0.01)
    assert not model.training
    assert {layer.momentum for layer in bench.batchnorm_layers(model)} == {0.01}
    assert states[0]["0.weight"].dtype == np.float32


def test_training_on_other_images_starts_from_the_same_weights(digits):
    shifted = Digits(1 - digits.x_train, digits.y_train, *(getattr(digits, n) for n in (
        "x_val", "y_val", "x_test", "y_test")))  # fmt: skip
    one, other = (bench.trained_net(d, 0, steps=0) for d in (digits, shifted))
    assert same_state(one.state_dict(), other.state_dict())
    expected = mlp([64, 100, 100, 100, 10], rng=np.random.default_rng(0), dtype=np.float32)
    assert same_state(expected.state_dict(), one.state_dict())
