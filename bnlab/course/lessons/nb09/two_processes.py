"""Data-parallel training in two processes of this machine, for the field guide.

A process that is started afresh can only call what it finds in a file: here is what each of the two
replicas does. They meet at a file and talk over the loopback address; no network is needed.
"""

import os
import socket
import sys
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

__all__ = ["in_two_processes", "replica"]


def replica(rank, batches):
    """Running mean and variance of one batch norm after data-parallel training on these batches."""
    import torch
    from torch.nn.parallel import DistributedDataParallel

    layer = DistributedDataParallel(torch.nn.BatchNorm1d(1).double())
    for batch in torch.from_numpy(batches[rank]):
        layer(batch).sum().backward()
    return layer.module.running_mean.item(), layer.module.running_var.item()


def in_two_processes(worker, *jobs, timeout=60):
    """Answers of ``worker(rank, job)`` for each job, from rank 0 and from rank 1.

    The worker is a function of a file, in which `torch.distributed` works. A script needs
    ``if __name__ == "__main__":`` around the call, a notebook does not.
    """
    from concurrent.futures import ProcessPoolExecutor  # a browser has none, and reads this file

    with (
        TemporaryDirectory(prefix="bnlab-", ignore_cleanup_errors=True) as folder,
        ProcessPoolExecutor(2, mp_context=_fresh_processes()) as pool,
    ):
        meeting = Path(folder, "meeting").as_uri()
        places = [(worker, rank, meeting, timeout, jobs) for rank in (0, 1)]
        by_rank = list(pool.map(_life_of_a_replica, places, timeout=2 * timeout))
    return list(zip(*by_rank, strict=True))


def _fresh_processes():
    """How two processes start that share nothing with this one.

    On Linux both are forks of a third, which imports torch once: half the work of two that import
    it each. `DistributedDataParallel` imports the compiler of torch, which takes as long as torch.
    The third ends with this process.
    """
    from multiprocessing import get_context

    if sys.platform != "linux":
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload(["torch", "torch._dynamo"])
    return context


def _life_of_a_replica(place):
    worker, rank, meeting, timeout, jobs = place
    _join(rank, meeting, timeout)
    import torch.distributed as dist

    try:
        return [worker(rank, job) for job in jobs]
    finally:
        dist.destroy_process_group()


def _join(rank, meeting, seconds):
    from datetime import timedelta

    import torch

    warnings.simplefilter("ignore")  # a process of its own: a notebook would show them
    loopback = {"lo", "lo0"} & {name for _, name in socket.if_nameindex()}
    if loopback:  # elsewhere gloo finds 127.0.0.1 by itself
        os.environ["GLOO_SOCKET_IFNAME"] = loopback.pop()
    torch.set_num_threads(1)
    patience = {"timeout": timedelta(seconds=seconds)}
    torch.distributed.init_process_group(
        "gloo", init_method=meeting, rank=rank, world_size=2, **patience
    )
