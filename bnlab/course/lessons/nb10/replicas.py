"""Claims N3 and N4: batch norm when the rows of a batch are spread over replicas.

Here in one process and in NumPy; notebook 10 runs the same jobs in real processes, `distributed`,
and has their answers judged by the same criteria.
"""

from dataclasses import dataclass

import numpy as np

from bnlab.batchnorm import batchnorm_backward, batchnorm_forward
from bnlab.course.experiments import panels
from bnlab.course.experiments.bench import digits_activations
from bnlab.course.experiments.evidence import Claim, Experiment
from bnlab.course.experiments.rule import Part, exact
from bnlab.course.lessons.nb07.ghost_batches import from_ghosts, split_in_ghosts
from bnlab.course.lessons.nb10.shards import cut, pooled_statistics, shard_statistics
from bnlab.gradcheck import relative_error

EXACT = 1e-10  # relative error of float64 results that are the same formula
CLEAR = 0.01  # relative error that no rounding explains
GRADIENTS = ("dx", "dgamma", "dbeta")
ERROR = "largest relative error"


@dataclass(frozen=True)
class Replicas:
    """Activations in consecutive shards of equal size, one for each replica; milliseconds."""

    shards: tuple[int, ...] = (32, 32)
    features: int = 50
    eps: float = 1e-5
    seed: int = 0


def jobs_of(config):
    """What each replica needs: its rows of x and dy, and gamma, beta and eps.

    >>> [job["x"].shape for job in jobs_of(Replicas(shards=(8, 8)))]
    [(8, 50), (8, 50)]
    """
    x, _ = digits_activations(sum(config.shards), config.features, config.seed)
    rng = np.random.default_rng(config.seed)
    dy = rng.normal(size=x.shape)
    gamma, beta = rng.uniform(0.5, 2, config.features), rng.normal(size=config.features)
    shared = {"gamma": gamma, "beta": beta, "eps": config.eps}
    parts = zip(cut(x, config.shards), cut(dy, config.shards), strict=True)
    return [{"x": rows, "dy": upstream, **shared} for rows, upstream in parts]


def whole(parts, name):
    """The rows of all replicas as one array."""
    return np.concatenate([part[name] for part in parts])


def big_batch(jobs):
    """Forward and backward in one process with all rows: what the replicas should find."""
    gamma, beta, eps = (jobs[0][name] for name in ("gamma", "beta", "eps"))
    y, cache = batchnorm_forward(whole(jobs, "x"), gamma, beta, eps)
    dx, dgamma, dbeta = batchnorm_backward(whole(jobs, "dy"), cache)
    found = {"mean": cache.mean, "var": cache.var, "y": y}
    return found | {"dx": dx, "dgamma": dgamma, "dbeta": dbeta}


def one_process(jobs):
    """What the replicas answer, without processes: see `distributed.batchnorm_step`.

    >>> answers = one_process(jobs_of(Replicas()))
    >>> sorted(answers[0]), answers[1]["shared"]["y"].shape
    (['own', 'shared'], (32, 50))
    """
    pairs = zip(_own_steps(jobs), _shared_steps(jobs), strict=True)
    return [{"own": own, "shared": shared} for own, shared in pairs]


def _own_steps(jobs):
    steps = [big_batch([job]) for job in jobs]
    summed = {name: sum(step[name] for step in steps) for name in ("dgamma", "dbeta")}
    return [{**step, **summed} for step in steps]


def _shared_steps(jobs):
    mean, var = pooled_statistics(*shard_statistics([job["x"] for job in jobs]))
    inv_std = 1 / np.sqrt(var + jobs[0]["eps"])
    x_hats = [(job["x"] - mean) * inv_std for job in jobs]
    pairs = list(zip(jobs, x_hats, strict=True))
    m = sum(map(len, x_hats))
    dbeta = sum(job["dy"].sum(axis=0) for job in jobs)
    dgamma = sum((job["dy"] * x_hat).sum(axis=0) for job, x_hat in pairs)
    shared = {"mean": mean, "var": var, "dgamma": dgamma, "dbeta": dbeta}

    def step(job, x_hat):
        dx = job["gamma"] * inv_std * (job["dy"] - dbeta / m - x_hat * dgamma / m)
        return {"y": job["gamma"] * x_hat + job["beta"], "dx": dx, **shared}

    return [step(job, x_hat) for job, x_hat in pairs]


def ghost_batches(jobs):
    """y, dx, dgamma and dbeta of ghost batch norm, one ghost batch for each replica's rows."""
    size, features = jobs[0]["x"].shape
    gamma, beta = (np.tile(jobs[0][name], len(jobs)) for name in ("gamma", "beta"))
    x, dy = (split_in_ghosts(whole(jobs, name), size) for name in ("x", "dy"))
    y, cache = batchnorm_forward(x, gamma, beta, jobs[0]["eps"])
    dx, dgamma, dbeta = batchnorm_backward(dy, cache)
    return {
        "y": from_ghosts(y, features),
        "dx": from_ghosts(dx, features),
        "dgamma": dgamma.reshape(-1, features).sum(axis=0),
        "dbeta": dbeta.reshape(-1, features).sum(axis=0),
    }


def comparison(jobs, answers):
    """Relative errors of what replicas found, against the big batch and against ghost batches.

    And ``apart``, the distance of the first two replicas' means in standard deviations.

    >>> jobs = jobs_of(Replicas())
    >>> found = comparison(jobs, one_process(jobs))
    >>> found["shared_dx"] < 1e-12, found["own_dx"] > 0.1
    (True, True)
    """
    big, ghosts = big_batch(jobs), ghost_batches(jobs)
    own, shared = ([answer[kind] for answer in answers] for kind in ("own", "shared"))
    means = [step["mean"] for step in own]
    return {
        **{f"shared_{name}": _error(shared, name, value) for name, value in big.items()},
        **{f"own_{name}": _error(own, name, value) for name, value in big.items()},
        **{f"ghost_{name}": _error(own, name, value) for name, value in ghosts.items()},
        "apart": (np.abs(means[0] - means[1]) / np.sqrt(big["var"] + jobs[0]["eps"])).max(),
    }


def _error(steps, name, expected):
    """Rows are put together; everything else has to be right in each replica."""
    if name in ("y", "dx"):
        return relative_error(whole(steps, name), expected)
    return max(relative_error(step[name], expected) for step in steps)


def _run(config):
    jobs = jobs_of(config)
    return comparison(jobs, one_process(jobs))


def _largest(arrays, names, prefix):
    return max(arrays[f"{prefix}_{name}"] for name in names)


def _judge_n3(arrays):
    return [
        exact(
            "mean, variance and outputs are those of the whole batch",
            _largest(arrays, ("mean", "var", "y"), "shared"),
            EXACT,
        ),
        exact("so are all gradients", _largest(arrays, GRADIENTS, "shared"), EXACT),
        Part(
            "with each replica's own statistics outputs and dx are off by over a hundredth",
            bool(min(arrays["own_y"], arrays["own_dx"]) > CLEAR),
            f"by {arrays['own_y']:.2f} and {arrays['own_dx']:.2f}",
        ),
    ]


def _draw_n3(arrays):
    kinds = {"shared": "shared statistics", "own": "own statistics"}
    names = {"y": "outputs", "dx": "dx", "dgamma": "dgamma"}
    values = {
        f"{kind}, {text}": arrays[f"{prefix}_{name}"]
        for prefix, kind in kinds.items()
        for name, text in names.items()
    }
    return panels.errors(values, tolerance=EXACT, xlabel=ERROR)


N3_ONE_BIG_BATCH = Experiment(
    Claim(
        "N3",
        "Replicas that sum the statistics in the forward pass, and the gradients of the "
        "statistics in the backward pass, compute what one process computes on the whole batch.",
        "Yes, outputs and gradients. Summing only the gradients of the parameters is not enough.",
        "identity",
        "10",
        "algebra; torch.nn.SyncBatchNorm does it on GPUs",
    ),
    Replicas(),
    run=_run,
    judge=_judge_n3,
    draw=_draw_n3,
    setting="float64, {features} activations of the digits, replicas with {shards} rows",
)


def _judge_n4(arrays):
    return [
        exact(
            "outputs and gradients of the replicas are those of ghost batches",
            _largest(arrays, ("y", *GRADIENTS), "ghost"),
            EXACT,
        ),
        Part(
            "the means of two replicas differ, by over a hundredth of a standard deviation",
            bool(arrays["apart"] > CLEAR),
            f"by up to {arrays['apart']:.2f}",
        ),
    ]


def _draw_n4(arrays):
    names = {"y": "outputs", "dx": "dx", "dgamma": "dgamma"}
    values = {
        f"{text}, against {other}": arrays[f"{prefix}_{name}"]
        for prefix, other in {"ghost": "ghost batches", "own": "the whole batch"}.items()
        for name, text in names.items()
    }
    return panels.errors(values, tolerance=EXACT, xlabel=ERROR)


N4_GHOSTS = Experiment(
    Claim(
        "N4",
        "Replicas that keep their statistics to themselves do ghost batch norm: each replica's "
        "rows are one ghost batch.",
        "Yes, to rounding. More replicas with fewer rows each means noisier statistics.",
        "experiment",
        "10",
        "Hoffer, Hubara & Soudry 2017 (arXiv:1705.08741)",
    ),
    Replicas(),
    run=_run,
    judge=_judge_n4,
    draw=_draw_n4,
    setting="float64, {features} activations of the digits, replicas with {shards} rows",
)
