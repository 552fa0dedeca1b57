"""Claims W6 and W8 to W11: verdicts and figures on planted arrays."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from bnlab.course.lessons.nb08.blind_accuracy import (
    W9_BLIND,
)
from bnlab.course.lessons.nb08.noise_after import W6_NOISE
from bnlab.course.lessons.nb08.only_batchnorm import (
    PARTS,
    W10_ONLY_BATCHNORM,
)
from bnlab.course.lessons.nb08.robustness import W11_ROBUSTNESS
from bnlab.course.lessons.nb08.training_time import W8_TIME


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


YES, NO, OPEN = True, False, None

SEEDS = np.array([-1e-3, 0.0, 1e-3, 2e-3])  # what a seed adds to an accuracy

WIDE = np.array([-0.1, 0.2, 0.0, -0.1])  # an interval that decides nothing


def seeds_of(value):
    """A share of images for four seeds, alike but for a little; or these very four."""
    return value + SEEDS if np.ndim(value) == 0 else np.asarray(value)


def at_one_rate(value):
    """Validation and test accuracy at one rate, (S, 1, 2)."""
    return np.stack([seeds_of(value)] * 2, axis=-1)[:, None]


def judged(experiment, arrays):
    """Whether each part holds, and the verdict."""
    evidence = experiment.read(arrays)
    return [part.holds for part in evidence.parts], evidence.verdict


def criteria(experiment, arrays):
    return [part.criterion for part in experiment.read(arrays).parts]


def drawn(ax):
    """All heights and places of the lines of an axis, sorted."""
    lines = [np.ravel([line.get_xdata(), line.get_ydata()]).astype(float) for line in ax.lines]
    return np.concatenate(lines)


def times(plain, bn, *, relu=(0.98, 0.98), sigmoid=(0.95, 0.95), seconds=(1.0, 2.0)):
    """Steps of each side in four seeds, and the accuracies that they end with."""

    def side(steps, accuracy):
        steps = np.broadcast_to(np.asarray(steps, float), 4)
        validation, test = np.split(at_one_rate(accuracy), 2, axis=-1)
        return np.concatenate([steps[:, None, None], validation / 2, test], axis=-1)

    return {
        "seconds": np.array([seconds] * 4),
        "relu_plain": side(plain, relu[0]),
        "relu_bn": side(bn, relu[1]),
        "sigmoid_plain": side(np.inf, sigmoid[0]),
        "sigmoid_bn": side(100, sigmoid[1]),
    }


@pytest.mark.parametrize(
    ("arrays", "holds", "verdict"),
    [
        (times(90, 50), [YES] * 3, "RIGHT"),  # fewer steps, of twice the cost
        (times(110, 50), [NO, YES, YES], "IMPRECISE"),
        (times(90, 50, relu=(0.97, 0.985)), [YES, NO, YES], "IMPRECISE"),
        (times(90, 50, relu=(0.985, 0.97)), [YES, NO, YES], "IMPRECISE"),
        (times(90, 50, relu=(0.98, 0.985)), [YES] * 3, "RIGHT"),
        (times(110, 50, relu=(0.96, 0.98), sigmoid=(0.1, 0.9)), [NO] * 3, "WRONG"),
        (times((90, 110, 90, 90), 50, relu=(0.9, 0.9 + WIDE)), [OPEN, OPEN, YES], "CANNOT TELL"),
        (times(np.inf, 50), [NO, YES, YES], "IMPRECISE"),
        (times(np.inf, np.inf), [OPEN, YES, YES], "CANNOT TELL"),
    ],
)
def test_w8_follows_the_arrays(arrays, holds, verdict):
    assert judged(W8_TIME, arrays) == (holds, verdict)
    assert criteria(W8_TIME, arrays) == criteria(W8_TIME, times(90, 50))


def test_w8_takes_the_fastest_rate_for_time_and_the_best_one_for_accuracy():
    arrays, other = times(100, 40), times(60, 40, relu=(0.9, 0.9))
    both = {
        name: array if name == "seconds" else np.concatenate([array, other[name]], axis=1)
        for name, array in arrays.items()
    }
    assert "60 steps of 1000.00 ms without" in W8_TIME.read(both).measured
    assert "98.0 and 98.0%" in W8_TIME.read(both).measured


def test_the_figure_of_w8_has_milliseconds_and_accuracies():
    ax = W8_TIME.draw(times(90, 50))
    assert ax.get_ylabel() == "ms until 95% are right"
    assert {90_000, 100_000} <= set(drawn(ax))
    assert [other.get_title() for other in ax.figure.axes] == ["ReLU", "ReLU", "sigmoid"]
    np.testing.assert_allclose(ax.figure.axes[1].lines[0].get_ydata(), [97.9, 97.9])


def noisy(plain, *behind, sigmoid=None):
    """Accuracies without batch norm, with it, with noise of 0.1 and of 2 behind it."""

    def side(plain, behind):
        swept = np.stack([at_one_rate(v) for v in behind], axis=1)
        return at_one_rate(plain), swept  # (S, 1, 2), (S, K, 1, 2)

    arrays = {"sizes": np.array([[0.0, 0.1, 2.0]] * 4)}
    for name, values in {"relu": (plain, *behind), "sigmoid": sigmoid or ()}.items():
        if values:
            arrays[f"{name}_plain"], arrays[f"{name}_noisy"] = side(values[0], values[1:])
    return arrays


@pytest.mark.parametrize(
    ("arrays", "holds", "verdict"),
    [
        (noisy(0.9, 0.98, 0.97, 0.945), [YES] * 3, "RIGHT"),
        (noisy(0.9, 0.98, 0.97, 0.935), [YES, YES, NO], "IMPRECISE"),
        (noisy(0.9, 0.98, 0.99, 0.3), [YES, YES, NO], "IMPRECISE"),
        (noisy(0.9, 0.89, 0.88, 0.3), [NO] * 3, "NOT REPRODUCED"),
        (noisy(0.9, 0.98, 0.97 + WIDE, 0.97), [YES, OPEN, YES], "CANNOT TELL"),
        (
            noisy(0.9, 0.98, 0.97, 0.96, sigmoid=(0.1, 0.9, 0.8, 0.3)),
            [YES] * 5 + [NO],
            "IMPRECISE",
        ),
    ],
)
def test_w6_follows_the_arrays(arrays, holds, verdict):
    assert judged(W6_NOISE, arrays) == (holds, verdict)
    first = noisy(0.9, 0.98, 0.97, 0.945)
    assert criteria(W6_NOISE, arrays)[:3] == criteria(W6_NOISE, first)


def test_w6_chooses_the_rate_on_validation_images():
    arrays = noisy(0.9, 0.98, 0.97, 0.945)
    worse = np.array([0.5, 1.0])  # on validation and on test images
    other = np.broadcast_to(worse, arrays["relu_plain"].shape)
    arrays["relu_plain"] = np.concatenate([arrays["relu_plain"], other], axis=1)
    assert judged(W6_NOISE, arrays)[1] == "RIGHT"


def test_the_figure_of_w6_has_a_panel_an_activation():
    ax = W6_NOISE.draw(noisy(0.9, 0.98, 0.97, 0.96, sigmoid=(0.1, 0.9, 0.8, 0.3)))
    assert [other.get_title() for other in ax.figure.axes] == ["ReLU", "sigmoid"]
    assert (ax.get_ylabel(), ax.get_yscale()) == ("test error, %", "log")
    np.testing.assert_allclose(ax.lines[1].get_ydata(), [10, 2, 3, 4])
    labels = [label.get_text() for label in ax.get_xticklabels()]
    assert labels == ["no batch\nnorm", "0", "0.1", "2"]


def mistaken(*accuracy, gradient=(0.0, 0.0, 1.0, 1.0)):
    """Accuracies with a right layer and with three mistakes."""
    return {
        "accuracy": np.stack([seeds_of(value) for value in accuracy], axis=1),
        "property": np.array([[0.0, 1.0, 0.0, 0.0]] * 4),
        "gradient": np.array([gradient] * 4),
    }


@pytest.mark.parametrize(
    ("arrays", "holds", "verdict"),
    [
        (mistaken(0.98, 0.98, 0.985, 0.975), [NO] * 3, "WRONG"),
        (mistaken(0.98, 0.9, 0.9, 0.968), [YES] * 3, "RIGHT"),
        (mistaken(0.98, 0.98, 0.98, 0.9), [NO, NO, YES], "IMPRECISE"),
        (mistaken(0.98, 0.98, 0.98, 0.96 + WIDE), [NO, NO, OPEN], "CANNOT TELL"),
    ],
)
def test_w9_follows_the_arrays(arrays, holds, verdict):
    assert judged(W9_BLIND, arrays) == (holds, verdict)
    assert criteria(W9_BLIND, arrays) == criteria(W9_BLIND, mistaken(0.9, 0.9, 0.9, 0.9))


def test_w9_says_which_test_finds_a_mistake():
    found = [part.measured for part in W9_BLIND.read(mistaken(0.9, 0.9, 0.9, 0.9)).parts]
    assert [text.split("of the ")[1] for text in found] == ["property", "gradient", "gradient"]
    neither = W9_BLIND.read(mistaken(0.9, 0.9, 0.9, 0.9, gradient=(0, 0, 0, 0))).parts[1]
    assert neither.measured.endswith("neither")


def test_the_figure_of_w9_shows_what_each_mistake_costs():
    ax = W9_BLIND.draw(mistaken(0.98, 0.97, 0.985, 0.9))
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [-1, 0.5, -8], atol=1e-9)
    assert "points" in ax.get_ylabel()
    assert "double\ncentring" in [label.get_text() for label in ax.get_xticklabels()]


def alone(norm, random, last, softmax, depths=(1, 6)):
    """Accuracies of the parts, each the same at both depths or one a depth."""

    def part(values):
        values = values if isinstance(values, tuple) else (values,) * len(depths)
        return np.stack([at_one_rate(value) for value in values], axis=1)

    parts = dict(zip(PARTS, map(part, (norm, random, last, 0.98)), strict=True))
    return {"depths": np.array([depths] * 4), "softmax": at_one_rate(softmax), **parts}


@pytest.mark.parametrize(
    ("arrays", "holds", "verdict"),
    [
        (alone(0.97, 0.9, 0.9, 0.96), [YES] * 6, "RIGHT"),
        (alone(0.93, 0.9, 0.9, 0.96), [YES] * 4 + [NO] * 2, "IMPRECISE"),
        (alone(0.93, 0.9, (0.95, 0.7), 0.96), [NO, YES, YES, YES, NO, NO], "IMPRECISE"),
        (alone(0.93, (0.95, 0.9), 0.9, 0.9), [YES, YES, NO, YES, YES, YES], "IMPRECISE"),
        (alone(0.6, 0.7, 0.9, 0.9), [NO] * 6, "NOT REPRODUCED"),
        (alone(0.93, 0.9 + WIDE, 0.9, 0.9), [YES, YES, OPEN, OPEN, YES, YES], "CANNOT TELL"),
    ],
)
def test_w10_follows_the_arrays(arrays, holds, verdict):
    assert judged(W10_ONLY_BATCHNORM, arrays) == (holds, verdict)
    first = alone(0.97, 0.9, 0.9, 0.96)
    assert criteria(W10_ONLY_BATCHNORM, arrays) == criteria(W10_ONLY_BATCHNORM, first)


def test_the_figure_of_w10_has_a_line_a_part_and_softmax_beside_them():
    ax = W10_ONLY_BATCHNORM.draw(alone((0.6, 0.9), 0.5, 0.7, 0.96))
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [39.95, 9.95])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("hidden layers", "test error, %")
    texts = {text.get_text().strip() for text in ax.texts}
    assert {"gamma and beta", "everything", "softmax on the 64 pixels"} <= texts


def shaken(plain, bn):
    """Accuracies on clean images and with noise of 0.1 and 0.4."""
    sides = {"plain": (0.97, *plain), "bn": (0.98, *bn)}
    swept = {s: np.stack([at_one_rate(v) for v in values], 1) for s, values in sides.items()}
    return {"noises": np.array([[0.0, 0.1, 0.4]] * 4)} | swept


@pytest.mark.parametrize(
    ("arrays", "holds", "verdict"),
    [
        (shaken((0.9, 0.7), (0.89, 0.6)), [YES, YES], "RIGHT"),
        (shaken((0.9, 0.7), (0.91, 0.6)), [NO, YES], "IMPRECISE"),
        (shaken((0.9, 0.7), (0.91, 0.8)), [NO, NO], "NOT REPRODUCED"),
        (shaken((0.9, 0.7), (0.9 + WIDE, 0.6)), [OPEN, YES], "CANNOT TELL"),
    ],
)
def test_w11_follows_the_arrays(arrays, holds, verdict):
    assert judged(W11_ROBUSTNESS, arrays) == (holds, verdict)
    first = shaken((0.9, 0.7), (0.89, 0.6))
    assert criteria(W11_ROBUSTNESS, arrays) == criteria(W11_ROBUSTNESS, first)


def test_the_figure_of_w11_has_accuracy_and_the_difference():
    ax = W11_ROBUSTNESS.draw(shaken((0.9, 0.7), (0.89, 0.6)))
    assert ax.get_xlabel() == "noise in a pixel, std"
    np.testing.assert_allclose(ax.lines[1].get_ydata(), [98.05, 89.05, 60.05])
    difference = ax.figure.axes[1]
    np.testing.assert_allclose(difference.lines[0].get_ydata(), [1, -1, -10], atol=1e-9)
