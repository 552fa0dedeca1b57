"""Claims about covariate shift: the inputs change, what they mean does not.

A classifier is trained on images of little ink and tested on images of much ink. Ink alone decides
which images it sees, so P(label given image) is the same for both (Shimodaira 2000).
"""

from dataclasses import dataclass

import numpy as np

from bnlab.course.experiments.evidence import Claim, Definition, Experiment
from bnlab.course.experiments.panels import strip
from bnlab.course.experiments.rule import Part, larger, told
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
    relabelled, _ = lightest_and_heaviest(
        x, np.random.default_rng(seed).permuted(y), config.fraction
    )
    test_light, test_heavy = lightest_and_heaviest(digits.x_test, digits.y_test, config.fraction)
    # As many images of any ink: what is hard about heavy images is hard for this classifier too.
    rows = np.random.default_rng(seed).permutation(len(x))[: len(light[0])]
    by_light = small_classifier(*light, config, seed)
    by_any = small_classifier(x[rows], y[rows], config, seed)
    return {
        "chosen_by_label": int((light[0] != relabelled[0]).any(axis=1).sum()),
        "light_on_light": evaluate(by_light, *test_light),
        "light_on_heavy": evaluate(by_light, *test_heavy),
        "any_on_light": evaluate(by_any, *test_light),
        "any_on_heavy": evaluate(by_any, *test_heavy),
    }


def _judge_s2(arrays):
    light, anything = 100 * arrays["light_on_heavy"], 100 * arrays["any_on_heavy"]
    by_label = arrays["chosen_by_label"]
    return [
        Part(
            "only the picture decides what is seen: with other labels the same images are chosen",
            bool((by_label == 0).all()),
            f"{by_label.max()} images differ",
        ),
        Part(
            "of the heavy images a network that has seen light ones gets fewer right than one that "
            "has seen as many of any ink",
            larger(anything - light),
            f"{light.mean():.1f}% and {anything.mean():.1f}%, {told(anything - light)}",
        ),
    ]


def _draw_s2(arrays):
    groups = {
        f"trained on\n{seen},\ntested on\n{tested}": 100 * arrays[f"{name}_on_{tested}"]
        for name, seen in (("light", "light images"), ("any", "any ink"))
        for tested in ("light", "heavy")
    }
    return strip(groups, "test accuracy, %")


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
    setting="one hidden layer of {hidden}, no batch norm, trained on a part of {fraction} of the "
    "training images for {steps} steps of {batch_size} at rate {lr}, tested on as large a part",
    draw=_draw_s2,
)
