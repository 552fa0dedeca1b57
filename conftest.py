"""A clean room for the tests: their own home, one thread, no network, no window on the screen.

pytest reads this file before it imports a test or starts a kernel, so what is set here holds for
everything that follows, and the kernels of the notebooks inherit it. The folder of the room is
removed at the end.
"""

import os
import socket
import tempfile
from pathlib import Path

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

_REAL = {name: getattr(socket.socket, name) for name in ("connect", "connect_ex")}
_REAL_GETADDRINFO = socket.getaddrinfo


def _refuse_strangers(host):
    host = host.decode() if isinstance(host, bytes) else host
    here = {None, "", "localhost", "::1", "0.0.0.0", socket.gethostname()}
    if host not in here and not host.startswith("127."):
        raise ConnectionRefusedError(f"the tests run with the network cut; asked for {host!r}")


def _at_home(name):
    def method(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6):
            _refuse_strangers(address[0])
        return _REAL[name](self, address)

    return method


def _getaddrinfo_at_home(host, *args, **kwargs):
    _refuse_strangers(host)
    return _REAL_GETADDRINFO(host, *args, **kwargs)


for _name in _REAL:
    setattr(socket.socket, _name, _at_home(_name))
socket.getaddrinfo = _getaddrinfo_at_home


def pytest_unconfigure():
    """Give the sockets back and remove the room."""
    for name, method in _REAL.items():
        setattr(socket.socket, name, method)
    socket.getaddrinfo = _REAL_GETADDRINFO
    _ROOM.cleanup()
