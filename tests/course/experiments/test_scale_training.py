"""One run at scale, on made-up images and tiny nets: what it finds, and what it leaves alone."""

import dataclasses
import itertools

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from small_cifar import write_small  # noqa: E402

from bnlab.course.experiments.scale import nets, training  # noqa: E402
from bnlab.course.experiments.scale.runs import NOISE, Run  # noqa: E402

TINY = Run(images=128, tests=64, epochs=1, width=4, batch=32, lr=0.03)
STEPS = 4  # an epoch


def tiny(**fields):
    return dataclasses.replace(TINY, **fields)


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "VALIDATION", 100)
    return str(write_small(tmp_path / "cifar", monkeypatch))


@pytest.fixture
def models(monkeypatch):
    """The networks that are trained, and their weights before."""
    seen = []

    def build(run):
        seen.append((nets.build(run), nets.build(run)))
        return seen[-1][0]

    monkeypatch.setattr(training, "build", build)
    return seen


def without_seconds(found):
    return {name: numbers for name, numbers in found.items() if name != "seconds"}


# What a run finds


def test_a_run_finds_accuracies(data):
    found = training.train(tiny(epochs=2), data, "cpu")
    assert sorted(found) == ["early", "late", "seconds", "test", "train", "validation"]
    assert len(found["validation"]) == 2 * training.LOOKS
    assert len(found["test"]) == len(NOISE)
    assert (len(found["early"]), len(found["late"])) == (2, 2)
    accuracies = [found["train"], *found["validation"], *found["test"], *found["early"]]
    assert all(0 <= a <= 1 for a in accuracies)
    assert all((64 * a).is_integer() for a in accuracies)  # 64 images of each kind
    assert found["late"][0] == found["validation"][-1]
    assert found["seconds"] > 0


def test_it_learns(data):
    """The made-up classes differ in brightness: 10% is guessing."""
    found = training.train(tiny(images=500, epochs=5), data, "cpu")
    assert found["validation"][-1] > 0.6
    assert found["test"][0] > 0.6
    assert found["train"] > 0.6


def test_the_same_run_finds_the_same_numbers(data):
    first, again = (training.train(TINY, data, "cpu") for _ in range(2))
    assert without_seconds(first) == without_seconds(again)
    other = training.train(tiny(seed=1), data, "cpu")
    assert without_seconds(first) != without_seconds(other)


@pytest.mark.parametrize("norm", ["none", "ghost", "group"])
def test_recomputed_statistics_are_those_of_batch_norm(data, norm):
    found = training.train(tiny(norm=norm, ghost=4), data, "cpu")
    assert (found["early"], found["late"]) == ([], [])


def test_early_is_after_the_first_epoch_and_late_after_the_last(data, monkeypatch):
    steps, step = [], torch.optim.SGD.step
    monkeypatch.setattr(torch.optim.SGD, "step", lambda self: steps.append(1) or step(self))
    monkeypatch.setattr(training, "_recomputed", lambda *_: len(steps))
    found = training.train(tiny(epochs=3), data, "cpu")
    assert (found["early"], found["late"], len(steps)) == (STEPS, 3 * STEPS, 3 * STEPS)


def test_a_run_that_diverges_ends_at_the_next_look(data):
    found = training.train(tiny(epochs=3, norm="none", lr=1e6), data, "cpu")
    assert len(found["validation"]) == 1
    assert found["validation"][0] <= 0.3  # nan is no answer: class 0 for all
    assert len(found["test"]) == len(NOISE)


def test_the_rate_falls_in_a_straight_line_to_zero(data, monkeypatch):
    rates, step = [], torch.optim.SGD.step

    def watched(self):
        rates.append(self.param_groups[0]["lr"])
        assert (self.param_groups[0]["momentum"], self.param_groups[0]["weight_decay"]) == (
            0.9,
            0.1,
        )
        return step(self)

    monkeypatch.setattr(torch.optim.SGD, "step", watched)
    training.train(tiny(epochs=2, lr=0.08, decay=0.1), data, "cpu")
    np.testing.assert_allclose(rates, 0.08 * (1 - np.arange(2 * STEPS) / (2 * STEPS)))


# What it moves


@pytest.mark.parametrize(
    ("trained", "moved"),
    [
        ("all", {"Conv2d", "BatchNorm2d", "Linear"}),
        ("norm", {"BatchNorm2d"}),
        ("random", {"Conv2d"}),
        ("last", {"Linear"}),
    ],
)
def test_only_what_is_trained_moves(data, models, trained, moved):
    training.train(tiny(trained=trained, decay=0.0), data, "cpu")
    ((after, before),) = models
    found = {
        type(layer).__name__
        for layer, old in zip(after.modules(), before.modules(), strict=True)
        for p, q in zip(layer.parameters(False), old.parameters(False), strict=True)
        if not torch.equal(p, q)
    }
    assert found == moved


def test_random_moves_two_numbers_a_channel(data, models):
    training.train(tiny(trained="random", decay=0.0), data, "cpu")
    ((after, before),) = models
    pairs = zip(after.modules(), before.modules(), strict=True)
    moved = [
        (layer.weight != old.weight).flatten(1).sum(1)  # (C,)
        for layer, old in pairs
        if isinstance(layer, torch.nn.Conv2d)
    ]
    assert len(moved) == 8
    assert all((counts == 2).all() for counts in moved)


# The images


def test_each_colour_has_mean_0_and_standard_deviation_1(data):
    images = training._images(data, "cpu")
    x = torch.cat([images.x, images.x_val])
    assert (len(images.x), len(images.x_val), len(images.x_test)) == (500, 100, 120)
    torch.testing.assert_close(x.mean((0, 2, 3)), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(x.std((0, 2, 3)), torch.ones(3), atol=1e-4, rtol=0)
    assert images.noise.std().item() == pytest.approx(1, abs=0.01)


def test_noise_is_added_to_the_test_images_by_its_size(data, monkeypatch):
    seen = []
    monkeypatch.setattr(training, "_accuracy", lambda model, x, y: seen.append(x) or 0.5)
    training.train(tiny(norm="none"), data, "cpu")
    images, levels = training._images(data, "cpu"), seen[training.LOOKS :][: len(NOISE)]
    for size, x in zip(NOISE, levels, strict=True):
        torch.testing.assert_close(x, images.x_test[:64] + size * images.noise[:64])


@pytest.mark.parametrize("augment", [True, False])
def test_images_are_moved_only_where_the_run_says_so(data, monkeypatch, augment):
    calls, own = [], training._augmented
    monkeypatch.setattr(training, "_augmented", lambda *a: calls.append(1) or own(*a))
    training.train(tiny(augment=augment), data, "cpu")
    assert len(calls) == (STEPS if augment else 0)


def moves(image):
    """All that augmentation may make of an image: bytes -> (rows down, columns right, mirrored)."""
    found = {}
    for mirrored in (False, True):
        flipped = image[..., ::-1] if mirrored else image
        padded = np.pad(flipped, ((0, 0), (4, 4), (4, 4)), mode="reflect")
        for r, c in itertools.product(range(9), range(9)):
            window = padded[:, r : r + image.shape[1], c : c + image.shape[2]]
            found[window.tobytes()] = (r - 4, c - 4, mirrored)
    return found


def test_augmentation_moves_by_at_most_four_pixels_and_mirrors():
    images = np.random.default_rng(0).standard_normal((300, 2, 7, 12)).astype(np.float32)
    given = torch.from_numpy(images.copy())
    moved = training._augmented(given, torch.Generator().manual_seed(1)).numpy()
    assert (given.numpy() == images).all()
    rows, columns, mirrored = zip(
        *(moves(a)[np.ascontiguousarray(b).tobytes()] for a, b in zip(images, moved, strict=True)),
        strict=True,
    )
    assert set(rows) == set(columns) == set(range(-4, 5))
    assert len(set(zip(rows, columns, strict=True))) > 60  # of 81: not tied to each other
    assert 120 < sum(mirrored) < 180


def test_augmentation_follows_its_generator():
    images = torch.randn(20, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    first, again, other = (
        training._augmented(images, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


# Recomputed statistics


@pytest.fixture
def trained(data):
    """A trained network whose running statistics were spoiled since."""
    model, images = nets.build(TINY), training._images(data, "cpu")
    for _ in range(3):
        model(images.x[:64])
    for norm in (m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)):
        norm.running_mean += 3
    return model, images


def test_recomputing_leaves_the_network_as_it_was(trained):
    model, images = trained
    before = {name: value.clone() for name, value in model.state_dict().items()}
    training._recomputed(model, images.x, images.x_val, images.y_val)
    after = model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert {norm.momentum for norm in norms} == {0.1}
    assert model.training


def test_recomputed_statistics_are_those_of_the_training_images(trained, monkeypatch):
    model, images = trained
    seen = []
    monkeypatch.setattr(
        training,
        "_accuracy",
        lambda m, *_: seen.append((m[1].running_mean.clone(), m[1].running_var.clone())),
    )
    training._recomputed(model, images.x, images.x_val, images.y_val)
    with torch.no_grad():
        z = model[0](images.x[: training.VALIDATION])
    assert (seen[0][0] - seen[1][0]).min() > 2
    torch.testing.assert_close(seen[1][0], z.mean((0, 2, 3)), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(seen[1][1], z.var((0, 2, 3)), rtol=1e-3, atol=1e-4)


def test_accuracy_is_a_share_in_evaluation_mode(data):
    model, images = nets.build(TINY), training._images(data, "cpu")
    state = {name: value.clone() for name, value in model.state_dict().items()}
    share = training._accuracy(model, images.x_test, images.y_test)
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())
    assert model.training
    with torch.no_grad():
        guesses = model.eval()(images.x_test).argmax(1)
    assert share == (guesses == images.y_test).double().mean().item()
