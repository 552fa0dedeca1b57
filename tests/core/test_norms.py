"""Layer norm and group norm against torch in float64 and against finite differences."""

import numpy as np
import pytest

from bnlab import functional as F
from bnlab.gradcheck import gradcheck

torch = pytest.importorskip("torch")
torch_F = torch.nn.functional

SHAPES = [(5, 6), (1, 6), (3, 6, 4), (2, 6, 3, 4)]


def draw(shape, seed=0, dtype=np.float64):
    """A read-only array: whoever modifies it raises."""
    array = np.random.default_rng(seed).normal(1, 2, size=shape).astype(dtype)
    array.flags.writeable = False
    return array


def layer_case(shape, dtype=np.float64):
    """Our two functions, torch's, and the inputs x, gamma, beta."""
    inputs = [draw(shape, 1, dtype), draw(shape[1:], 2, dtype), draw(shape[1:], 3, dtype)]

    def theirs(x, gamma, beta, eps):
        return torch_F.layer_norm(x, shape[1:], gamma, beta, eps)

    return F.layernorm_forward, F.layernorm_backward, theirs, inputs


def group_case(shape, groups, dtype=np.float64):
    inputs = [draw(shape, 1, dtype), draw(shape[1], 2, dtype), draw(shape[1], 3, dtype)]

    def forward(x, gamma, beta, eps=1e-5):
        return F.groupnorm_forward(x, gamma, beta, groups, eps)

    def theirs(x, gamma, beta, eps):
        return torch_F.group_norm(x, groups, gamma, beta, eps)

    return forward, F.groupnorm_backward, theirs, inputs


def cases(dtype=np.float64):
    named = {f"layer-{shape}": layer_case(shape, dtype) for shape in SHAPES}
    for shape in SHAPES:
        for groups in (1, 2, 3):
            named[f"group{groups}-{shape}"] = group_case(shape, groups, dtype)
    named["instance"] = group_case((2, 6, 3, 4), 6, dtype)
    return [pytest.param(case, id=name) for name, case in named.items()]


@pytest.mark.parametrize("case", cases())
@pytest.mark.parametrize("eps", [1e-5, 0.3])
def test_outputs_and_gradients_are_torchs(case, eps):
    forward, backward, theirs, inputs = case
    y, cache = forward(*inputs, eps)
    dy = draw(y.shape, 4)
    leaves = [torch.tensor(a, requires_grad=True) for a in inputs]
    want = theirs(*leaves, eps)
    want.backward(torch.tensor(dy))
    np.testing.assert_allclose(y, want.detach().numpy(), rtol=1e-11, atol=1e-12)
    for got, leaf in zip(backward(dy, cache), leaves, strict=True):
        np.testing.assert_allclose(got, leaf.grad.numpy(), rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("case", cases())
def test_gradients_are_the_numerical_ones(case):
    forward, backward, _, inputs = case
    y, cache = forward(*inputs)
    dy = draw(y.shape, 4)
    gradcheck(lambda *a: forward(*a)[0], inputs, backward(dy, cache), dy)


@pytest.mark.parametrize("case", cases(np.float32))
def test_float32_stays_float32(case):
    forward, backward, _, inputs = case
    y, cache = forward(*inputs)
    gradients = backward(draw(y.shape, 4, np.float32), cache)
    assert {a.dtype for a in (y, *gradients)} == {np.dtype(np.float32)}
    assert forward(inputs[0], *(v.astype(np.float64) for v in inputs[1:]))[0].dtype == np.float32


@pytest.mark.parametrize("case", cases())
def test_backward_twice_gives_the_same_and_the_output_may_be_changed_between(case):
    forward, backward, _, inputs = case
    y, cache = forward(*inputs)
    dy = draw(y.shape, 4)
    first = backward(dy, cache)
    y[:] = 0.0
    for one, two in zip(first, backward(dy, cache), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("case", cases())
def test_an_example_does_not_see_the_others(case):
    forward, _, _, inputs = case
    x, *rest = inputs
    alone = [forward(x[i : i + 1], *rest)[0] for i in range(len(x))]
    np.testing.assert_allclose(forward(*inputs)[0], np.concatenate(alone), rtol=1e-12)


def test_one_group_is_layer_norm():
    x, gamma, beta = draw((4, 6), 1), draw(6, 2), draw(6, 3)
    layer, _ = F.layernorm_forward(x, gamma, beta)
    group, _ = F.groupnorm_forward(x, gamma, beta, num_groups=1)
    np.testing.assert_allclose(group, layer, rtol=1e-12)


def test_a_large_mean_does_not_hurt():
    x = draw((4, 6), 1)
    y, _ = F.layernorm_forward(x, np.ones(6), np.zeros(6), eps=0.0)
    shifted, _ = F.layernorm_forward(x + 1e8, np.ones(6), np.zeros(6), eps=0.0)
    np.testing.assert_allclose(shifted, y, atol=1e-6)


X, ONE = np.ones((2, 6, 3)), np.ones(6)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: F.layernorm_forward(X, ONE, np.ones((6, 3))), ValueError,
         r"layernorm_forward needs gamma of shape \(6, 3\), got gamma.shape=\(6,\)"),
        (lambda: F.layernorm_forward(X, np.ones((6, 3)), ONE), ValueError, "needs beta of shape"),
        (lambda: F.layernorm_forward(ONE, ONE, ONE), ValueError,
         r"needs x of shape \(N, C\) or \(N, C, \*spatial\), got x.shape=\(6,\)"),
        (lambda: F.layernorm_forward(X[:0], X[0], X[0]), ValueError,
         r"^layernorm_forward needs at least one example, got x.shape=\(0, 6, 3\)$"),
        (lambda: F.layernorm_forward(X.astype(int), ONE, ONE), TypeError, "floating-point"),
        (lambda: F.layernorm_forward(X, ONE, ONE, -1.0), ValueError, "eps >= 0, got eps=-1.0"),
        (lambda: F.groupnorm_forward(X, ONE, ONE, 4), ValueError,
         "num_groups that divides the number of channels, 6, got num_groups=4"),
        (lambda: F.groupnorm_forward(X, ONE, ONE, 0), ValueError, "got num_groups=0"),
        (lambda: F.groupnorm_forward(X, ONE[:5], ONE, 2), ValueError,
         r"groupnorm_forward needs gamma of shape \(6,\), got gamma.shape=\(5,\)"),
        (lambda: F.groupnorm_forward(X, ONE, ONE[:5], 2), ValueError, "needs beta of shape"),
        (lambda: F.groupnorm_forward(ONE, ONE, ONE, 2), ValueError, "groupnorm_forward needs x"),
        (lambda: F.groupnorm_forward(X[:0], ONE, ONE, 2), ValueError,
         r"^groupnorm_forward needs at least one example, got x.shape=\(0, 6, 3\)$"),
        (lambda: F.groupnorm_forward(X.astype(int), ONE, ONE, 2), TypeError, "floating-point"),
        (lambda: F.groupnorm_forward(X, ONE, ONE, 2, np.nan), ValueError, "got eps=nan"),
        (lambda: F.layernorm_backward(X[:1], F.layernorm_forward(X, X[0], X[0])[1]), ValueError,
         r"layernorm_backward needs dy in the shape of the output, \(2, 6, 3\)"),
        (lambda: F.groupnorm_backward(X[:1], F.groupnorm_forward(X, ONE, ONE, 2)[1]), ValueError,
         r"groupnorm_backward needs dy in the shape of the output, \(2, 6, 3\)"),
    ],
)  # fmt: skip
def test_bad_input_gets_a_sentence(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("norm", ["layernorm", "groupnorm"])
def test_half_precision_is_computed_in_single_precision(norm):
    """Squares of thousands pass the largest float16, 65504."""
    x = (np.random.default_rng(0).normal(size=(4, 8)) * 1000).astype(np.float16)
    gamma, beta, more = np.ones(8), np.zeros(8), {"layernorm": (), "groupnorm": (2,)}[norm]
    forward, backward = (getattr(F, f"{norm}_{way}") for way in ("forward", "backward"))
    y, cache = forward(x, gamma, beta, *more)
    exact, _ = forward(x.astype(np.float64), gamma, beta, *more)
    assert y.dtype == np.float16
    np.testing.assert_allclose(y, exact, rtol=2e-3, atol=2e-3)
    assert backward(np.ones((4, 8)), cache)[0].dtype == np.float16


@pytest.mark.parametrize("norm", ["layernorm", "groupnorm"])
def test_an_eps_of_numpys_leaves_the_dtype_alone(norm):
    more = {"layernorm": (), "groupnorm": (1,)}[norm]
    x = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    forward = getattr(F, f"{norm}_forward")
    assert forward(x, np.ones(4), np.zeros(4), *more, np.float64(1e-5))[0].dtype == np.float32
