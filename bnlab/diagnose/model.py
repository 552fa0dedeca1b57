"""`diagnose`: all that can be found in one model, gathered into a report."""

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm
from torch.nn.parameter import is_lazy

from bnlab.diagnose.batch import pass_through
from bnlab.diagnose.calls import calls
from bnlab.diagnose.order import is_norm, order_problems
from bnlab.diagnose.report import Report, shortened
from bnlab.diagnose.restoring import left_as_it_was
from bnlab.diagnose.settings import mixed_modes, norm_problems, tracks_per_example
from bnlab.diagnose.statistics import Statistics, common_problems, problems_alone
from bnlab.diagnose.unseen import holds_operations, is_exported_program, why_unseen

__all__ = ["diagnose"]


def diagnose(model, *inputs):
    """Find what is likely to go wrong with the batch norms of a torch model.

    Parameters
    ----------
    model : torch.nn.Module
        Left as it is: modes, gradients, buffers, hooks, attributes and random numbers.
    *inputs
        A batch as in training, as the model takes it; a lone tuple is unpacked. Only with it can
        be seen how many values per channel there are, and whether the running statistics fit. It
        passes once through the model, in training mode, without gradients and without hooks.

    Returns
    -------
    Report
        A list of `Finding`, the worst first, that prints as a report; empty if nothing was found.
        What depends on the order of the layers (redundant bias, after dropout, shared) is found
        where torch.fx can follow the calls; the report says where it could not.

    Raises
    ------
    TypeError
        If `model` is not a torch module.
    ValueError
        If its statistics are on the meta device, where tensors have no values; if it cannot take
        the inputs.

    Examples
    --------
    >>> diagnose(nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8, momentum=0.99), nn.ReLU()))
    2 findings in 1 batch norm layer:
    - momentum (1): in torch, momentum multiplies the new value. A value above 0.5 looks like the
    convention of Keras or Flax: use 1 - momentum.
    - redundant bias (0): the layer right below batch norm has a bias. The mean is subtracted, and
    the bias with it: write bias=False. In a trained model, first subtract it from the mean,
    norm.running_mean -= layer.bias, or evaluation changes.
    """
    if is_exported_program(model) or isinstance(model, torch.jit.ScriptModule):
        return Report.of([("", why_unseen(model))], "a model whose layers cannot be seen")
    if len(inputs) == 1 and isinstance(inputs[0], tuple):
        (inputs,) = inputs
    _refuse(model, inputs)
    names = {module: name for name, module in model.named_modules()}
    norms = [module for module in names if _is_ready(module)]
    with left_as_it_was(model):
        nodes = calls(model)
        seen = pass_through(model, norms, inputs) if inputs else {}
        dimensions = {norm: watch.dimensions for norm, watch in seen.items()}
        by_order = [(names[m], problem) for m, problem in order_problems(nodes, dimensions)]
    pairs = [(names[m], problem) for m, problem in _from_settings(model, names, norms)]
    pairs += _from_statistics(model, names)
    pairs += [(names[m], p) for m, watch in seen.items() for p in watch.problems()]
    layers, below_unseen = _looked_at(names, nodes)
    if not layers or holds_operations(model):
        pairs += [("", why_unseen(model))]
    return Report.of(pairs + by_order, _sentence(layers, below_unseen))


def _refuse(model, inputs):
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
    if inputs and any(is_lazy(p) for p in (*model.parameters(), *model.buffers())):
        raise ValueError(
            "diagnose needs layers whose sizes are known before it can pass inputs through, got "
            "lazy ones; call the model once, or leave the inputs out"
        )


def _is_ready(module):
    """Whether it is a batch norm whose sizes are known (a lazy one learns them from data)."""
    lazy = any(is_lazy(t) for t in (*module.parameters(False), *module.buffers(False)))
    return isinstance(module, _BatchNorm) and not lazy


def _from_settings(model, modules, norms):
    """Pairs (module, problem)."""
    yield from ((norm, problem) for norm in norms for problem in norm_problems(norm))
    yield from ((norm, "mixed modes") for norm in mixed_modes(model, norms))
    yield from ((m, "instance norm that tracks") for m in modules if tracks_per_example(m))


def _from_statistics(model, names):
    """Pairs (name, problem)."""
    every = [
        Statistics.of(m, name, in_use=not (m.training and model.training))
        for m, name in names.items()
        if _keeps_statistics(m)
    ]
    yield from ((one.name, problem) for one in every for problem in problems_alone(one))
    yield from common_problems(every)


def _keeps_statistics(module):
    """Whether it has a running mean and variance: batch norms, and what is written like one."""
    tensors = [getattr(module, name, None) for name in ("running_mean", "running_var")]
    return all(isinstance(t, torch.Tensor) and not is_lazy(t) for t in tensors)


def _looked_at(names, nodes):
    """Names of all layers that are batch norms, and of those whose place was not seen."""
    called = {node.meta["owner"] for node in nodes if is_norm(node)}
    norms = [m for m in names if isinstance(m, _BatchNorm) or m in called or _is_like_one(m)]
    return [names[m] for m in norms], [names[m] for m in norms if names[m] and m not in called]


def _is_like_one(module):
    return _keeps_statistics(module) and not isinstance(module, _InstanceNorm)


def _sentence(layers, unseen):
    count = f"{len(layers) or 'no'} batch norm layer{'s' * (len(layers) != 1)}"
    if not unseen:
        return count
    return f"{count}; what lies below could not be followed for {shortened(unseen)}"
