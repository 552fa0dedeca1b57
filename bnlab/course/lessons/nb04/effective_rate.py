"""A claim about what the length of scale-invariant weights decides: how fast they turn.

The networks are those of `norm_growth`: the same weights up to a factor, the same batches.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np

from bnlab.course.experiments.evidence import Claim, Experiment
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
    plain = {at: trained_logits(config, decay=decay, eps=at) for at in (0.0, eps)}

    def gap(other, at_eps=0.0):
        return np.abs(trained_logits(config, **other) - plain[at_eps]).max()

    sweep_steps, norms, rates = decay_sweep(config)
    return {
        "scale": a,
        "equal": gap(larger),
        "equal_in_use": gap({**larger, "eps": eps}, eps),
        "equal_scaled_eps": gap({**larger, "eps": eps * a**2}, eps),
        "every_rate": gap({**larger, "other_rate": a**2}),
        "only_weights": gap({**larger, "rate": 1.0, "decay": decay}),
        "schedule": gap({"rate": 1 / kept, "growth": kept**-2}),
        "decays": np.array(config.decays),
        "sweep_steps": sweep_steps,
        "norms": norms,  # (len(decays), T)
        "rates": rates,
    }


def _judge_b5(arrays):
    equal, scaled_eps, schedule = (
        bool(arrays[name] <= EXACT) for name in ("equal", "equal_scaled_eps", "schedule")
    )
    others_differ = min(arrays["every_rate"], arrays["only_weights"]) > 1
    sets_rate = bool((np.diff(arrays["norms"][:, -1]) < 0).all())
    verdict = "RIGHT" if equal and schedule and sets_rate else "IMPRECISE" if equal else "WRONG"
    a = arrays["scale"]
    norms = ", ".join(
        f"{norm:.1f} (decay {decay:g})"
        for norm, decay in zip(arrays["norms"][:, -1], arrays["decays"], strict=True)
    )
    measured = (
        f"weights x{a:g}, their rate x{a**2:g}, decay /{a**2:g}: same network: {equal}, at the "
        f"usual eps too if eps is x{a**2:g}: {scaled_eps}, off by {arrays['equal_in_use']:.0e} if "
        f"not; other rates, another network: {others_differ}; no decay and a growing rate: same "
        f"network: {schedule}; norm after {arrays['sweep_steps'][-1]} steps: {norms}"
    )
    return verdict, measured, f"identity for eps = 0, within {EXACT:g}; sweep: one seed"


B5_EFFECTIVE_RATE = Experiment(
    Claim(
        "B5",
        "In front of batch norm weight decay does not make the function simpler: it only sets "
        "how fast the weights turn.",
        "The direction of row k moves at the rate lr / norm(w_k)^2. Weights x10 with lr x100 and "
        "decay / 100 are the same network; decay is the same as no decay with a growing rate.",
        "identity",
        "04",
        "van Laarhoven 2017; Li & Arora 2020",
    ),
    EffectiveRate(),
    run=_run_b5,
    judge=_judge_b5,
)
