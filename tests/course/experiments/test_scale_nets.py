"""The networks at scale: what they are made of, and the two layers that torch does not have."""

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from bnlab.course.experiments.scale import nets  # noqa: E402
from bnlab.course.experiments.scale.runs import Run  # noqa: E402

TINY = Run(width=16)


def tiny(**fields):
    return dataclasses.replace(TINY, **fields)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def layers(model, kind):
    return [layer for layer in model.modules() if isinstance(layer, kind)]


def weights(run):
    return [layer.weight for layer in layers(nets.build(run), torch.nn.Conv2d | torch.nn.Linear)]


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


# The first weights


@pytest.mark.parametrize("net", ["plain", "resnet20"])
@pytest.mark.parametrize("other", sorted(nets.NORMS))
def test_one_seed_gives_both_sides_the_same_weights(net, other):
    run = tiny(net=net, norm=other, ghost=4)
    assert same(weights(run), weights(tiny(net=net)))
    assert not same(weights(run), weights(tiny(net=net, seed=1)))


def test_neither_the_place_nor_torchs_own_generator_changes_the_weights():
    before = weights(TINY)
    torch.rand(5)
    assert same(before, weights(tiny(place="after")))


def test_init_scales_the_convolutions_and_not_the_last_layer():
    own, half = weights(TINY), weights(tiny(init=0.5))
    assert same([0.5 * w for w in own[:-1]] + own[-1:], half)


def test_the_weights_have_hes_standard_deviation():
    for w in weights(Run())[2:-1]:
        assert w.std().item() == pytest.approx((2 / w[0].numel()) ** 0.5, rel=0.02)
        assert abs(w.mean().item()) < 4 * w.std().item() / w.numel() ** 0.5


# What they are made of


def test_the_plain_net_has_eight_convolutions_and_four_poolings():
    model = nets.build(Run())
    convolutions = layers(model, torch.nn.Conv2d)
    assert [c.out_channels for c in convolutions] == [64, 64, 128, 128, 256, 256, 512, 512]
    assert {c.kernel_size for c in convolutions} == {(3, 3)}
    assert len(layers(model, torch.nn.MaxPool2d)) == 3  # the last one averages over all places
    assert len(layers(model, torch.nn.BatchNorm2d)) == 8


@pytest.mark.parametrize(("net", "depth"), [("resnet20", 20), ("resnet56", 56)])
def test_a_residual_net_has_as_many_layers_as_it_says(net, depth):
    model = nets.build(Run(net=net))
    assert len(layers(model, torch.nn.Conv2d | torch.nn.Linear)) == depth
    assert sorted({c.out_channels for c in layers(model, torch.nn.Conv2d)}) == [16, 32, 64]


@pytest.mark.parametrize("net", ["plain", "resnet20"])
@pytest.mark.parametrize("norm", sorted(nets.NORMS))
def test_every_net_gives_ten_finite_logits(net, norm):
    model = nets.build(tiny(net=net, norm=norm, ghost=4))
    logits = model(normal(8, 3, 32, 32, dtype=torch.float32))
    assert logits.shape == (8, 10)
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize(
    ("fields", "bias"),
    [
        ({}, False),
        ({"norm": "ghost", "ghost": 4}, False),
        ({"norm": "none"}, True),
        ({"net": "resnet20", "norm": "skipinit"}, True),
        ({"place": "after"}, True),
    ],
)
def test_a_convolution_has_a_bias_unless_a_norm_takes_its_mean_away(fields, bias):
    found = [c.bias for c in layers(nets.build(tiny(**fields)), torch.nn.Conv2d)]
    assert [b is not None for b in found] == [bias] * len(found)
    assert not bias or all((b == 0).all() for b in found)


@pytest.mark.parametrize(("place", "first"), [("before", "BatchNorm2d"), ("after", "Sigmoid")])
def test_the_norm_stands_before_or_after_the_activation(place, first):
    names = [type(layer).__name__ for layer in nets.build(tiny(place=place, activation="sigmoid"))]
    assert names[:2] == ["Conv2d", first]
    assert set(names[1:3]) == {"BatchNorm2d", "Sigmoid"}


def test_group_norm_has_sixteen_channels_a_group():
    groups = [g.num_groups for g in layers(nets.build(Run(norm="group")), torch.nn.GroupNorm)]
    assert groups == [4, 4, 8, 8, 16, 16, 32, 32]
    assert layers(nets.build(Run(norm="group", width=8)), torch.nn.GroupNorm)[0].num_groups == 1


def test_the_dropout_is_that_of_the_run():
    assert [d.p for d in layers(nets.build(tiny(dropout=0.3)), torch.nn.Dropout)] == [0.3]


# Residual blocks


def block(norm, c_out=4, stride=1):
    return nets.Residual(tiny(norm=norm), 4, c_out, stride)


def test_with_skipinit_a_block_starts_as_its_shortcut():
    x = normal(2, 4, 8, 8, dtype=torch.float32)
    torch.testing.assert_close(block("skipinit")(x), x.relu(), rtol=0, atol=0)
    assert block("skipinit").scale.requires_grad
    assert not torch.allclose(block("batch")(x), x.relu(), atol=0.1)


def test_the_shortcut_takes_every_other_pixel_and_pads_with_empty_channels():
    x = normal(2, 4, 8, 8, dtype=torch.float32)
    y = block("skipinit", c_out=8, stride=2)(x)
    assert y.shape == (2, 8, 4, 4)
    torch.testing.assert_close(y[:, :4], x[:, :, ::2, ::2].relu(), rtol=0, atol=0)
    assert (y[:, 4:] == 0).all()


# Ghost batch norm, with torch's own layer on each ghost as the oracle


def with_affine(layer, seed=3):
    weight, bias = normal(2, layer.num_features, seed=seed)
    layer.double().load_state_dict({"weight": weight, "bias": bias}, strict=False)
    return layer


def statistics(layers):
    return [
        torch.stack([getattr(layer, f"running_{s}") for layer in layers]) for s in ("mean", "var")
    ]


@pytest.mark.parametrize("size", [2, 3, 12])
def test_ghost_batch_norm_is_batch_norm_on_each_ghost(size):
    ghost, ghosts = with_affine(nets.GhostBatchNorm(5, size)), 12 // size
    oracles = [with_affine(torch.nn.BatchNorm2d(5)) for _ in range(ghosts)]
    for step in range(3):  # running statistics of several steps
        x, dy = (normal(12, 5, 3, 4, seed=2 * step + k) for k in range(2))
        y, (dx, dgamma, dbeta) = forward_and_backward(ghost, x, dy)
        parts = [
            forward_and_backward(oracle, x[k::ghosts], dy[k::ghosts])
            for k, oracle in enumerate(oracles)
        ]
        for k, (part, gradients) in enumerate(parts):
            torch.testing.assert_close(y[k::ghosts], part)
            torch.testing.assert_close(dx[k::ghosts], gradients[0])
        torch.testing.assert_close(dgamma, sum(gradients[1] for _, gradients in parts))
        torch.testing.assert_close(dbeta, sum(gradients[2] for _, gradients in parts))
        means = [each.mean(0) for each in statistics(oracles)]
        torch.testing.assert_close([each[0] for each in statistics([ghost])], means)
        for oracle in oracles:
            oracle.running_mean, oracle.running_var = (mean.clone() for mean in means)


def forward_and_backward(layer, x, dy):
    x = x.requires_grad_()
    y = layer(x)
    return y.detach(), torch.autograd.grad(y, [x, layer.weight, layer.bias], dy)


def test_ghosts_differ_from_the_whole_batch_while_training_only():
    ghost, whole = with_affine(nets.GhostBatchNorm(5, 2)), with_affine(torch.nn.BatchNorm2d(5))
    x = normal(12, 5, 3, 4)
    assert not torch.allclose(ghost(x), whole(x), atol=0.01)
    whole.load_state_dict(ghost.state_dict())
    torch.testing.assert_close(ghost.eval()(x), whole.eval()(x), rtol=0, atol=0)


# Noise behind batch norm


def test_without_noise_it_is_batch_norm():
    noisy, plain = with_affine(nets.NoiseBehind(5, 0.0)), with_affine(torch.nn.BatchNorm2d(5))
    x, dy = normal(6, 5, 3, 4).requires_grad_(), normal(6, 5, 3, 4, seed=1)
    y = noisy(x)
    (dx,) = torch.autograd.grad(y, x, dy)
    y2 = plain(x)
    torch.testing.assert_close(y, y2)
    torch.testing.assert_close(dx, torch.autograd.grad(y2, x, dy)[0])
    torch.testing.assert_close(noisy.running_var, plain.running_var)


def test_the_noise_is_gone_in_evaluation():
    noisy = with_affine(nets.NoiseBehind(5, 0.5))
    x = normal(6, 5, 3, 4)
    assert not torch.equal(noisy(x), noisy(x))
    torch.testing.assert_close(noisy.eval()(x), noisy(x), rtol=0, atol=0)


def test_its_mean_and_spread_belong_to_a_channel_and_a_step():
    noisy = nets.NoiseBehind(6, 0.5)
    torch.manual_seed(0)
    flat = torch.ones(50, 6, 20, 20)  # batch norm makes 0 of it, and only the added noise is left
    steps = [noisy(flat) for _ in range(30)]
    means = np.array([y.mean((0, 2, 3)).tolist() for y in steps])  # (steps, channels)
    spreads = np.array([y.std((0, 2, 3)).tolist() for y in steps])
    assert np.abs(means).max() < 0.52
    assert spreads.max() < 0.52
    assert means.std() == pytest.approx(0.5 / 3**0.5, rel=0.15)  # uniform from -0.5 to 0.5
    assert spreads.mean() == pytest.approx(0.25, rel=0.15)  # uniform from 0 to 0.5
    assert min(means.std(axis=0).min(), means.std(axis=1).min()) > 0.1
    for y in steps:  # within a channel the values differ, too
        assert len(torch.unique(y[:, 0])) > 1000


# Which weights are trained


@pytest.mark.parametrize(
    ("trained", "names"),
    [
        ("all", {"conv", "norm", "linear"}),
        ("norm", {"norm"}),
        ("random", {"conv"}),
        ("last", {"linear"}),
    ],
)
@pytest.mark.parametrize("net", ["plain", "resnet20"])
def test_only_what_is_asked_for_is_trained(net, trained, names):
    model = nets.build(tiny(net=net))
    nets.choose_trained(model, tiny(net=net, trained=trained))
    kinds = {"conv": torch.nn.Conv2d, "norm": torch.nn.BatchNorm2d, "linear": torch.nn.Linear}
    for name, kind in kinds.items():
        flags = [p.requires_grad for layer in layers(model, kind) for p in layer.parameters()]
        assert flags == [name in names] * len(flags)


def test_random_trains_two_numbers_a_channel_and_which_depends_on_the_seed():
    def gradients(seed):
        run = tiny(trained="random", seed=seed)
        model = nets.build(TINY)
        nets.choose_trained(model, run)
        y = model(normal(4, 3, 32, 32, dtype=torch.float32))
        y.backward(normal(4, 10, seed=1, dtype=torch.float32))
        return [c.weight.grad.flatten(1) != 0 for c in layers(model, torch.nn.Conv2d)]

    moved = gradients(0)
    assert all((m.sum(1) == 2).all() for m in moved[2:])  # (C,) each
    assert all((m.sum(1) <= 2).all() for m in moved)  # a dead unit has no gradient
    assert same(moved, gradients(0))
    assert not same(moved, gradients(1))
