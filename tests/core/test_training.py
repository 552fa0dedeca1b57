"""The training loop: what it does at which step, and that its path is torch's."""

import numpy as np
import pytest

from bnlab import data, training
from bnlab.layers import BatchNorm, Dropout, Layer, Linear, Sequential, Tanh, mlp
from bnlab.optim import SGD
from bnlab.training import evaluate, fit

torch = pytest.importorskip("torch")


def blobs(n=100, seed=0, dtype=np.float64):
    """Three classes that a small network separates."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    return (rng.normal(size=(n, 2)) + 3 * np.eye(3)[y, :2]).astype(dtype), y


def small_model(**options):
    return mlp([2, 8, 3], rng=np.random.default_rng(1), **options)


def run(model, x, y, *, steps=20, seed=2, lr=0.1, momentum=0.0, **options):
    rng = np.random.default_rng(seed)
    optimizer = SGD(model, lr=lr, momentum=momentum)
    return fit(model, x, y, optimizer, steps=steps, batch_size=16, rng=rng, **options)


def test_the_path_of_training_is_torchs():
    x, y = blobs()
    model = small_model()
    theirs = torch.nn.Sequential(
        torch.nn.Linear(2, 8, bias=False), torch.nn.BatchNorm1d(8),
        torch.nn.ReLU(), torch.nn.Linear(8, 3),
    ).double()  # fmt: skip
    theirs.load_state_dict({k: torch.tensor(v) for k, v in model.state_dict().items()})
    history = run(model, x, y, steps=20, momentum=0.9)

    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.9)
    rng, losses = np.random.default_rng(2), []
    while len(losses) < 20:  # 100 examples are six batches of 16: three epochs and a part
        for xb, yb in data.minibatches(x, y, 16, rng):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(theirs(torch.tensor(xb)), torch.tensor(yb))
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            if len(losses) == 20:
                break
    np.testing.assert_allclose(history.loss, losses, rtol=1e-9)
    for name, value in theirs.state_dict().items():
        np.testing.assert_allclose(model.state_dict()[name], value.numpy(), rtol=1e-8, atol=1e-12)


def test_training_learns():
    x, y = blobs(600)
    model = small_model()
    history = run(model, x[:400], y[:400], steps=150)
    assert history.loss[-20:].mean() < 0.5 * history.loss[:5].mean()
    assert evaluate(model, x[400:], y[400:]) > 0.85


def test_the_same_seed_gives_the_same_run_and_another_seed_another():
    x, y = blobs()
    first, same, other = (run(small_model(), x, y, seed=s).loss for s in (2, 2, 3))
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)


def test_each_epoch_shuffles_anew():
    x, y = blobs(32)
    seen = []

    class Spy(Layer):
        def _forward(self, x):
            seen.append(x.copy())
            return x, None

        def _backward(self, dy, cache):
            return dy

    run(Sequential(Spy(), Linear(2, 3, rng=np.random.default_rng(0))), x, y, steps=4)
    epochs = [np.concatenate(seen[:2]), np.concatenate(seen[2:])]
    for epoch in epochs:  # each example once
        np.testing.assert_array_equal(np.sort(epoch, axis=0), np.sort(x, axis=0))
    assert not np.array_equal(*epochs)


@pytest.mark.parametrize(
    ("steps", "every", "want"),
    [(20, 10, [0, 10, 20]), (25, 10, [0, 10, 20, 25]), (3, 10, [0, 3]), (2, 1, [0, 1, 2])],
)
def test_measurements_come_after_so_many_updates_and_after_the_last(steps, every, want):
    x, y = blobs()
    model = small_model()
    history = run(
        model, x, y, steps=steps, every=every,
        measure=lambda model: int(model[1].num_batches_tracked),
    )  # fmt: skip
    assert history.steps == history.measured == want
    assert history.loss.shape == (steps,)
    assert np.isfinite(history.loss).all()
    assert not history.diverged


def test_measuring_in_eval_mode_does_not_change_the_training():
    x, y = blobs()
    plain, measured = small_model(), small_model()
    plain.eval()  # fit trains in training mode whatever comes in
    want = run(plain, x, y)
    got = run(measured, x, y, every=3, measure=lambda m: m.eval() and evaluate(m, x, y))
    np.testing.assert_array_equal(got.loss, want.loss)
    assert plain.training
    assert measured.training
    assert measured[1].training
    assert want.steps == want.measured == []


@pytest.mark.filterwarnings("error")
def test_a_loss_that_is_not_finite_stops_training_without_a_warning():
    x, y = blobs()
    model = small_model(batchnorm=False)
    history = run(model, x, y, steps=50, lr=1e155, every=10, measure=lambda model: 0)
    assert history.diverged
    stop = int(np.argmin(np.isfinite(history.loss)))
    assert 0 < stop < 10
    assert not np.isfinite(history.loss[stop])
    assert np.isnan(history.loss[stop + 1 :]).all()
    assert history.steps == [0]
    assert model.training


def test_a_loss_that_is_not_finite_updates_nothing():
    x, y = blobs()
    x[:] = np.nan
    model = small_model(batchnorm=False)
    before = model.state_dict()
    assert run(model, x, y).diverged
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_float32_stays_float32():
    x, y = blobs(dtype=np.float32)
    model = small_model(dtype=np.float32)
    run(model, x, y, momentum=0.9)
    state = model.state_dict()
    del state["1.num_batches_tracked"]
    assert {v.dtype for v in (*state.values(), *model.grads.values())} == {np.dtype(np.float32)}
    assert model(x).dtype == np.float32


@pytest.mark.parametrize("batch_size", [1, 7, 100, 1000])
def test_evaluate_is_the_share_of_right_answers_in_eval_mode(batch_size):
    x, y = blobs()
    model = small_model()
    run(model, x, y)
    before = model.state_dict()
    got = evaluate(model, x, y, batch_size)
    assert model.training
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
    assert type(got) is float
    assert got == np.mean(model.eval()(x).argmax(axis=1) == y)


@pytest.mark.parametrize("mode", [True, False])
def test_evaluate_restores_the_mode(mode):
    model = Sequential(Linear(2, 3, rng=np.random.default_rng(0)), Tanh()).train(mode)
    evaluate(model, *blobs())
    assert [model.training, *(layer.training for layer in model)] == [mode] * 3


def test_evaluate_uses_the_eval_mode_of_every_layer():
    x, y = blobs()
    rng = np.random.default_rng(0)
    model = Sequential(BatchNorm(2), Dropout(0.9, rng=rng), Linear(2, 3, rng=rng))
    assert evaluate(model, x, y) == evaluate(model, x, y)
    assert model[0].num_batches_tracked == 0


def test_one_of_every_and_measure_gets_a_sentence():
    with pytest.raises(
        ValueError, match="fit needs both every and measure, or neither, got every=5"
    ):
        run(small_model(), *blobs(), every=5)
    with pytest.raises(ValueError, match="got every=None, measure=<"):
        run(small_model(), *blobs(), measure=lambda model: 0)


def test_too_few_examples_get_a_sentence():
    with pytest.raises(ValueError, match="batch_size"):
        run(small_model(), *blobs(15))


def test_public_names():
    assert training.__all__ == ["History", "evaluate", "fit"]


def test_evaluate_gives_every_layer_its_own_mode_back():
    model = mlp([4, 3, 2], rng=np.random.default_rng(0))
    x, y = np.random.default_rng(1).normal(size=(5, 4)), np.zeros(5, int)
    model[1].eval()  # frozen, in a model that trains
    evaluate(model, x, y)
    assert [layer.training for layer in model] == [True, False, True, True]
    model.eval()
    evaluate(model[:], x, y)  # the slice is new and says that it trains; its layers do not
    assert not any(layer.training for layer in model)


def test_evaluate_gives_the_mode_back_when_the_model_raises():
    model = mlp([4, 3, 2], rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match="linear_forward"):
        evaluate(model, np.zeros((5, 3)), np.zeros(5))
    assert model.training
    assert all(layer.training for layer in model)


@pytest.mark.parametrize(
    ("rows", "y", "batch_size"),
    [(0, np.zeros(0), 10), (5, np.zeros((5, 1)), 10), (5, np.zeros(1), 10), (5, np.zeros(5), 0)],
)
def test_evaluate_refuses_what_it_cannot_count(rows, y, batch_size):
    with pytest.raises(
        ValueError, match=r"evaluate needs one label for each row, .* got len\(x\)="
    ):
        evaluate(Sequential(), np.zeros((rows, 2)), y, batch_size)


def test_measuring_every_zero_steps_gets_a_sentence():
    model = mlp([4, 2], rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match="fit needs every >= 1, in steps, got every=0"):
        fit(model, np.zeros((4, 4)), np.zeros(4, int), SGD(model, lr=0.1), steps=1, batch_size=2,
            rng=np.random.default_rng(0), every=0, measure=len)  # fmt: skip
