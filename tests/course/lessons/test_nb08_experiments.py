"""Claims W6, W8 to W13 and A12: the ledger, and the pieces for real."""

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
from bnlab.course.lessons.nb08.blind_accuracy import (
    MISTAKES,
    gradient_error,
    property_error,
)
from bnlab.course.lessons.nb08.learning_rates import W1_RATES
from bnlab.course.lessons.nb08.noise_after import ShiftingNoise, noisy_net
from bnlab.course.lessons.nb08.only_batchnorm import (
    names_of,
    net_for,
    softmax,
)
from bnlab.course.lessons.nb08.placement import A12_PLACE, placed_net
from bnlab.course.lessons.nb08.training_time import W8_TIME
from bnlab.data import load_digits
from bnlab.layers import Linear
from bnlab.optim import SGD

TAUGHT = {
    "A12": "CONTESTED", "W6": "IMPRECISE", "W8": "CANNOT TELL",
    "W9": "WRONG", "W10": "IMPRECISE", "W11": "CANNOT TELL", "W12": "IMPRECISE",
    "W13": "CONTESTED",
}  # fmt: skip

STORED = ("A12", "W6", "W8", "W9", "W10", "W11")


@pytest.fixture(scope="module")
def digits():
    return load_digits(0, np.float32)


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
    assert entry.read(stored(name)[0]) == stored_evidence(entry)


SMALL = {
    "W6": {"sizes": (0.0, 0.1), "lrs": (0.3,), "steps": 20, "seeds": (0,)},
    "W9": {"steps": 20, "seeds": (0,)},
    "W10": {"depths": (1, 2), "lrs": (0.3,), "steps": 20, "seeds": (0,)},
    "W11": {"lrs": (0.3,), "steps": 20, "seeds": (0, 1)},
    "A12": {"activations": ("relu",), "lrs": (0.1,), "steps": 5, "seeds": (0, 1)},
}  # fmt: skip


@pytest.mark.parametrize("name", SMALL)
def test_a_small_run_gives_the_same_evidence_twice(name):
    one, two = (ledger()[name].evidence(**SMALL[name]) for _ in range(2))
    assert one == two
    assert one.verdict in VERDICTS
    if len(SMALL[name]["seeds"]) == 1:
        assert {part.holds for part in one.parts} == {None}


def test_w8_counts_steps_and_time_on_a_small_run():
    evidence = W8_TIME.evidence(plain_lrs=(0.1,), bn_lrs=(0.3,), steps=20, seeds=(0,))
    assert evidence.verdict == "CANNOT TELL"
    assert "never in some seed without" in evidence.measured


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


def test_the_property_and_the_gradient_find_different_mistakes():
    bad_property = {name for name, make in MISTAKES.items() if property_error(make) > 1e-3}
    bad_gradient = {name for name, make in MISTAKES.items() if gradient_error(make) > 1e-6}
    assert bad_property == {"double centring"}
    assert bad_gradient == {"beta with the wrong sign", "variance held constant"}


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


def test_two_random_weights_of_each_feature_are_trained(digits):
    model, same = (net_for(part, 3, depth=2) for part in ("random weights", "batch norm"))
    for i in (0, 3):
        np.testing.assert_array_equal(model[i].weight, same[i].weight)
    before = model.state_dict()
    model.backward(np.random.default_rng(0).normal(size=model(digits.x_train[:60]).shape))
    names = names_of(model, "random weights")
    frozen = [n for n in model.parameters() if n not in names]
    SGD(model, 0.5, groups=[{"names": frozen, "lr": 0.0}]).step()
    for i in (0, 3):
        moved = model[i].weight != before[f"{i}.weight"]
        assert (moved.sum(axis=1) <= 2).all()  # a feature may be off for all images
        assert moved.sum() > 150
        assert (model[i].mask.sum(axis=1) == 2).all()
    trained = sum(model[i].mask.sum() for i in (0, 3))
    assert trained == sum(same.parameters()[n].size for n in names_of(same, "batch norm"))


def test_softmax_has_no_hidden_layer():
    assert sum(parameter.size for parameter in softmax(0).parameters().values()) == 650


def test_placed_nets_have_the_same_weights_and_another_order():
    before, after = (placed_net(place, "tanh", 4) for place in (True, False))
    np.testing.assert_array_equal(before[3].weight, after[3].weight)
    kinds = [[type(layer).__name__ for layer in net[:3]] for net in (before, after)]
    assert kinds == [["Linear", "BatchNorm", "Tanh"], ["Linear", "Tanh", "BatchNorm"]]
    assert before[0].bias is None
    assert after[0].bias is not None


def test_training_is_decided_by_the_seed(digits):
    one, two = (deep_net(True, 0) for _ in range(2))
    losses = [train(model, digits, 0.1, 7, steps=5).loss for model in (one, two)]
    np.testing.assert_array_equal(*losses)
