"""Each advice of `diagnose` is followed: evaluation is unchanged, or better as promised."""

import copy
import warnings

import pytest
import torch
from diagnose_cases import Dead, batch, logits_before_a_softmax
from torch import nn
from torch.optim.swa_utils import update_bn

from bnlab.diagnose import ADVICE, diagnose

DATA = [3 + 2 * batch(64, 4, seed=seed) for seed in range(60)]
HELD_OUT = 3 + 2 * batch(256, 4, seed=99)
FOLLOWED = set()


def follows(*problems):
    """Say which advice a test follows."""
    FOLLOWED.update(problems)
    return lambda test: test


def problems(model, *inputs):
    return {finding.problem for finding in diagnose(model, *inputs)}


def train(model, batches=DATA):
    for x in batches:
        model(x)
    return model


@torch.no_grad()
def evaluate(model, x=HELD_OUT):
    return copy.deepcopy(model).eval()(x)


@torch.no_grad()
def gap(model, x=HELD_OUT):
    """How far evaluation is from what training does with a large batch: rms, in deviations."""
    trains = copy.deepcopy(model).train()(x)
    return ((evaluate(model, x) - trains).square().mean() / trains.var()).sqrt().item()


def layers(norm=None, bias=False):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8, bias=bias), norm or nn.BatchNorm1d(8))


@follows("redundant bias")
@pytest.mark.parametrize("trained", [False, True])
def test_a_redundant_bias_can_be_taken_out(trained):
    model = layers(bias=True)
    nn.init.normal_(model[0].bias, std=5.0)
    model = train(model, DATA if trained else [])
    assert "redundant bias" in problems(model)
    after_it = copy.deepcopy(model)
    with torch.no_grad():
        after_it[1].running_mean -= after_it[0].bias
    after_it[0].bias = None
    assert "redundant bias" not in problems(after_it)
    torch.testing.assert_close(after_it(HELD_OUT), model(HELD_OUT), atol=1e-5, rtol=1e-5)
    if trained:
        torch.testing.assert_close(evaluate(after_it), evaluate(model), atol=1e-5, rtol=1e-5)
        after_it[1].running_mean += model[0].bias.detach()  # without the first half of the advice
        assert (evaluate(after_it) - evaluate(model)).abs().max() > 1


@follows("momentum", "momentum of 1 or more")
@pytest.mark.parametrize(
    ("momentum", "advised"), [(0.99, 0.01), (0.9, 0.1), (1.0, 0.1), (1.5, 0.1)]
)
def test_the_other_momentum_brings_evaluation_nearer_to_training(momentum, advised):
    model = layers(nn.BatchNorm1d(8, momentum=momentum))
    assert "momentum" in str(problems(model))
    wrong = gap(train(model, DATA * 5))
    model[1].momentum = advised
    assert gap(train(model, DATA * 5)) < 0.6 * wrong
    assert problems(model) == set()


@follows("momentum of 0")
def test_eval_on_the_layer_says_what_a_momentum_of_0_does():
    model = train(layers())
    model[1].momentum = 0
    before = [evaluate(model), problems(model)]
    model[1].eval()
    assert [problems(model), before[1]] == [set(), {"momentum of 0"}]
    train(model)
    torch.testing.assert_close(evaluate(model), before[0])


@follows("frozen but updating")
def test_eval_on_a_frozen_layer_stops_the_statistics():
    model = train(layers()).requires_grad_(False)
    assert problems(model) == {"frozen but updating"}
    model[1].eval()
    before = evaluate(model)
    train(model, [100 * x for x in DATA])
    assert problems(model) == set()
    torch.testing.assert_close(evaluate(model), before, atol=0, rtol=0)


@follows("non-finite statistics", "negative variance")
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0])
def test_reset_and_clean_batches_mend_the_statistics(value):
    model = train(layers())
    expected = evaluate(model)
    model[1].running_var[2] = value
    assert problems(model) <= {"non-finite statistics", "negative variance"}
    assert problems(model)
    model[1].reset_running_stats()
    torch.testing.assert_close(evaluate(train(model)), expected, atol=0.01, rtol=0.01)
    assert problems(model) == set()


@follows("untouched statistics", "few batches", "stale statistics")
@pytest.mark.parametrize("state", ["untouched", "few", "stale"])
def test_update_bn_measures_the_statistics(state):
    model = train(layers(), {"untouched": [], "few": DATA[:3], "stale": DATA}[state])
    if state == "stale":
        with torch.no_grad():
            model[0].weight.mul_(20)
    model.eval()
    assert problems(model, HELD_OUT) == {
        f"{state} " + ("batches" if state == "few" else "statistics")
    }
    before = gap(model)
    update_bn(DATA, model)
    assert gap(model) < 0.15 < before
    assert problems(model, HELD_OUT) == set()


@follows("batch of one")
def test_a_larger_batch_trains():
    model = layers()
    assert problems(model, HELD_OUT[:1]) == {"batch of one"}
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        model(HELD_OUT[:1])
    assert problems(model, HELD_OUT[:2]) == set()
    model(HELD_OUT[:2])
    model[1] = nn.GroupNorm(2, 8)
    assert model(HELD_OUT[:1]).isfinite().all()


@follows("eps of 0")
def test_another_eps_makes_a_constant_channel_finite():
    model = nn.Sequential(nn.ReLU(), nn.BatchNorm1d(4, eps=0.0))
    assert problems(model) == {"eps of 0"}
    model[1].running_mean.zero_(), model[1].running_var.zero_()
    assert not evaluate(model, -HELD_OUT.abs()).isfinite().all()
    model[1].eps = 1e-5
    assert problems(model) == {"constant channel"}
    assert model(-HELD_OUT.abs()).isfinite().all()


@follows("half-precision statistics")
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_norms_in_float_get_to_the_mean_in_half_a_model(dtype):
    model = nn.Sequential(nn.Identity(), nn.BatchNorm1d(4, momentum=0.001)).to(dtype)
    assert problems(model) == {"half-precision statistics"}
    x = HELD_OUT.to(dtype)
    batches, mean = [x] * 6000, x.float().mean(0)
    assert (train(model, batches)[1].running_mean.float() - mean).abs().min() > 0.5
    model[1].reset_running_stats()
    model[1].float()
    assert problems(model) == set()
    assert (train(model, batches)[1].running_mean - mean).abs().max() < 0.15


@follows("no running statistics", "tracking switched off")
@pytest.mark.parametrize("switched_off", [False, True])
def test_with_tracking_an_answer_does_not_depend_on_the_others(switched_off):
    model = layers(nn.BatchNorm1d(8, track_running_stats=switched_off))
    model[1].track_running_stats = False
    assert problems(model) == {"tracking switched off" if switched_off else "no running statistics"}
    if not switched_off:
        assert (evaluate(model)[:2] - evaluate(model, HELD_OUT[:2])).abs().max() > 0.1
    mended = layers()
    mended.load_state_dict(model.state_dict(), strict=False)
    train(mended)
    torch.testing.assert_close(evaluate(mended)[:2], evaluate(mended, HELD_OUT[:2]))
    assert problems(mended) == set()


@follows("tracking switched off")
def test_tracking_that_is_switched_off_leaves_evaluation_with_what_there_was():
    model = layers()
    model[1].track_running_stats = False
    torch.testing.assert_close(evaluate(train(model)), evaluate(layers()))  # it stays 0 and 1
    model[1].running_mean = model[1].running_var = None
    torch.testing.assert_close(evaluate(model), model(HELD_OUT))  # by the batch, as promised
    model = layers()
    model[1].track_running_stats = False
    model[1].track_running_stats = True
    assert gap(train(model)) < 0.15


@follows("mixed modes")
def test_one_mode_for_the_whole_model():
    model = nn.Sequential(*train(layers()), nn.ReLU(), nn.BatchNorm1d(8))
    train(model)
    model[1].eval()
    assert problems(model) == {"mixed modes"}
    assert problems(model.train()) == problems(model.eval()) == set()
    model.train()
    model[1].eval().requires_grad_(False)
    assert problems(model) == set()


@follows("after dropout")
def test_behind_the_norm_dropout_leaves_the_variance_alone():
    def with_dropout(place):
        torch.manual_seed(0)
        parts = [nn.Linear(4, 8, bias=False), nn.BatchNorm1d(8), nn.ReLU()]
        return nn.Sequential(*parts[:place], nn.Dropout(0.5), *parts[place:])

    before, behind = with_dropout(1), with_dropout(3)
    assert problems(before) == {"after dropout"}
    assert problems(behind) == set()
    far = [
        (train(m)[:3](HELD_OUT) if m is before else train(m)[:2](HELD_OUT))
        for m in (before, behind)
    ]
    trains = [y.detach().var().item() for y in far]
    before.eval(), behind.eval()
    evaluates = [before[:3](HELD_OUT).var().item(), behind[:2](HELD_OUT).var().item()]
    assert evaluates[0] / trains[0] < 0.7  # dropout doubles the second moment, in training only
    assert evaluates[1] / trains[1] == pytest.approx(1, abs=0.05)


@follows("shared")
def test_one_layer_for_each_place_evaluates_as_it_trains():
    class Places(nn.Module):
        def __init__(self, first, second):
            super().__init__()
            self.first, self.second = first, second

        def forward(self, x):
            return torch.cat([self.first(x), self.second(10 * x + 100)], dim=1)

    norm = nn.BatchNorm1d(4)
    shared, apart = Places(norm, norm), Places(nn.BatchNorm1d(4), nn.BatchNorm1d(4))
    assert [problems(shared), problems(apart)] == [{"shared"}, set()]
    assert gap(train(apart)) < 0.15 < 0.5 < gap(train(shared))


@follows("shared buffers")
def test_buffers_of_their_own_evaluate_as_they_train():
    model = nn.Sequential(nn.BatchNorm1d(4), nn.ReLU(), nn.BatchNorm1d(4))
    model[2].running_mean, model[2].running_var = model[0].running_mean, model[0].running_var
    assert problems(model) == {"shared buffers"}
    mixed = gap(train(model))
    for norm in (model[0], model[2]):
        norm.running_mean, norm.running_var = norm.running_mean.clone(), norm.running_var.clone()
    assert problems(model) == set()
    assert gap(train(model)) < 0.15 < mixed


@follows("instance norm that tracks")
def test_without_tracking_instance_norm_evaluates_as_it_trains():
    model = nn.Sequential(nn.InstanceNorm1d(4, track_running_stats=True))
    x = batch(16, 4, 32) * torch.linspace(1, 9, 16).view(-1, 1, 1)
    model(x)
    assert "instance norm that tracks" in problems(model)
    assert gap(model, x) > 0.1
    model[0].track_running_stats = False
    assert "instance norm that tracks" not in problems(model)
    assert gap(model, x) < 1e-6


@follows("on the logits")
def test_a_network_that_ends_in_a_linear_layer_can_be_as_sure_as_it_is():
    model = logits_before_a_softmax()
    with torch.no_grad():
        model[0].weight.mul_(1000)  # a network that is sure of its answers
        bounded = model(batch(64, 4)).exp().amax(dim=1)
        del model[1]
        sure = model(batch(64, 4)).exp().amax(dim=1)
    assert bounded.median() < 0.8 < 0.99 < sure.median()
    assert problems(model) == {"no batch norm layer seen"}


@follows("another axis")
def test_features_on_axis_1_are_what_is_normalized():
    linear, x = nn.Linear(16, 8), batch(64, 5, 16)
    assert problems(nn.Sequential(linear, nn.BatchNorm1d(5))) == {"another axis"}
    y = nn.BatchNorm1d(8)(linear(x).transpose(1, -1)).transpose(1, -1)
    torch.testing.assert_close(y.mean(dim=(0, 1)), torch.zeros(8), atol=1e-5, rtol=0)
    assert nn.BatchNorm1d(5)(linear(x)).mean(dim=(0, 1)).abs().max() > 0.1


@follows("constant channel")
def test_a_channel_whose_weight_is_0_does_no_harm():
    model = nn.Sequential(Dead(), nn.BatchNorm1d(8))
    for seed in range(150):
        model(batch(32, 8, seed=seed))
    assert problems(model) == {"constant channel"}
    model[0] = nn.Identity()  # the channel moves, now that the model is in use
    assert evaluate(model, batch(32, 8))[:, 0].abs().max() > 100
    with torch.no_grad():
        model[1].weight[0] = 0
    assert evaluate(model, batch(32, 8))[:, 0].abs().max() == 0


@follows(*(problem for problem in ADVICE if problem.startswith("no batch norm layer seen")))
def test_diagnosed_before_it_is_compiled_a_model_shows_its_layers():
    model = layers(bias=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls this way old
        traced = torch.jit.trace(model, HELD_OUT)
    assert problems(traced) == {"no batch norm layer seen in a scripted module"}
    assert problems(model) == {"redundant bias"}


def test_every_advice_is_followed_by_a_test():
    assert set(ADVICE) == FOLLOWED
