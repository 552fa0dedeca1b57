"""The mistakes that real frameworks shipped, and others: the row that a person would expect."""

import layers
import pytest
import torch

from bnlab.conform import conform
from bnlab.course.lessons.nb09 import broken_layers

BROKEN, CONVENTION = "broken", "convention"

# The layer, the row, and words of its sentence.
SHIPPED = [
    (layers.OnePass, "bfloat16 at mean 5", "loses its digits"),
    (layers.OnePass, "float32 at mean 1e4", r"E[x^2] - E[x]^2"),
    (layers.DetachedMean, "dx", "leaves out the way through the mean"),
    (layers.SquareForRoot, "output, 2-D", "not what any known mistake"),
    (layers.RootForgotten, "output, 2-D", "take its square root"),
    (layers.TrainsOnAverages, "training ignores the running statistics", "batches before"),
]
OTHERS = [
    (layers.NotSaved, "state saved and loaded", "gives other answers"),
    (layers.WritesIntoX, "inputs unmodified", "writes into x"),
    (layers.MovesInEvaluation, "evaluation leaves the state alone", "moves the running statistics"),
    (layers.BatchInEvaluation, "evaluation", "the mean and the variance of x itself"),
    (layers.BatchInEvaluation, "evaluation ignores the batch", "changes with the others"),
    (layers.KeepsOneCall, "two calls before one backward", "After a second call"),
    (layers.GivesNanForOneValue, "one value per channel", "not finite from then on"),
    (layers.RoughMeanInFloat16, "float16 at mean 5", "sums that are kept in float16"),
    (layers.NanGradientForConstants, "constant channel", "y is beta, but not finite is dx"),
    (layers.EpsOutside, "eps and its place", "You add eps to the standard deviation"),
    (layers.NoEps, "eps and its place", "eps is not in your variance"),
    (layers.AbsoluteGamma, "negative and zero gamma", "lost its sign"),
    (layers.PixelsApart, "output, 4-D", "one mean for each pixel"),
    (layers.ReadsMemoryInOrder, "memory order", "lie in memory"),
]


def bad(report):
    return {row.name for row in report.rows if row.verdict == BROKEN}


@pytest.fixture(scope="module")
def report_of():
    made = {}
    return lambda kind: made[kind] if kind in made else made.setdefault(kind, conform(kind))


def test_the_plain_layer_has_no_row_broken(report_of):
    report = report_of(layers.Plain)
    assert report.ok, bad(report)
    assert report.count[CONVENTION] == 0


@pytest.mark.parametrize(("kind", "name", "words"), SHIPPED + OTHERS)
def test_the_row_names_it(report_of, kind, name, words):
    row = report_of(kind)[name]
    assert row.verdict == BROKEN
    assert words in row.text


@pytest.mark.parametrize(
    ("kind", "others"),
    [
        (layers.OnePass, {"float32 at mean 1e4", "float16 at mean 5", "bfloat16 at mean 5"}),
        (layers.DetachedMean, {"dx"}),
        (layers.RoughMeanInFloat16, {"float16 at mean 5"}),
        (layers.NotSaved, {"state saved and loaded"}),
        (layers.WritesIntoX, {"inputs unmodified"}),
        (layers.EpsOutside, {"eps and its place"}),
        (layers.AbsoluteGamma, {"negative and zero gamma"}),
        (layers.PixelsApart, {"output, 4-D", "dx", "dgamma"}),
        (layers.ReadsMemoryInOrder, {"memory order"}),
        (layers.KeepsOneCall, {"two calls before one backward"}),
    ],
)
def test_no_other_row_is_broken_by_it(report_of, kind, others):
    assert bad(report_of(kind)) == others


@pytest.mark.parametrize(
    ("kind", "name", "value", "library"),
    [
        (layers.BiasedRunningVariance, "variance that is fed", "biased", "Keras 3"),
        (layers.MomentumOfKeras, "momentum multiplies", "old", "Flax"),
        (layers.MomentumOfKeras, "default momentum", 0.99, "Flax"),
        (layers.EpsOfKeras, "default eps", 1e-3, "Keras 3"),
        (layers.EpsOfKeras, "default momentum", 0.01, "no library"),
        (layers.StartsWithTheFirstBatch, "start of the averages", "first batch", "Equinox"),
    ],
)
def test_a_convention_is_no_fault(report_of, kind, name, value, library):
    report = report_of(kind)
    assert report[name].verdict == CONVENTION
    assert report[name].value == value
    assert library in report[name].sentence
    assert report.ok, bad(report)


def test_a_broken_row_has_a_small_input_and_says_how_far_off():
    row = conform(layers.DetachedMean)["dx"]
    assert row.mistake == "detached_mean"
    assert row.difference > 0.1
    assert row.smallest.startswith("x = [[")
    assert "dy = [[" in row.smallest
    assert "should be" in row.smallest


def test_the_smallest_input_can_be_typed_again():
    row = conform(layers.DetachedMean)["dx"]
    told, _, answer = row.smallest.partition(": ")
    values = eval(f"dict({told})")
    x = torch.tensor(values["x"], dtype=torch.float64, requires_grad=True)
    layer = layers.DetachedMean(1, eps=values["eps"]).double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(values["gamma"]))
    layer(x).backward(torch.tensor(values["dy"], dtype=torch.float64))
    found = eval(answer.removeprefix("dx is ").partition(" and should be ")[0])
    assert torch.allclose(x.grad, torch.tensor(found, dtype=torch.float64), atol=1e-3)


# The ten of the bug hunt, notebook 09

HUNT = [
    ("momentum multiplies", CONVENTION),
    ("evaluation", BROKEN),
    ("dx", BROKEN),
    ("evaluation leaves the state alone", BROKEN),
    ("output, 4-D", BROKEN),
    ("variance that is fed", CONVENTION),
    ("eps and its place", BROKEN),
    ("dgamma", BROKEN),
    ("float32 at mean 1e4", BROKEN),
    ("output, 2-D", BROKEN),
]


@pytest.mark.parametrize("number", range(1, 11))
def test_the_layers_of_the_hunt_are_found(number):
    name, verdict = HUNT[number - 1]
    kind = broken_layers._LAYERS[number - 1]
    assert conform(kind)[name].verdict == verdict
