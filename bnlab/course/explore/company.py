"""Exploration "company": one image's logit while its batch is drawn again and again.

The network and the image are those of notebook 07's first picture. Python trains the network and
gives its weights to the module; both draw the same batches.
"""

import functools

import numpy as np

from bnlab import layers
from bnlab.course.explore.exploring import Exploration
from bnlab.data import load_digits
from bnlab.optim import SGD
from bnlab.training import fit

__all__ = ["COMPANY", "company", "logits", "network"]

SIZES = (4, 8, 16, 32, 64, 128)
WIDTHS = [64, *5 * [100], 10]
DOUBTFUL, THREE = 304, 3  # a test image, and what it shows
UNIT = 4096  # weights travel as whole multiples of 1 / UNIT
DRAWS = 50  # of each size, in the still


@functools.cache
def network():
    """The trained network, its parameters rounded as they travel; 0.3 s."""
    digits, rng = load_digits(), np.random.default_rng(0)
    model = layers.mlp(WIDTHS, activation=layers.Tanh, std=0.03, rng=rng)
    training = {"steps": 200, "batch_size": 60, "rng": rng}
    fit(model, digits.x_train, digits.y_train, SGD(model, lr=0.3), **training)
    for values in model.parameters().values():
        values[:] = np.round(UNIT * values) / UNIT
    for norm in list(model)[1:-1:3]:
        norm.momentum = 0.0  # looking on in training mode shall not move the averages
    return model


@functools.cache
def images():
    """The doubtful three, then those in whose company it goes, (1146, 64)."""
    digits = load_digits()
    return np.vstack([digits.x_test[[DOUBTFUL]], digits.x_train])


def mulberry32(seed):
    """Numbers from 0 to 1 without end, the same ones as in the module (T. Ettinger, 2017).

    >>> [round(next(numbers), 6) for numbers in [mulberry32(1)] for _ in range(2)]
    [0.627074, 0.002736]
    """
    whole = 2**32 - 1
    while True:
        seed = (seed + 0x6D2B79F5) & whole
        t = (seed ^ seed >> 15) * (seed | 1) & whole
        t ^= (t + ((t ^ t >> 7) * (t | 61) & whole)) & whole
        yield (t ^ t >> 14) / 2**32


def company(m, k, n=1145):
    """Rows of draw number k of a batch of m: 0, and m - 1 different ones of 1 to n.

    >>> company(4, k=0), company(4, k=1)
    ([0, 1056, 881, 356], [0, 484, 564, 371])
    """
    random, rows = mulberry32(65536 * m + k), [0]
    while len(rows) < m:
        drawn = 1 + int(n * next(random))
        if drawn not in rows:
            rows.append(drawn)
    return rows


def logits(rows):
    """Logits of the first of these images, all of which normalize together, (10,)."""
    return network().train()(images()[rows])[0]


def settled():
    """The logit of three in evaluation mode.

    >>> round(settled(), 1)
    6.2
    """
    return float(network().eval()(images()[:1])[0, THREE])


def _data():
    *hidden, V, bias = [_units(values) for values in network().parameters().values()]
    pixels = (16 * images()).astype(np.uint8) + ord("A")  # a letter for each pixel
    groups = zip(hidden[::3], hidden[1::3], hidden[2::3], strict=True)
    return {
        "hidden": [dict(zip(("W", "gamma", "beta"), group, strict=True)) for group in groups],
        "V": V,
        "bias": bias,
        "images": [row.tobytes().decode() for row in pixels],
        "settled": settled(),
    }


def _units(values):
    """Weights, the matrices, as whole numbers; the vectors as they are."""
    return np.round(UNIT * values).astype(int).tolist() if values.ndim == 2 else values.tolist()


def _follow(changes):
    """Who names a batch and no ghost means one ghost."""
    return {"ghost": changes["m"]} if "m" in changes else {}


def _check(state):
    for name in ("m", "ghost"):
        if state[name] not in SIZES:
            raise ValueError(f"{name} is one of {', '.join(map(str, SIZES))}, got {state[name]}")
    if state["ghost"] > state["m"]:
        raise ValueError(
            f"ghost is at most m, for it is part of the batch; got {state['ghost']} of {state['m']}"
        )


def _still(state):
    """The clouds of all sizes, and their spread; a ghost scatters as a batch of its size does."""
    import matplotlib.pyplot as plt

    figure, (ax, spread) = plt.subplots(1, 2, figsize=(8, 3.4), layout="none")
    figure.subplots_adjust(0.08, 0.16, 0.98, 0.96, wspace=0.2)
    clouds = np.array([[logits(company(m, k)) for k in range(DRAWS)] for m in SIZES])
    heights = np.log2(SIZES)[:, None] + np.linspace(-0.3, 0.3, DRAWS) * (-1) ** np.arange(DRAWS)
    three = clouds.argmax(axis=2) == THREE
    ax.axvline(settled(), color="C1", ls="--", label="evaluation mode")
    for answered, marker, name in ((three, "o", "three"), (~three, "x", "another answer")):
        ax.plot(clouds[answered, THREE], heights[answered], marker, color="C0", ms=3.5, label=name)
    ax.legend(loc="upper left", fontsize="small")
    ax.set(xlabel="logit of three", ylabel="batch size m", xlim=(-10, 12))
    ax.set_yticks(np.log2(SIZES), SIZES)
    deviations = clouds[:, :, THREE].std(axis=1)
    m, shown = np.log2(SIZES), np.log2(deviations)  # both scales are logarithmic
    law = np.mean(shown + m / 2) - m / 2
    spread.plot(m, law, "--", color="0.4", label="in proportion to 1/√m")
    spread.plot(m, shown, "o", label="standard deviation")
    spread.set(xlabel="batch size m", ylabel="scatter of the logit")
    spread.set_xticks(m, SIZES)
    spread.set_yticks([-1, 0, 1, 2], [0.5, 1, 2, 4])
    spread.legend(loc="lower left", fontsize="small")
    return figure


COMPANY = Exploration(
    name="company",
    state={"m": 16, "ghost": 16, "clouds": {}},
    alt="Left, the logit of three of one image by batch size: dots spread over more than ten units "
    "in batches of 4, many of them crosses, another answer than three; they draw together about "
    "the logit in evaluation mode as the batch grows to 128. Right, the standard deviation of "
    "the dots against the batch size, both logarithmic, along a line that falls as 1/√m.",
    first="Draw one company, then 100. Do the same for batches of 4, 8, 64 and 128. At last leave "
    "the batch at 128 and cut it into ghosts of 8, parts that normalize by themselves. Predict: "
    "which cloud will that be?",
    seen="Weights and image stay, the logit does not: the rest of the batch moves it. Four times "
    "as many images about halve the scatter, 1/√m. In ghosts of 8 a batch of 128 scatters as a "
    "batch of 8 does: only the images that normalize together count.",
    still=_still,
    data=_data,
    follow=_follow,
    check=_check,
)
