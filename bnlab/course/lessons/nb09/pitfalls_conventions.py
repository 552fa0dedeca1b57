"""Pitfalls of conventions and gradients: P10, P17, P18, P19, P20."""

from dataclasses import dataclass

import numpy as np

from bnlab import functional as F
from bnlab.batchnorm import batchnorm_backward, batchnorm_forward, batchnorm_inference
from bnlab.course.experiments import panels
from bnlab.course.experiments.bench import EXACT, batchnorm_layers
from bnlab.course.experiments.rule import Part, exact, in_every_seed
from bnlab.course.lessons.nb03 import wrong_gradients
from bnlab.course.lessons.nb08.only_batchnorm import names_of
from bnlab.course.lessons.nb09.pitfalls import TRAINED, pitfall, trained
from bnlab.layers import BatchNorm, Linear

# P10: weight decay on gamma and beta.


@dataclass(frozen=True)
class Decay:
    """Weight decay on all parameters, and on all but those of batch norm; half a second."""

    decay: float = 0.03
    seeds: tuple[int, ...] = (0, 1, 2, 3)


def _spare_batchnorm(model):
    return ({"names": names_of(model, "batch norm"), "weight_decay": 0.0},)


def weight_decay(config, seed):
    """P10: mean gamma and training loss after training with weight decay."""
    result = {}
    for name, groups in {"all": None, "spared": _spare_batchnorm}.items():
        model, digits = trained(seed, weight_decay=config.decay, groups=groups)
        result[f"{name}_gamma"] = np.mean([layer.weight for layer in batchnorm_layers(model)])
        logits = model(digits.x_train)
        result[f"{name}_loss"] = F.cross_entropy_forward(logits, digits.y_train)[0]
    return result


P10_WEIGHT_DECAY = pitfall(
    "P10",
    "Weight decay makes a batch norm network fit worse, although decay on the weights below "
    "batch norm changes nothing but their learning rate.",
    "Decay on gamma and beta of the last batch norm shrinks the logits, and nothing undoes it. "
    "(Further down the next batch norm does.) Give gamma and beta a group without decay.",
    "van Laarhoven 2017; He et al. 2019 (bag of tricks), section 3.1",
    config=Decay(),
    setting=TRAINED.format(batch_size=64) + ", weight decay {decay}",
    one_seed=weight_decay,
    symptom=lambda a: Part(
        "with decay on all parameters gamma falls below 0.8 on average, and the training loss is "
        "over 1.2 times that without decay on gamma and beta",
        in_every_seed((a["all_gamma"] < 0.8) & (a["all_loss"] > 1.2 * a["spared_loss"])),
        f"gamma {a['all_gamma'].mean():.1f}, loss {a['all_loss'].mean():.2f} against "
        f"{a['spared_loss'].mean():.2f}",
    ),
    fixed=lambda a: Part(
        "spared, gamma stays at 1 up to 0.2",
        in_every_seed(np.abs(a["spared_gamma"] - 1) < 0.2),
        f"{a['spared_gamma'].mean():.1f}",
    ),
    draw=lambda a: panels.strip(
        {"decay on all\nparameters": a["all_loss"], "gamma and beta\nspared": a["spared_loss"]},
        "training loss",
    ),
)


# P17: biased here, unbiased there.


@dataclass(frozen=True)
class Port:
    """Running statistics kept by torch's rule and by Keras', batches of `rows`; milliseconds."""

    rows: int = 4
    batches: int = 500
    momentum: float = 0.1
    seed: int = 0


def _output_at_one(running_var):
    """What evaluation makes of x = 1 with running mean 0, gamma 1, beta 0."""
    return batchnorm_inference([[1.0]], [1.0], [0.0], [0.0], running_var, eps=0.0).item()


def biased_or_unbiased(config):
    """P17: the same weights and batches, two libraries: ratio of their outputs."""
    rng, m = np.random.default_rng(config.seed), config.rows
    torch_like, keras_var = BatchNorm(1, momentum=config.momentum), np.ones(1)
    for x in rng.normal(size=(config.batches, m, 1)):
        torch_like(x)
        keras_var += config.momentum * (x.var(axis=0) - keras_var)
    torch_var = torch_like.running_var
    keras, ported, converted = map(_output_at_one, (keras_var, torch_var, torch_var * (m - 1) / m))
    return {"ported": keras / ported, "converted": keras / converted, "m": m}


P17_BIASED = pitfall(
    "P17",
    "Trained on the same batches from the same weights, two frameworks evaluate differently.",
    "torch feeds the running variance m/(m-1) times what Keras 3 and Flax feed it: convert one to "
    "compare. Statistics that are carried over stay as they are; only eps has to come along.",
    "torch.nn.BatchNorm1d and keras.layers.BatchNormalization, documentation",
    config=Port(),
    setting="one feature, {batches} batches of {rows} rows, momentum {momentum}",
    demo=biased_or_unbiased,
    symptom=lambda a: Part(
        "outputs in evaluation differ by the factor sqrt(m / (m - 1))",
        bool(np.isclose(a["ported"], np.sqrt(a["m"] / (a["m"] - 1)), rtol=1e-9)),
        f"by {a['ported']:.3f} at m = {a['m']}",
    ),
    fixed=lambda a: Part(
        "with the running variance converted they are equal",
        bool(np.isclose(a["converted"], 1, rtol=1e-9)),
        f"factor {a['converted']:.3f}",
    ),
    draw=lambda a: panels.strip(
        {"running variance\ntaken over": a["ported"], "converted": a["converted"]},
        "output of one library\nover that of the other",
        limit=(1, "equal"),
    ),
)


# P18: the gradient stops at the statistics.


@dataclass(frozen=True)
class Stopped:
    """Batch norm written in torch, with and without detach; milliseconds."""

    rows: int = 8
    features: int = 3
    seed: int = 0


def stopped_gradient(config):
    """P18: error of dx, and the sum of dx over the batch, which is 0 for batch norm."""
    x, dy = np.random.default_rng(config.seed).normal(size=(2, config.rows, config.features))
    arguments = x, np.ones(config.features), np.zeros(config.features), 1e-5
    right, _, _ = batchnorm_backward(dy, batchnorm_forward(*arguments)[1])
    result = {}
    for name, stop in {"detached": ("mean", "var"), "through": ()}.items():
        dx = wrong_gradients.stopped_gradient(dy, *arguments, stop)
        result[name] = np.linalg.norm(dx - right) / np.linalg.norm(right)
        result[f"{name}_sum"] = np.abs(dx.sum(axis=0)).max()
    return result


P18_STOPPED_GRADIENT = pitfall(
    "P18",
    "A batch norm of one's own has the right outputs, and trains worse or diverges.",
    "The statistics were computed under no_grad or detached. They depend on x, so the gradient "
    "goes through them (notebook 03). Test: each column of dx sums to 0.",
    "Ioffe & Szegedy 2015, section 2",
    config=Stopped(),
    setting="float64, {rows} rows of {features} features",
    demo=stopped_gradient,
    symptom=lambda a: Part(
        "with detached statistics dx is off by over 10%, and a column does not sum to 0",
        bool(min(a["detached"], a["detached_sum"]) > 0.1),
        f"off by {100 * a['detached']:.0f}%, sums to {a['detached_sum']:.1f}",
    ),
    fixed=lambda a: exact(
        "with the gradient through them dx is right and each column sums to 0",
        max(a["through"], a["through_sum"]),
    ),
    draw=lambda a: panels.errors(
        {
            "detached, dx": a["detached"],
            "detached, sum of a column": a["detached_sum"],
            "not detached, dx": a["through"],
            "not detached, sum of a column": a["through_sum"],
        },
        tolerance=EXACT,
        xlabel="error of dx, sum of a column",
    ),
)


# P19: reshape is not transpose.


@dataclass(frozen=True)
class Images:
    """A batch (n, c, h, w) whose channels have means 0, 10, 20, ...; milliseconds."""

    n: int = 4
    c: int = 3
    h: int = 5
    w: int = 5
    seed: int = 0


def _columns_normalized(columns):
    return (columns - columns.mean(axis=0)) / np.sqrt(columns.var(axis=0) + 1e-5)


def reshape_or_transpose(config):
    """P19: mean of each channel after dense batch norm of the columns, made in two ways."""
    n, c, h, w = config.n, config.c, config.h, config.w
    x = np.random.default_rng(config.seed).normal(size=(n, c, h, w))
    x += 10 * np.arange(c).reshape(-1, 1, 1)
    reshaped = _columns_normalized(x.reshape(-1, c)).reshape(x.shape)
    columns = x.transpose(0, 2, 3, 1).reshape(-1, c)  # (n*h*w, c)
    transposed = _columns_normalized(columns).reshape(n, h, w, c).transpose(0, 3, 1, 2)
    right, _ = batchnorm_forward(x, np.ones(c), np.zeros(c))
    means, fixed = (images.mean(axis=(0, 2, 3)) for images in (reshaped, transposed))
    return {"means": means, "means_fixed": fixed, "error": np.abs(transposed - right).max()}


def _draw_channels(arrays):
    channels = np.arange(len(arrays["means"]))
    means = {"reshape": arrays["means"], "transpose": arrays["means_fixed"]}
    ax = panels.lines(channels, means, "channel", "mean after batch norm")
    ax.set_xticks(channels)
    return ax


P19_RESHAPE = pitfall(
    "P19",
    "Batch norm for images runs without an error, and the channels are not normalized.",
    "reshape(-1, C) of an array (N, C, H, W) cuts the memory into pieces of C numbers, which are "
    "neighbouring pixels. Move the channel to the end first: transpose(0, 2, 3, 1).",
    "numpy.reshape, documentation; notebook 06, C3",
    config=Images(),
    setting="float64, images ({n}, {c}, {h}, {w}) whose channels have means 0, 10, 20",
    demo=reshape_or_transpose,
    symptom=lambda a: Part(
        "after a reshape some channel has a mean beyond 0.5",
        bool(np.abs(a["means"]).max() > 0.5),
        f"means {', '.join(f'{m:.1f}' for m in a['means'])}",
    ),
    fixed=lambda a: exact(
        "after a transpose the means are 0 and the images those of the package",
        np.append(np.abs(a["means_fixed"]), a["error"]),
        tolerance=1e-10,
    ),
    draw=_draw_channels,
)


# P20: a bias that does nothing.


@dataclass(frozen=True)
class Bias:
    """A linear layer with a large bias below a batch norm; milliseconds."""

    rows: int = 32
    features: int = 10
    seed: int = 0


def redundant_bias(config):
    """P20: the bias's gradient, and what is left of the output's difference without the bias."""
    rng = np.random.default_rng(config.seed)
    linear, bn = Linear(8, config.features, rng=rng), BatchNorm(config.features)
    linear.bias[:] = rng.normal(0, 10, config.features)
    x = rng.normal(size=(config.rows, 8))
    y = bn(linear(x))
    linear.backward(bn.backward(rng.normal(size=y.shape)))
    without = bn(F.linear_forward(x, linear.weight)[0])
    gradients = {f"of_{name}": np.abs(grad).max() for name, grad in linear.grads.items()}
    return {"difference": np.abs(without - y).max(), "saved": linear.bias.size, **gradients}


P20_REDUNDANT_BIAS = pitfall(
    "P20",
    "A monitor reports layers whose bias gets no gradient and never moves.",
    "Batch norm subtracts the mean, and with it any bias below it. Nothing is broken; write "
    "bias=False and let beta do the work.",
    "Ioffe & Szegedy 2015, section 3.2; notebook 04, B1",
    config=Bias(),
    setting="float64, {rows} rows, a linear layer with {features} biases of size 10 below "
    "batch norm",
    demo=redundant_bias,
    symptom=lambda a: Part(
        "the bias gets no gradient and the weight one above 0.1",
        bool(a["of_bias"] < EXACT and a["of_weight"] > 0.1),
        f"at most {a['of_bias']:.0e}, and {a['of_weight']:.0f}",
    ),
    fixed=lambda a: exact(
        "without the bias all outputs are the same", a["difference"], tolerance=1e-10
    ),
    draw=lambda a: panels.errors(
        {
            "gradient of the weight": a["of_weight"],
            "gradient of the bias": a["of_bias"],
            "outputs without the bias": a["difference"],
        },
        tolerance=EXACT,
        xlabel="largest gradient, or largest change",
    ),
)
