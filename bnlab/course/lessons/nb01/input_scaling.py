"""Claims about the inputs of a network: what scaling them does, and what whitening is.

The digits and random features, in float64 where identities are checked.
"""

from dataclasses import dataclass

import numpy as np

from bnlab import functional as F
from bnlab.batchnorm import batchnorm_inference
from bnlab.course.experiments.bench import EXACT, plain_batchnorm
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.course.experiments.panels import lines
from bnlab.course.experiments.rule import Part, in_every_seed
from bnlab.course.experiments.seeds import over_seeds
from bnlab.data import load_digits
from bnlab.layers import Linear
from bnlab.optim import SGD
from bnlab.training import fit

# S8: the same images on four scales.


@dataclass(frozen=True)
class Scaling:
    """Gradient descent of a linear classifier on all training images; 15 seconds for 4 splits.

    Each scale of the inputs gets its best rate of `lrs`, see `best_run`.
    """

    lrs: tuple[float, ...] = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
    steps: int = 150
    target: float = 0.3
    eps: float = 1e-5
    seeds: tuple[int, ...] = (0, 1, 2, 3)


def scaled_inputs(digits, eps=1e-5):
    """Name -> function of images: four ways to hand the same pictures to a network.

    The mean and the standard deviation of each pixel are those of the training images.

    >>> digits = load_digits()
    >>> z = scaled_inputs(digits)["standardized"](digits.x_train)
    >>> bool(np.allclose(z.mean(axis=0), 0)), np.median(z.std(axis=0)).round(3).item()
    (True, 1.0)
    """
    mean, var = digits.x_train.mean(axis=0), digits.x_train.var(axis=0)
    ones, zeros = np.ones(64), np.zeros(64)
    return {
        "plus 1": lambda x: x + 1,
        "raw": lambda x: x,
        "centred": lambda x: x - mean,
        "standardized": lambda x: batchnorm_inference(x, ones, zeros, mean, var, eps),
    }


def eigenvalue_ratio(x):
    """Largest eigenvalue of x'x over their median: how long descent takes along the other ones.

    The largest one limits the rate of a least-squares loss (LeCun et al. 1998, section 5).

    >>> eigenvalue_ratio(np.diag([1.0, 2.0, 20.0])).round(3).item()
    100.0
    """
    values = np.linalg.eigvalsh(x.T @ x)
    return values[-1] / np.median(values)


def descend(digits, scale, lr, steps):
    """Loss on validation and test images after 0, 1, 2, ... steps from weights of zero, (T, 2)."""
    model = Linear(64, 10, rng=np.random.default_rng(0), std=0, dtype=digits.x_train.dtype)
    x, x_val, x_test = (scale(part) for part in (digits.x_train, digits.x_val, digits.x_test))
    schedule = {"steps": steps, "batch_size": len(x), "rng": np.random.default_rng(0), "every": 1}

    def losses(model):
        parts = (x_val, digits.y_val), (x_test, digits.y_test)
        return [F.cross_entropy_forward(model(images), labels)[0] for images, labels in parts]

    history = fit(model, x, digits.y_train, SGD(model, lr), measure=losses, **schedule)
    return np.array(history.measured)


def steps_needed(losses, target):
    """Steps until the loss is first below the target; one more than were made if it never is.

    >>> steps_needed([2.3, 0.5, 0.2], target=0.3), steps_needed([2.3, 0.5], target=0.3)
    (2, 2)
    """
    below = np.flatnonzero(np.asarray(losses) < target)
    return int(below[0]) if len(below) else len(losses)


def best_rate(curves, target):
    """Which of the curves (R, T) is below the target first, if it never rises above its start.

    A rate that is too large makes the loss jump up first; it may come down later, by luck.

    >>> best_rate(np.array([[2.0, 1.0, 0.5], [2.0, 3.0, 0.1]]), target=0.6)
    0
    """
    calm = [k for k, curve in enumerate(curves) if curve.max() <= curve[0]]
    return min(calm, key=lambda k: (steps_needed(curves[k], target), curves[k][-1]))


def _one_seed_s8(config, seed):
    digits = load_digits(seed)
    scales = scaled_inputs(digits, config.eps).values()
    runs = [[descend(digits, scale, lr, config.steps) for lr in config.lrs] for scale in scales]
    runs = np.array(runs)  # (scales, R, T, 2)
    best = [best_rate(curves, config.target) for curves in runs[..., 0]]
    ratios = [eigenvalue_ratio(scale(digits.x_train)) for scale in scales]
    losses = runs[np.arange(len(runs)), best, :, 1]  # of the test images
    return {"ratios": np.array(ratios), "rates": np.array(config.lrs)[best], "losses": losses}


def _run_s8(config):
    return {"target": config.target, **over_seeds(_one_seed_s8, config)}


def _judge_s8(arrays):
    target, ratios = arrays["target"], np.median(arrays["ratios"], axis=0)
    steps = np.array([[steps_needed(run, target) for run in runs] for runs in arrays["losses"]])
    made, typical = arrays["losses"].shape[-1] - 1, np.median(steps, axis=0)

    def needs_fewer(than, k):
        counts = [f"over {made}" if n > made else f"{n:.0f}" for n in (typical[3], typical[k])]
        return Part(
            f"standardized inputs need fewer steps to the target loss than {than}, in every split",
            in_every_seed(steps[:, 3] < steps[:, k], steps[:, [3, k]].min(axis=1) <= made),
            f"{counts[0]} and {counts[1]} steps; largest eigenvalue over the median one "
            f"{ratios[3]:,.0f} and {ratios[k]:,.0f}",
        )

    return [needs_fewer("raw pixels", 1), needs_fewer("pixels with a mean far from 0", 0)]


def _draw_s8(arrays):
    losses, target = arrays["losses"], float(arrays["target"])
    names = "pixels plus 1", "raw", "centred", "standardized"
    groups = {name: losses[:, k, 1:] for k, name in enumerate(names)}
    steps, below = np.arange(1, losses.shape[-1]), (target, f"target {target:g}")
    return lines(
        steps,
        groups,
        "step of gradient descent",
        "test loss",
        limit=below,
        xscale="log",
        yscale="log",
    )


S8_INPUTS = Experiment(
    Claim(
        "S8",
        "Normalizing the inputs makes learning faster.",
        "Yes: it brings the eigenvalues of the inputs' second moments closer together, so that "
        "one learning rate suits them better. For the digits, whose pixels have one unit, "
        "subtracting the mean does nearly all of it.",
        "experiment",
        "01",
        "LeCun et al. 1998, section 4.3; Ioffe & Szegedy 2015, section 2",
    ),
    Scaling(),
    run=_run_s8,
    judge=_judge_s8,
    setting="linear classifier, {steps} steps of gradient descent on all training images, target "
    "loss {target}, rates {lrs} chosen on validation images",
    draw=_draw_s8,
)


# S9: white means uncorrelated too.


@dataclass(frozen=True)
class Features:
    """Correlated features drawn from a seed, and a small batch of them."""

    examples: int = 200
    features: int = 6
    few: int = 4
    seed: int = 0


def whiten(x, eps=0.0):
    """ZCA: centre x (N, C), then make its covariance the identity by the symmetric inverse root.

    `eps` is added to the eigenvalues of the covariance, which is divided by N. Sources: Bell &
    Sejnowski 1997; Kessy, Lewin & Strimmer 2018, which compares five ways to whiten.

    >>> z = whiten(np.random.default_rng(0).normal(size=(50, 2)) @ np.array([[3.0, 1.0], [0, 1]]))
    >>> np.allclose(np.cov(z, rowvar=False, bias=True), np.eye(2))
    True
    """
    left, singular, right = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    return left * (singular / np.sqrt(singular**2 / len(x) + eps)) @ right


def correlated_features(config):
    """Features mixed at random, (examples, C)."""
    rng = np.random.default_rng(config.seed)
    mixing = rng.normal(size=(config.features, config.features))
    return rng.normal(size=(config.examples, config.features)) @ mixing


def _run_s9(config):
    x = correlated_features(config)
    standardized, _ = plain_batchnorm(x, eps=1e-5)
    covariance = np.cov(x[: config.few], rowvar=False, bias=True)
    others = ~np.eye(config.features, dtype=bool)
    return {
        "before": np.corrcoef(x, rowvar=False)[others],
        "standardized": np.corrcoef(standardized, rowvar=False)[others],
        "whitened": np.corrcoef(whiten(x), rowvar=False)[others],
        "few": config.few,
        "features": config.features,
        "rank": np.linalg.matrix_rank(covariance),
    }


def _judge_s9(arrays):
    strongest = {
        name: np.abs(arrays[name]).max() for name in ("before", "standardized", "whitened")
    }
    return [
        Part(
            "inputs of mean 0 and variance 1 are white: no two of them are correlated",
            bool(strongest["standardized"] <= EXACT),
            f"strongest correlation {strongest['before']:.2f} before and "
            f"{strongest['standardized']:.2f} after, {strongest['whitened']:.0e} after ZCA; from "
            f"{arrays['few']} examples their covariance has rank {arrays['rank']}",
        )
    ]


def _draw_s9(arrays):
    import matplotlib.pyplot as plt

    _, ax = plt.subplots(figsize=(5.2, 4))
    before = arrays["before"]
    ax.plot([-1, 1], [-1, 1], color="0.6", lw=1, ls=":", label="nothing changed")
    ax.plot(before, arrays["standardized"], "o", color="C0", label="mean 0 and variance 1")
    ax.plot(before, arrays["whitened"], "^", color="C1", label="whitened (ZCA)")
    ax.set(xlabel="correlation of two features", ylabel="their correlation afterwards")
    ax.legend()
    return ax


S9_WHITENING = Experiment(
    Claim(
        "S9",
        "Whitening means to give every input mean 0 and variance 1.",
        "White inputs are uncorrelated as well. Batch norm leaves correlations as they are: "
        "to remove them is costly, and impossible if a batch has no more examples than features.",
        "identity",
        "01",
        "Ioffe & Szegedy 2015, sections 2 and 3; LeCun et al. 1998",
    ),
    Features(),
    run=_run_s9,
    judge=_judge_s9,
    setting="{features} features mixed at random, {examples} examples, float64",
    draw=_draw_s9,
)
