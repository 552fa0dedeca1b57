"""`diagnose` says what is true of the models that people really have, and leaves them alone."""

import gc
import random
import warnings

import numpy as np
import pytest
import torch
from diagnose_cases import CASES, Coded, Diary, KeyEncoder, after, batch, small
from torch import nn

from bnlab.diagnose import ADVICE, diagnose

every_case = pytest.mark.parametrize("name", CASES)


def make(name):
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls some of these ways old, and they are in use
        return CASES[name].make()


@every_case
def test_what_is_true_of_a_model_is_said_and_nothing_else(name):
    report = diagnose(make(name), *CASES[name].inputs)
    assert {finding.problem: finding.layers for finding in report} == CASES[name].truth


@every_case
def test_the_inputs_raise_no_alarm_of_their_own(name):
    only_with_inputs = {"batch of one", "stale statistics"}
    if name == "wrong_axis_of_the_same_length":
        pytest.skip("without inputs the layer below looks as if it had a redundant bias")
    found = {finding.problem: finding.layers for finding in diagnose(make(name))}
    expected = {p: layers for p, layers in CASES[name].truth.items() if p not in only_with_inputs}
    assert found == expected


def test_every_problem_is_in_a_case_or_in_a_test_of_one_problem():
    from test_diagnose import PROBLEMS

    tested = {problem for case in CASES.values() for problem in case.truth}
    tested |= {problem for _, expected in PROBLEMS.values() for problem in expected}
    assert set(ADVICE) - tested == {"no running statistics"}  # tested by itself


# Nothing is left behind.


def everything(module):
    """All that can be seen of a module: modes, attributes, values, memory, versions, gradients."""
    seen = {}
    for name, part in module.named_modules():
        seen[name, "mode"] = part.training, type(part)
        for key, value in vars(part).items():
            seen[name, key] = described(value)
        for key, tensor in (*part.named_parameters(), *part.named_buffers()):
            seen[name, key, "tensor"] = described(tensor), tensor.grad, str(tensor.grad)
    return seen


def described(value):
    if isinstance(value, torch.Tensor):
        counted = not isinstance(value, nn.parameter.UninitializedTensorMixin)
        return (value.data_ptr(), value._version, value.requires_grad,
                value.detach().double().tolist()) if counted else "lazy"  # fmt: skip
    if isinstance(value, dict):
        return type(value), {key: described(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return type(value), [described(item) for item in value]
    return id(value) if isinstance(value, nn.Module) else value


def random_states():
    _, numbers, *rest = np.random.get_state()  # noqa: NPY002 - the one that must not move
    return random.getstate(), numbers.tolist(), rest, torch.get_rng_state().tolist()


@every_case
@pytest.mark.parametrize("mode", ["train", "eval"])
def test_a_model_is_left_as_it_was(name, mode):
    model = make(name)
    if name in ("exported", "exported_module", "scripted"):
        pytest.skip("it has neither modes nor hooks")
    getattr(model, mode)()
    model.register_forward_hook(lambda *_: pytest.fail("a hook was called"))
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    inputs = CASES[name].inputs
    before, numbers = everything(model), random_states()
    inputs_before = [described(x) for x in inputs]
    diagnose(model, *inputs)
    assert everything(model) == before
    assert random_states() == numbers
    assert [described(x) for x in inputs] == inputs_before


def test_a_model_is_left_as_it_was_when_it_cannot_take_the_inputs():
    model = nn.Sequential(KeyEncoder(), nn.Linear(3, 3))
    before = everything(model)
    with pytest.raises(ValueError, match="inputs that the model takes"):
        diagnose(model, batch(8, 4))
    assert everything(model) == before


def test_no_proxy_of_the_tracer_stays_behind():
    model = Diary()
    diagnose(model)
    gc.collect()
    assert model.seen == []
    assert not hasattr(model, "last")
    assert type(model.centre) is torch.Tensor


def test_a_gradient_that_gets_written_in_forward_is_put_back():
    class Clears(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm1d(4)

        def forward(self, x):
            self.norm.weight.grad.zero_()
            self.norm.bias.grad = None
            self.norm.requires_grad_(False)
            return self.norm(x)

    model = Clears()
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    before = everything(model)
    diagnose(model, batch(8, 4))
    assert everything(model) == before


def test_a_pending_backward_pass_is_not_disturbed():
    model = after(50, small()).eval()  # backward in evaluation mode needs the statistics
    x = batch(8, 4).requires_grad_()
    loss = (model(x) * batch(8, 8, seed=1)).sum()
    diagnose(model, batch(32, 4))
    loss.backward()
    assert x.grad.abs().sum() > 0


def test_parameters_are_not_copied(monkeypatch):
    model = nn.Sequential(nn.Linear(1000, 1000), nn.BatchNorm1d(1000))
    copied = []
    clone = torch.Tensor.clone
    monkeypatch.setattr(torch.Tensor, "clone", lambda t, **k: copied.append(t.numel()) or clone(t))
    diagnose(model, batch(32, 1000))
    assert max(copied) < 1_000_000


def test_no_graph_of_gradients_is_built():
    class Asks(Coded):
        def forward(self, x):
            assert not torch.is_grad_enabled()
            return super().forward(x)

    assert [f.layers for f in diagnose(Asks(), batch(4, 3, 8, 8))] == [("conv",)]


# Where several processes train one model, calling it from one would wait for the others.


def test_a_distributed_model_is_not_called_itself(tmp_path):
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1
    )
    try:
        model = nn.parallel.DistributedDataParallel(Coded())
        model.forward = lambda *_: pytest.fail("its forward was called")
        found = {f.problem: f.layers for f in diagnose(model, batch(4, 3, 8, 8))}
        synchronized = diagnose(Coded(nn.SyncBatchNorm), batch(4, 3, 8, 8))  # calling it fails
    finally:
        torch.distributed.destroy_process_group()
    assert found == {"redundant bias": ("module.conv",)}
    assert [f.layers for f in synchronized] == [("conv",)]
