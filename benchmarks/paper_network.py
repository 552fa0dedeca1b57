"""How long do 50,000 steps of the paper's network take, and how exact is batch norm far from 0?

    python benchmarks/paper_network.py

The network of the paper's figure 1, 784-100-100-100-10 sigmoids with batch norm and mini-batches
of 60, on random images: the time does not depend on what they show. Then the largest error of the
float32 output for data of mean 1e4 and standard deviation 1, in standard deviations, for our code
and torch's.
"""

import time

import fair

fair.pin()

import numpy as np  # noqa: E402  (threads and allocator must be pinned before)
import torch  # noqa: E402

from bnlab.batchnorm import batchnorm_forward  # noqa: E402
from bnlab.course.lessons.nb08.paper_figure import paper_net  # noqa: E402
from bnlab.optim import SGD  # noqa: E402
from bnlab.training import fit  # noqa: E402

STEPS = 50_000


def seconds_of_training():
    rng = np.random.default_rng(0)
    x = rng.random((10_000, 784), dtype=np.float32)
    labels = rng.integers(0, 10, len(x))
    model = paper_net(784, batchnorm=True, seed=0)
    start = time.perf_counter()
    fit(model, x, labels, SGD(model, lr=0.1), steps=STEPS, batch_size=60, rng=rng)
    return time.perf_counter() - start


def errors_far_from_zero():
    """Largest error in standard deviations, ours and torch's."""
    x = np.random.default_rng(0).normal(1e4, 1, (100_000, 8)).astype(np.float32)
    exact = x.astype(np.float64)
    exact = (exact - exact.mean(axis=0)) / np.sqrt(exact.var(axis=0) + 1e-5)
    ours, _ = batchnorm_forward(x, np.ones(8), np.zeros(8))
    theirs = torch.nn.functional.batch_norm(torch.tensor(x), None, None, training=True).numpy()
    return [float(np.abs(y - exact).max()) for y in (ours, theirs)]


def main():
    torch.set_num_threads(1)
    print(fair.machine())
    ours, theirs = errors_far_from_zero()
    print(f"float32 at mean 1e4, N = 1e5: largest error {ours:.1e} ours, {theirs:.1e} torch")
    print(f"{STEPS:,} steps of the paper's network: {seconds_of_training():.0f} s")


if __name__ == "__main__":
    main()
