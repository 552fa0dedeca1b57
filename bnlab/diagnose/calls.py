"""In which order a model calls its layers: a graph by torch.fx that stops where we can read.

Batch norm, linear, convolution and dropout layers are single calls, their subclasses included,
which torch.fx would look into. A module whose forward cannot be followed is a single call too,
and what it holds is traced by itself.
"""

import inspect
import warnings

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.utils.parametrize import is_parametrized

__all__ = ["calls", "module_of", "unwrapped"]

LAYERS = (_BatchNorm, nn.Linear, _ConvNd, _DropoutNd)
WRAPPERS = ("torch.nn.parallel", "torch._dynamo", "torch.distributed", "torch.optim.swa_utils")


def calls(model):
    """All calls that could be followed, as nodes of torch.fx graphs.

    ``node.meta["owner"]`` is the module that is called, or in whose forward the operation stands;
    ``node.meta["closed"]`` is True for the call of a module whose inside could not be followed,
    ``node.meta["model"]`` for those in the forward of the model itself.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # code that is traced warns about what it is traced with
        model = unwrapped(model)
        nodes, done, waiting = [], set(), [model]
        while waiting:
            module = waiting.pop()
            if id(module) not in done and not isinstance(module, LAYERS):
                done.add(id(module))
                graph, closed = _trace(module)
                for node in graph:
                    node.meta["model"] = module is model
                nodes += graph
                waiting += [child for m in closed for child in m.children()]
    return nodes


def module_of(node):
    """The layer that a node calls, or None."""
    return node.meta["owner"] if node.op == "call_module" else None


def unwrapped(module):
    """The model inside DataParallel, DistributedDataParallel, torch.compile or an average."""
    inner = [m for name, m in module.named_children() if name in ("module", "_orig_mod")]
    if inner and type(module).__module__.startswith(WRAPPERS):
        return unwrapped(inner[0])
    return module


def _trace(module):
    """The nodes of a module's forward, and the modules that could not be followed."""
    tracer = _Tracer(module)
    try:
        parameters = inspect.signature(type(module).forward).parameters.values()
        given = {p.name: p.default for p in parameters if p.default is not p.empty}
        graph = tracer.trace(module, given)
    except Exception:  # a forward may do anything
        return [], [module]
    return list(graph.nodes), tracer.closed


class _Tracer(torch.fx.Tracer):
    def __init__(self, root):
        super().__init__()
        self.owners, self.closed = [root], []

    def is_leaf_module(self, module, name):
        if isinstance(module, (*LAYERS, torch.jit.ScriptModule)):
            return True
        kind = type(module).__base__ if is_parametrized(module) else type(module)
        return kind.__module__.startswith("torch.nn") and not isinstance(module, nn.Sequential)

    def call_module(self, module, forward, args, kwargs):
        if unwrapped(module) is not module:
            return unwrapped(module)(*args, **kwargs)
        before = len(self.graph.nodes)
        self.owners.append(module)
        try:
            if self.is_leaf_module(module, ""):
                return self._as_one_call(module, args, kwargs)
            return forward(*args, **kwargs)
        except Exception:  # a forward may do anything
            self._forget(before)
            self.closed.append(module)
            call = self._as_one_call(module, args, kwargs)
            call.node.meta["closed"] = True
            return call
        finally:
            self.owners.pop()

    def _as_one_call(self, module, args, kwargs):
        return self.create_proxy("call_module", self.path_of_module(module), args, kwargs)

    def _forget(self, before):
        """Take back what was recorded of a call that failed: the half of it may mislead."""
        for node in reversed(list(self.graph.nodes)[before:]):
            self.graph.erase_node(node)

    def create_node(self, *args, **kwargs):
        node = super().create_node(*args, **kwargs)
        node.meta["owner"] = self.owners[-1]
        return node
