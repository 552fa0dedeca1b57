"""Public architectures: no crash, every order seen, and no alarm that a perturbation refutes.

Wants torchvision and timm, which are no dependencies of the course; ten minutes, then it stops.
"""

import itertools
import json
import os
import time
from collections import Counter, defaultdict

import pytest
import torch

from bnlab.diagnose import diagnose

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
SECONDS = float(os.environ.get("BNLAB_ZOO_SECONDS", "600"))
TOO_LARGE = ("giant", "huge", "large", "7b", "_h_14", "_l_16", "_l_32", "regnet_y_128gf")


OPERATORS = torch.library.Library("torchvision", "FRAGMENT")


def torchvision():
    """The package; beside a CPU build of torch its wheel lacks two operators that it only names."""
    try:
        return pytest.importorskip("torchvision")
    except RuntimeError:  # operator torchvision::nms does not exist
        boxes = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        OPERATORS.define("nms" + boxes)
        OPERATORS.define("qnms" + boxes)
        return pytest.importorskip("torchvision")


def torchvision_models():
    """Pairs (name, a function that builds it)."""
    models = torchvision().models
    for name in models.list_models():
        backbone = {"weights_backbone": None} if _takes_a_backbone(models, name) else {}
        yield name, lambda n=name, b=backbone: models.get_model(n, weights=None, **b)


def _takes_a_backbone(models, name):
    return "weights_backbone" in models.get_model_builder(name).__annotations__


def timm_models():
    """The first of every family, then the second of every family, and so on."""
    timm = pytest.importorskip("timm")
    families = [timm.list_models(module=module) for module in timm.list_modules()]
    for name in filter(None, itertools.chain(*itertools.zip_longest(*families))):
        yield name, lambda n=name: timm.create_model(n, pretrained=False)


def inputs_of(name, model):
    size = getattr(model, "default_cfg", {}).get("input_size", (3, 128, 128))
    x = torch.randn(2, *size, dtype=torch.float64)
    return (x, x.flip(-1)) if name.startswith("raft") else (x,)


def training_output(model, inputs):
    torch.manual_seed(1)  # the same dropout every time
    with torch.no_grad():
        return torch.utils._pytree.tree_leaves(model(*inputs))


def refuted(model, inputs, problem, layers):
    """The alarms among these that changing the model shows to be false."""
    modules = dict(model.named_modules())
    if problem == "redundant bias":
        before = training_output(model, inputs)
        for name in layers:
            modules[name].bias.data += torch.randn_like(modules[name].bias)
        after = training_output(model, inputs)
        close = (torch.allclose(a, b, 1e-9, 1e-9) for a, b in zip(before, after, strict=True))
        return [] if all(close) else layers
    if problem == "after dropout":
        return [name for name in layers if not dropout_changes_variance(model, inputs, name)]
    return [] if problem.startswith("no batch norm layer seen") else layers


def dropout_changes_variance(model, inputs, name):
    seen, layer = [], dict(model.named_modules())[name]
    hook = layer.register_forward_pre_hook(lambda _, args: seen.append(args[0].var().item()))
    dropouts = [m for m in model.modules() if isinstance(m, torch.nn.modules.dropout._DropoutNd)]
    for training in (True, False):
        for dropout in dropouts:
            dropout.train(training)
        training_output(model, inputs)
    hook.remove()
    return abs(seen[0] / seen[1] - 1) > 0.02


def look_at(name, make, counts, failures):
    torch.manual_seed(0)
    model = make().train()
    start = time.perf_counter()
    report = diagnose(model)
    counts["seconds of diagnose"] += time.perf_counter() - start
    counts["models"] += 1
    counts["norms"] += sum(isinstance(m, torch.nn.modules.batchnorm._BatchNorm)
                           for m in model.modules())  # fmt: skip
    if "could not be followed" in report.looked_at:
        failures["order not seen"].append(f"{name}: {report.looked_at}")
    alarms = {f.problem: f.layers for f in report if not f.problem.startswith("no batch")}
    for problem, layers in alarms.items():
        counts[f"models with {problem}"] += 1
        counts[f"layers with {problem}"] += len(layers)
        model.double()
        try:
            false = refuted(model, inputs_of(name, model), problem, list(layers))
        except Exception as error:  # it wants other inputs
            failures["alarm not tried"].append(f"{name}: {problem}: {error}"[:200])
        else:
            failures["false alarm"] += [f"{name}.{layer}: {problem}" for layer in false]


@pytest.mark.parametrize("zoo", [torchvision_models, timm_models])
def test_public_architectures(zoo, record_property):
    counts, failures, end = Counter(), defaultdict(list), time.monotonic() + SECONDS / 2
    for name, make in zoo():
        if time.monotonic() > end:
            break
        if not any(word in name for word in TOO_LARGE):
            try:
                look_at(name, make, counts, failures)
            except Exception as error:
                failures["crash"].append(f"{name}: {type(error).__name__}: {error}"[:300])
    print(json.dumps({"counts": counts, "failures": failures}, indent=1))
    record_property("counts", dict(counts))
    assert counts["norms"] > 1000
    assert failures["crash"] == failures["false alarm"] == failures["order not seen"] == []
