"""Claims of notebook 06: each identity for real, and planted arrays that flip each verdict."""

import dataclasses
import json

import numpy as np
import pytest
import torch

import bnlab
from bnlab import layers, optim, training
from bnlab.course.experiments import bench
from bnlab.course.lessons.nb06 import folding, images, small_cnn
from bnlab.course.lessons.nb06.folding import C5_FOLDING
from bnlab.course.lessons.nb06.images import C1_PER_CHANNEL, C2_VALUES, C3_RESHAPE, C4_ONE_IMAGE
from bnlab.course.lessons.nb06.small_cnn import (
    C6_SMALL_CNN,
    best_rates,
    conv_block,
    steps_to,
)

IDENTITIES = [C2_VALUES, C3_RESHAPE, C4_ONE_IMAGE, C5_FOLDING]


def _id(value):
    return value.claim.id if hasattr(value, "claim") else str(value)


@pytest.mark.parametrize("entry", [C1_PER_CHANNEL, *IDENTITIES], ids=_id)
def test_what_the_notes_say_about_images_is_right(entry):
    evidence = entry.evidence()
    assert evidence.verdict == "RIGHT", evidence
    assert evidence.claim.notebook == "06"
    assert evidence.claim.kind == ("definition" if entry is C1_PER_CHANNEL else "identity")
    assert all(part.holds for part in evidence.parts)


# Arrays that are not what we found must give another verdict.

C2 = {"difference": 0.0, "difference_torch": 0.0, "values": 120, "shape": np.array([2, 9, 5, 12])}
C3 = {"mean": 0.9, "mean_right": 0.0, "shares": np.full(4, 0.25)}
C4 = {"values": 64, "std_image": np.ones(4), "dense": 0.0, "refused": True, "refused_pixel": True}
C5 = {"difference": 0.0, "difference_torch": 0.0, "without_eps": np.array([1.0, 1e-5])}
FLIPS = [
    (C2_VALUES, C2, {"difference": 1e-3}, "IMPRECISE"),
    (C2_VALUES, C2, {"difference_torch": 1e-3}, "IMPRECISE"),
    (C2_VALUES, C2, {"values": 60}, "IMPRECISE"),
    (C2_VALUES, C2, {"values": 60, "difference": 1e-3}, "WRONG"),
    (C3_RESHAPE, C3, {"shares": np.array([1.0, 0, 0, 0])}, "IMPRECISE"),
    (C3_RESHAPE, C3, {"mean": 0.0}, "IMPRECISE"),
    (C3_RESHAPE, C3, {"mean_right": 0.5}, "IMPRECISE"),
    (C3_RESHAPE, C3, {"mean": 0.0, "shares": np.array([1.0, 0, 0, 0])}, "WRONG"),
    (C4_ONE_IMAGE, C4, {"std_image": np.zeros(4)}, "IMPRECISE"),
    (C4_ONE_IMAGE, C4, {"std_image": np.zeros(4), "dense": 0.5}, "WRONG"),
    (C4_ONE_IMAGE, C4, {"dense": 0.5}, "IMPRECISE"),
    (C4_ONE_IMAGE, C4, {"refused": False}, "IMPRECISE"),
    (C4_ONE_IMAGE, C4, {"refused_pixel": False}, "IMPRECISE"),
    (C5_FOLDING, C5, {"difference": 1e-5}, "WRONG"),
    (C5_FOLDING, C5, {"difference_torch": 1e-5}, "WRONG"),
]


@pytest.mark.parametrize(("experiment", "arrays", "changed", "verdict"), FLIPS, ids=_id)
def test_other_arrays_give_another_verdict(experiment, arrays, changed, verdict):
    assert experiment.read(arrays).verdict == "RIGHT"
    assert experiment.read(arrays | changed).verdict == verdict


# The parts against oracles that do not use bnlab.batchnorm.


def test_feature_maps_are_torchs():
    x = torch.from_numpy(bnlab.data.load_digits().images("train")[:5])
    kernels = torch.tensor(list(images.KERNELS.values()), dtype=torch.float64)[:, None]
    expected = torch.nn.functional.conv2d(x, kernels, padding=1).numpy()
    np.testing.assert_allclose(images.feature_maps(5), expected, atol=1e-12)


def test_a_row_of_the_table_is_a_pixel():
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5))
    table = images.as_table(x)
    assert table.shape == (40, 3)
    np.testing.assert_array_equal(table[20 + 2 * 5 + 3], x[1, :, 2, 3])


def test_the_reshaped_version_equals_the_mistake_in_torch():
    x = images.feature_maps(16)
    table = torch.from_numpy(x).reshape(-1, 4)
    wrong = (table - table.mean(0)) / (table.var(0, correction=0) + 1e-5).sqrt()
    found = images.normalize_reshaped(x)
    np.testing.assert_allclose(found, wrong.reshape(x.shape).numpy(), atol=1e-12)


def test_the_settled_layer_has_one_nearly_dead_channel():
    weight, (gamma, _, _, running_var) = folding.settled_layer(C5_FOLDING.config)
    assert running_var[0] < C5_FOLDING.config.eps < 0.01 < running_var[1:].min()
    assert weight.shape[0] == len(gamma) == 6


def test_the_settled_statistics_are_those_that_torch_would_collect():
    weight, (_, _, mean, var) = folding.settled_layer(folding.ConvLayer(n=7))
    z = torch.nn.functional.conv2d(
        torch.from_numpy(images.feature_maps(7)), torch.from_numpy(weight), padding=1
    )
    layer = torch.nn.BatchNorm2d(6, momentum=None, dtype=torch.float64)
    layer(z)
    np.testing.assert_allclose(mean, layer.running_mean.numpy(), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(var, layer.running_var.numpy(), rtol=1e-9)


def test_without_eps_the_dead_channel_is_off_and_the_others_hardly():
    dead, *live = C5_FOLDING.run(C5_FOLDING.config)["without_eps"]
    assert dead > 0.5
    assert 0 < max(live) < 1e-4


# C6: the network, the reading of curves, and planted curves.


@pytest.mark.parametrize("batchnorm", [True, False])
def test_a_block_has_a_bias_only_without_batch_norm(batchnorm):
    convolution, *rest = conv_block(1, 2, batchnorm=batchnorm, rng=np.random.default_rng(0))
    assert (convolution.bias is None) == batchnorm
    assert len(rest) == 1 + batchnorm


def test_both_sides_start_with_the_same_weights():
    with_bn, without = small_cnn.small_cnn(True, seed=3), small_cnn.small_cnn(False, seed=3)
    kernels = [
        [p for p in model.parameters().values() if p.ndim > 1] for model in (with_bn, without)
    ]
    assert len(kernels[0]) == 4
    for a, b in zip(*kernels, strict=True):
        np.testing.assert_array_equal(a, b)
    assert sum(p.size for p in with_bn.parameters().values()) == 4258


def test_the_seed_of_a_run_draws_its_weights():
    untrained, _ = small_cnn.train(small_cnn.Race(steps=0), True, 0.3, seed=5)
    expected = small_cnn.small_cnn(True, seed=5)
    np.testing.assert_array_equal(untrained[0].weight, expected[0].weight)


def test_images_are_standardized_by_the_training_images_only():
    digits = bnlab.data.load_digits()
    x = digits.images("test")
    expected = (x - digits.x_train.mean()) / digits.x_train.std()
    np.testing.assert_allclose(small_cnn.standardized(digits, "test"), expected)


def test_a_step_count_is_the_first_one_at_the_goal():
    curves = np.array([[0.1, 0.95, 0.2], [0.1, 0.2, 0.3], [np.nan, np.nan, 0.97]])
    assert steps_to(0.95, np.array([0, 20, 40]), curves).tolist() == [20, np.inf, 40]


def test_the_best_rate_is_chosen_over_the_whole_run_and_all_seeds():
    accuracy = np.zeros((2, 2, 3, 4))
    accuracy[:, 0, 1], accuracy[0, 0, 2], accuracy[:, 1, 2] = 0.5, 0.9, 0.2
    accuracy[1, 1, 0, -1] = np.nan  # counts as 0
    assert best_rates(accuracy).tolist() == [1, 2]


def _curves(plain, normalized, seeds=3):
    """Arrays of two rates; each side's curves by rate, the same for all seeds."""
    accuracy = np.array([[plain, normalized]] * seeds, dtype=float)
    return {
        "lrs": np.array([0.1, 1.0]), "steps": np.array([0, 20, 40]), "accuracy": accuracy,
        "test": accuracy[..., -1] - 0.01, "seconds": np.array([[1.0, 1.2]] * seeds),
    }  # fmt: skip


FLAT, SLOW, FAST = [0.1, 0.1, 0.1], [0.1, 0.5, 0.96], [0.1, 0.96, 0.97]


@pytest.mark.parametrize(
    ("plain", "normalized", "verdict"),
    [
        ([SLOW, FLAT], [FAST, SLOW], "RIGHT"),
        ([SLOW, FLAT], [SLOW, SLOW], "IMPRECISE"),  # not sooner
        ([SLOW, FLAT], [FAST, FLAT], "IMPRECISE"),  # not more rates
        ([FAST, SLOW], [SLOW, FLAT], "WRONG"),  # the reverse
        ([SLOW, FLAT], [FLAT, FLAT], "WRONG"),  # only the side without it gets there
        ([FLAT, FLAT], [FLAT, FLAT], "CANNOT TELL"),  # nothing has trained
    ],
)
def test_c6_needs_a_wider_range_and_fewer_steps(plain, normalized, verdict):
    evidence = C6_SMALL_CNN.read(_curves(plain, normalized))
    assert evidence.verdict == verdict
    other = C6_SMALL_CNN.read(_curves([FLAT, FLAT], [FLAT, FLAT]))
    assert [p.criterion for p in evidence.parts] == [p.criterion for p in other.parts]


def test_two_seeds_cannot_tell():
    two = _curves([SLOW, FLAT], [FAST, SLOW], seeds=2)
    assert C6_SMALL_CNN.read(two).verdict == "CANNOT TELL"


def test_c6_tells_ranges_steps_and_test_images():
    measured = C6_SMALL_CNN.read(_curves([SLOW, FLAT], [FAST, SLOW])).measured
    assert measured == (
        "0.0 decades without, 1.0 decades with it, wider in 3 of 3 seeds; 40 steps at 0.1 without, "
        "20 steps at 0.1 with batch norm; test images 95.0 and 96.0%"
    )
    nothing = C6_SMALL_CNN.read(_curves([FLAT, FLAT], [FLAT, FLAT])).measured
    assert nothing.startswith("none without, none with it, wider in 0 of 3 seeds; never at 0.1")


def test_c6_cannot_tell_if_in_one_seed_neither_side_gets_there():
    arrays = _curves([FAST, SLOW], [SLOW, FLAT])
    arrays["accuracy"][1] = 0.1
    assert [part.holds for part in C6_SMALL_CNN.read(arrays).parts] == [None, None]


def test_a_plain_side_that_never_gets_there_is_reported():
    evidence = C6_SMALL_CNN.read(_curves([FLAT, FLAT], [FAST, SLOW]))
    assert "never at 0.1 without" in evidence.measured


def test_the_evidence_does_not_depend_on_a_clock():
    arrays = _curves([SLOW, FLAT], [FAST, SLOW])
    slower = arrays | {"seconds": 10 * arrays["seconds"][:, ::-1]}
    assert str(C6_SMALL_CNN.read(slower)) == str(C6_SMALL_CNN.read(arrays))


def test_the_figure_of_c6_has_the_last_accuracy_of_both_sides():
    ax = C6_SMALL_CNN.draw(_curves([SLOW, FLAT], [FAST, SLOW]))
    plain, normalized = (line.get_ydata() for line in ax.lines[:2])
    np.testing.assert_allclose(plain, [96, 10])
    np.testing.assert_allclose(normalized, [97, 96])
    assert ax.get_xlabel() == "learning rate"
    assert ax.get_ylabel() == "validation accuracy in the end, %"


def test_the_figure_of_c6_has_the_steps_of_both_sides_and_no_dot_for_never():
    arrays = _curves([SLOW, FLAT], [FAST, SLOW])
    arrays["accuracy"][2, 0] = 0.1
    right = C6_SMALL_CNN.draw(arrays).figure.axes[1]
    plain, normalized = (line.get_ydata() for line in right.lines if line.get_marker() == "o")
    np.testing.assert_array_equal(plain, [40, 40, np.nan])
    np.testing.assert_array_equal(normalized, [20, 20, 20])
    assert right.get_ylabel() == "steps to 95% of the validation images"
    names = [label.get_text() for label in right.get_xticklabels()]
    assert names == ["without,\nrate 0.1", "with batch norm,\nrate 0.1"]


def test_a_small_run_has_the_shapes_that_the_judge_reads():
    config = dataclasses.replace(
        C6_SMALL_CNN.config, lrs=(0.3, 1e300), steps=6, every=3, seeds=(0, 1)
    )
    arrays = C6_SMALL_CNN.run(config)
    assert arrays["accuracy"].shape == (2, 2, 2, 3)
    assert arrays["steps"].tolist() == [0, 3, 6]
    assert np.isnan(arrays["accuracy"][:, 0, 1, -1]).all()  # diverged
    assert (arrays["seconds"] > 0).all()
    for side in (False, True):  # in this order, and seed 1 in the second place
        _, history = small_cnn.train(config, side, 0.3, seed=1)
        np.testing.assert_array_equal(arrays["accuracy"][1, int(side), 0], history.measured)
    assert arrays["test"].shape == (2, 2, 2)
    assert C6_SMALL_CNN.read(arrays).verdict == "CANNOT TELL"


# A broken package must not look right: the mistakes that notebook 06 is there to show.


def _per_pixel(x, gamma, beta, eps=1e-5):
    """Statistics over the batch only; for a dense batch that is what they should be."""
    _, cache = bnlab.batchnorm_forward(x, gamma, beta, eps)
    shape = (1, -1, *[1] * (x.ndim - 2))
    x_hat = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + eps)
    return np.reshape(gamma, shape) * x_hat + np.reshape(beta, shape), cache


@pytest.mark.parametrize("experiment", [C2_VALUES, C3_RESHAPE, C4_ONE_IMAGE], ids=_id)
def test_statistics_per_pixel_change_the_verdict(experiment, monkeypatch):
    for module in (images, bench):
        monkeypatch.setattr(module, "batchnorm_forward", _per_pixel)
    evidence = experiment.evidence()
    if experiment is C3_RESHAPE:  # each pixel has mean 0, and so has the channel
        assert evidence.verdict == "RIGHT"
    else:
        assert evidence.verdict == "IMPRECISE"


def test_a_fold_without_eps_changes_the_verdict(monkeypatch):
    def fold(weight, bias, gamma, beta, mean, var, eps):
        return bnlab.fold_batchnorm(weight, bias, gamma, beta, mean, var, eps=0.0)

    monkeypatch.setattr(folding, "fold_batchnorm", fold)
    assert C5_FOLDING.evidence().verdict == "WRONG"


# What the text of the notebook says and no cell of it prints.


def test_after_400_steps_about_a_point_is_left_between_the_two_sides():
    """In the notebook 4 points after 100 steps, both sides at rate 1, one seed."""
    notebook = (bnlab.data.course_files() / "notebooks" / "06_convolutional.ipynb").read_text()
    cells = ["".join(cell["source"]) for cell in json.loads(notebook)["cells"]]
    (cell,) = (source for source in cells if "def trained" in source)
    digits = bnlab.data.load_digits()
    lesson = {"np": np, "layers": layers, "optim": optim, "training": training, "digits": digits}
    exec(cell, lesson)
    x = lesson["images"]("test")
    nets = [lesson["trained"](norm, 1, 400) for norm in (layers.BatchNorm, None)]
    normalized, plain = (training.evaluate(net, x, digits.y_test) for net in nets)
    assert 0 < normalized - plain < 0.02
