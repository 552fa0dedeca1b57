"""Each library's documented rule, written in its own terms, against ours with its settings.

torch and ONNX's reference implementation are run; the others' rules are theirs as documented.
"""

import inspect

import nbformat
import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt

from bnlab.course.lessons.nb05.conventions import CONVENTIONS, T4_MOMENTUM, closed_form
from bnlab.data import course_files
from bnlab.layers import BatchNorm

STEPS, M, C = 40, 5, 3


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def batches():
    rng = np.random.default_rng(0)
    mean, std = rng.normal(0, 3, C), rng.uniform(0.5, 2, C)
    return mean + std * rng.normal(size=(STEPS, M, C))


def average(library, momentum, start=(0.0, 1.0)):
    """Our layer with a library's momentum in our direction, after all batches.

    Returns the factor that makes our running variance of the library's, running_mean, running_var.
    """
    convention = CONVENTIONS[library]
    if momentum is not None and convention.multiplies == "old":
        momentum = 1 - momentum
    layer = BatchNorm(C, momentum=momentum)
    layer.running_mean[:], layer.running_var[:] = start
    for x in batches():
        layer(x)
    factor = M / (M - 1) if convention.variance == "biased" else 1.0
    return factor, layer.running_mean, layer.running_var


def without_start(running, start, share):
    """What the batches alone have contributed, weighted to 1."""
    return (running - share * start) / (1 - share)


# Rules in the terms of their libraries.


def keras_3(momentum):
    moving_mean, moving_variance = np.zeros(C), np.ones(C)
    for x in batches():
        mean, variance = x.mean(axis=0), x.var(axis=0)
        moving_mean = moving_mean * momentum + mean * (1.0 - momentum)
        moving_variance = moving_variance * momentum + variance * (1.0 - momentum)
    return moving_mean, moving_variance


def tf_keras_2_fused(momentum):
    moving_mean, moving_variance = np.zeros(C), np.ones(C)
    for x in batches():
        bessel = M / (M - 1)
        moving_mean = moving_mean * momentum + x.mean(axis=0) * (1 - momentum)
        moving_variance = moving_variance * momentum + x.var(axis=0) * (1 - momentum) * bessel
    return moving_mean, moving_variance


def haiku(decay_rate):
    """Two ExponentialMovingAverages with zero_debias=True."""
    hidden = np.zeros((2, C))
    for counter, x in enumerate(batches(), start=1):
        hidden = hidden * decay_rate + np.array([x.mean(axis=0), x.var(axis=0)]) * (1 - decay_rate)
        averages = hidden / (1 - decay_rate**counter)
    return averages


def equinox(momentum):
    """Mode "ema": the first batch is taken as it is."""
    running = None
    for x in batches():
        batch = np.array([x.mean(axis=0), x.var(axis=0)])
        running = batch if running is None else (1 - momentum) * batch + momentum * running
    return running


def caffe(fraction):
    """Three blobs: sum of means, sum of variances, sum of weights."""
    blobs = [np.zeros(C), np.zeros(C), 0.0]
    for x in batches():
        correction = M / (M - 1)
        blobs[2] = blobs[2] * fraction + 1
        blobs[0] = x.mean(axis=0) + fraction * blobs[0]
        blobs[1] = correction * x.var(axis=0) + fraction * blobs[1]
    return blobs[0] / blobs[2], blobs[1] / blobs[2]


# From the same start: mean equal, variance equal after the factor, the start's share set aside.


@pytest.mark.parametrize("momentum", [0.9, 0.99])
@pytest.mark.parametrize(
    ("library", "rule"),
    [("Keras 3", keras_3), ("tf.keras 2, dense", keras_3), ("tf.keras 2, images", tf_keras_2_fused),
     ("Flax", keras_3), ("MXNet", keras_3)],
)  # fmt: skip
def test_libraries_that_start_at_0_and_1(library, rule, momentum):
    assert CONVENTIONS[library].start == "0 and 1"
    their_mean, their_var = rule(momentum)
    factor, mean, var = average(library, momentum)
    share = momentum**STEPS
    np.testing.assert_allclose(mean, their_mean, rtol=1e-11)
    from_batches = factor * without_start(their_var, 1.0, share)
    np.testing.assert_allclose(without_start(var, 1.0, share), from_batches, rtol=1e-11)


@pytest.mark.parametrize(("library", "rule"), [("Haiku", haiku), ("Caffe", caffe)])
def test_debiased_libraries_are_ours_without_the_start(library, rule):
    assert CONVENTIONS[library].start == "debiased"
    their_mean, their_var = rule(0.95)
    factor, mean, var = average(library, 0.95)
    share = 0.95**STEPS
    np.testing.assert_allclose(without_start(mean, 0.0, share), their_mean, rtol=1e-11)
    np.testing.assert_allclose(without_start(var, 1.0, share), factor * their_var, rtol=1e-11)


def test_equinox_starts_from_the_first_batch():
    assert CONVENTIONS["Equinox"].start == "first batch"
    their_mean, their_var = equinox(0.9)
    first = batches()[0]
    start = first.mean(axis=0), first.var(axis=0, ddof=1)
    factor, mean, var = average("Equinox", 0.9, start)  # the first batch moves nothing then
    np.testing.assert_allclose(mean, their_mean, rtol=1e-11)
    np.testing.assert_allclose(var, factor * their_var, rtol=1e-11)


@pytest.mark.parametrize("momentum", [0.1, 0.5, None])
def test_torch_run(momentum):
    theirs = torch.nn.BatchNorm1d(C, momentum=momentum, dtype=torch.float64)
    for x in batches():
        theirs(torch.from_numpy(x))
    factor, mean, var = average("PyTorch", momentum)
    assert factor == 1.0
    np.testing.assert_allclose(mean, theirs.running_mean.numpy(), rtol=1e-11)
    np.testing.assert_allclose(var, theirs.running_var.numpy(), rtol=1e-11)


def test_torch_has_the_defaults_of_the_table():
    defaults = inspect.signature(torch.nn.BatchNorm1d).parameters
    assert defaults["momentum"].default == CONVENTIONS["PyTorch"].momentum
    assert defaults["eps"].default == CONVENTIONS["PyTorch"].eps
    layer = torch.nn.BatchNorm1d(2)
    stored = set(layer.state_dict()) - {"num_batches_tracked"}
    assert stored == set(CONVENTIONS["PyTorch"].names.split(", "))


def test_onnx_run():
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    reference = pytest.importorskip("onnx.reference", reason="this onnx cannot run a model")
    helper, proto = onnx.helper, onnx.TensorProto
    inputs = ["X", "scale", "B", "input_mean", "input_var"]
    outputs = ["Y", "running_mean", "running_var"]
    node = helper.make_node("BatchNormalization", inputs, outputs, training_mode=1)
    graph = helper.make_graph(
        [node], "one",
        [helper.make_tensor_value_info(name, proto.DOUBLE, None) for name in inputs],
        [helper.make_tensor_value_info(name, proto.DOUBLE, None) for name in outputs],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)])
    session = reference.ReferenceEvaluator(model)
    mean, var = np.zeros(C), np.ones(C)
    for x in batches():
        values = (x, np.ones(C), np.zeros(C), mean, var)
        _, mean, var = session.run(None, dict(zip(inputs, values, strict=True)))
    momentum = CONVENTIONS["ONNX"].momentum  # the operator's default was used
    factor, our_mean, our_var = average("ONNX", momentum)
    share = momentum**STEPS
    np.testing.assert_allclose(our_mean, mean, rtol=1e-6)  # the attribute is a float32
    np.testing.assert_allclose(
        without_start(our_var, 1.0, share), factor * without_start(var, 1.0, share),
        rtol=1e-6,
    )  # fmt: skip
    schema = onnx.defs.get_schema("BatchNormalization", 15).attributes
    assert schema["momentum"].default_value.f == pytest.approx(momentum)
    assert schema["epsilon"].default_value.f == pytest.approx(CONVENTIONS["ONNX"].eps)


def test_the_paper_averages_all_batches_alike():
    """Algorithm 2, step 10: E[x] = mean of means, Var[x] = m / (m - 1) times mean of variances."""
    _, mean, var = average("the paper", None)
    np.testing.assert_allclose(mean, batches().mean(axis=1).mean(axis=0), rtol=1e-11)
    expected = M / (M - 1) * batches().var(axis=1).mean(axis=0)
    np.testing.assert_allclose(var, expected, rtol=1e-11)


# The table.


def test_only_torch_and_the_paper_do_not_keep_the_old_value():
    others = {name for name, c in CONVENTIONS.items() if c.multiplies != "old"}
    assert others == {"PyTorch", "the paper"}


@pytest.mark.parametrize("name", CONVENTIONS)
def test_a_row_uses_the_words_of_the_table(name):
    c = CONVENTIONS[name]
    assert c.multiplies in ("new", "old", "none")
    assert c.variance in ("biased", "unbiased")
    assert c.start in ("0 and 1", "debiased", "first batch", "inputs", "none")
    assert c.channel_axis in (0, 1, -1, None)
    assert c.source
    assert c.names


# The closed form and the claim about momentum.


@pytest.mark.parametrize("momentum", [0.01, 0.3, 1.0])
@pytest.mark.parametrize("shape", [(7,), (7, 2)])
def test_the_closed_form_is_the_recursion(momentum, shape):
    values = np.random.default_rng(0).normal(size=shape)
    running, expected = 5.0, []
    for value in values:
        running = (1 - momentum) * running + momentum * value
        expected.append(running)
    np.testing.assert_allclose(closed_form(5.0, values, momentum), expected, rtol=1e-12)


def test_the_closed_form_takes_a_start_for_each_channel():
    got = closed_form(np.array([1.0, 10.0]), np.zeros((3, 2)), momentum=0.5)
    np.testing.assert_array_equal(got, [[0.5, 5.0], [0.25, 2.5], [0.125, 1.25]])


def t4_arrays(keeps=(False, True, True), **changes):
    left = 0.9 ** np.arange(1, 4)
    arrays = {"closed_form": 1e-16, "torch": 1e-16, "left": left, "predicted": left,
              "momentum": 0.1, "libraries": ["PyTorch", "Keras 3", "Flax"],
              "keeps_the_old": keeps}  # fmt: skip
    return {**arrays, **changes}


KEPT = {"left": 0.1 ** np.arange(1, 4), "predicted": 0.1 ** np.arange(1, 4)}


@pytest.mark.parametrize(
    ("arrays", "verdict"),
    [
        (t4_arrays(), "IMPRECISE"),
        (t4_arrays((False, True, False)), "WRONG"),
        (t4_arrays(**KEPT), "RIGHT"),
        (t4_arrays(closed_form=1e-3), "CANNOT TELL"),
        (t4_arrays(torch=1e-3), "CANNOT TELL"),
        (t4_arrays(left=KEPT["left"]), "CANNOT TELL"),
    ],
)
def test_the_verdict_on_momentum_follows_the_arrays(arrays, verdict):
    assert T4_MOMENTUM.read(arrays).verdict == verdict


def test_momentum_is_asked_the_same_of_every_run_and_drawn_as_it_is_and_as_it_is_said():
    one, other = (T4_MOMENTUM.judge(arrays) for arrays in (t4_arrays(), t4_arrays(**KEPT)))
    assert [part.criterion for part in one] == [part.criterion for part in other]
    ax = T4_MOMENTUM.draw(t4_arrays())
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [0.9, 0.81, 0.729])
    np.testing.assert_allclose(ax.lines[1].get_ydata(), [0.1, 0.01, 0.001])
    assert ax.get_xlabel() == "step t, with momentum a = 0.1"
    assert ax.get_ylabel() == "share of the start left"


def test_momentum_for_real():
    found = T4_MOMENTUM.evidence()
    assert found.verdict == "IMPRECISE"
    assert "a step keeps 0.9" in found.measured
    assert "in 9 of 9" in found.measured


# The same table as the notebook prints it.


def printed(value):
    """As the notebook writes it: 1e-5, and a dash where there is none."""
    return "–" if value is None else f"{value}".replace("e-0", "e-").replace("0.001", "1e-3")


def test_the_notebook_has_the_rows_of_the_table():
    path = course_files() / "notebooks" / "05_test_time.ipynb"
    cells = nbformat.read(path, as_version=4).cells
    (text,) = (c.source for c in cells if c.source.startswith("| library |"))
    rows = [[word.strip() for word in line.split("|")[1:-1]] for line in text.splitlines()
            if line.startswith("|")]  # fmt: skip
    assert rows[2:] == [
        [name, c.multiplies, printed(c.momentum), printed(c.eps), c.variance, c.start,
         printed(c.channel_axis)]
        for name, c in CONVENTIONS.items()
    ]  # fmt: skip
