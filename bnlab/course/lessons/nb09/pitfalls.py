"""What the twenty pitfalls of the field guide (P1 to P20) have in common.

A demonstration is a function of under ten lines that runs the mistake and the fix and returns what
it measured. They stand in the modules ``pitfalls_...``, one for each family.
"""

import numpy as np

from bnlab.course.experiments.bench import batchnorm_layers
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.data import load_digits
from bnlab.layers import mlp
from bnlab.optim import SGD
from bnlab.training import fit


def pitfall(id, said, correct, source, *, config, symptom, fixed, demo=None, one_seed=None):
    """Make the `Experiment` of one pitfall: `said` names the symptom, `correct` cause and fix.

    `symptom` and `fixed` take what ``demo(config)`` or ``one_seed(config, seed)``, stacked, gives;
    they return whether the symptom shows, or is gone, and a few words with the numbers.
    """

    def judge(arrays):
        (shows, before), (gone, after) = symptom(arrays), fixed(arrays)
        first = next(iter(arrays.values()))
        spread = f"{len(first)} seeds" if one_seed else "one run, seed given"
        return verdict(shows, gone), f"{before}; fixed: {after}", spread

    claim = Claim(id, said, correct, "experiment", "09", source)
    return Experiment(claim, config, judge=judge, run=demo, one_seed=one_seed)


def verdict(shows, gone):
    """NOT REPRODUCED without the symptom, WRONG if the fix leaves it, RIGHT otherwise.

    >>> verdict(True, True), verdict(True, False), verdict(False, True)
    ('RIGHT', 'WRONG', 'NOT REPRODUCED')
    """
    if not shows:
        return "NOT REPRODUCED"
    return "RIGHT" if gone else "WRONG"


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
