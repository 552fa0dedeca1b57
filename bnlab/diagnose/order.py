"""Problems that show in the order of the calls: what lies below a batch norm, and above."""

from collections import Counter, defaultdict
from itertools import takewhile

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.dropout import _DropoutNd

from bnlab.diagnose.calls import module_of
from bnlab.diagnose.probing import adds_its_bias, ignores_a_bias

__all__ = ["is_norm", "order_problems"]

NORMS = (_BatchNorm, nn.modules.instancenorm._InstanceNorm, nn.GroupNorm, nn.LayerNorm)
KEEPS_VARIANCE = (nn.AlphaDropout, nn.FeatureAlphaDropout)
DROPOUTS = {F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, torch.dropout, torch.feature_dropout}
SOFTMAX = (
    nn.Softmax, nn.LogSoftmax, F.softmax, F.log_softmax, torch.softmax, torch.log_softmax,
    "softmax", "log_softmax",
)  # fmt: skip
LOSSES = (
    nn.CrossEntropyLoss, nn.BCEWithLogitsLoss, F.cross_entropy, F.binary_cross_entropy_with_logits,
)  # fmt: skip
READS_SHAPE = {"size", "dim", "shape", "ndim", "dtype", "device"}


def order_problems(nodes, dimensions=None):
    """Pairs (module, problem) that follow from the calls.

    `dimensions` holds the number of dimensions of each batch norm's input, where it is known.
    """
    dimensions = dimensions or {}
    norms = [node for node in nodes if is_norm(node)]
    for (norm, _), count in Counter((module_of(n), n.graph) for n in norms).items():
        if norm is not None and count > 1:
            yield norm, "shared"
    for node in filter(_uses_the_batch, norms):
        if any(_drops(below) for below in takewhile(_keeps_variance, _below(node))):
            yield node.meta["owner"], "after dropout"
        if _is_on_the_logits(node):
            yield node.meta["owner"], "on the logits"
        if _is_over_another_axis(node, dimensions):
            yield node.meta["owner"], "another axis"
    for layer in _redundant(nodes, dimensions):
        yield layer, "redundant bias"


# Kinds of calls.


def is_norm(node):
    """Whether it is a call of batch norm: a layer, or the function on anything but weights."""
    if node.op == "call_module":
        return isinstance(module_of(node), _BatchNorm)
    if node.target not in (F.batch_norm, torch.batch_norm):
        return False
    return not any(below.op == "get_attr" for below in _below(node))


def _uses_the_batch(node):
    """Whether it normalizes by the batch in training: under fixed statistics a bias counts."""
    if node.op == "call_module":
        return module_of(node).training
    return bool(_argument(node, 5, "training", False))


def _drops(node):
    module = module_of(node)
    if isinstance(module, _DropoutNd):
        return not isinstance(module, KEEPS_VARIANCE) and module.p > 0 and module.training
    if node.target not in DROPOUTS:
        return False
    training = _argument(node, 2, "train" if node.target is torch.dropout else "training", True)
    return bool(training) and _argument(node, 1, "p", 0.5) != 0


def _keeps_variance(node):
    """A norm sets the variance anew: what lies below it does not matter. Nor is the rest known."""
    known = not is_norm(node) and not node.meta.get("closed")
    return known and not isinstance(module_of(node), NORMS)


def _argument(node, place, name, default):
    return node.args[place] if len(node.args) > place else node.kwargs.get(name, default)


# Ways through the graph.


def _below(node):
    """What lies below a call, the nearest first, up to where paths meet or part."""
    chain = []
    while len(_sources(node)) == 1 and len(_users(_sources(node)[0])) == 1:
        (node,) = _sources(node)
        chain.append(node)
    return chain


def _sources(node):
    """The calls whose values it takes; the model's own tensors only if there is nothing else."""
    inputs = node.all_input_nodes
    return [other for other in inputs if other.op != "get_attr"] or inputs


def _input(node):
    """What a batch norm normalizes."""
    return node.args[0] if node.args else next(iter(node.kwargs.values()))


def _users(node):
    """The calls that use its values; those that only read its shape do not count."""
    return [user for user in node.users if not _reads_shape(user)]


def _reads_shape(node):
    if node.op == "call_method":
        return node.target in READS_SHAPE
    return node.target is getattr and node.args[1] in READS_SHAPE


# The problems.


def _is_on_the_logits(node):
    users = _users(node)
    if len(users) != 1:
        return False
    (user,) = users
    if _kind(user) in LOSSES:
        return True
    at_the_end = [above.op for above in _users(user)] == ["output"] and user.meta["model"]
    return _kind(user) in SOFTMAX and at_the_end


def _kind(node):
    """The class of the layer, the function, or the name of the method that is called."""
    return node.target if module_of(node) is None else type(module_of(node))


def _is_over_another_axis(node, dimensions):
    """A linear layer's features are on the last axis, and batch norm works on axis 1."""
    below, norm = _input(node), module_of(node)
    layer = module_of(below) if isinstance(below, torch.fx.Node) else None
    if norm is None or not isinstance(layer, nn.Linear):
        return False
    if isinstance(norm, nn.BatchNorm2d | nn.BatchNorm3d) or dimensions.get(norm, 2) > 2:
        return True
    return norm.num_features not in (0, layer.out_features)  # 0: a lazy one, not yet known


def _redundant(nodes, dimensions):
    """Layers whose bias reaches nothing but batch norms, in every one of their calls."""
    uses, taken = defaultdict(list), {n.target for n in nodes if n.op == "get_attr"}
    for node in nodes:
        if _has_bias(module_of(node)):
            uses[module_of(node)].append(node)
    for layer, calls in uses.items():
        elsewhere = any(f"{call.target}.bias" in taken for call in calls)
        users = [user for call in calls for user in _users(call)]
        removed = all(_removes_it(user, dimensions) for user in users)
        if users and removed and not elsewhere and adds_its_bias(layer):
            yield layer


def _has_bias(module):
    return isinstance(module, nn.Linear | _ConvNd) and module.bias is not None


def _removes_it(node, dimensions):
    """Whether this use of a layer's output is a batch norm over the same channels."""
    if not (is_norm(node) and _uses_the_batch(node)) or _is_over_another_axis(node, dimensions):
        return False
    return module_of(node) is None or ignores_a_bias(module_of(node))
