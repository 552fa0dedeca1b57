"""Claim W10: train gamma and beta, and leave all weights at their random start."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from bnlab.course.experiments import panels
from bnlab.course.experiments.bench import accuracy_at_best, deep_net, rate_sweep, scores
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.course.experiments.rule import Part, larger, told
from bnlab.data import load_digits
from bnlab.layers import BatchNorm, Linear, Sequential
from bnlab.optim import SGD
from bnlab.training import fit

PARTS = {
    "batch norm": "gamma and beta",
    "random weights": "as many random weights",
    "last layer": "the last layer",
    "everything": "everything",
}


@dataclass(frozen=True)
class Parts:
    """Networks of 1, 2 and 6 layers of 100, of which only a part is trained; four minutes."""

    depths: tuple[int, ...] = (1, 2, 6)
    lrs: tuple[float, ...] = (0.1, 0.3, 1.0, 3.0)
    steps: int = 1200
    seeds: tuple[int, ...] = tuple(range(200, 208))


def names_of(model, part):
    """Names of the parameters that belong to a part.

    >>> names_of(deep_net(True, seed=0, depth=1), "batch norm")
    ['1.weight', '1.bias']
    """
    last = len(model) - 1
    chosen = {
        "batch norm": lambda i: isinstance(model[i], BatchNorm),
        "random weights": lambda i: isinstance(model[i], Linear) and i < last,
        "last layer": lambda i: i == last,
        "everything": lambda i: True,
    }[part]
    return [name for name in model.parameters() if chosen(int(name.split(".")[0]))]


class TwoWeightsOfEach(Linear):
    """A layer of which two random weights of each feature are trained, as many as batch norm has.

    The control of Frankle et al. 2021, section 4.
    """

    def __init__(self, layer, rng):
        super().__init__(*layer.weight.shape[::-1], bias=False, rng=rng, dtype=layer.weight.dtype)
        self.weight[...] = layer.weight
        chosen = rng.random(self.weight.shape).argsort(axis=1)[:, :2]
        self.mask = np.zeros_like(self.weight)
        np.put_along_axis(self.mask, chosen, 1, axis=1)

    def _backward(self, dy, cache):
        dx = super()._backward(dy, cache)
        self.grads["weight"] *= self.mask
        return dx


def net_for(part, seed, depth):
    """A network with batch norm, and with masks on its hidden weights if random ones are trained.

    >>> type(net_for("random weights", seed=0, depth=1)[0]).__name__
    'TwoWeightsOfEach'
    """
    model, rng = deep_net(True, seed, depth=depth), np.random.default_rng(seed + 1000)
    if part == "random weights":
        model.layers[:-1] = [
            TwoWeightsOfEach(layer, rng) if isinstance(layer, Linear) else layer
            for layer in model.layers[:-1]
        ]
    return model


def _train_part(config, digits, part, depth, lr, seed):
    model = net_for(part, seed, depth)
    trained = names_of(model, part)
    frozen = [name for name in model.parameters() if name not in trained]
    optimizer = SGD(model, lr, groups=[{"names": frozen, "lr": 0.0}])
    schedule = {"steps": config.steps, "batch_size": 60, "rng": np.random.default_rng(seed)}
    fit(model, digits.x_train, digits.y_train, optimizer, **schedule)
    return scores(model, digits)


def softmax(seed):
    """Softmax regression on the 64 pixels: 650 numbers, no hidden layer."""
    return Sequential(Linear(64, 10, rng=np.random.default_rng(seed), dtype=np.float32))


@np.errstate(over="ignore", invalid="ignore")  # at the highest rates some diverge
def _one_seed_w10(config, seed):
    digits = load_digits(seed, np.float32)

    def sweep(part, depth):
        return [_train_part(config, digits, part, depth, lr, seed) for lr in config.lrs]

    return {
        "depths": config.depths,
        "softmax": rate_sweep(partial(softmax, seed), digits, config.lrs, seed, steps=config.steps),
        **{part: [sweep(part, depth) for depth in config.depths] for part in PARTS},  # (D, R, 2)
    }


def _points(arrays, name):
    """Test accuracy in points at the best rate: (D, S) of a part, (S,) of softmax."""
    return 100 * accuracy_at_best(arrays[name]).T


def _further(norm, other, depth, than):
    layers = f"{depth} hidden layers" if depth > 1 else "one hidden layer"
    return Part(
        f"with {layers} gamma and beta alone get further than {than}",
        larger(norm - other),
        f"{norm.mean():.1f} against {other.mean():.1f}%, {told(norm - other)}",
    )


def _judge_w10(arrays):
    norm, random, last = (_points(arrays, name) for name in list(PARTS)[:3])
    pixels = np.broadcast_to(_points(arrays, "softmax"), norm.shape)
    others = {"the last layer alone": last, "as many random weights of each feature": random,
              "softmax on the pixels, without a network": pixels}  # fmt: skip
    return [
        _further(norm[k], other[k], depth, than)
        for than, other in others.items()
        for k, depth in enumerate(arrays["depths"][0])
    ]


def _draw_w10(arrays):
    depths, errors = arrays["depths"][0], [2, 5, 10, 20, 50]
    groups = {name: 100 - _points(arrays, part).T for part, name in PARTS.items()}
    level = 100 - _points(arrays, "softmax").mean(), "softmax on the 64 pixels"
    what = "hidden layers", "test error, %"
    ax = panels.lines(depths, groups, *what, limit=level, yscale="log")
    ax.set_xticks(depths)
    ax.set_yticks(errors, errors)
    ax.set_yticks([], minor=True)
    return ax


W10_ONLY_BATCHNORM = Experiment(
    Claim(
        "W10",
        "Training gamma and beta alone, on random weights, gives a useful network.",
        "In a deep network they get far above chance, and further than the last layer alone. On "
        "the digits softmax on the pixels does better, in shallow networks the last layer does, "
        "and with six layers as many random weights get about as far.",
        "experiment",
        "08",
        "Frankle, Schwab & Morcos 2021 (arXiv:2003.00152)",
        published="yes",
    ),
    Parts(),
    one_seed=_one_seed_w10,
    judge=_judge_w10,
    draw=_draw_w10,
    setting="{depths} hidden layers of 100 with ReLU, {steps} steps of 60 images, rates {lrs} "
    "chosen on validation images",
)
