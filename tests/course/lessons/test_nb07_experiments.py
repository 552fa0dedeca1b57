"""Claims of notebook 07: planted arrays flip the verdicts; identities and small runs are made."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from bnlab.course.experiments.evidence import Definition
from bnlab.course.experiments.results import stored
from bnlab.course.lessons.nb07.dropout_and_batchnorm import (
    R5_VARIANCE_SHIFT,
    dropout_net,
    variance_ratios,
    without_dropout,
)
from bnlab.course.lessons.nb07.ghost_batches import (
    R2_GHOST_BATCHES,
    GainBatchNorm,
    GhostBatchNorm,
    chosen_ghosts,
    from_ghosts,
    ghost_net,
    split_in_ghosts,
)
from bnlab.course.lessons.nb07.regularization import (
    R1_NOISE,
    R4_DELIBERATE,
    R6_PARAMETERS,
    noise_of_batches,
    spread_in_company,
)
from bnlab.course.lessons.nb07.small_data import R3_WITHOUT_DROPOUT, RECIPES
from bnlab.data import load_digits
from bnlab.layers import BatchNorm, Dropout, Linear, Sequential


def _id(value):
    return value.claim.id if hasattr(value, "claim") else None


@pytest.mark.parametrize(
    ("entry", "verdict"), [(R4_DELIBERATE, "CONTESTED"), (R6_PARAMETERS, "WRONG")], ids=_id
)
def test_a_definition_rests_on_its_source(entry, verdict):
    assert isinstance(entry, Definition)
    assert entry.evidence().verdict == verdict
    assert (entry.claim.kind, entry.claim.notebook) == ("definition", "07")


# Ghost batch norm against torch in double precision.


def test_ghosts_are_consecutive_rows_and_come_back_in_order():
    x = np.arange(24.0).reshape(12, 2)
    parts = split_in_ghosts(x, 3)
    assert parts.shape == (3, 8)
    np.testing.assert_array_equal(parts[:, :2], x[:3])
    np.testing.assert_array_equal(parts[:, 6:], x[9:])
    np.testing.assert_array_equal(from_ghosts(parts, 2), x)


def test_rows_that_are_left_over_are_refused():
    with pytest.raises(ValueError, match="divides the 10 rows, got 4"):
        GhostBatchNorm(2, ghost_size=4).forward(np.ones((10, 2)))


@pytest.mark.parametrize("size", [2, 3, 6, 12])
def test_forward_backward_and_running_statistics_equal_torch(size):
    rng = np.random.default_rng(size)
    ours = GhostBatchNorm(5, size)
    theirs = torch.nn.BatchNorm1d(5, dtype=torch.float64, momentum=None)
    gamma, beta = rng.normal(size=(2, 5))
    ours.weight[:], ours.bias[:] = gamma, beta
    with torch.no_grad():
        theirs.weight.copy_(torch.tensor(gamma))
        theirs.bias.copy_(torch.tensor(beta))
    x, dy = rng.normal(size=(2, 12, 5)) * 3 + 1
    x_torch = torch.tensor(x, requires_grad=True)
    y_torch = torch.cat([theirs(part) for part in x_torch.split(size)])
    y_torch.backward(torch.tensor(dy))

    y = ours(x)
    dx = ours.backward(dy)
    np.testing.assert_allclose(y, y_torch.detach().numpy(), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(dx, x_torch.grad.numpy(), rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(ours.grads["weight"], theirs.weight.grad.numpy(), rtol=1e-11)
    np.testing.assert_allclose(ours.grads["bias"], theirs.bias.grad.numpy(), rtol=1e-11)
    # momentum=None averages torch's ghosts; ours moved by 0.1 from 0 and 1 to the same averages.
    np.testing.assert_allclose(ours.running_mean, 0.1 * theirs.running_mean.numpy(), rtol=1e-12)
    expected = 0.9 + 0.1 * theirs.running_var.numpy()
    np.testing.assert_allclose(ours.running_var, expected, rtol=1e-12)
    assert ours.num_batches_tracked == 1

    theirs.running_mean.mul_(0.1)
    theirs.running_var.mul_(0.1).add_(0.9)
    in_eval = theirs.eval()(torch.tensor(x)).detach().numpy()
    np.testing.assert_allclose(ours.eval()(x), in_eval, rtol=1e-12, atol=1e-12)


def test_one_ghost_is_ordinary_batch_norm():
    x, dy = np.random.default_rng(0).normal(size=(2, 16, 3))
    ghost, plain = GhostBatchNorm(3, 16), BatchNorm(3)
    np.testing.assert_allclose(ghost(x), plain(x), rtol=1e-12)
    np.testing.assert_allclose(ghost.backward(dy), plain.backward(dy), rtol=1e-12)
    for name, array in plain.state_dict().items():
        np.testing.assert_allclose(ghost.state_dict()[name], array, rtol=1e-12)


def test_ghost_nets_differ_in_their_ghosts_alone():
    four, eight = ghost_net(4, seed=3), ghost_net(8, seed=3)
    for a, b in zip(four.parameters().values(), eight.parameters().values(), strict=True):
        np.testing.assert_array_equal(a, b)
    sizes = [layer.ghost_size for layer in four if isinstance(layer, GhostBatchNorm)]
    assert sizes == [4, 4, 4]


# R1: the noise.


def test_r1_is_right_and_its_sizes_are_ordered():
    evidence = R1_NOISE.evidence(seeds=(0, 1, 2))
    assert evidence.verdict == "RIGHT", evidence


@pytest.mark.parametrize("count", [1, 2])
def test_r1_needs_three_seeds(count):
    arrays = planted_r1((1.0, 1.0, 1.0))
    few = {name: arrays[name][:count] for name in ("mean", "n", "spread")}
    assert R1_NOISE.read(arrays | few).verdict == "CANNOT TELL"


@pytest.mark.parametrize(("name", "off"), [("mean", 1.2), ("mean", 0.9), ("spread", 0.0)])
def test_r1_must_hold_in_every_seed(name, off):
    arrays = planted_r1((1.0, 1.0, 1.0))
    arrays[name][1] *= off
    assert R1_NOISE.read(arrays).verdict == "CANNOT TELL"


def planted_r1(factors, spread=(0.2, 0.0)):
    """Six sizes, three seeds; the noise is the prediction times a factor, given at three sizes."""
    predicted = 0.8 / 2.0 ** np.arange(6)
    noise = predicted * np.interp(np.arange(6), [0, 2, 5], factors)
    return {"sizes": 2 ** np.arange(6), "predicted": predicted, "mean": np.array([noise] * 3),
            "n": np.full(3, 99), "spread": np.array([spread] * 3)}  # fmt: skip


@pytest.mark.parametrize(
    ("arrays", "answers"),
    [
        (planted_r1((1.0, 1.02, 0.97)), (True, True, True)),
        (planted_r1((1.0, 1.1, 1.5)), (True, False, True)),
        (planted_r1((0.2, 1.0, 1.0)), (False, False, True)),
        (planted_r1((1.0, 1.0, 1.0), (0.2, 0.1)), (True, True, False)),
        (planted_r1((1.0, 1.0, 1.0), (0.0, 0.0)), (True, True, False)),
        (planted_r1((0.2, 1.0, 1.0), (0.0, 0.0)), (False, False, False)),
    ],
)
def test_r1_follows_the_prediction_or_not(arrays, answers):
    evidence = R1_NOISE.read(arrays)
    assert tuple(part.holds for part in evidence.parts) == answers
    expected = {1: "RIGHT" if answers[0] else "WRONG"}.get(len(set(answers)), "IMPRECISE")
    assert evidence.verdict == expected


def test_r1_noise_that_stays_the_same_does_not_fall():
    arrays = planted_r1((1.0, 1.0, 1.0))
    arrays["mean"][:, 3] = arrays["mean"][:, 2]
    assert R1_NOISE.read(arrays).parts[0].holds is False


def test_r1_lists_the_first_the_fifth_and_the_last_size():
    measured = R1_NOISE.read(planted_r1((1.0, 1.0, 1.0))).parts[0].measured
    assert measured.endswith("0.800 at m = 1, 0.050 at m = 16, 0.025 at m = 32")


def test_the_spread_of_one_output_is_that_of_its_batches():
    z = np.random.default_rng(0).normal(2, 3, (60, 4))
    rng = np.random.default_rng(1)
    rows = [np.r_[0, 1 + rng.permutation(59)[:7]] for _ in range(30)]
    outputs = [(z[0] - z[r].mean(0)) / np.sqrt(z[r].var(0) + 1e-5) for r in rows]
    found = spread_in_company(z, 8, 30, np.random.default_rng(1))
    assert found[0] == pytest.approx(np.sqrt(np.var(outputs, axis=0).mean()), rel=1e-9)
    assert found[1] < 1e-12


def test_r1_draws_what_is_measured_beside_what_is_predicted():
    arrays = planted_r1((1.0, 1.1, 1.2))
    ax = R1_NOISE.draw(arrays)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), arrays["mean"][0])
    np.testing.assert_allclose(ax.lines[1].get_ydata(), arrays["predicted"])
    assert ax.get_xlabel() == "rows of a batch, m"


def test_noise_of_batches_equals_a_loop_over_batches():
    z = np.random.default_rng(0).gamma(2.0, size=(60, 3))
    rng = np.random.default_rng(1)
    batches = [z[rng.permutation(60)[:5]] for _ in range(40)]
    mean = (np.array([b.mean(0) for b in batches]) - z.mean(0)) / z.std(0)
    var = np.array([b.var(0) for b in batches]) / z.var(0)
    found = noise_of_batches(z, 5, 40, np.random.default_rng(1))
    assert found[0] == pytest.approx(np.sqrt((mean**2).mean()), rel=1e-9)
    assert found[1] == pytest.approx(np.sqrt(var.var(axis=0).mean()), rel=1e-9)


# R2: ghost batches.


def planted_r2(small, gain=2.0, whole=(2.0, 2.2, 1.8, 2.0)):
    """Two rates: at 0.1 ghosts of 4 gain nothing; at 0.5, better on validation, those of 8 may."""
    same = np.array(whole)
    columns = {
        "val_error_128": [same, same - 1], "error_128": [same, same],
        "val_error_8": [same - 2, same - 2], "error_8": [same - 1, np.array(small)],
        "val_error_4": [same - 3, same - 1], "error_4": [same - 1, same],
        "val_error_gain": [same, same], "error_gain": [same, np.full(4, gain)],
    }  # fmt: skip
    arrays = {name: np.transpose(values) for name, values in columns.items()}  # (S, R)
    return {"lrs": np.full((4, 2), (0.1, 0.5)), "gain_of": np.full(4, 8), **arrays}


@pytest.mark.parametrize(
    ("small", "gain", "answers", "verdict"),
    [
        ([1.0, 1.2, 0.8, 1.0], 2.0, (True, True, True), "RIGHT"),
        ([1.0, 1.2, 0.8, 1.0], 0.2, (True, True, False), "IMPRECISE"),
        ([3.0, 3.2, 2.8, 3.0], 2.0, (True, False, False), "IMPRECISE"),
        ([1.0, 3.2, 2.8, 1.0], 2.0, (True, None, None), "CANNOT TELL"),
    ],
)
def test_r2_needs_intervals_without_zero_at_each_rate(small, gain, answers, verdict):
    evidence = R2_GHOST_BATCHES.read(planted_r2(small, gain))
    assert tuple(part.holds for part in evidence.parts) == answers
    assert evidence.verdict == verdict
    other = R2_GHOST_BATCHES.read(planted_r2([2.0, 2.1, 1.9, 2.0]))
    assert [p.criterion for p in evidence.parts] == [p.criterion for p in other.parts]


def test_r2_where_nothing_is_gained_was_not_reproduced():
    arrays = planted_r2([3.0, 3.2, 2.8, 3.0])
    arrays["error_4"] = arrays["error_4"] + [3.0, 0.0]
    assert R2_GHOST_BATCHES.read(arrays).verdict == "NOT REPRODUCED"


def test_r2_compares_noise_and_gain_at_the_rate_of_the_whole_batch():
    arrays = planted_r2([1.0, 1.2, 0.8, 1.0], gain=0.0)
    assert R2_GHOST_BATCHES.read(arrays).parts[-1].holds is False
    arrays["val_error_128"] = arrays["val_error_128"][:, ::-1]  # 0.1 is the best rate now
    assert R2_GHOST_BATCHES.read(arrays).parts[-1].holds is True


def test_ghosts_are_chosen_on_validation_images_at_each_rate():
    np.testing.assert_array_equal(chosen_ghosts(planted_r2([5.0, 5.0, 5.0, 5.0])), [4, 8])


def test_r2_draws_the_change_of_each_size_and_of_the_gain_at_each_rate():
    ax = R2_GHOST_BATCHES.draw(planted_r2([1.0, 1.2, 0.8, 1.0]))
    rows = [text.get_text() for text in ax.get_yticklabels()]
    assert rows[:2] == ["ghosts of 8, rate 0.1", "ghosts of 8, rate 0.5"]
    assert rows[-1] == "gain of 8, no noise, rate 0.5"
    dots = np.concatenate([np.ravel(line.get_xdata()) for line in ax.lines])
    assert -1.0 in dots.round(9)
    assert ax.get_xlabel().endswith("points against the whole batch")


def test_r2_runs_small():
    changes = {"steps": 20, "seeds": (0, 1), "ghost_sizes": (128, 8), "lrs": (0.1, 0.5)}
    evidence = R2_GHOST_BATCHES.evidence(**changes)
    assert len(evidence.parts) == 3


def test_the_gain_multiplies_x_hat_in_training_and_its_gradient():
    x, dy = np.random.default_rng(0).normal(size=(2, 16, 3))
    weight, bias = np.random.default_rng(1).normal(size=(2, 3))
    ours, theirs = GainBatchNorm(3, 1.5), torch.nn.BatchNorm1d(3, dtype=torch.float64)
    ours.weight[:], ours.bias[:] = weight, bias
    theirs.weight.data, theirs.bias.data = torch.tensor(1.5 * weight), torch.tensor(bias)
    tensor = torch.tensor(x, requires_grad=True)
    y = theirs(tensor)
    y.backward(torch.tensor(dy))
    np.testing.assert_allclose(ours(x), y.detach().numpy(), atol=1e-12)
    np.testing.assert_allclose(ours.backward(dy), tensor.grad.numpy(), atol=1e-12)
    np.testing.assert_allclose(ours.grads["bias"], theirs.bias.grad.numpy(), atol=1e-12)
    np.testing.assert_allclose(ours.grads["weight"], 1.5 * theirs.weight.grad.numpy(), atol=1e-12)
    theirs.weight.data = torch.tensor(weight)  # evaluation has no gain
    expected = theirs.eval()(torch.tensor(x)).detach().numpy()
    np.testing.assert_allclose(ours.eval()(x), expected, atol=1e-12)


# R3: little data.


@pytest.mark.parametrize(
    ("dropout", "l2", "verdict"),
    [
        (-1.0, 1.0, "IMPRECISE"),
        (1.0, -1.0, "IMPRECISE"),
        (1.0, 1.0, "RIGHT"),
        (-1.0, -1.0, "WRONG"),
        (0.0, 1.0, "RIGHT"),  # its interval excludes a gain that is worth having
        (-0.2, 1.0, "CANNOT TELL"),
    ],
)
def test_r3_needs_intervals_without_zero(dropout, l2, verdict):
    bn = np.array([4.0, 4.1, 3.9, 4.2])
    noise = np.array([0.1, -0.1, 0.1, -0.1])
    arrays = {"bn": bn, "bn_dropout": bn + dropout + noise, "bn_l2": bn + l2 - noise}
    assert R3_WITHOUT_DROPOUT.read(arrays).verdict == verdict


def test_r3_runs_small():
    changes = {"steps": 10, "seeds": (0, 1), "recipes": ("bn", "bn_l2", "bn_dropout")}
    evidence = R3_WITHOUT_DROPOUT.evidence(**changes)
    assert evidence.measured.count("%") == 2


def test_every_recipe_starts_from_the_same_weights():
    nets = [dropout_net(r.dropout, "every ReLU", r.batchnorm, seed=1) for r in RECIPES.values()]
    weights = [[layer.weight for layer in net if isinstance(layer, Linear)] for net in nets]
    for other in weights[1:]:
        for a, b in zip(weights[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


# R5: the variance shift.


def planted_r5(before, last=(1.0, 1.0, 1.0), seeds=3):
    both = [np.array([values] * seeds) for values in (before, last)]
    errors = {f"{what}_{where}": np.full((seeds, 3), 2.0)
              for what in ("error", "repaired") for where in ("before", "last")}  # fmt: skip
    return {"rates": np.array([0.2, 0.5, 0.8]), "ratio_before": both[0], "ratio_last": both[1],
            **errors}  # fmt: skip


@pytest.mark.parametrize(
    ("arrays", "verdict"),
    [
        (planted_r5([0.8, 0.5, 0.2]), "RIGHT"),
        (planted_r5([0.2, 0.5, 0.8]), "IMPRECISE"),  # not the more the larger p
        (planted_r5([0.8, 0.5, 0.5]), "IMPRECISE"),
        (planted_r5([0.8, 0.5, 0.2], last=[0.8, 0.5, 0.2]), "IMPRECISE"),  # not dropout's place
        (planted_r5([1.0, 1.0, 1.0]), "IMPRECISE"),  # behind it, nothing either
        (planted_r5([1.0, 1.0, 1.0], last=[0.5, 0.5, 0.5]), "WRONG"),
        (planted_r5([0.9, 0.5, 0.2]), "IMPRECISE"),  # on the limit
        (planted_r5([0.8, 0.5, 0.2], seeds=2), "CANNOT TELL"),
    ],
)
def test_r5_needs_a_shift_that_depends_on_place_and_rate(arrays, verdict):
    evidence = R5_VARIANCE_SHIFT.read(arrays)
    assert evidence.verdict == verdict
    other = R5_VARIANCE_SHIFT.read(planted_r5([0.7, 0.7, 0.7]))
    assert [p.criterion for p in evidence.parts] == [p.criterion for p in other.parts]


def test_r5_lists_each_ratio_and_the_errors_at_the_largest_rate():
    arrays = planted_r5([0.8, 0.5, 0.2], last=[0.95, 1.0, 1.05], seeds=2)
    arrays["ratio_before"] += [[0.0], [0.1]]  # the second seed
    names = ("error_before", "error_last", "repaired_before", "repaired_last")
    for i, name in enumerate(names):
        arrays[name] = 10.0 * i + np.array([[1, 2, 3], [2, 3, 4]])
    shift, before, last = (part.measured for part in R5_VARIANCE_SHIFT.read(arrays).parts)
    assert shift.endswith(" 0.85 at p = 0.2, 0.55 at p = 0.5, 0.25 at p = 0.8")
    assert before == "test error at p = 0.8 3.5%, with new statistics 23.5%"
    assert last == "0.95 to 1.05; test error at p = 0.8 13.5%, with new statistics 33.5%"


def test_r5_draws_both_places():
    ax = R5_VARIANCE_SHIFT.draw(planted_r5([0.8, 0.5, 0.2]))
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [0.8, 0.5, 0.2])
    np.testing.assert_allclose(ax.lines[1].get_ydata(), [1.0, 1.0, 1.0])
    assert ax.get_xlabel() == "dropout rate p"


def test_r3_draws_a_column_for_each_recipe():
    arrays = {name: np.array([3.0, 4.0]) for name in RECIPES}
    labels = [text.get_text() for text in R3_WITHOUT_DROPOUT.draw(arrays).get_xticklabels()]
    assert labels[0] == "nothing"
    assert "batch norm\nand dropout" in labels


def test_r5_runs_small():
    arrays = R5_VARIANCE_SHIFT.run(
        type(R5_VARIANCE_SHIFT.config)(rates=(0.5,), steps=60, seeds=(0,))
    )
    assert arrays["ratio_before"][0, 0] == pytest.approx(0.5, abs=0.1)
    assert arrays["ratio_last"][0, 0] == pytest.approx(1.0, abs=0.1)


def test_the_ratio_is_that_of_the_variances_computed_by_hand():
    """Var without dropout / var with it: (1 - p) s^2 / (s^2 + p mean^2)."""
    rng = np.random.default_rng(0)
    x = rng.normal(2.0, 2.0, (200_000, 1))
    layer = BatchNorm(1, momentum=None)
    model = Sequential(Dropout(0.5, rng=rng), layer)
    model(x)
    assert variance_ratios(model, x)[0] == pytest.approx(1 / 3, rel=0.02)
    assert layer.running_mean[0] == pytest.approx(2.0, abs=0.05)


def test_dropout_is_put_where_it_is_asked_for():
    kinds = {w: [type(layer).__name__ for layer in dropout_net(0.5, w, True, seed=0)]
             for w in ("last batch norm", "last ReLU", "every ReLU")}  # fmt: skip
    assert kinds["last batch norm"][6:9] == ["Linear", "Dropout", "BatchNorm"]
    assert kinds["last ReLU"][-3:] == ["ReLU", "Dropout", "Linear"]
    assert [k.count("Dropout") for k in kinds.values()] == [1, 1, 3]
    assert "Dropout" not in [type(layer).__name__ for layer in dropout_net(0, "last ReLU", True, 0)]


def test_without_dropout_is_a_copy():
    model = dropout_net(0.5, "every ReLU", True, seed=0)
    x = load_digits(dtype=np.float32).x_val
    quiet = without_dropout(model).train()
    np.testing.assert_array_equal(quiet(x), quiet(x))
    assert not np.array_equal(model(x), model(x))


# Stored results.


@pytest.mark.parametrize("experiment", [R2_GHOST_BATCHES, R3_WITHOUT_DROPOUT], ids=_id)
def test_what_is_stored_was_made_with_todays_config(experiment):
    arrays, about = stored(experiment.claim.id)
    assert about["config"] == json.loads(json.dumps(dataclasses.asdict(experiment.config)))
    assert len(arrays[next(iter(arrays))]) == len(experiment.config.seeds)
