"""torch's own test material: the samples of its operators and the inputs of its modules.

Nobody here chose these shapes, momenta and options. Each one is compared, or refused, and then the
reason is stated and checked as well. Slow, because the two lists take seconds to import; they need
expecttest, which comes with the dev extra, and may move: torch calls them internal.
"""

import warnings
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from bnlab import layers
from bnlab.batchnorm import batchnorm_forward, batchnorm_inference
from bnlab.gradcheck import numerical_gradient

pytestmark = pytest.mark.slow

DTYPES = [torch.float64, torch.float32]
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5}


def internal(module, name):
    """One of torch's internal lists; skips where this torch does not have it."""
    pytest.importorskip("expecttest", reason="expecttest is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return getattr(import_module(f"torch.testing._internal.{module}"), name)
        except (ImportError, AttributeError) as error:
            pytest.skip(f"this torch has no such samples: {error}")


@pytest.fixture(scope="module")
def operators():
    found = internal("common_methods_invocations", "op_db")
    return {op.name: op for op in found if not op.variant_test_name}


@pytest.fixture(scope="module")
def modules():
    return {m.module_cls.__name__: m for m in internal("common_modules", "module_db")}


def array(tensor):
    """A copy: the operators change running statistics in place."""
    return None if tensor is None else tensor.detach().numpy().copy()


def draw(shape, dtype, seed=0):
    """A random upstream gradient."""
    return torch.tensor(np.random.default_rng(seed).normal(size=shape), dtype=dtype)


def assert_near(got, want, dtype):
    """Relative to the largest number, and at least absolute: for M = 2 the true dx is near zero."""
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape
    scale = max(1, np.abs(want).max(initial=0))
    np.testing.assert_allclose(got / scale, want / scale, rtol=0, atol=TOLERANCE[dtype])


# Operators: the samples of batch norm under two names, whose arguments differ in their order.


class Call(NamedTuple):
    """The arguments of native_batch_norm, in its order."""

    x: Any
    weight: Any
    bias: Any
    mean: Any
    var: Any
    training: bool
    momentum: float
    eps: float


def functional(x, mean, var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
    return Call(x, weight, bias, mean, var, training, momentum, eps)


OPERATORS = {"nn.functional.batch_norm": functional, "native_batch_norm": Call}


def our_layer(call):
    """A BatchNorm in the state from which torch's operator starts."""
    x = array(call.x)
    layer = layers.BatchNorm(
        x.shape[1], call.eps, call.momentum, affine=call.weight is not None,
        track_running_stats=call.mean is not None, dtype=x.dtype,
    )  # fmt: skip
    arrays = [array(a) for a in (call.weight, call.bias, call.mean, call.var)]
    names = ("weight", "bias", "running_mean", "running_var")
    state = {name: a for name, a in zip(names, arrays, strict=True) if a is not None}
    return layer.load_state_dict(layer.state_dict() | state).train(call.training)


def our_gradients(layer, call, dy):
    """dx, dweight, dbias; at inference, where bnlab has no backward, by differences in float64."""
    if call.training:
        return [layer.backward(dy), *layer.grads.values()]
    inputs = [array(a).astype(np.float64) for a in (call.x, call.weight, call.bias)]
    statistics = array(call.mean), array(call.var), call.eps

    def gradient(k):
        def y(a):
            return batchnorm_inference(*inputs[:k], a, *inputs[k + 1 :], *statistics)

        return numerical_gradient(y, inputs[k], dy)

    return [gradient(k) for k in range(3)]


def compare_call(operator, sample, call):
    """Y, the gradients, the running statistics after the call, and what native_... saves."""
    dtype, ours = call.x.dtype, our_layer(call)
    outputs = operator(sample.input, *sample.args, **sample.kwargs)  # moves call.mean, call.var
    y, *saved = outputs if isinstance(outputs, tuple) else (outputs,)
    assert_near(ours(array(call.x)), array(y), dtype)

    dy = draw(y.shape, dtype)
    leaves = [leaf for leaf in call[:3] if leaf is not None]
    accuracy = dtype if call.training else torch.float32  # of the differences
    gradients = our_gradients(ours, call, array(dy))
    for got, want in zip(gradients, torch.autograd.grad(y, leaves, dy), strict=True):
        assert_near(got, array(want), accuracy)

    if call.mean is not None:
        assert_near(ours.running_mean, array(call.mean), dtype)
        assert_near(ours.running_var, array(call.var), dtype)
    if call.training and saved:
        channels = call.x.shape[1]
        _, cache = batchnorm_forward(array(call.x), np.ones(channels), np.zeros(channels), call.eps)
        assert_near(cache.mean, array(saved[0]), dtype)
        assert_near(cache.inv_std, array(saved[1]), dtype)


def refuse_call(call):
    """The one reason: an input without a channel axis, which torch's modules refuse as well."""
    with pytest.raises(ValueError, match=r"needs x of shape \(N, C\) or"):
        batchnorm_inference(array(call.x), [], [], [], [])
    with pytest.raises(ValueError, match="expected 2D or 3D input"):
        torch.nn.BatchNorm1d(len(call.x))(call.x)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", OPERATORS)
def test_every_sample_of_the_operator_is_compared_or_refused(operators, name, dtype):
    compared = []
    for sample in operators[name].sample_inputs("cpu", dtype, requires_grad=True):
        call = OPERATORS[name](sample.input, *sample.args, **sample.kwargs)
        if call.x.ndim < 2:
            refuse_call(call)
        else:
            compare_call(operators[name].op, sample, call)
            compared.append(call)
    assert {call.training for call in compared} == {True, False}
    assert min(call.momentum for call in compared) < 0  # torch's samples include such ones


# Modules: our layers with torch's state. Where torch leaves out a parameter that ours has (affine
# or bias is False), ours keeps the 1 or 0 it starts with.

RNG = np.random.default_rng(0)


def batchnorm(m):
    return layers.BatchNorm(m.num_features, m.eps, m.momentum, m.affine, m.track_running_stats)


def conv2d(m):
    padding = (m.kernel_size[0] - 1) // 2 if m.padding == "same" else m.padding[0]
    return layers.Conv2d(
        m.in_channels, m.out_channels, m.kernel_size, m.bias is not None,
        stride=m.stride[0], padding=padding, rng=RNG,
    )  # fmt: skip


MODULES = {
    "BatchNorm1d": batchnorm,
    "BatchNorm2d": batchnorm,
    "BatchNorm3d": batchnorm,
    "LayerNorm": lambda m: layers.LayerNorm(m.normalized_shape, m.eps),
    "GroupNorm": lambda m: layers.GroupNorm(m.num_groups, m.num_channels, m.eps),
    "Linear": lambda m: layers.Linear(m.in_features, m.out_features, m.bias is not None, rng=RNG),
    "Conv2d": conv2d,
    "ReLU": lambda m: layers.ReLU(),
    "Sigmoid": lambda m: layers.Sigmoid(),
    "Tanh": lambda m: layers.Tanh(),
}


def shape_for_us(module, x):
    """Ours want the batch as one axis, where torch allows none or several."""
    if isinstance(module, torch.nn.LayerNorm):
        return (-1, *module.normalized_shape)
    without_batch = {torch.nn.Linear: 1, torch.nn.Conv2d: 3}.get(type(module))
    return (1, *x.shape) if x.ndim == without_batch else x.shape


def randomize(module, dtype):
    """No parameter or statistic stays 0 or 1."""
    for seed, value in enumerate(module.state_dict().values()):
        if value.is_floating_point():
            value.copy_(draw(value.shape, dtype, seed).abs() + 0.5)


def module_cases(info, dtype, training):
    """Torch's module with a random state, ours with the same, and x."""
    options = {"device": "cpu", "dtype": dtype, "requires_grad": True, "training": training}
    for case in info.module_inputs_func(info, **options):
        arguments = case.constructor_input
        theirs = info.module_cls(*arguments.args, **arguments.kwargs).to(dtype).train(training)
        randomize(theirs, dtype)
        ours = MODULES[info.module_cls.__name__](theirs).train(training)
        state = {name: array(value) for name, value in theirs.state_dict().items()}
        ours.load_state_dict(ours.state_dict() | state)
        forward = case.forward_input
        (x,) = (*forward.args, *forward.kwargs.values())
        yield theirs, ours, x


def compare_modules(theirs, ours, x, dtype):
    want = theirs(x)
    got = ours(array(x).reshape(shape_for_us(theirs, x)))
    assert_near(got.reshape(want.shape), array(want), dtype)
    if theirs.training:
        dy = draw(want.shape, dtype)
        gradients = torch.autograd.grad(want, [x, *theirs.parameters()], dy)
        dx = ours.backward(array(dy).reshape(got.shape))
        assert_near(dx.reshape(x.shape), array(gradients[0]), dtype)
        names = [name for name, _ in theirs.named_parameters()]
        for name, gradient in zip(names, gradients[1:], strict=True):
            assert_near(ours.grads[name], array(gradient), dtype)
    for name, value in theirs.state_dict().items():
        assert_near(ours.state_dict()[name], array(value), dtype)


def is_refused(theirs, x):
    """An empty batch has no mean; at inference, batch norm does not ask for one."""
    needs_mean = isinstance(theirs, torch.nn.LayerNorm) or theirs.training
    return x.numel() == 0 and needs_mean


def refuse(theirs, ours, x):
    """Torch answers an empty batch with another, and learns nothing from it either."""
    before = {name: value.clone() for name, value in theirs.state_dict().items()}
    assert theirs(x).shape == x.shape
    for name, value in theirs.state_dict().items():
        assert name == "num_batches_tracked" or value.equal(before[name])
    with pytest.raises(ValueError, match=r"needs (more than one value|at least one example)"):
        ours(array(x))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", MODULES)
def test_every_input_of_the_module_is_compared_or_refused(modules, name, dtype, training):
    compared = 0
    for theirs, ours, x in module_cases(modules[name], dtype, training):
        if is_refused(theirs, x):
            refuse(theirs, ours, x)
        else:
            compare_modules(theirs, ours, x, dtype)
            compared += 1
    assert compared > 0
