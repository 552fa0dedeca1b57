"""Models whose batch norm layers cannot be seen: which kind it is."""

import torch

__all__ = ["holds_operations", "is_exported_program", "why_unseen"]


def why_unseen(model):
    """The problem to report for a model in which no batch norm layer is seen."""
    if isinstance(model, torch.jit.ScriptModule):
        return "no batch norm layer seen in a scripted module"
    if holds_operations(model):
        return "no batch norm layer seen in an exported program"
    if any(".quantized" in type(module).__module__ for module in model.modules()):
        return "no batch norm layer seen in a quantized model"
    return "no batch norm layer seen"


def is_exported_program(model):
    """The same as isinstance, without the seconds that it takes to import torch.export."""
    return type(model).__module__.startswith("torch.export")


def holds_operations(model):
    """Whether it came out of torch.export: operations in place of layers."""
    if is_exported_program(model):
        return True
    nodes = model.graph.nodes if isinstance(model, torch.fx.GraphModule) else ()
    return any(isinstance(node.target, torch._ops.OpOverload) for node in nodes)
