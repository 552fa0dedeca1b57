"""Layers against torch's modules in float64: outputs, gradients, running statistics, state."""

from itertools import pairwise

import numpy as np
import pytest

from bnlab import layers
from bnlab.gradcheck import gradcheck
from bnlab.layers import (
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Dropout,
    Flatten,
    GroupNorm,
    Layer,
    LayerNorm,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
    Sigmoid,
    Tanh,
    base,
    mlp,
    norms,
)

torch = pytest.importorskip("torch")
nn = torch.nn

# id: (our layer, torch's layer, shape of x); made anew for each test
PAIRS = {
    "Linear": (lambda rng: Linear(5, 3, rng=rng), lambda: nn.Linear(5, 3), (4, 5)),
    "Linear without bias": (
        lambda rng: Linear(5, 3, bias=False, rng=rng),
        lambda: nn.Linear(5, 3, bias=False),
        (4, 5),
    ),
    "Conv2d": (
        lambda rng: Conv2d(2, 3, 3, stride=2, padding=1, rng=rng),
        lambda: nn.Conv2d(2, 3, 3, stride=2, padding=1),
        (4, 2, 6, 6),
    ),
    "Conv2d without bias": (
        lambda rng: Conv2d(2, 3, (1, 2), bias=False, rng=rng),
        lambda: nn.Conv2d(2, 3, (1, 2), bias=False),
        (4, 2, 5, 6),
    ),
    "BatchNorm 2-D": (lambda rng: BatchNorm(3), lambda: nn.BatchNorm1d(3), (6, 3)),
    "BatchNorm 3-D": (lambda rng: BatchNorm(3), lambda: nn.BatchNorm1d(3), (4, 3, 5)),
    "BatchNorm 4-D": (lambda rng: BatchNorm(3), lambda: nn.BatchNorm2d(3), (2, 3, 4, 5)),
    "BatchNorm, one image": (lambda rng: BatchNorm(3), lambda: nn.BatchNorm2d(3), (1, 3, 4, 5)),
    "BatchNorm not affine": (
        lambda rng: BatchNorm(3, affine=False),
        lambda: nn.BatchNorm1d(3, affine=False),
        (6, 3),
    ),
    "BatchNorm untracked": (
        lambda rng: BatchNorm(3, track_running_stats=False),
        lambda: nn.BatchNorm1d(3, track_running_stats=False),
        (6, 3),
    ),
    "BatchNorm with another eps": (
        lambda rng: BatchNorm(3, 0.1, 0.3),
        lambda: nn.BatchNorm1d(3, 0.1, 0.3),
        (6, 3),
    ),
    "LayerNorm": (lambda rng: LayerNorm(5), lambda: nn.LayerNorm(5), (4, 5)),
    "LayerNorm of images": (
        lambda rng: LayerNorm((3, 4, 5), eps=0.1),
        lambda: nn.LayerNorm((3, 4, 5), eps=0.1),
        (2, 3, 4, 5),
    ),
    "GroupNorm": (lambda rng: GroupNorm(2, 6), lambda: nn.GroupNorm(2, 6), (4, 6)),
    "GroupNorm of images": (
        lambda rng: GroupNorm(3, 6, eps=0.1),
        lambda: nn.GroupNorm(3, 6, eps=0.1),
        (2, 6, 3, 4),
    ),
    "ReLU": (lambda rng: ReLU(), nn.ReLU, (4, 5)),
    "Sigmoid": (lambda rng: Sigmoid(), nn.Sigmoid, (4, 5)),
    "Tanh": (lambda rng: Tanh(), nn.Tanh, (4, 5)),
    "Flatten": (lambda rng: Flatten(), nn.Flatten, (4, 2, 3, 5)),
    "MaxPool2d": (lambda rng: MaxPool2d(2), lambda: nn.MaxPool2d(2), (2, 3, 4, 6)),
    "AvgPool2d": (lambda rng: AvgPool2d((2, 3)), lambda: nn.AvgPool2d((2, 3)), (2, 3, 4, 6)),
    "Sequential": (
        lambda rng: Sequential(
            Conv2d(2, 3, 3, bias=False, rng=rng), BatchNorm(3), ReLU(), MaxPool2d(2), Flatten(),
            Linear(12, 4, rng=rng),
        ),
        lambda: nn.Sequential(
            nn.Conv2d(2, 3, 3, bias=False), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(12, 4),
        ),
        (3, 2, 6, 6),
    ),
}  # fmt: skip


def draw(shape, seed, dtype=np.float64):
    """A read-only array: whoever modifies it raises."""
    array = np.random.default_rng(seed).normal(1, 2, size=shape).astype(dtype)
    array.flags.writeable = False
    return array


def randomize(model, seed=0):
    """Give every parameter and running statistic a value that is neither 0 nor 1."""
    rng = np.random.default_rng(seed)
    for name, array in {**model.parameters(), **model.buffers()}.items():
        if array.dtype.kind == "f":
            low = 0.5 if name.endswith("running_var") else -1.5
            array[...] = rng.uniform(low, 1.5, array.shape)
    return model


def make_pair(name):
    """Our layer and torch's with the same random state, and the shape of x."""
    ours, theirs, shape = PAIRS[name]
    ours, theirs = randomize(ours(np.random.default_rng(0))), theirs().double()
    theirs.load_state_dict({k: torch.tensor(v) for k, v in ours.state_dict().items()})
    return ours, theirs, shape


def assert_close(got, want):
    np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-11)


def assert_same_state(ours, theirs):
    state = {name: value.numpy() for name, value in theirs.state_dict().items()}
    assert list(ours.state_dict()) == list(state)
    for name, value in state.items():
        assert_close(ours.state_dict()[name], value)
        assert ours.state_dict()[name].dtype == value.dtype


@pytest.mark.parametrize("name", PAIRS)
def test_outputs_gradients_and_state_are_torchs(name):
    ours, theirs, shape = make_pair(name)
    for step in range(3):
        x, leaf = draw(shape, step), torch.tensor(draw(shape, step), requires_grad=True)
        y, want = ours(x), theirs(leaf)
        assert_close(y, want.detach())
        dy = draw(y.shape, 10 + step)
        theirs.zero_grad()
        want.backward(torch.tensor(dy))
        assert_close(ours.backward(dy), leaf.grad)
        gradients = {n: p.grad for n, p in theirs.named_parameters()}
        assert set(ours.grads) == set(ours.parameters()) == set(gradients)
        for parameter, gradient in gradients.items():
            assert_close(ours.grads[parameter], gradient)
        assert_same_state(ours, theirs)
    x = draw(shape, 99)
    assert_close(ours.eval()(x), theirs.eval()(torch.tensor(x)).detach())
    assert_same_state(ours, theirs)


@pytest.mark.parametrize("name", PAIRS)
def test_gradients_are_the_numerical_ones(name):
    ours, _, shape = make_pair(name)
    x = draw(shape, 1)
    dy = draw(ours(x).shape, 2)
    gradcheck(ours.forward, [x], [ours.backward(dy)], dy)
    ours(x)
    ours.backward(dy)
    for parameter, gradient in ours.grads.items():
        live = ours.parameters()[parameter]
        start = live.copy()

        def output(value, live=live):
            live[...] = value
            return ours(x)

        gradcheck(output, [start], [gradient], dy, rtol=1e-5)
        live[...] = start


@pytest.mark.parametrize("name", PAIRS)
def test_backward_twice_gives_the_same(name):
    ours, _, shape = make_pair(name)
    dy = draw(ours(draw(shape, 1)).shape, 2)
    first, first_grads = ours.backward(dy), ours.grads
    np.testing.assert_array_equal(ours.backward(dy), first)
    for parameter, gradient in ours.grads.items():
        np.testing.assert_array_equal(gradient, first_grads[parameter])


@pytest.mark.parametrize("name", PAIRS)
def test_backward_needs_a_forward_pass_in_training_mode(name):
    ours, _, shape = make_pair(name)
    message = "backward needs a forward pass in training mode before it"
    with pytest.raises(RuntimeError, match=message):
        ours.backward(draw(shape, 1))
    dy = draw(ours(draw(shape, 1)).shape, 2)
    ours.eval()(draw(shape, 1))
    with pytest.raises(RuntimeError, match=message + r".* after eval\(\); call train\(\), then"):
        ours.backward(dy)
    ours.train()(draw(shape, 1))
    ours.eval()  # the last forward pass counts, not the mode now
    ours.backward(dy)


@pytest.mark.parametrize("name", PAIRS)
def test_float32_stays_float32(name):
    ours, _, shape = make_pair(name)
    for member in ours if isinstance(ours, Sequential) else [ours]:
        for attribute in (*member.parameter_names, *member.buffer_names[:2]):
            if getattr(member, attribute) is not None:
                setattr(member, attribute, getattr(member, attribute).astype(np.float32))
    y = ours(draw(shape, 1, np.float32))
    dx = ours.backward(draw(y.shape, 2, np.float32))
    evaluated = ours.eval()(draw(shape, 1, np.float32))
    state = [a for k, a in ours.state_dict().items() if not k.endswith("num_batches_tracked")]
    results = [y, dx, evaluated, *ours.grads.values(), *state]
    assert {a.dtype for a in results} == {np.dtype(np.float32)}


def test_layers_are_made_in_the_dtype_they_are_asked_for():
    rng, f32 = np.random.default_rng(0), np.float32
    made = [
        Linear(2, 3, rng=rng, dtype=f32),
        Conv2d(2, 3, 3, rng=rng, dtype=f32),
        BatchNorm(3, dtype=f32),
        LayerNorm(3, dtype=f32),
        GroupNorm(1, 3, dtype=f32),
        mlp([2, 3, 2], rng=rng, dtype=f32),
    ]
    for model in made:
        state = {k: a.dtype for k, a in model.state_dict().items() if "num_batches" not in k}
        assert set(state.values()) == {np.dtype(f32)}


@pytest.mark.parametrize("momentum", [0.1, 0.3, None, 1.5, 0.0, 1])
@pytest.mark.parametrize("shape", [(2, 3), (6, 3), (4, 3, 5), (2, 3, 4, 5)])
@pytest.mark.parametrize("affine", [True, False])
def test_running_statistics_are_torchs(momentum, shape, affine):
    kind = nn.BatchNorm2d if len(shape) == 4 else nn.BatchNorm1d
    ours = randomize(BatchNorm(3, momentum=momentum, affine=affine))
    theirs = kind(3, momentum=momentum, affine=affine).double()
    theirs.load_state_dict({k: torch.tensor(v) for k, v in ours.state_dict().items()})
    for step in range(5):
        x = draw(shape, step)
        assert_close(ours(x), theirs(torch.tensor(x)).detach())
        assert_same_state(ours, theirs)
    assert_evaluation_is_torchs(ours, theirs, draw(shape, 99))


def assert_evaluation_is_torchs(ours, theirs, x):
    want = theirs.eval()(torch.tensor(x)).detach()
    if ours.track_running_stats and (ours.running_var < 0).any():  # torch answers nan
        assert not 0 <= ours.momentum <= 1
        assert want.isnan().any()
        with pytest.raises(ValueError, match="running_var >= 0"):
            ours.eval()(x)
    else:
        assert_close(ours.eval()(x), want)
    assert_same_state(ours, theirs)


def assert_training_is_torchs(ours, theirs, x, dy):
    leaf = torch.tensor(x, requires_grad=True)
    want = theirs.train()(leaf)
    want.backward(torch.tensor(dy))
    assert_close(ours.train()(x), want.detach())
    assert_close(ours.backward(dy), leaf.grad)
    assert_same_state(ours, theirs)


@pytest.mark.parametrize("momentum", [None, 0.3, -0.5, 1.5])
@pytest.mark.parametrize("shape", [(6, 3), (2, 3, 4, 5)])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("track", [True, False])
def test_batchnorm_stays_torchs_while_modes_change_and_the_state_moves(
    momentum, shape, affine, track
):
    options = {"momentum": momentum, "affine": affine, "track_running_stats": track}
    kind = nn.BatchNorm2d if len(shape) == 4 else nn.BatchNorm1d
    ours = randomize(BatchNorm(3, **options))
    for step in range(4):
        theirs = kind(3, **options).double()
        theirs.load_state_dict({k: torch.tensor(v) for k, v in ours.state_dict().items()})
        x, other, dy = (draw(shape, 10 * step + i) for i in range(3))
        assert_training_is_torchs(ours, theirs, x, dy)
        assert_evaluation_is_torchs(ours, theirs, other)
        assert_training_is_torchs(ours, theirs, other, dy)
        ours = BatchNorm(3, **options).load_state_dict(theirs.state_dict())
        assert_same_state(ours, theirs)


def test_without_momentum_the_statistics_are_plain_averages():
    model = BatchNorm(3, momentum=None)
    batches = [draw((6, 3), step) for step in range(4)]
    for x in batches:
        model(x)
    assert_close(model.running_mean, np.mean([x.mean(axis=0) for x in batches], axis=0))
    assert_close(model.running_var, np.mean([x.var(axis=0, ddof=1) for x in batches], axis=0))


def test_batchnorm_refuses_one_value_per_channel_in_training_only():
    model = BatchNorm(3)
    with pytest.raises(ValueError, match="more than one value per channel"):
        model(np.ones((1, 3)))
    assert model.num_batches_tracked == 0
    np.testing.assert_allclose(model.eval()(np.ones((1, 3))), 1, rtol=1e-5)


def test_batchnorm_refuses_another_number_of_channels():
    for options in ({}, {"affine": False}):
        with pytest.raises(ValueError, match=r"shape \(4,\), got gamma.shape=\(3,\)"):
            BatchNorm(3, **options)(np.ones((2, 4)))


def test_dropout_draws_anew_in_training_and_does_nothing_in_evaluation():
    model, x = Dropout(0.5, rng=np.random.default_rng(0)), draw((50, 20), 1)
    first, second = model(x), model(x)
    assert not np.array_equal(first, second)
    dy = draw(x.shape, 2)
    np.testing.assert_allclose(model.backward(dy), dy * second / x)
    assert abs((first == 0).mean() - 0.5) < 0.05
    state = model.rng.bit_generator.state
    np.testing.assert_array_equal(model.eval()(x), x)
    assert model.rng.bit_generator.state == state
    with pytest.raises(RuntimeError, match=r"Dropout\.backward needs a forward pass in training"):
        model.backward(dy)
    assert Dropout(rng=np.random.default_rng(0)).p == nn.Dropout().p


def test_train_and_eval_reach_every_layer_and_return_the_model():
    model = Sequential(ReLU(), Sequential(BatchNorm(2), Tanh()))
    assert model.eval() is model
    assert not any([model.training, model[0].training, model[1].training, model[1][0].training])
    assert model.train() is model
    assert all([model.training, model[0].training, model[1].training, model[1][0].training])
    assert model.train(False)[1][0].training is False
    assert ReLU().eval().train().training


def test_sequential_is_a_sequence():
    members = [ReLU(), Tanh(), Sigmoid()]
    model = Sequential(*members)
    assert len(model) == 3
    assert list(model) == members
    assert model[-1] is members[2]
    assert isinstance(model[:2], Sequential)
    assert list(model[:2]) == members[:2]
    x = draw((4, 2), 1)
    np.testing.assert_array_equal(model[1:](x), members[2](members[1](x)))
    np.testing.assert_array_equal(Sequential()(x), x)


def test_nested_models_have_torchs_keys():
    def nested(linear, norm, sequential):
        return sequential(linear(2, 3), sequential(norm(3), linear(3, 2)))

    rng = np.random.default_rng(0)
    ours = nested(lambda i, o: Linear(i, o, rng=rng), BatchNorm, Sequential)
    theirs = nested(nn.Linear, nn.BatchNorm1d, nn.Sequential)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert list(ours.parameters()) == [name for name, _ in theirs.named_parameters()]
    assert list(ours.buffers()) == [name for name, _ in theirs.named_buffers()]


def test_parameters_are_live_and_state_dict_is_a_copy():
    model = mlp([2, 3, 2], rng=np.random.default_rng(0))
    assert model.parameters()["0.weight"] is model[0].weight
    state = model.state_dict()
    for array in (*model.parameters().values(), *model.buffers().values()):
        array += 1
    for name, value in model.state_dict().items():
        np.testing.assert_allclose(value, state[name] + 1)


def test_grads_are_live_so_that_they_can_be_clipped():
    model = mlp([2, 3, 2], rng=np.random.default_rng(0))
    assert model.grads == {}
    model(draw((5, 2), 1))
    model.backward(draw((5, 2), 2))
    model.grads["0.weight"][:] = 7.0
    assert (model[0].grads["weight"] == 7).all()


def torch_mlp(sizes, batchnorm):
    members = []
    for fan_in, fan_out in pairwise(sizes[:-1]):
        members.append(nn.Linear(fan_in, fan_out, bias=not batchnorm))
        members += [nn.BatchNorm1d(fan_out)] if batchnorm else []
        members.append(nn.ReLU())
    return nn.Sequential(*members, nn.Linear(*sizes[-2:])).double()


@pytest.mark.parametrize("batchnorm", [True, False])
def test_state_goes_to_torch_and_back(batchnorm):
    sizes, x = [4, 6, 5, 3], draw((8, 4), 1)
    ours = randomize(mlp(sizes, batchnorm=batchnorm, rng=np.random.default_rng(0)))
    theirs = torch_mlp(sizes, batchnorm)
    for value in theirs.state_dict().values():
        assert value.isfinite().all()
    theirs.load_state_dict({k: torch.tensor(v) for k, v in ours.state_dict().items()})
    assert_close(ours.eval()(x), theirs.eval()(torch.tensor(x)).detach())

    other = torch_mlp(sizes, batchnorm)
    other(torch.tensor(x))  # moves the running statistics
    fresh = mlp(sizes, batchnorm=batchnorm, rng=np.random.default_rng(1))
    live = fresh.parameters()["0.weight"]
    assert fresh.load_state_dict(other.state_dict()) is fresh
    assert fresh.parameters()["0.weight"] is live
    assert_same_state(fresh, other)
    assert_close(fresh.eval()(x), other.eval()(torch.tensor(x)).detach())
    assert_same_state(Sequential(*fresh).load_state_dict(fresh.state_dict()), other)


def test_loading_does_not_alias():
    model, state = BatchNorm(3), BatchNorm(3).state_dict()
    model.load_state_dict(state)
    model(draw((5, 3), 1))
    np.testing.assert_array_equal(state["running_mean"], 0)
    assert state["num_batches_tracked"] == 0


def test_load_state_dict_is_strict_and_changes_nothing_when_it_refuses():
    model = mlp([2, 3, 2], rng=np.random.default_rng(0))
    before = model.state_dict()
    good = {name: value + 1 for name, value in before.items()}
    missing = {k: v for k, v in good.items() if k != "2.weight" and k != "3.bias"}
    cases = [
        (missing, KeyError, r"this Sequential: missing \['3.bias'\], unexpected \[\]"),
        (good | {"9.weight": 0}, KeyError, r"missing \[\], unexpected \['9.weight'\]"),
        (good | {"3.bias": np.ones(3)}, ValueError, r"'3.bias' of shape \(2,\), got \(3,\); was"),
    ]
    for state, error, message in cases:
        with pytest.raises(error, match=message):
            model.load_state_dict(state)
        for name, value in model.state_dict().items():
            np.testing.assert_array_equal(value, before[name])


@pytest.mark.parametrize("make", [
    lambda rng, std: Linear(400, 300, rng=rng, std=std),
    lambda rng, std: Conv2d(16, 300, (5, 5), rng=rng, std=std),
])  # fmt: skip
def test_weights_are_normal_with_the_spread_of_he_or_the_one_asked_for(make):
    for std, want in ((None, np.sqrt(2 / 400)), (0.01, 0.01)):
        model = make(np.random.default_rng(0), std)
        weight = model.weight.ravel()
        assert weight.std() == pytest.approx(want, rel=0.01)
        assert abs(weight.mean()) < 0.01 * want
        assert np.mean(abs(weight) < want) == pytest.approx(0.683, abs=0.005)
        assert not model.bias.any()
    assert not make(np.random.default_rng(0), 0).weight.any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_mlp_has_the_same_weights_with_and_without_batch_norm(dtype):
    with_bn, without = (
        mlp([4, 6, 5, 3], batchnorm=b, rng=np.random.default_rng(0), dtype=dtype)
        for b in (True, False)
    )
    kinds = [[type(member).__name__ for member in model] for model in (with_bn, without)]
    assert kinds[0] == ["Linear", "BatchNorm", "ReLU"] * 2 + ["Linear"]
    assert kinds[1] == ["Linear", "ReLU"] * 2 + ["Linear"]
    pairs = [(0, 0), (3, 2), (6, 4)]
    for i, j in pairs:
        np.testing.assert_array_equal(with_bn[i].weight, without[j].weight)
    assert [with_bn[i].bias is None for i, _ in pairs] == [True, True, False]
    assert [without[j].bias is None for _, j in pairs] == [False, False, False]


def test_mlp_takes_an_activation_a_spread_and_a_seed():
    model = mlp([2, 3, 2], activation=Sigmoid, std=0.0, rng=np.random.default_rng(0))
    assert isinstance(model[2], Sigmoid)
    assert not model[0].weight.any()
    one, same, other = (mlp([2, 3], rng=np.random.default_rng(s))[0].weight for s in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    assert len(mlp([2, 3], rng=np.random.default_rng(0))) == 1


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: mlp([3], rng=np.random.default_rng(0)), ValueError,
         r"mlp needs at least an input and an output size, got sizes=\[3\]"),
        (lambda: Linear(2, 3, rng=0), TypeError,
         r"Linear needs rng=np.random.default_rng\(seed\), got rng=0"),
        (lambda: Conv2d(2, 3, 3, rng=None), TypeError, "Conv2d needs rng=.* got rng=None"),
        (lambda: Dropout(1.5, rng=np.random.default_rng(0))(np.ones(3)), ValueError, "got p=1.5"),
    ],
)  # fmt: skip
def test_bad_arguments_get_a_sentence(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_subclass_needs_two_methods():
    class Scale(Layer):
        parameter_names = ("weight",)

        def __init__(self):
            super().__init__()
            self.weight = np.array([2.0, 3.0])

        def _forward(self, x):
            return self.weight * x, x

        def _backward(self, dy, cache):
            self.grads = {"weight": (dy * cache).sum(axis=0)}
            return self.weight * dy

    model, x, dy = Sequential(Scale()), draw((4, 2), 1), draw((4, 2), 2)
    np.testing.assert_array_equal(model(x), x * [2, 3])
    np.testing.assert_array_equal(model.backward(dy), dy * [2, 3])
    assert list(model.state_dict()) == list(model.grads) == ["0.weight"]


def test_everything_is_reachable_from_layers():
    assert set(base.__all__) | set(norms.__all__) < set(layers.__all__)


@pytest.mark.parametrize("nested", [False, True])
def test_one_layer_in_two_places_is_refused(nested):
    relu = ReLU()
    second = Sequential(relu) if nested else relu
    with pytest.raises(ValueError, match=r"a layer of its own for each place, got one ReLU twice"):
        Sequential(relu, Flatten(), second)


def test_flatten_refuses_a_gradient_of_another_shape():
    layer = Flatten()
    layer(np.zeros((2, 3, 4)))
    with pytest.raises(
        ValueError, match=r"Flatten.backward needs dy .* \(2, 12\), got .*\(12, 2\)"
    ):
        layer.backward(np.zeros((12, 2)))


def test_a_state_that_cannot_be_cast_changes_nothing():
    layer = Linear(2, 1, rng=np.random.default_rng(0))
    before = layer.weight.copy()
    with pytest.raises(ValueError, match="could not convert"):
        layer.load_state_dict({"weight": np.ones((1, 2)), "bias": np.array(["x"])})
    np.testing.assert_array_equal(layer.weight, before)
