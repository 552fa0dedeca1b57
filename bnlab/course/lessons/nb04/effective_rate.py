"""A claim about what the length of scale-invariant weights decides: how fast they turn.

The networks are those of `norm_growth`: the same weights up to a factor, the same batches.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np

from bnlab.course.experiments import panels
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.course.experiments.rule import Part, exact
from bnlab.course.lessons.nb04.norm_growth import Training, network, train
from bnlab.data import load_digits

EXACT = 1e-8


@dataclass(frozen=True)
class EffectiveRate(Training):
    """Pairs of networks that should be equal, and a sweep over weight decay; takes about 1 s."""

    lr: float = 0.1  # of the pairs
    scale: float = 10.0  # factor of the scale-invariant weights
    eps: float = 1e-5  # the one in use
    decay: float = 0.02  # of the pairs
    momentum: float = 0.9  # of one pair; the others have none
    decays: tuple[float, ...] = (0.0, 1e-4, 1e-3, 1e-2)  # of the sweep, rising
    sweep_lr: float = 1.0
    sweep_steps: int = 300
    layer: str = "3.weight"  # the weights that the sweep follows


def trained_logits(config, scale=1.0, eps=0.0, **rates):
    """Train a network and return its logits of 500 training images, as one batch."""
    model = network(config, scale, eps)
    train(config, model, **rates)
    return model.train()(load_digits().x_train[:500])


def decay_sweep(config):
    """Steps (T,), and for each decay the norm of a layer and its median row rate, (decays, T)."""
    sweep = dataclasses.replace(config, lr=config.sweep_lr, steps=config.sweep_steps)

    def measure(model):
        weight = model.parameters()[config.layer]
        return np.linalg.norm(weight), np.median(row_rates(sweep.lr, weight))

    paths = []
    for decay in config.decays:
        model = network(sweep, eps=config.eps)
        history = train(sweep, model, decay=decay, every=10, measure=measure)
        paths.append(np.array(history.measured).T)
    norms, rates = np.array(paths).swapaxes(0, 1)
    return np.array(history.steps), norms, rates


def row_rates(lr, weight):
    """Effective learning rate of each row, lr / norm(w_k)^2, (out,)."""
    return lr / np.linalg.norm(weight, axis=1) ** 2


def _run_b5(config):
    a, decay, eps = config.scale, config.decay, config.eps
    larger = {"scale": a, "rate": a**2, "decay": decay / a**2}
    kept = 1 - config.lr * decay  # what one step of decay leaves of the weights
    heavy = {"momentum": config.momentum}

    def gap(other, **one):
        plain = trained_logits(config, decay=decay, **one)
        return np.abs(trained_logits(config, **other) - plain).max()

    sweep_steps, norms, rates = decay_sweep(config)
    return {
        "scale": a,
        "equal": gap(larger),
        "equal_momentum": gap(larger | heavy, **heavy),
        "equal_in_use": gap({**larger, "eps": eps}, eps=eps),
        "equal_scaled_eps": gap({**larger, "eps": eps * a**2}, eps=eps),
        "every_rate": gap({**larger, "other_rate": a**2}),
        "only_weights": gap({**larger, "rate": 1.0, "decay": decay}),
        "schedule": gap({"rate": 1 / kept, "growth": kept**-2}),
        "decays": np.array(config.decays),
        "sweep_steps": sweep_steps,
        "norms": norms,  # (len(decays), T)
        "rates": rates,
    }


def _judge_b5(arrays):
    pairs = [arrays["equal"], arrays["equal_momentum"]]
    return [
        exact(
            "without decay, but with a rate that grows by as much as decay would shorten, the "
            "network is the same",
            arrays["schedule"],
            EXACT,
        ),
        exact(
            "with weights times a, their rate times a^2 and their decay over a^2 it is the same, "
            "without momentum and with it",
            pairs,
            EXACT,
        ),
        _shortens(np.array(arrays["norms"])[:, -1], arrays["decays"]),
    ]


def _shortens(norms, decays):
    lengths, found = ", ".join(f"{n:.1f}" for n in norms), ", ".join(f"{d:g}" for d in decays)
    return Part(
        "the more decay, the shorter the weights in the end",
        bool((np.diff(norms) < 0).all()),
        f"norms {lengths} for decay {found}",
    )


def _draw_b5(arrays):
    import matplotlib.pyplot as plt

    _, (left, right) = plt.subplots(1, 2, figsize=(12, 3.8))
    groups = {f"decay {d:g}": n for d, n in zip(arrays["decays"], arrays["norms"], strict=True)}
    panels.lines(arrays["sweep_steps"], groups, "step", "norm of a layer's weights", ax=left)
    a = arrays["scale"]
    names = {
        "decay as a growing rate": "schedule",
        f"W x{a:g}, rate x{a**2:g}, decay /{a**2:g}": "equal",
        "the same with momentum": "equal_momentum",
        f"usual eps, x{a**2:g} too": "equal_scaled_eps",
        "usual eps for both": "equal_in_use",
        f"W x{a:g} alone": "only_weights",
        f"every rate x{a**2:g}": "every_rate",
    }
    gaps = {name: arrays[key] for name, key in names.items()}
    panels.errors(gaps, tolerance=EXACT, xlabel="largest difference of logits", ax=right)
    return left


B5_EFFECTIVE_RATE = Experiment(
    Claim(
        "B5",
        "In front of batch norm weight decay does not make the function simpler: it only sets "
        "how fast the weights turn.",
        "Under SGD the direction of row k moves at the rate lr / norm(w_k)^2. Weights x10 with lr "
        "x100 and decay / 100 are the same network; decay is the same as no decay with a growing "
        "rate. Under Adam the rate is lr / norm(w_k).",
        "identity",
        "04",
        "van Laarhoven 2017; Li & Arora 2020",
    ),
    EffectiveRate(),
    run=_run_b5,
    judge=_judge_b5,
    draw=_draw_b5,
    setting="float64, layers of {sizes}, SGD, one pair with momentum {momentum}; {steps} steps "
    "at rate {lr}, eps 0; for decay {sweep_steps} steps at rate {sweep_lr}, eps {eps}",
)
