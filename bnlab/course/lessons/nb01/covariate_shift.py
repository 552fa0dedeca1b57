"""Claims about covariate shift: the inputs change, what they mean does not.

A classifier is trained on images of little ink and tested on images of much ink. Ink alone decides
which images it sees, so P(label given image) is the same for both (Shimodaira 2000).
"""

from dataclasses import dataclass

import numpy as np

from bnlab.course.experiments.bench import points_gained
from bnlab.course.experiments.evidence import Claim, Definition, Experiment
from bnlab.data import lightest_and_heaviest, load_digits
from bnlab.layers import mlp
from bnlab.optim import SGD
from bnlab.training import evaluate, fit

# S1 and S5: what the words mean.

S1_TERM = Definition(
    Claim(
        "S1",
        'Batch norm is about "covariance shift", or "covariant shift".',
        "The word is covariate shift: the distribution of the inputs changes, that of the labels "
        "given the inputs does not. Internal covariate shift is the change of the distribution of "
        "activations that the network's own updates cause.",
        "definition",
        "01",
        "Shimodaira 2000; Ioffe & Szegedy 2015, section 2",
    ),
    "WRONG",
)

S5_CAUSE = Definition(
    Claim(
        "S5",
        "While a network trains, the distributions of its activations change, and that changes "
        "the parameters.",
        "The other way round: an update changes the parameters, and the distributions of all "
        "activations above them change with it.",
        "definition",
        "01",
        "Ioffe & Szegedy 2015, section 2",
    ),
    "WRONG",
)


# S2: train on light images, test on heavy ones.


@dataclass(frozen=True)
class Selection:
    """One hidden ReLU layer, trained on a part of the training images; 2 seconds for 8 seeds."""

    fraction: float = 0.3
    hidden: int = 100
    lr: float = 0.1
    steps: int = 600
    batch_size: int = 60
    seeds: tuple[int, ...] = tuple(range(8))


def small_classifier(x, y, config, seed):
    """Train a network with one hidden layer and no batch norm on x (N, 64) and labels y (N,).

    >>> digits = load_digits(dtype=np.float32)
    >>> model = small_classifier(digits.x_train, digits.y_train, Selection(), seed=0)
    >>> evaluate(model, digits.x_test, digits.y_test) > 0.9
    True
    """
    rng = np.random.default_rng(seed)  # of the weights and of the mini-batches
    model = mlp([x.shape[1], config.hidden, 10], batchnorm=False, rng=rng, dtype=x.dtype)
    optimizer = SGD(model, config.lr)
    fit(model, x, y, optimizer, steps=config.steps, batch_size=config.batch_size, rng=rng)
    return model


def _one_seed_s2(config, seed):
    digits = load_digits(seed, np.float32)
    x, y = digits.x_train, digits.y_train
    light, _ = lightest_and_heaviest(x, y, config.fraction)
    test_light, test_heavy = lightest_and_heaviest(digits.x_test, digits.y_test, config.fraction)
    # As many images of any ink: what is hard about heavy images is hard for this classifier too.
    rows = np.random.default_rng(seed).permutation(len(x))[: len(light[0])]
    by_light = small_classifier(*light, config, seed)
    by_any = small_classifier(x[rows], y[rows], config, seed)
    return {
        "light_on_light": evaluate(by_light, *test_light),
        "light_on_heavy": evaluate(by_light, *test_heavy),
        "any_on_light": evaluate(by_any, *test_light),
        "any_on_heavy": evaluate(by_any, *test_heavy),
    }


def _judge_s2(arrays):
    """RIGHT if the shift costs accuracy by more than two standard errors, paired by seed."""
    loss, error = points_gained(arrays["any_on_heavy"], arrays["light_on_heavy"])
    mean = {name: 100 * value.mean() for name, value in arrays.items()}
    measured = (
        f"trained on light images: {mean['light_on_light']:.1f}% of light test images right, "
        f"{mean['light_on_heavy']:.1f}% of heavy ones; trained on as many images of any ink: "
        f"{mean['any_on_heavy']:.1f}% of heavy ones"
    )
    verdict = "RIGHT" if loss > error else "NOT REPRODUCED"
    seeds = len(arrays["any_on_heavy"])
    spread = f"{seeds} seeds, the shift costs {loss:.1f} +- {error:.1f} points"
    return verdict, measured, spread


S2_INK = Experiment(
    Claim(
        "S2",
        "Training on black cats and testing on cats of other colours is covariate shift.",
        "Yes, as long as only the picture decides what is seen in training: P(x) differs and "
        "P(y given x) does not. It is not internal covariate shift.",
        "experiment",
        "01",
        "Shimodaira 2000",
    ),
    Selection(),
    one_seed=_one_seed_s2,
    judge=_judge_s2,
)
