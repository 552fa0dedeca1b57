"""What the pitfalls of the field guide (P1 to P28) have in common.

A demonstration is a function of under ten lines that runs the mistake and the fix and returns what
it measured. They stand in the modules ``pitfalls_...``, one for each family.
"""

import numpy as np

from bnlab.course.experiments import panels
from bnlab.course.experiments.bench import batchnorm_layers
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.course.experiments.rule import Part
from bnlab.data import load_digits
from bnlab.layers import mlp
from bnlab.optim import SGD
from bnlab.training import fit

TRAINED = "64-50-50-10 with ReLU in float64, 300 steps of {batch_size} images at rate 0.1"


def pitfall(
    id, said, correct, source, *, config, setting, symptom, fixed, draw, demo=None, one_seed=None
):
    """Make the `Experiment` of one pitfall: `said` names the symptom, `correct` cause and fix.

    `symptom` and `fixed` take what ``demo(config)`` or ``one_seed(config, seed)``, stacked, gives,
    and return a `Part` or several: with the mistake the symptom shows, with the fix it is gone.
    """

    def judge(arrays):
        return [*_as_list(symptom(arrays)), *_as_list(fixed(arrays))]

    claim = Claim(id, said, correct, "experiment", "09", source)
    how = {"setting": setting, "judge": judge, "draw": draw}
    return Experiment(claim, config, run=demo, one_seed=one_seed, **how)


def _as_list(parts):
    return [parts] if isinstance(parts, Part) else parts


def percent(shares):
    """Shares of all seeds in words, from the smallest to the largest.

    >>> percent([0.951, 0.98]), percent([0.5])
    ('95 to 98%', '50%')
    """
    ends = dict.fromkeys(f"{100 * share:.0f}" for share in (np.min(shares), np.max(shares)))
    return " to ".join(ends) + "%"


def accuracies(groups, ylabel="test accuracy, %", **options):
    """Draw shares of right answers side by side, a point a seed."""
    points = {name: 100 * np.asarray(shares) for name, shares in groups.items()}
    return panels.strip(points, ylabel, **options)


def trained(seed, *, steps=300, batch_size=64, momentum=0.1, weight_decay=0.0, groups=None):
    """Train 64-50-50-10 with ReLU; returns it in evaluation mode, and the digits of the seed.

    In float64 a short training ends alike on every machine; `groups` is a function of the model.
    """
    digits, rng = load_digits(seed), np.random.default_rng(seed)
    model = mlp([64, 50, 50, 10], rng=rng)
    for layer in batchnorm_layers(model):
        layer.momentum = momentum
    decay = {"weight_decay": weight_decay, "groups": groups(model) if groups else ()}
    schedule = {"steps": steps, "batch_size": batch_size, "rng": rng}
    fit(model, digits.x_train, digits.y_train, SGD(model, lr=0.1, **decay), **schedule)
    return model.eval(), digits


def torch_twin(model):
    """The same network in torch, with the same state; in training mode."""
    import torch

    makers = {
        "Linear": lambda a: torch.nn.Linear(*a.weight.shape[::-1], bias=a.bias is not None),
        "BatchNorm": lambda a: torch.nn.BatchNorm1d(a.num_features, a.eps, a.momentum),
        "ReLU": lambda a: torch.nn.ReLU(),
    }
    twin = torch.nn.Sequential(*(makers[type(layer).__name__](layer) for layer in model)).double()
    twin.load_state_dict({name: torch.as_tensor(a) for name, a in model.state_dict().items()})
    return twin


def torch_batchnorms(model):
    """The BatchNorm1d layers of a torch model, in order."""
    import torch

    return [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm1d)]


def torch_accuracy(model, x, y):
    """Accuracy of a torch model in evaluation mode; its modes are restored afterwards."""
    import torch

    modes = {module: module.training for module in model.modules()}
    with torch.no_grad():
        guesses = model.eval()(torch.from_numpy(x)).argmax(dim=1).numpy()
    for module, mode in modes.items():
        module.training = mode
    return float((guesses == y).mean())
