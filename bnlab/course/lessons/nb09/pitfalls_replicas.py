"""Pitfalls of several processes, and of a layer that is used twice: P21, P27."""

from dataclasses import dataclass

import numpy as np

from bnlab.course.experiments import panels
from bnlab.course.experiments.rule import Part
from bnlab.course.lessons.nb09.pitfalls import pitfall
from bnlab.course.lessons.nb09.two_processes import in_two_processes, replica

# P21: the statistics of rank 0.


@dataclass(frozen=True)
class Replicas:
    """Two processes with data of means 0 and `distance`; three seconds."""

    distance: float = 10.0
    batches: int = 100
    rows: int = 32
    seed: int = 0


def rows_of_replicas(config):
    """Batches (2, batches, rows, 1) of the two replicas: their own data, and all data shuffled."""
    rng = np.random.default_rng(config.seed)
    centres = config.distance * np.array([0.0, 1.0])
    shape = 2, config.batches, config.rows, 1
    own = rng.normal(centres[:, None, None, None], 1, shape)
    return own, rng.permutation(own.ravel()).reshape(shape)


def statistics_of_rank_0(config):
    """P21: running mean and variance of each rank, and of all data; then with shuffled rows."""
    own, shuffled = rows_of_replicas(config)
    apart, mixed = in_two_processes(replica, own, shuffled)
    of_all = own.mean(), own.var()
    return {"apart": np.array(apart), "mixed": np.array(mixed), "of_all": np.array(of_all)}


P21_RANK_0 = pitfall(
    "P21",
    "Data-parallel training goes well, and the saved model knows the data of one process only.",
    "DistributedDataParallel copies the buffers of rank 0 to all others before each forward pass. "
    "Shuffle the data over the processes, or share the statistics (SyncBatchNorm, on GPUs).",
    "torch.nn.parallel.DistributedDataParallel, documentation",
    config=Replicas(),
    setting="two processes, {batches} batches of {rows} rows each, from data with means 0 and "
    "{distance}",
    demo=statistics_of_rank_0,
    symptom=lambda a: Part(
        "the running mean of rank 0 is within 1 of its own data's, and beyond 3 of all data's",
        bool(abs(a["apart"][0, 0]) < 1 and abs(a["apart"][0, 0] - a["of_all"][0]) > 3),
        f"running mean {a['apart'][0, 0]:.1f}, all data {a['of_all'][0]:.1f}",
    ),
    fixed=lambda a: Part(
        "with shuffled rows its mean is within 1 of all data's, its variance within a quarter",
        bool(np.allclose(a["mixed"][0], a["of_all"], rtol=[0, 0.25], atol=[1, 0])),
        f"running mean {a['mixed'][0, 0]:.1f}, variance {a['mixed'][0, 1]:.0f} of "
        f"{a['of_all'][1]:.0f}",
    ),
    draw=lambda a: panels.strip(
        {"own data\non each process": a["apart"][:1, 0], "shuffled\nover both": a["mixed"][:1, 0]},
        "running mean that is saved (rank 0)",
        limit=(a["of_all"][0], "mean of all data"),
    ),
)


# P27: changed in place between forward and backward.


@dataclass(frozen=True)
class Between:
    """A buffer of a torch layer is written between forward and backward; milliseconds."""

    rows: int = 8
    features: int = 4
    seed: int = 0


def said_by_backward(layer, x, write):
    """What backward says after a buffer was written, and the gradient where it says nothing."""
    layer.weight.grad = None
    y = layer(x)
    write(layer)
    try:
        y.pow(3).sum().backward()
    except RuntimeError as error:
        return str(error), np.full(len(layer.weight), np.nan)
    return "", layer.weight.grad.numpy()


def _in_place(layer):
    layer.running_mean.copy_(layer.running_mean.clone())


def _in_its_place(layer):
    layer.running_mean = layer.running_mean.clone()


def written_between(config):
    """P27: the same values written into the running mean, and put in its place."""
    import torch

    rng, result = np.random.default_rng(config.seed), {}
    x = torch.from_numpy(rng.normal(size=(config.rows, config.features)))
    ways = {"nothing": lambda layer: None, "in_place": _in_place, "replaced": _in_its_place}
    for name, write in ways.items():
        layer = torch.nn.BatchNorm1d(config.features).double()
        message, result[f"{name}_gradient"] = said_by_backward(layer, x, write)
        result[f"{name}_refused"] = "modified by an inplace operation" in message
    return result


P27_IN_PLACE = pitfall(
    "P27",
    "RuntimeError: one of the variables needed for gradient computation has been modified by an "
    "inplace operation.",
    "Something wrote into a buffer between forward and backward: an averaged copy, "
    "reset_running_stats(), or the copying of buffers in data-parallel training. Write after the "
    "backward pass, or put a new tensor in the buffer's place.",
    "github.com/pytorch/pytorch, issues 22095 and 175024; pull request 175851",
    config=Between(),
    setting="one layer of torch, {rows} rows; the running mean is written before backward",
    demo=written_between,
    symptom=lambda a: Part(
        "equal values written into the running mean make backward refuse",
        bool(a["in_place_refused"] and not a["nothing_refused"]),
        "refused" if a["in_place_refused"] else "accepted",
    ),
    fixed=lambda a: Part(
        "with a new tensor in its place backward gives the gradient as if nothing was done",
        bool(
            not a["replaced_refused"]
            and np.allclose(a["replaced_gradient"], a["nothing_gradient"], rtol=1e-12)
        ),
        "refused" if a["replaced_refused"] else "accepted",
    ),
    draw=lambda a: _gradients_drawn(a),
)


def _gradients_drawn(arrays):
    places = np.arange(1, len(arrays["nothing_gradient"]) + 1)
    lines = {
        "nothing written": arrays["nothing_gradient"],
        "written in place: no gradient": arrays["in_place_gradient"],
        "new tensor in its place": arrays["replaced_gradient"],
    }
    ax = panels.lines(places, lines, "feature", "gradient of gamma")
    ax.legend()
    return ax
