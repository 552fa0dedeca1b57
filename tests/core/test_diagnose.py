"""Each problem is found where it is, and ordinary models are left in peace."""

import copy

import numpy as np
import pytest
import torch
from diagnose_cases import Untraceable
from torch import nn

from bnlab import layers
from bnlab.data import load_digits
from bnlab.diagnose import ADVICE, Finding, diagnose


def cnn():
    """An ordinary network: nothing to find."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Conv2d(8, 16, 3, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(144, 32, bias=False), nn.BatchNorm1d(32), nn.ReLU(),
        nn.Dropout(0.5), nn.Linear(32, 10),
    )  # fmt: skip


class Residual(nn.Module):
    """A block whose forward is code, with a shortcut."""

    def __init__(self, channels=4, bias=False):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=bias)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=bias)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x):
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + x)


class Shared(nn.Module):
    """One batch norm for two places."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False)
        self.bn = nn.BatchNorm1d(3)

    def forward(self, x):
        return self.bn(self.second(torch.relu(self.bn(self.first(x)))))


@pytest.fixture(scope="module")
def trained():
    """The CNN after two epochs on the digits, in training mode."""
    model, digits = cnn(), load_digits(dtype=np.float32)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    x, y = torch.from_numpy(digits.images("train")), torch.from_numpy(digits.y_train)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(1))
    for _ in range(2):
        for rows in order.split(64)[:-1]:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
    return model


def found(model, *inputs):
    """{problem: layers} of a diagnosis."""
    return {finding.problem: finding.layers for finding in diagnose(model, *inputs)}


# Ordinary models: silence.


def test_nothing_is_found_in_a_new_cnn():
    assert diagnose(cnn()) == []
    assert diagnose(cnn(), torch.zeros(4, 1, 8, 8)) == []


def test_nothing_is_found_in_a_trained_cnn(trained):
    model = copy.deepcopy(trained)
    assert diagnose(model, torch.zeros(4, 1, 8, 8)) == []
    assert diagnose(model.eval()) == []


def test_nothing_is_found_in_fine_tuning_done_right(trained):
    model = copy.deepcopy(trained)
    for module in model:
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            module.eval().requires_grad_(False)
    assert diagnose(model) == []


def test_nothing_is_found_where_only_the_statistics_are_fixed(trained):
    model = copy.deepcopy(trained)  # notebook 10: gamma and beta go on learning
    for module in model:
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            module.eval()
    assert diagnose(model) == []


@pytest.mark.parametrize("below", [nn.Linear(3, 3), nn.Dropout()])
def test_what_lies_below_a_fixed_norm_is_left_alone(below):
    model = nn.Sequential(below, nn.BatchNorm1d(3), nn.Linear(3, 2))
    for x in torch.randn(50, 8, 3, generator=torch.Generator().manual_seed(0)):
        model(x)
    assert len(found(model)) == 1
    model[1].eval()
    assert found(model) == {}


@pytest.mark.parametrize(
    "model",
    [
        Residual(),
        nn.Sequential(Residual(), Residual()),
        nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.BatchNorm1d(3)),  # that bias is not redundant
        nn.Sequential(nn.Dropout(0.0), nn.Linear(3, 3, bias=False), nn.BatchNorm1d(3)),
        nn.Sequential(nn.Dropout(), nn.LayerNorm(3), nn.ReLU(), nn.BatchNorm1d(3)),
        nn.Sequential(nn.Dropout(), nn.InstanceNorm2d(3), nn.BatchNorm2d(3)),
        nn.Sequential(nn.BatchNorm1d(3, affine=False), nn.Linear(3, 3)),
        nn.Sequential(nn.BatchNorm1d(3, momentum=None)),
        nn.Sequential(nn.LazyLinear(3, bias=False), nn.LazyBatchNorm1d()),
        nn.BatchNorm1d(3),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:Lazy modules:UserWarning")
def test_nothing_is_found_in_other_sound_models(model):
    assert diagnose(model) == []


# One problem at a time, in an ordinary model.


def _with(change, *, seen=True):
    model = cnn()
    for x in torch.randn(50 * seen, 16, 1, 8, 8, generator=torch.Generator().manual_seed(0)):
        model(x)
    change(model)
    return model


def _freeze(model):
    model.requires_grad_(False)


def _statistic(name, value):
    def change(model):
        getattr(model[4], name)[2] = value

    return change


def _mode_of_one(model):
    model[4].eval()


def _train_in_eval(model):
    model.eval()
    model[4].train()


def _set(index, name, value):
    return lambda model: setattr(model[index], name, value)


PROBLEMS = {
    "momentum of Keras": (_set(4, "momentum", 0.99), {"momentum": ("4",)}),
    "momentum just over a half": (_set(4, "momentum", 0.51), {"momentum": ("4",)}),
    "momentum of one": (_set(4, "momentum", 1), {"momentum of 1 or more": ("4",)}),
    "momentum 0": (_set(4, "momentum", 0), {"momentum of 0": ("4",)}),
    "all frozen": (_freeze, {"frozen but updating": ("1", "4", "9")}),
    "one in eval": (_mode_of_one, {"mixed modes": ("4",)}),
    "one in train": (_train_in_eval, {"mixed modes": ("4",)}),
    "nan": (_statistic("running_var", np.nan), {"non-finite statistics": ("4",)}),
    "inf": (_statistic("running_mean", -np.inf), {"non-finite statistics": ("4",)}),
    "reset": (lambda m: m[4].reset_running_stats(), {"untouched statistics": ("4",)}),
    "below 0": (_statistic("running_var", -1e-9), {"negative variance": ("4",)}),
    "dead channel": (_statistic("running_var", 0.0), {"constant channel": ("4",)}),
    "no eps": (_set(1, "eps", 0.0), {"eps of 0": ("1",)}),
    "dropout early": (
        lambda m: m.__setitem__(2, nn.Dropout2d(0.2)), {"after dropout": ("4",)},
    ),
    "bias": (
        lambda m: m.__setitem__(3, nn.Conv2d(8, 16, 3)), {"redundant bias": ("3",)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_problem_is_found_and_nothing_else(name):
    change, expected = PROBLEMS[name]
    assert found(_with(change)) == expected


def test_evaluation_before_any_training_is_found():
    model = cnn().eval()
    assert found(model) == {"untouched statistics": ("1", "4", "9")}


def test_missing_running_statistics_are_found():
    model = nn.Sequential(nn.BatchNorm1d(3, track_running_stats=False), nn.Linear(3, 2))
    assert found(model) == {"no running statistics": ("0",)}
    assert found(model.eval()) == {"no running statistics": ("0",)}


def test_a_norm_of_which_a_part_is_trained_is_not_frozen():
    assert found(_with(lambda model: model[4].weight.requires_grad_(False))) == {}


def test_a_momentum_that_is_large_but_torchs_is_left_alone():
    assert found(_with(_set(4, "momentum", 0.5))) == {}


def test_dropout_is_seen_through_layers_but_not_through_a_norm():
    through = nn.Sequential(
        nn.Dropout(), nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3, bias=False), nn.BatchNorm1d(3),
        nn.Linear(3, 3, bias=False), nn.BatchNorm1d(3),
    )  # fmt: skip
    assert found(through) == {"after dropout": ("4",)}


# Where the order of calls is code.


def test_the_bias_of_a_residual_block_is_found_by_following_the_calls():
    assert found(Residual(bias=True)) == {"redundant bias": ("conv1", "conv2")}
    nested = nn.Sequential(Residual(), Residual(bias=True))
    assert found(nested) == {"redundant bias": ("1.conv1", "1.conv2")}


def test_a_bias_whose_output_goes_elsewhere_too_is_not_redundant():
    class Branch(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear, self.bn = nn.Linear(3, 3), nn.BatchNorm1d(3)

        def forward(self, x):
            y = self.linear(x)
            return y + self.bn(y)

    assert diagnose(Branch()) == []


def test_a_layer_in_two_places_is_found_once():
    assert found(Shared()) == {"shared": ("bn",)}


def test_a_block_used_twice_is_reported_once():
    block = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    expected = {"redundant bias": ("0.0",), "shared": ("0.1",)}
    assert found(nn.Sequential(block, nn.ReLU(), block)) == expected


def test_a_model_that_cannot_be_traced_is_read_as_far_as_its_sequentials_go():
    model = Untraceable(nn.Dropout(0.1), nn.Linear(3, 3), nn.BatchNorm1d(3))
    assert found(model) == {"redundant bias": ("body.1",), "after dropout": ("body.2",)}


# With an example batch.


def test_a_batch_of_one_is_found_for_dense_layers_and_not_for_images():
    assert found(cnn(), torch.zeros(1, 1, 8, 8)) == {"batch of one": ("9",)}


def test_a_batch_of_one_is_found_where_torch_itself_would_fail_in_evaluation():
    model = nn.Sequential(nn.BatchNorm1d(3, track_running_stats=False))
    assert "batch of one" in found(model.eval(), torch.zeros(1, 3))


def test_a_channel_of_one_pixel_counts_as_one_value():
    model = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(3))
    assert found(model, torch.zeros(1, 3, 4, 4)) == {"batch of one": ("1",)}
    assert found(model, torch.zeros(2, 3, 4, 4)) == {}


# Manners.


def test_all_problems_come_at_once_with_advice_and_names():
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3, momentum=0.99, eps=0.0))
    findings = diagnose(model)
    assert {f.problem for f in findings} == {"redundant bias", "momentum", "eps of 0"}
    for finding in findings:
        assert str(finding) == repr(finding)
        assert str(finding).startswith(f"{finding.problem} ({finding.layers[0]}): ")
        assert str(finding).endswith(ADVICE[finding.problem])
    worst_first = [problem for problem in ADVICE if problem in {f.problem for f in findings}]
    assert [finding.problem for finding in findings] == worst_first
    assert findings[-1] == Finding("redundant bias", ("0",))


def test_another_model_is_refused_with_a_sentence():
    model = layers.mlp([2, 3, 1], rng=np.random.default_rng(0))
    with pytest.raises(TypeError, match=r"needs a torch\.nn\.Module, got a Sequential"):
        diagnose(model)


def test_a_model_without_values_is_refused_with_a_sentence():
    model = torch.nn.Sequential(torch.nn.BatchNorm1d(2, device="meta"))
    with pytest.raises(ValueError, match=r"values, got one on the meta device; give it memory"):
        diagnose(model)
    model.to_empty(device="cpu")[0].reset_parameters()
    assert [finding.problem for finding in diagnose(model.eval())] == ["untouched statistics"]


def test_inputs_that_the_model_does_not_take_are_refused_with_its_own_words():
    with pytest.raises(ValueError, match=r"takes in training; .* RuntimeError: .*shapes"):
        diagnose(nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8)), torch.zeros(2, 5))


def test_inputs_for_layers_of_unknown_size_are_refused_with_a_sentence():
    model = nn.Sequential(nn.LazyLinear(8), nn.BatchNorm1d(8))
    with pytest.raises(ValueError, match="lazy ones; call the model once, or leave the inputs out"):
        diagnose(model, torch.zeros(2, 5))


def test_a_layer_in_two_places_of_a_model_that_cannot_be_traced():
    relu, norm = torch.nn.ReLU(), torch.nn.BatchNorm1d(8)
    model = Untraceable(torch.nn.Linear(8, 8), relu, torch.nn.Linear(8, 8), relu,
                        torch.nn.Linear(8, 8), norm)  # fmt: skip
    assert [(f.problem, f.layers) for f in diagnose(model)] == [("redundant bias", ("body.4",))]
    model = Untraceable(relu, relu, relu, torch.nn.Linear(8, 8, bias=False), norm,
                        torch.nn.Linear(8, 8), torch.nn.Sigmoid())  # fmt: skip
    assert diagnose(model) == []
