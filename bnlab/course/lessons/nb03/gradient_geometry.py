"""Claims about the shape of the gradient: batch norm's backward pass is a projection."""

from dataclasses import dataclass

import numpy as np

from bnlab.batchnorm import batchnorm_backward, batchnorm_forward
from bnlab.course.experiments import panels
from bnlab.course.experiments.bench import EXACT, plain_batchnorm
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.course.experiments.rule import Part, exact
from bnlab.course.experiments.seeds import over_seeds
from bnlab.functional import cross_entropy_backward, cross_entropy_forward
from bnlab.layers import mlp


@dataclass(frozen=True)
class Batches:
    """Batches of one feature in several sizes; milliseconds."""

    sizes: tuple[int, ...] = (2, 3, 5, 8, 32)
    seed: int = 0


@dataclass(frozen=True)
class SmallBatches:
    """Random features for each size, and a network whose batch has two rows; 0.1 s."""

    sizes: tuple[int, ...] = (2, 3, 4, 8)
    features: int = 40_000
    eps: tuple[float, ...] = (1e-5, 1e-11)
    seeds: tuple[int, ...] = tuple(range(8))


def projection(x_hat):
    """P = I - 1 1' / m - x_hat x_hat' / m, which at eps 0 turns dy (m,) into dx * sigma / gamma.

    >>> projection(np.array([-1.0, 1.0]))
    array([[0., 0.], [0., 0.]])
    """
    m = len(x_hat)
    return np.eye(m) - np.ones((m, m)) / m - np.outer(x_hat, x_hat) / m


# D3: the closed form at eps 0 is a projection of rank m - 2.


def _run_d3(config):
    rng = np.random.default_rng(config.seed)
    found = [_properties(m, rng) for m in config.sizes]
    stacked = {name: np.array([properties[name] for properties in found]) for name in found[0]}
    return {"sizes": config.sizes, **stacked}


def _properties(m, rng):
    """Of the matrix that the backward pass is, made from what it does to each row alone."""
    x = np.repeat(rng.normal(2.0, 3.0, (m, 1)), m, axis=1)  # the same feature m times
    _, cache = plain_batchnorm(x, eps=0.0)
    dx, _, _ = batchnorm_backward(np.eye(m), cache)
    p, x_hat = (
        dx / cache.inv_std,
        cache.x_hat[:, 0],
    )  # column k of p: where a gradient at row k goes
    return {
        "rank": np.linalg.matrix_rank(p, tol=1e-9),
        "idempotent": np.abs(p @ p - p).max(),
        "symmetric": np.abs(p - p.T).max(),
        "to_ones": np.abs(p @ np.ones(m)).max(),
        "to_x_hat": np.abs(p @ x_hat).max(),
        "to_formula": np.abs(p - projection(x_hat)).max(),
    }


D3_ERRORS = {
    "P and I - 1 1' / m - x_hat x_hat' / m": "to_formula",
    "P P and P": "idempotent",
    "P' and P": "symmetric",
    "P 1 and 0": "to_ones",
    "P x_hat and 0": "to_x_hat",
}


def _judge_d3(arrays):
    ranks, sizes = (", ".join(map(str, arrays[name])) for name in ("rank", "sizes"))
    errors = {name: np.max(arrays[name]) for name in D3_ERRORS.values()}
    whole, idempotent, symmetric, to_ones, to_x_hat = errors.values()
    return [
        exact("P, what it does to each row, is I - 1 1' / m - x_hat x_hat' / m", whole),
        exact("P is an orthogonal projection, P = P' = P^2", [idempotent, symmetric]),
        exact("it takes away the mean and the part along x_hat", [to_ones, to_x_hat]),
        Part(
            "its rank is m - 2 for every m",
            np.array_equal(arrays["rank"], np.array(arrays["sizes"]) - 2),
            f"rank {ranks} for m = {sizes}",
        ),
    ]


def _draw_d3(arrays):
    errors = {name: arrays[key] for name, key in D3_ERRORS.items()}
    return panels.errors(errors, tolerance=EXACT, xlabel="largest difference, over all m")


D3_PROJECTION = Experiment(
    Claim(
        "D3",
        "At eps = 0 the backward pass is gamma / sigma times an orthogonal projection of rank "
        "m - 2: it takes away the mean of dy and its part along x_hat.",
        "Yes: shifting or stretching a batch leaves the output as it is, so no gradient points "
        "there.",
        "identity",
        "03",
        "algebra, from the closed form",
    ),
    Batches(),
    run=_run_d3,
    judge=_judge_d3,
    draw=_draw_d3,
    setting="float64, eps 0, batches of {sizes} rows",
)


# D6: what is left of a random dy, and a batch of two.


def share_that_passes(m, features, rng):
    """Rms over random x and dy (m, features) of norm(dx) / norm(dy), at eps 0 and gamma = sigma.

    >>> round(share_that_passes(8, 20_000, np.random.default_rng(0)), 2)
    0.87
    """
    x, dy = rng.normal(size=(2, m, features))
    _, cache = batchnorm_forward(x, x.std(axis=0), np.zeros(features), eps=0.0)
    dx, _, _ = batchnorm_backward(dy, cache)
    return float(np.sqrt(np.mean((dx**2).sum(axis=0) / (dy**2).sum(axis=0))))


def pair_network_gradient(eps, seed):
    """Largest gradient of the first weights in a network with two batch norms, for two rows.

    Its sizes and its small weights are those of a well-known university assignment.

    >>> pair_network_gradient(1e-11, seed=0) < 1e-6 * pair_network_gradient(1e-5, seed=0)
    True
    """
    rng = np.random.default_rng(seed)
    x, labels = rng.normal(size=(2, 15)), rng.integers(10, size=2)
    model = mlp([15, 20, 30, 10], rng=rng, std=0.05)
    model[1].eps = model[4].eps = eps
    _, cache = cross_entropy_forward(model.forward(x), labels)
    model.backward(cross_entropy_backward(cache))
    return float(np.abs(model.grads["0.weight"]).max())


def _one_pair_network(config, seed):
    return {"gradient": [pair_network_gradient(eps, seed) for eps in config.eps]}


def _run_d6(config):
    rng = np.random.default_rng(config.seeds)
    sizes = np.array(config.sizes)
    return {
        "sizes": sizes,
        "rms": np.array([share_that_passes(m, config.features, rng) for m in sizes]),
        "predicted": np.sqrt((sizes - 2) / sizes),
        "eps": config.eps,
        **over_seeds(_one_pair_network, config),
    }


def _judge_d6(arrays):
    return [_share(arrays), _artefact(arrays)]


def _share(arrays):
    shares = ", ".join(f"{share:.2f}" for share in arrays["rms"])
    return Part(
        "the share is sqrt((m - 2) / m) for every m, to a hundredth: 0 for two rows",
        bool(np.abs(np.array(arrays["rms"]) - arrays["predicted"]).max() <= 0.01),
        f"{shares} for m = {', '.join(map(str, arrays['sizes']))}",
    )


def _artefact(arrays):
    large, small = np.median(arrays["gradient"], axis=0)[[0, -1]]
    return Part(
        "what the first weights of a network get from two rows is made by eps: with a millionth of "
        "eps it is less than a millionth",
        bool(small < 1e-6 * large),
        f"{large:.1f} at eps {arrays['eps'][0]:g}, {small:.0e} at eps {arrays['eps'][-1]:g}",
    )


def _draw_d6(arrays):
    import matplotlib.pyplot as plt

    _, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6))
    m = np.linspace(2, max(arrays["sizes"]), 100)
    left.plot(m, np.sqrt((m - 2) / m), "--", color="0.5", label="sqrt((m - 2) / m)")
    left.plot(arrays["sizes"], arrays["rms"], "o", label="measured")
    left.set(xlabel="rows in the batch, m", ylabel="share of the length that passes")
    left.legend()
    axes = {"xscale": "log", "yscale": "log", "ax": right}
    networks = {"median": arrays["gradient"]}
    panels.lines(arrays["eps"], networks, "eps", "largest gradient from two rows", **axes)
    return left


D6_SMALL_BATCHES = Experiment(
    Claim(
        "D6",
        "At eps = 0 a batch of two rows sends no gradient below a dense batch norm; of a random "
        "gradient a batch of m rows lets the share sqrt((m - 2) / m) of the length pass.",
        "Yes, for two different rows, and the share as a root mean square (the mean is a little "
        "smaller). What a gradient check with two rows sees is made by eps.",
        "identity",
        "03",
        "trace of the projection of D3",
    ),
    SmallBatches(),
    run=_run_d6,
    judge=_judge_d6,
    draw=_draw_d6,
    setting="float64; {features} random features a size; networks 15-20-30-10 on two rows, "
    "eps {eps}",
)
