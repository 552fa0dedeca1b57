"""Pitfalls of arithmetic: P14 (digits lost), P15 (folding without eps), P16 (a dead feature)."""

from dataclasses import dataclass

import numpy as np

from bnlab.batchnorm import batchnorm_forward, batchnorm_inference, fold_batchnorm
from bnlab.course.experiments import panels
from bnlab.course.experiments.bench import EXACT
from bnlab.course.experiments.rule import Part
from bnlab.course.lessons.nb09.pitfalls import pitfall
from bnlab.layers import BatchNorm

# P14: three ways to lose the variance, or the mean.


@dataclass(frozen=True)
class Precision:
    """A small variance, a large mean, and half precision; milliseconds."""

    mean: float = 100.0
    std: float = 0.01
    rows: int = 1000
    large_mean: float = 1e4
    many: int = 100_000
    seed: int = 0

    def draw(self):
        """Draw float32 with a small variance, float32 with a large mean, float16 above 255."""
        rng = np.random.default_rng(self.seed)
        x = rng.normal(self.mean, self.std, (self.rows, 8)).astype(np.float32)
        large = rng.normal(self.large_mean, 1, (self.many, 8)).astype(np.float32)
        half = rng.normal(300, 10, (self.rows, 8)).astype(np.float16)  # 300^2 is above 65,504
        return x, large, half


def one_pass(x):
    """E[x^2] - E[x]^2 in the precision of x: one pass over the data, and the digits are gone."""
    return (x * x).mean(axis=0, dtype=x.dtype) - x.mean(axis=0, dtype=x.dtype) ** 2


@np.errstate(over="ignore", invalid="ignore")  # half precision overflows: that is the point
def precision(config):
    """P14: one-pass variances, a mean summed in float32, and what the package computes."""
    x, large, half = config.draw()
    of_x, of_large = (batchnorm_forward(v, np.ones(8), np.zeros(8))[1] for v in (x, large))
    exact = large.mean(axis=0, dtype=np.float64)
    variances = {"one_pass": one_pass(x), "two_pass": of_x.var, "var": config.std**2}
    halves = {"half": one_pass(half), "half_fixed": half.astype(np.float32).var(axis=0)}
    means = {"mean_error": large.mean(axis=0), "mean_fixed": of_large.mean}
    return {**variances, **halves, **{n: np.abs(mean - exact).max() for n, mean in means.items()}}


def _wrong_in_one_pass(a):
    wrong = np.abs(a["one_pass"] - a["var"])
    return Part(
        "in one pass a variance in float32 is wrong by more than itself, in every column",
        bool((wrong > a["var"]).all()),
        f"off by up to {wrong.max():.0e} for {a['var']:.0e}",
    )


def _right_in_two(a):
    off = np.abs(a["two_pass"] / a["var"] - 1).max(), np.abs(a["half_fixed"] / 100 - 1).max()
    return Part(
        "centred first, both variances are right up to the spread of their samples, 10 and 20%",
        bool(off[0] < 0.1 and off[1] < 0.2),
        f"within {100 * off[0]:.0f} and {100 * off[1]:.0f}%",
    )


def _draw_digits(a):
    """Relative errors, of means in standard deviations; a float16 variance is not finite."""
    var = a["var"]
    off = {"one pass: variance": a["one_pass"] / var - 1}
    off |= {"centred first: variance": a["two_pass"] / var - 1}
    off |= {"float16: variance (nan, no dot)": np.nan}
    off |= {"float16 data in float32: variance": a["half_fixed"] / 100 - 1}
    off |= {"long sum: mean": a["mean_error"], "package: mean": a["mean_fixed"]}
    own = 1, 0.1, np.nan, 0.2, 0.1, 1e-3  # as the parts below have them
    return panels.errors(off, tolerance=own, xlabel="largest error")


P14_PRECISION = pitfall(
    "P14",
    "With float16 or float32 the variance is negative, inf, or simply wrong.",
    "E[x^2] - E[x]^2 cancels, squares overflow in float16 above 255, long sums lose the small "
    "part. Centre first, then square; sum in float32 or better.",
    "Chan, Golub & LeVeque 1983",
    config=Precision(),
    setting="float32: mean {mean}, standard deviation {std}, {rows} rows; mean {large_mean}, "
    "standard deviation 1, {many} rows. float16: mean 300, standard deviation 10, {rows} rows",
    demo=precision,
    symptom=lambda a: [
        _wrong_in_one_pass(a),
        Part(
            "in float16 it is inf or nan",
            not np.isfinite(a["half"]).any(),
            f"{a['half'][0]:.0f}",
        ),
        Part(
            "a long sum in float32 puts a mean off by over a tenth of a standard deviation",
            bool(a["mean_error"] > 0.1),
            f"off by {a['mean_error']:.1f}",
        ),
    ],
    fixed=lambda a: [
        _right_in_two(a),
        Part(
            "summed by the package the mean is off by less than 0.001 standard deviations",
            bool(a["mean_fixed"] < 1e-3),
            f"off by {a['mean_fixed']:.0e}",
        ),
    ],
    draw=_draw_digits,
)


# P15: folding without eps.


@dataclass(frozen=True)
class Folding:
    """A linear layer and a batch norm with channels of small variance; milliseconds."""

    running_var: tuple[float, ...] = (1.0, 1e-3, 1e-5)
    eps: float = 1e-5
    seed: int = 0


def fold_without_eps(config):
    """P15: ratio of what the folded layer gives to what the two layers give, by channel."""
    rng, c = np.random.default_rng(config.seed), len(config.running_var)
    x, weight = rng.normal(size=(20, 4)), rng.normal(size=(c, 4))
    bn = np.ones(c), np.zeros(c), np.zeros(c), np.array(config.running_var)
    y = batchnorm_inference(x @ weight.T, *bn, config.eps)
    result = {"running_var": config.running_var}
    for name, eps in {"without": 0.0, "with": config.eps}.items():
        folded, bias = fold_batchnorm(weight, None, *bn, eps)
        result[name] = ((x @ folded.T + bias) / y).mean(axis=0)
    return result


def _times(ratios):
    return f"{', '.join(f'{ratio:.3f}' for ratio in ratios)} times"


P15_FOLD_WITHOUT_EPS = pitfall(
    "P15",
    "After folding batch norm into the layer below, some channels are too large.",
    "The factor is gamma / sqrt(var + eps). Without eps it is right where var is large, and "
    "41% too large where var equals eps.",
    "algebra; notebook 05, T6",
    config=Folding(),
    setting="a linear layer and a batch norm with running variances {running_var}, eps {eps}",
    demo=fold_without_eps,
    symptom=lambda a: Part(
        "folded without eps a channel of small variance is over 10% too large",
        bool(np.max(a["without"]) > 1.1),
        _times(a["without"]),
    ),
    fixed=lambda a: Part(
        "folded with eps every channel is what it was",
        bool(np.abs(np.subtract(a["with"], 1)).max() < EXACT),
        _times(a["with"]),
    ),
    draw=lambda a: panels.lines(
        a["running_var"][::-1],
        {"without eps": a["without"][::-1], "with eps": a["with"][::-1]},
        "running variance of the channel",
        "output after folding,\nmultiple of that before",
        xscale="log",
    ),
)


# P16: a feature that never varies.


@dataclass(frozen=True)
class Dead:
    """A feature constant in training, and a test value that deviates a little; milliseconds."""

    batches: int = 400
    deviation: float = 0.01
    seed: int = 0


def dead_feature(config):
    """P16: what evaluation makes of a deviation of 0.01, by eps, in a feature with variance 0."""
    result = {}
    for name, eps in {"usual": 1e-5, "larger": 0.1}.items():
        rng, layer = np.random.default_rng(config.seed), BatchNorm(2, eps=eps)
        for _ in range(config.batches):
            layer(rng.normal(size=(32, 2)) * [1, 0])  # feature 1 is constant
        row = np.array([[0.0, 0.0], [config.deviation, config.deviation]])
        result[name] = np.diff(layer.eval()(row), axis=0)[0] / config.deviation
    return result


def _draw_dead(arrays):
    factors = {
        "ordinary feature,\neps 1e-5": arrays["usual"][0],
        "constant feature,\neps 1e-5": arrays["usual"][1],
        "constant feature,\neps 0.1": arrays["larger"][1],
    }
    ax = panels.strip(factors, "factor of a deviation in evaluation")
    ax.set_yscale("log")
    return ax


P16_DEAD_FEATURE = pitfall(
    "P16",
    "A few test examples get absurd predictions: one input deviates where training never did.",
    "The running variance of a constant feature decays to 0, so evaluation multiplies it by "
    "1 / sqrt(eps), 316. Remove such features, or raise eps.",
    "algebra; three pixels of the digits are constant",
    config=Dead(),
    setting="{batches} batches of 32 rows; one feature with variance 1, one that is constant",
    demo=dead_feature,
    symptom=lambda a: Part(
        "evaluation multiplies a deviation of the constant feature by over 100",
        bool(a["usual"][1] > 100),
        f"by {a['usual'][1]:.0f}, of an ordinary one by {a['usual'][0]:.0f}",
    ),
    fixed=lambda a: Part(
        "with eps = 0.1 it multiplies it by less than 4",
        bool(a["larger"][1] < 4),
        f"by {a['larger'][1]:.1f}",
    ),
    draw=_draw_dead,
)
