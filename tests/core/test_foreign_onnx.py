"""ONNX's own node tests: a model of one node, its inputs and its outputs, for each norm we have.

They need onnx 1.19, which comes with the dev extra; later wheels do not ship them. The expanded
variants hold the same numbers for the same node written as many.
"""

import math
from pathlib import Path

import numpy as np
import pytest

from bnlab.batchnorm import batchnorm_forward, batchnorm_inference
from bnlab.functional import groupnorm_forward, layernorm_forward

onnx = pytest.importorskip("onnx", reason="onnx is not installed")

FOLDER = Path(onnx.__file__).parent / "backend" / "test" / "data" / "node"
KINDS = ("batchnorm", "layer_normalization", "group_normalization", "instancenorm")
NAMES = [path.name for kind in KINDS for path in sorted(FOLDER.glob(f"test_{kind}_*"))
         if "_expanded" not in path.name]  # fmt: skip
if not NAMES:
    pytest.skip("this onnx ships no node tests", allow_module_level=True)


# Operators in ONNX's terms: inputs by position, attributes by name, outputs as a list.


def batch_normalization(x, scale, bias, mean, var, epsilon=1e-5, momentum=0.9, training_mode=0):
    if not training_mode:
        return [batchnorm_inference(x, scale, bias, mean, var, epsilon)]
    y, cache = batchnorm_forward(x, scale, bias, epsilon)
    # momentum multiplies the old value there, and the variance stays biased
    new_mean = momentum * mean + (1 - momentum) * cache.mean
    return [y, new_mean, momentum * var + (1 - momentum) * cache.var]


def layer_normalization(x, scale, bias, axis=-1, epsilon=1e-5):
    """Every axis before `axis` belongs to the batch. We return y, and not its mean and 1/std."""
    shape = x.shape[axis:]
    batch = x.reshape(math.prod(x.shape) // math.prod(shape), *shape)
    return [layernorm_forward(batch, scale, bias, epsilon)[0].reshape(x.shape)]


def group_normalization(x, scale, bias, num_groups, epsilon=1e-5):
    return [groupnorm_forward(x, scale, bias, num_groups, epsilon)[0]]


def instance_normalization(x, scale, bias, epsilon=1e-5):
    return [groupnorm_forward(x, scale, bias, num_groups=x.shape[1], eps=epsilon)[0]]


OPERATORS = {
    "BatchNormalization": batch_normalization,
    "LayerNormalization": layer_normalization,
    "GroupNormalization": group_normalization,
    "InstanceNormalization": instance_normalization,
}


def load(name):
    """Type, attributes, inputs and outputs of the node."""

    def read(kind):
        files = sorted((FOLDER / name).glob(f"test_data_set_0/{kind}_*.pb"))
        return [onnx.numpy_helper.to_array(onnx.load_tensor(str(file))) for file in files]

    (node,) = onnx.load(str(FOLDER / name / "model.onnx")).graph.node
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    return node.op_type, attributes, read("input"), read("output")


@pytest.mark.parametrize("name", NAMES)
def test_the_node_gives_onnxs_outputs(name):
    operator, attributes, inputs, outputs = load(name)
    got = OPERATORS[operator](*inputs, **attributes)
    for ours, wanted in zip(got, outputs, strict=operator != "LayerNormalization"):
        assert ours.shape == wanted.shape
        np.testing.assert_allclose(ours, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_each_norm_has_nodes(kind):
    assert any(name.startswith(f"test_{kind}_") for name in NAMES)
