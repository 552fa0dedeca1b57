"""Batch norm over several processes: real ``torch.distributed`` with gloo, on this machine alone.

A process that is started afresh can only call functions it finds in a file: the workers of notebook
10 live here. They meet at a file and talk over the loopback address, no network is needed, and no
process outlives the call that started it.
"""

import multiprocessing
import os
import shutil
import socket
import sys
import tempfile
import threading
import time
import traceback
from datetime import timedelta
from multiprocessing.connection import wait
from pathlib import Path

import torch
import torch.distributed as dist

__all__ = ["batchnorm_step", "run_replicas"]


def run_replicas(worker, jobs, timeout=60.0):
    """Answers of ``worker(job)`` for each job, in one process each, joined in one group.

    The worker is a top-level function of a file, in which `torch.distributed` works. RuntimeError
    if it raises or ends without an answer, TimeoutError if not all answer in `timeout` seconds. A
    script needs ``if __name__ == "__main__":`` around the call, a notebook does not.

    >>> import numpy as np
    >>> job = {"x": np.ones((2, 1)), "dy": np.ones((2, 1)), "gamma": np.ones(1),
    ...        "beta": np.zeros(1), "eps": 1e-5}
    >>> answers = run_replicas(batchnorm_step, [job, {**job, "x": np.full((2, 1), 5.0)}])
    >>> [answer["own"]["mean"].item() for answer in answers]
    [1.0, 5.0]
    >>> [answer["shared"]["mean"].item() for answer in answers]
    [3.0, 3.0]
    """
    deadline = time.monotonic() + timeout
    replicas = []
    with tempfile.TemporaryDirectory(prefix="bnlab-", ignore_cleanup_errors=True) as folder:
        meeting = Path(folder, "meeting")
        try:
            for rank, job in enumerate(jobs):
                place = (rank, len(jobs), meeting, timeout)
                replicas.append(_started(worker, job, place))
            return _answers([connection for _, connection in replicas], deadline, timeout)
        finally:
            for process, connection in replicas:
                _end(process, connection)


def batchnorm_step(job):
    """Forward and backward of batch norm on this replica's rows, with own and shared statistics.

    A job has ``x`` and ``dy`` (N, C), ``gamma`` and ``beta`` (C,) and ``eps``; ``"own"`` and
    ``"shared"`` have mean, var, y and dx, and dgamma and dbeta summed over the replicas.
    """
    return {"own": _step(job, _own_statistics), "shared": _step(job, _shared_statistics)}


def _step(job, statistics):
    x, gamma, beta = (torch.tensor(job[k], requires_grad=True) for k in ("x", "gamma", "beta"))
    mean, var = statistics(x)
    y = gamma * (x - mean) / torch.sqrt(var + job["eps"]) + beta
    y.backward(torch.tensor(job["dy"]))
    for parameter in (gamma, beta):  # as data-parallel training does with every gradient
        dist.all_reduce(parameter.grad)
    found = {"mean": mean, "var": var, "y": y}
    found |= {"dx": x.grad, "dgamma": gamma.grad, "dbeta": beta.grad}
    return {name: value.detach().numpy() for name, value in found.items()}


def _own_statistics(x):
    return x.mean(dim=0), x.var(dim=0, correction=0)


def _shared_statistics(x):
    """Mean and biased variance of the rows of all replicas, with their gradients."""
    rows = _SumOverReplicas.apply(torch.tensor(float(len(x)), dtype=x.dtype))
    mean = _SumOverReplicas.apply(x.sum(dim=0)) / rows
    return mean, _SumOverReplicas.apply(((x - mean) ** 2).sum(dim=0)) / rows


class _SumOverReplicas(torch.autograd.Function):
    """A sum whose gradient is a sum: every replica's output depends on every replica's input."""

    @staticmethod
    def forward(ctx, x):
        return _all_reduced(x)

    @staticmethod
    def backward(ctx, dy):
        return _all_reduced(dy)


def _all_reduced(x):
    total = x.clone()
    dist.all_reduce(total)
    return total


# The life of a process.


def _started(worker, job, place):
    """Return a new process and the connection on which it will answer."""
    context = multiprocessing.get_context("spawn")  # forked threads of torch would hang
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_replica, args=(theirs, worker, job, place), daemon=True)
    process.start()
    theirs.close()  # now the end of the process is the end of the connection
    return process, ours


def _replica(connection, worker, job, place):
    """Join the group, work, send the answer or the traceback."""
    *_, meeting, _ = place
    threading.Thread(target=_leave_with_the_parent, args=(meeting.parent,), daemon=True).start()
    _fall_silent()
    try:
        _join_group(*place)
        connection.send((worker(job), None))
    except Exception:
        connection.send((None, traceback.format_exc()))
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def _leave_with_the_parent(folder):
    """A kernel that is killed cannot clean up, so each replica watches it."""
    multiprocessing.parent_process().join()
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


def _fall_silent():
    """Some versions of gloo report their connections, which a notebook would show."""
    silence = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os.dup2(silence, 1)
    os.dup2(silence, 2)


def _join_group(rank, size, meeting, timeout):
    loopback = {"lo", "lo0"} & {name for _, name in socket.if_nameindex()}
    if loopback:  # elsewhere gloo finds 127.0.0.1 by itself
        os.environ["GLOO_SOCKET_IFNAME"] = loopback.pop()
    torch.set_num_threads(1)
    options = {"rank": rank, "world_size": size, "timeout": timedelta(seconds=timeout)}
    dist.init_process_group("gloo", init_method=meeting.as_uri(), **options)


def _answers(connections, deadline, timeout):
    answers = {}
    while len(answers) < len(connections):
        waiting = [c for c in connections if c not in answers]
        ready = wait(waiting, max(0.0, deadline - time.monotonic()))
        if not ready:
            raise TimeoutError(
                f"run_replicas needs all answers within timeout={timeout} seconds, got "
                f"{len(answers)} of {len(connections)}; the processes have been ended. "
                "Do all workers make the same all_reduce calls in the same order?"
            )
        for connection in ready:
            answers[connection] = _answer(connection, rank=connections.index(connection))
    return [answers[connection] for connection in connections]


def _answer(connection, rank):
    try:
        answer, problem = connection.recv()
    except EOFError:
        raise RuntimeError(
            f"run_replicas got no answer from replica {rank}, its process has ended; "
            "is the worker a top-level function of a file?"
        ) from None
    if problem:
        raise RuntimeError(f"run_replicas: the worker of replica {rank} raised\n{problem}")
    return answer


def _end(process, connection):
    connection.close()
    process.join(0.5)  # one that has answered is about to end by itself
    if process.is_alive():
        process.kill()
    process.join()
    process.close()
