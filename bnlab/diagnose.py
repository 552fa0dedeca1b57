"""Look a torch model over for the mistakes of the field guide (notebook 09): `diagnose`.

Everything is read off the modules, their state, and the order in which they are called. Nothing
is trained, and the model is left as it was.
"""

import copy
from collections import Counter
from dataclasses import dataclass
from itertools import takewhile

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

__all__ = ["Finding", "diagnose"]

ADVICE = {
    "redundant bias": "the layer right below batch norm has a bias. The mean is subtracted, and "
    "the bias with it: write bias=False.",
    "momentum": "in torch, momentum multiplies the new value. A value above 0.5 looks like the "
    "convention of Keras or Flax: use 1 - momentum.",
    "momentum of 0": "the running statistics never move away from where they are. If they are to "
    "stay, call eval() on this layer instead.",
    "frozen but updating": "weight and bias are frozen, but in training mode each forward pass "
    "moves the running statistics: call eval() on this layer, after every model.train().",
    "mixed modes": "some batch norms are in training mode and others in evaluation mode, or not "
    "in that of the model. Call model.train() or model.eval() on the whole. If it is meant: put "
    "all batch norms in evaluation mode, or freeze the weights of those that are.",
    "non-finite statistics": "a running mean or variance is nan or inf, and stays so. Look for "
    "the batch that did it, then call reset_running_stats() and pass clean batches through.",
    "untouched statistics": "the running statistics are still 0 and 1: no batch has reached them, "
    "so evaluation does not normalize. Train first, or load them with the weights.",
    "no running statistics": "track_running_stats=False: evaluation normalizes by the batch it is "
    "given, so examples change each other's answers. Use True.",
    "variance near zero": "a channel's running variance is below eps, so evaluation multiplies "
    "the smallest deviation by about 1 / sqrt(eps). Find out why this channel is constant.",
    "batch of one": "this input gives one value per channel, whose variance is 0: training on it "
    "fails. Use larger batches (drop_last=True for the last one) or group norm.",
    "eps of 0": "a constant channel gives 0 / 0. Use the eps the model was trained with, or 1e-5.",
    "after dropout": "dropout comes before batch norm. It changes the variance in training and "
    "not in evaluation, so the running variance fits no longer: put dropout behind the last norm.",
    "shared": "one layer is called in several places, so its running statistics mix the inputs of "
    "all of them. If these are of different kinds, use one layer for each place.",
}


@dataclass(frozen=True)
class Finding:
    """One problem, and the layers that have it.

    Parameters
    ----------
    problem : str
        A key of the table of advice, such as ``"redundant bias"``.
    layers : tuple of str
        Names as in ``model.named_modules()``.
    """

    problem: str
    layers: tuple[str, ...]

    def __str__(self):
        return f"{self.problem} ({', '.join(self.layers)}): {ADVICE[self.problem]}"

    __repr__ = __str__


def diagnose(model, x=None):
    """Find what is likely to go wrong with the batch norms of a torch model.

    Parameters
    ----------
    model : torch.nn.Module
        Left as it is.
    x : torch.Tensor, optional
        A batch as in training. Only with it can a batch of one value per channel be seen; it
        passes through a copy of the model.

    Returns
    -------
    list of Finding
        Empty if nothing was found. What depends on the order of the layers (redundant bias, after
        dropout, shared) is found where torch.fx can trace the model, or inside `nn.Sequential`.

    Raises
    ------
    TypeError
        If `model` is not a torch module.
    ValueError
        If its statistics are on the meta device, where tensors have no values.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8, momentum=0.99), nn.ReLU())
    >>> for finding in diagnose(model):
    ...     print(finding.problem, finding.layers)
    redundant bias ('0',)
    momentum ('1',)
    """
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"diagnose needs a torch.nn.Module, got a {type(model).__name__}; "
            "a layer of bnlab.layers has no need of it"
        )
    if any(buffer.is_meta for buffer in model.buffers()):
        raise ValueError(
            "diagnose needs a model whose tensors have values, got one on the meta device; "
            'give it memory with model.to_empty(device="cpu") and load its weights first'
        )
    norms = {name: m for name, m in model.named_modules() if _is_ready(m)}
    pairs = [(name, problem) for name, norm in norms.items() for problem in _alone(norm)]
    pairs += [(name, "mixed modes") for name in _mixed(model, norms)]
    pairs += [(name, "untouched statistics") for name in _untouched(model, norms)]
    pairs += _by_order(model)
    if x is not None:
        pairs += [(name, "batch of one") for name in _batches_of_one(model, x)]
    pairs = dict.fromkeys(pairs)  # a shared layer would say everything twice
    layers = {problem: tuple(n for n, p in pairs if p == problem) for problem in ADVICE}
    return [Finding(problem, names) for problem, names in layers.items() if names]


def _is_ready(module):
    """Whether it is a batch norm whose sizes are known (a lazy one learns them from data)."""
    lazy = isinstance(module, nn.modules.lazy.LazyModuleMixin)
    return isinstance(module, _BatchNorm) and not (lazy and module.has_uninitialized_params())


def _alone(norm):
    """Problems that one layer shows by itself."""
    if norm.eps <= 0:
        yield "eps of 0"
    if norm.running_mean is None:
        yield "no running statistics"
        return
    if norm.momentum is not None and norm.momentum > 0.5:
        yield "momentum"
    if norm.momentum == 0 and norm.training:
        yield "momentum of 0"
    if norm.training and _is_frozen(norm):
        yield "frozen but updating"
    if not all(torch.isfinite(b).all() for b in (norm.running_mean, norm.running_var)):
        yield "non-finite statistics"
    elif (norm.running_var < max(norm.eps, 1e-12)).any():
        yield "variance near zero"


def _is_frozen(norm):
    """Whether it has parameters and none of them is trained."""
    return norm.affine and not any(p.requires_grad for p in norm.parameters())


def _mixed(model, norms):
    """Batch norms whose mode is not that of the model, except those that are fixed on purpose.

    In a model that trains, all of them in evaluation mode is a choice (notebook 10), and so is one
    with frozen weights.
    """
    if model.training and not any(norm.training for norm in norms.values()):
        return []
    return [
        name
        for name, norm in norms.items()
        if norm.training != model.training and not (model.training and _is_frozen(norm))
    ]


def _untouched(model, norms):
    """Batch norms still at 0 and 1, where they are in use or where others have moved."""
    tracking = {name: norm for name, norm in norms.items() if norm.running_mean is not None}
    fresh = [
        name
        for name, norm in tracking.items()
        if not norm.running_mean.any() and (norm.running_var == 1).all()
    ]
    in_use = not model.training or any(norm.num_batches_tracked for norm in tracking.values())
    return [name for name in fresh if in_use or not tracking[name].training]


def _by_order(model):
    """Problems that show in what lies below a batch norm: (name, problem) pairs."""
    modules = dict(model.named_modules(remove_duplicate=False))
    chains = list(_chains(model))
    for name, count in Counter(name for name, _ in chains).items():
        if count > 1:
            yield name, "shared"
    for name, chain in chains:
        if model.training and not modules[name].training:
            continue  # it works with fixed statistics: a bias below it does count
        below = [modules.get(other) for other in chain]
        if below and _has_bias(below[0]):
            yield chain[0], "redundant bias"
        if any(_drops(module) for module in takewhile(_is_no_norm, below)):
            yield name, "after dropout"


def _has_bias(module):
    kinds = nn.Linear | nn.modules.conv._ConvNd
    return isinstance(module, kinds) and module.bias is not None


def _drops(module):
    return isinstance(module, nn.modules.dropout._DropoutNd) and module.p > 0


def _is_no_norm(module):
    """A norm on the way down sets the variance anew: what lies below it does not matter."""
    kinds = _BatchNorm | nn.modules.instancenorm._InstanceNorm | nn.GroupNorm | nn.LayerNorm
    return not isinstance(module, kinds)


def _chains(model):
    """For each call of a batch norm: its name, and what lies below it, the nearest first.

    A chain ends where paths meet or part. What is no module stands in it as None.
    """
    try:
        # Tracing runs the model's own forward, which may do anything: to a copy, then.
        graph = torch.fx.Tracer().trace(copy.deepcopy(model))
    except Exception:
        return _chains_in_sequentials(model)
    modules = dict(model.named_modules())
    calls = [node for node in graph.nodes if node.op == "call_module"]
    return [(n.target, _below(n)) for n in calls if isinstance(modules[n.target], _BatchNorm)]


def _below(node):
    chain = []
    while len(node.all_input_nodes) == 1 and len(node.all_input_nodes[0].users) == 1:
        (node,) = node.all_input_nodes
        chain.append(node.target if node.op == "call_module" else None)
    return chain


def _chains_in_sequentials(model):
    """The same, as far as it can be known without tracing: inside each Sequential."""
    for prefix, module in model.named_modules():
        if isinstance(module, nn.Sequential):
            # Every place, where named_children() has a layer that stands in two of them once.
            names = [f"{prefix}.{i}".lstrip(".") for i in module._modules]
            for k, layer in enumerate(module):
                if isinstance(layer, _BatchNorm):
                    yield names[k], names[:k][::-1]


def _batches_of_one(model, x):
    """Batch norms that get one value per channel from x."""
    seen, twin = [], copy.deepcopy(model).eval()
    for name, module in twin.named_modules():
        if isinstance(module, _BatchNorm):
            module.forward = _Note(name, seen)
    with torch.no_grad():
        twin(x)
    return list(dict.fromkeys(seen))


class _Note:
    """Stands in for a batch norm's forward: passes x on, notes the name if M = 1."""

    def __init__(self, name, seen):
        self.name, self.seen = name, seen

    def __call__(self, x):
        if x.numel() == x.shape[1]:
            self.seen.append(self.name)
        return x
