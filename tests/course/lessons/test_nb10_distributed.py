"""Batch norm in real processes: equal to one process, and nothing is left running."""

import functools
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

import bnlab
from bnlab.course.lessons.nb10.distributed import batchnorm_step, run_replicas

NAMES = ("mean", "var", "y", "dx", "dgamma", "dbeta")


# Workers. The processes import them from this file.


def step_and_whereabouts(job):
    answer = batchnorm_step(job)
    addresses = [c.laddr.ip for c in psutil.Process().net_connections(kind="inet")]
    return {**answer, "pid": os.getpid(), "addresses": addresses}


def raise_in_replica_0(job):
    if torch.distributed.get_rank() == 0:
        raise ArithmeticError("the first replica gives up")
    torch.distributed.all_reduce(torch.ones(1))  # waits for the first replica for ever


def leave_in_replica_0(folder):
    rank = torch.distributed.get_rank()
    Path(folder, f"{rank}.pid").write_text(str(os.getpid()))
    if rank == 0:
        while not Path(folder, "1.pid").exists():
            time.sleep(0.01)
        os._exit(3)
    time.sleep(600)


def hang(folder):
    Path(folder, f"{torch.distributed.get_rank()}.pid").write_text(str(os.getpid()))
    time.sleep(600)


def is_alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


def torch_gradients(x, dy, gamma, beta, eps):
    """The big batch by torch, which shares no code with the workers' sums."""
    x, gamma, beta = (torch.tensor(a, requires_grad=True) for a in (x, gamma, beta))
    y = torch.nn.functional.batch_norm(x, None, None, gamma, beta, training=True, eps=eps)
    y.backward(torch.from_numpy(dy))
    mean, var = x.mean(dim=0), x.var(dim=0, correction=0)
    found = (mean, var, y, x.grad, gamma.grad, beta.grad)
    return dict(zip(NAMES, (t.detach().numpy() for t in found), strict=True))


@functools.cache
def drawn():
    """Two replicas with 5 and 12 rows, whose means lie apart."""
    rng = np.random.default_rng(3)
    x, dy = rng.normal(size=(2, 17, 4))
    x[:5] += 2.0
    rest = {"gamma": rng.normal(size=4), "beta": rng.normal(size=4), "eps": 1e-3}
    return x, dy, rest


@functools.cache
def answers():
    x, dy, rest = drawn()
    rows = (slice(0, 5), slice(5, 17))
    return run_replicas(step_and_whereabouts, [{"x": x[r], "dy": dy[r], **rest} for r in rows])


# What they compute.


@pytest.mark.parametrize("name", NAMES)
def test_shared_statistics_give_the_big_batch(name):
    x, dy, rest = drawn()
    expected = torch_gradients(x, dy, **rest)[name]
    found = [answer["shared"][name] for answer in answers()]
    if name in ("y", "dx"):
        np.testing.assert_allclose(np.concatenate(found), expected, rtol=1e-11, atol=1e-12)
    else:
        for value in found:
            np.testing.assert_allclose(value, expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("replica", [0, 1])
def test_own_statistics_are_those_of_the_own_rows(replica):
    x, dy, rest = drawn()
    rows = (slice(0, 5), slice(5, 17))[replica]
    expected = torch_gradients(x[rows], dy[rows], **rest)
    for name in ("mean", "var", "y", "dx"):
        found = answers()[replica]["own"][name]
        np.testing.assert_allclose(found, expected[name], rtol=1e-11, atol=1e-12)


def test_gradients_of_gamma_and_beta_are_summed_over_the_replicas():
    x, dy, rest = drawn()
    parts = [torch_gradients(x[r], dy[r], **rest) for r in (slice(0, 5), slice(5, 17))]
    for name in ("dgamma", "dbeta"):
        for answer in answers():
            found = answer["own"][name]
            np.testing.assert_allclose(found, parts[0][name] + parts[1][name], rtol=1e-11)


def test_own_statistics_do_not_give_the_big_batch():
    x, _, rest = drawn()
    y, _ = bnlab.batchnorm_forward(x, **rest)
    found = np.concatenate([answer["own"]["y"] for answer in answers()])
    assert np.abs(found - y).max() > 0.1


# How they live and die.


@pytest.fixture(autouse=True)
def no_process_stays_behind():
    """After every test of this file; workers that another file's joblib keeps are not ours."""
    before = set(multiprocessing.active_children())
    yield
    assert set(multiprocessing.active_children()) <= before


def test_answers_come_from_other_processes_that_are_gone():
    pids = {answer["pid"] for answer in answers()}
    assert len(pids) == 2
    assert os.getpid() not in pids
    assert not any(is_alive(pid) for pid in pids)


def test_they_talk_over_the_loopback_address_alone():
    addresses = {address for answer in answers() for address in answer["addresses"]}
    assert addresses, "gloo opened no connection at all?"
    assert all(a.startswith(("127.", "::1", "::ffff:127.")) for a in addresses)


def test_an_error_in_a_worker_is_reported_and_ends_the_others():
    with pytest.raises(RuntimeError, match=r"replica 0 raised(.|\n)*the first replica gives up"):
        run_replicas(raise_in_replica_0, [None, None])


def test_a_process_that_dies_is_reported_and_ends_the_others(tmp_path):
    with pytest.raises(RuntimeError, match=r"no answer from replica 0(.|\n)*top-level function"):
        run_replicas(leave_in_replica_0, [str(tmp_path)] * 2)
    pids = [int(path.read_text()) for path in tmp_path.glob("*.pid")]
    assert len(pids) == 2
    assert not any(is_alive(pid) for pid in pids)


def test_a_worker_that_hangs_is_ended_by_the_time_out(tmp_path):
    start = time.monotonic()
    with pytest.raises(TimeoutError, match=r"within timeout=1.5 seconds, got 0 of 2"):
        run_replicas(hang, [str(tmp_path)] * 2, timeout=1.5)
    assert time.monotonic() - start < 15


def test_a_worker_that_no_process_can_find_leaves_nothing_behind():
    with pytest.raises(Exception, match=r"pickle|local object"):  # Python 3.13 says the latter
        run_replicas(lambda job: job, [1, 2])


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_they_leave_when_the_process_that_started_them_is_killed(tmp_path):
    code = (
        "if __name__ == '__main__':\n"
        "    from bnlab.course.lessons.nb10.distributed import run_replicas\n"
        "    from test_nb10_distributed import hang\n"
        f"    run_replicas(hang, [{str(tmp_path)!r}] * 2, timeout=300)\n"
    )
    script = tmp_path / "script.py"
    script.write_text(code, encoding="utf-8")
    (tmp_path / "temporary").mkdir()
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent),
                   "TMPDIR": str(tmp_path / "temporary")}  # fmt: skip
    parent = subprocess.Popen([sys.executable, script], env=environment)
    try:
        assert wait_until(lambda: len(list(tmp_path.glob("*.pid"))) == 2)
        wait_until(lambda: all(path.read_text() for path in tmp_path.glob("*.pid")))
        pids = [int(path.read_text()) for path in tmp_path.glob("*.pid")]
        assert all(is_alive(pid) for pid in pids)
    finally:
        parent.kill()
        parent.wait()
    assert wait_until(lambda: not any(is_alive(pid) for pid in pids), seconds=20)
    assert not list((tmp_path / "temporary").glob("bnlab-*"))
