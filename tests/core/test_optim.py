"""SGD against torch.optim.SGD, step by step."""

import numpy as np
import pytest

from bnlab.layers import Linear, mlp
from bnlab.optim import SGD

torch = pytest.importorskip("torch")


class Stub:
    """A model whose gradients are drawn, so that only the optimizer is tested."""

    def __init__(self, dtype=np.float64):
        rng = np.random.default_rng(0)
        shapes = {"a": (30, 20), "b": (4,), "c": (2,)}
        self._parameters = {k: rng.normal(size=s).astype(dtype) for k, s in shapes.items()}
        self.grads = {}

    def parameters(self):
        return self._parameters

    def draw(self, rng):
        for name, p in self._parameters.items():
            self.grads[name] = rng.normal(size=p.shape).astype(p.dtype)
            self.grads[name].flags.writeable = False


def twin(stub):
    return {k: torch.tensor(p, requires_grad=True) for k, p in stub.parameters().items()}


def assert_same_path(stub, ours, theirs, tensors, steps=6, lr_of_step=None):
    rng = np.random.default_rng(1)
    for step in range(steps):
        if lr_of_step:
            ours.lr = theirs.param_groups[0]["lr"] = lr_of_step(step)
        stub.draw(rng)
        for name, tensor in tensors.items():
            tensor.grad = torch.tensor(stub.grads[name])
        ours.step()
        theirs.step()
        for name, tensor in tensors.items():
            got, want = stub.parameters()[name], tensor.detach().numpy()
            np.testing.assert_allclose(got, want, rtol=1e-12, err_msg=f"{name}, step {step}")


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_sgd_is_torchs(momentum, decay):
    stub = Stub()
    tensors = twin(stub)
    ours = SGD(stub, lr=0.3, momentum=momentum, weight_decay=decay)
    theirs = torch.optim.SGD(tensors.values(), lr=0.3, momentum=momentum, weight_decay=decay)
    assert_same_path(stub, ours, theirs, tensors)


def test_a_new_learning_rate_acts_at_once_also_under_momentum():
    stub = Stub()
    tensors = twin(stub)
    theirs = torch.optim.SGD(tensors.values(), lr=1.0, momentum=0.9)
    ours = SGD(stub, lr=1.0, momentum=0.9)
    assert_same_path(stub, ours, theirs, tensors, lr_of_step=lambda step: 1 / (1 + step))


def test_groups_override_and_the_rest_keeps_the_common_settings():
    stub = Stub()
    tensors = twin(stub)
    ours = SGD(stub, lr=0.3, momentum=0.9, weight_decay=0.1,
               groups=[{"names": ["b"], "lr": 0.01, "momentum": 0.0},
                       {"names": ("c",), "weight_decay": 0.0}])  # fmt: skip
    theirs = torch.optim.SGD(
        [{"params": [tensors["a"]]},
         {"params": [tensors["b"]], "lr": 0.01, "momentum": 0.0},
         {"params": [tensors["c"]], "weight_decay": 0.0}],
        lr=0.3, momentum=0.9, weight_decay=0.1,
    )  # fmt: skip
    assert_same_path(stub, ours, theirs, tensors)


def test_parameters_are_updated_in_place_in_their_dtype():
    stub = Stub(np.float32)
    before = dict(stub.parameters())
    stub.draw(np.random.default_rng(1))
    optimizer = SGD(stub, lr=np.float64(0.1), momentum=0.9, weight_decay=0.1)
    optimizer.step()
    for name, p in stub.parameters().items():
        assert p is before[name]
        assert p.dtype == np.float32
        assert optimizer._velocity[name].dtype == np.float32


def test_float32_is_computed_in_float32_whatever_kind_of_number_the_rate_is():
    paths = []
    for lr in (0.1, np.float64(0.1)):
        stub = Stub(np.float32)
        stub.draw(np.random.default_rng(1))
        SGD(stub, lr=lr).step()
        paths.append(stub.parameters())
    for name, p in paths[0].items():
        np.testing.assert_array_equal(p, paths[1][name])


def test_a_layer_is_updated_along_its_gradient():
    layer = Linear(3, 2, rng=np.random.default_rng(0))
    start = layer.state_dict()
    layer(np.random.default_rng(1).normal(size=(5, 3)))
    layer.backward(np.random.default_rng(2).normal(size=(5, 2)))
    SGD(layer, lr=0.5).step()
    np.testing.assert_allclose(layer.weight, start["weight"] - 0.5 * layer.grads["weight"])
    np.testing.assert_allclose(layer.bias, start["bias"] - 0.5 * layer.grads["bias"])


def test_step_without_gradients_gets_a_sentence():
    model = mlp([2, 3, 2], rng=np.random.default_rng(0))
    with pytest.raises(RuntimeError, match=r"a gradient of '0\.weight', got none; call the"):
        SGD(model, lr=0.1).step()


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([{"names": ["d"], "lr": 1.0}], "got 'd'; the parameters are a, b, c"),
        ([{"names": ["a"]}, {"names": ["a"]}], "each name in a group once .* got 'a'"),
        ([{"names": ["a"], "learning_rate": 1.0}], r"got \['learning_rate', 'names'\]"),
        ([{"lr": 1.0}], r'SGD needs groups with "names" and any of .* got \[\'lr\'\]'),
    ],
)
def test_bad_groups_get_a_sentence(groups, message):
    with pytest.raises(ValueError, match=message):
        SGD(Stub(), lr=0.1, groups=groups)


def test_settings_of_numpys_keep_single_precision():
    model = Linear(2, 1, rng=np.random.default_rng(0), dtype=np.float32)
    optimizer = SGD(model, *map(np.float64, (0.1, 0.9, 0.01)))
    model(np.ones((3, 2), np.float32))
    model.backward(np.ones((3, 1), np.float32))
    optimizer.step()
    assert {v.dtype for v in optimizer._velocity.values()} == {np.dtype(np.float32)}
