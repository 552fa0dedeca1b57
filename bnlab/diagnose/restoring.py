"""Leave a model as it was, whatever its `forward` does: state, attributes, random numbers."""

import random
from collections import OrderedDict, defaultdict, deque
from contextlib import contextmanager

import numpy as np
import torch
from torch.nn.parameter import is_lazy
from torch.utils._python_dispatch import TorchDispatchMode

from bnlab.diagnose.calls import unwrapped

__all__ = ["left_as_it_was"]

CONTAINERS = (dict, OrderedDict, defaultdict, list, deque, set)
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


@contextmanager
def left_as_it_was(model):
    """Inside, `model` may be called and traced as in training; afterwards it is as before.

    A model in training mode keeps the modes of its parts; one in evaluation mode is put in
    training mode as a whole. Hooks are silent, since they could keep what they see. Buffers are
    replaced by copies, so that the originals are not even written to: a backward pass that still
    needs them would notice. A parameter is copied only if something is about to write to it.
    """
    modules = list(model.modules())
    with _same_random_numbers(model), _same_attributes(modules), _same_parameters(model):
        if not model.training:
            for module in modules:
                module.training = True
        _replace_buffers(modules)
        for module in modules:
            if not isinstance(module, torch.jit.ScriptModule):
                _silence(module)
        with torch.no_grad():
            yield


# What is done to the model meanwhile.


def _replace_buffers(modules):
    copies = {}  # a buffer in two places stays one
    for module in modules:
        for name, buffer in _buffers(module):
            setattr(module, name, copies.setdefault(id(buffer), buffer.detach().clone()))


def _buffers(module):
    buffers = module.named_buffers(recurse=False, remove_duplicate=False)
    return [(name, buffer) for name, buffer in buffers if not is_lazy(buffer)]


def _silence(module):
    """Switch off hooks, compilation and wrappers; copy tensors that are not even buffers."""
    attributes = vars(module)
    for name, value in attributes.items():
        if isinstance(value, torch.Tensor) and not value.requires_grad:
            attributes[name] = value.clone()
    attributes.update({name: OrderedDict() for name in HOOKS}, _compiled_call_impl=None)
    if unwrapped(module) is not module:
        attributes["forward"] = unwrapped(module)


# What puts it back.


@contextmanager
def _same_attributes(modules):
    contents = list(_contents([vars(module) for module in modules], set()))
    scripted = [m for m in modules if isinstance(m, torch.jit.ScriptModule)]
    state = [(m, n, b) for m in scripted for n, b in (*_buffers(m), ("training", m.training))]
    try:
        yield
    finally:
        for container, content in contents:
            container.clear()
            (container.extend if hasattr(container, "extend") else container.update)(content)
        for module, name, value in state:  # kept in C++, not in vars(module)
            setattr(module, name, value)


def _contents(value, seen):
    """Pairs (container, shallow copy) of the lists, dicts and sets in `value`, at any depth."""
    if id(value) in seen or type(value) not in (*CONTAINERS, tuple):
        return
    seen.add(id(value))
    if type(value) in CONTAINERS:
        yield value, value.copy()
    for item in value.values() if isinstance(value, dict) else value:
        yield from _contents(item, seen)


@contextmanager
def _same_parameters(model):
    """Their values, even if the forward moves an average of them, as a key encoder's does."""
    parameters = [p for p in model.parameters() if not is_lazy(p)]
    before = [(p, p.data, p.grad, p.requires_grad) for p in parameters]
    kept = _CopyOnWrite([*(p.data for p in parameters), *(p.grad for p in parameters)])
    try:
        with kept:
            yield
    finally:
        kept.write_back()
        for parameter, data, grad, requires_grad in before:
            if parameter.data_ptr() != data.data_ptr():
                parameter.data = data
            parameter.requires_grad_(requires_grad).grad = grad


class _CopyOnWrite(TorchDispatchMode):
    """Keeps a copy of those of the tensors that an operation is about to write to."""

    def __init__(self, tensors):
        super().__init__()
        self.tensors = defaultdict(list)
        for tensor in tensors:
            if tensor is not None:
                self.tensors[_memory(tensor)].append(tensor)
        self.copies = []

    @classmethod
    def _should_skip_dynamo(cls):
        return False  # True, the default, takes a second or two to import torch._dynamo

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        for k, argument in enumerate(operation._schema.arguments):
            if argument.alias_info is not None and argument.alias_info.is_write:
                written = args[k] if k < len(args) else kwargs.get(argument.name)
                for tensor in written if isinstance(written, list | tuple) else [written]:
                    self._keep(tensor)
        return operation(*args, **kwargs)

    def _keep(self, written):
        if isinstance(written, torch.Tensor):
            tensors = self.tensors.pop(_memory(written), ())
            self.copies += [(tensor, tensor.clone()) for tensor in tensors]

    def write_back(self):
        for tensor, copy in self.copies:
            tensor.copy_(copy)  # of p.data or p.grad: p itself counts no new version


def _memory(tensor):
    return tensor.untyped_storage().data_ptr()


@contextmanager
def _same_random_numbers(model):
    """Put the generators of Python, NumPy and torch back, on every device of the model."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - the one to protect
    devices = {p.device for p in model.parameters() if p.device.type not in ("cpu", "meta")}
    kind = next(iter(devices)).type if devices else "cuda"
    try:
        with torch.random.fork_rng([d.index or 0 for d in devices], device_type=kind):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
