"""A clean room for the tests: their own home, one thread, no network, no window on the screen.

pytest reads this file before it imports a test or starts a kernel, so what is set here holds for
everything that follows, and the kernels of the notebooks inherit it. The folder of the room is
removed at the end. The last lines teach nbval the tolerances that cells may have.
"""

import os
import socket
import tempfile
from pathlib import Path

import pytest
from nbval_within import Tolerant, tolerant

_ROOM = tempfile.TemporaryDirectory(prefix="bnlab-tests-", ignore_cleanup_errors=True)
_HOME = Path(_ROOM.name, "home")
_HOME.mkdir()

# Figures: MPLBACKEND would reach the kernels, and the notebooks would lose their pictures. A
# matplotlibrc draws unit tests off screen; a kernel's own inline backend goes before it.
_MATPLOTLIBRC = Path(_ROOM.name, "matplotlibrc")
_MATPLOTLIBRC.write_text("backend: Agg\n", encoding="utf-8")
os.environ.pop("MPLBACKEND", None)

os.environ.update(
    BNLAB_HOME=str(_HOME),
    BNLAB_LIBRARY=str(Path(_ROOM.name, "my_batchnorm.py")),
    HYPOTHESIS_STORAGE_DIRECTORY=str(Path(_ROOM.name, "hypothesis")),
    MATPLOTLIBRC=str(_MATPLOTLIBRC),
    PYDEVD_DISABLE_FILE_VALIDATION="1",  # the debugger in ipykernel warns about frozen modules
)
# Small matrices: more threads than one only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# The network is cut here and, by a proxy that no one answers, in child processes. Kernels and
# JupyterLab talk to us over the loopback address, which stays open.
for _variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
    os.environ[_variable] = "http://127.0.0.1:9"
os.environ["no_proxy"] = os.environ["NO_PROXY"] = "localhost,127.0.0.1,::1"

_HERE = {None, "", "localhost", "::1", "0.0.0.0", socket.gethostname()}
_CUT = pytest.MonkeyPatch()


def _stay_at_home(owner, name, host_of):
    """Let a function of the socket module reach this machine only."""
    original = getattr(owner, name)

    def guarded(*args, **kwargs):
        host = host_of(*args, **kwargs)
        host = host.decode() if isinstance(host, bytes) else host
        if host not in _HERE and not host.startswith("127."):
            raise ConnectionRefusedError(f"the tests run with the network cut; asked for {host!r}")
        return original(*args, **kwargs)

    _CUT.setattr(owner, name, guarded)


def _receiver(plug, *args):
    return args[-1][0] if plug.family in (socket.AF_INET, socket.AF_INET6) else None


# pytest-socket leaves names, `connect_ex` and all that is no function test alone; Python's audit
# events come too late for `connect((name, port))`, which has asked for the name by then.
for _name in ("connect", "connect_ex", "sendto"):
    _stay_at_home(socket.socket, _name, _receiver)
for _name in ("getaddrinfo", "gethostbyname"):
    _stay_at_home(socket, _name, lambda host, *args, **kwargs: host)


def pytest_unconfigure():
    """Give the sockets back and remove the room."""
    _CUT.undo()
    _ROOM.cleanup()


def pytest_collection_modifyitems(items):
    """Let nbval compare the outputs of a cell as its metadata say."""
    for item in items:
        if hasattr(item, "cell"):
            try:
                item.sanitize = _tolerantly(item.sanitize, item.cell.metadata)
            except ValueError as error:
                raise pytest.UsageError(f"{item.nodeid}: {error}") from error


def _tolerantly(sanitize, metadata):
    tolerant("", metadata)  # a wrong tolerance is told before any cell runs
    return lambda output: tolerant(sanitize(output), metadata)


@pytest.hookimpl(tryfirst=True)  # nbval shows the first answer
def pytest_assertrepr_compare(left, right):
    """Tell the numbers that are too far off from those that may differ."""
    return left.explain(right) if isinstance(left, Tolerant) else None
