"""The package as a whole: what it loads, which way imports run, what is documented, how long."""

import ast
import importlib
import inspect
import os
import re
import socket
import subprocess
import sys
import tempfile
import textwrap
import tomllib
from pathlib import Path

import pytest

import bnlab

PACKAGE = Path(bnlab.__file__).parent
FILES = sorted(p for p in PACKAGE.rglob("*.py") if "_files" not in p.parts)

# Low to high, as in the design: an import only ever points to the left. A new file at the top
# of the package needs its place here. `channels` is a piece of batchnorm, `idx` of data.
CORE = (
    "arrays", "channels", "batchnorm", "functional", "gradcheck", "idx", "data", "layers", "optim",
    "training", "plots",
)  # fmt: skip
LESSONS = tuple(f"course.lessons.nb{n:02d}" for n in range(11))
ENGINES = (
    "course.writing", "course.cards", "course.discovery", "course.exercises", "course.experiments",
)  # fmt: skip
ORDER = (
    *CORE, "diagnose", *ENGINES, "course.lessons", *LESSONS, "course.explore", "course", "conform",
    "tools", "__init__",
)  # fmt: skip
# Optional, each with one file in bnlab/conform/adapters.
FRAMEWORKS = ("flax", "jax", "keras", "equinox", "mlx")
# What speaks torch and the command line may import inside functions as they like.
LATE = ("bnlab.course.lessons.nb10.distributed", "bnlab.diagnose", "bnlab.tools.cli")


def name_of(path):
    return path.relative_to(PACKAGE).as_posix()


def module_of(path):
    """`bnlab.course.exercises.report` for its file, `bnlab` for bnlab/__init__.py."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def part_of(module):
    """The longest name in ORDER with which a dotted name below bnlab starts, or None."""
    words = module.removeprefix("bnlab").strip(".").split(".")
    starts = (".".join(words[:n]) for n in range(len(words), 0, -1))
    return next((start for start in starts if start in ORDER), None)


every_file = pytest.mark.parametrize("path", FILES, ids=name_of)


def statements(node, late):
    """All nodes below this one; those inside functions only if `late`."""
    for child in ast.iter_child_nodes(node):
        yield child
        if late or not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from statements(child, late)


def imported_names(source, package, late=True):
    """Dotted names that a source imports; `package` is where its relative imports start."""
    for node in statements(ast.parse(source), late):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            yield from (f"{module}.{alias.name}" for alias in node.names)


def imported_parts(source, package="bnlab", late=True):
    """Names in ORDER that a source imports from bnlab; the version belongs to no part."""
    for name in imported_names(source, package, late):
        if name.partition(".")[0] == "bnlab" and name != "bnlab.__version__":
            yield part_of(name) or "__init__"


def parts_below(path):
    """The parts that a file imports, its own left out."""
    package = module_of(path) if path.stem == "__init__" else module_of(path).rpartition(".")[0]
    late = module_of(path) not in LATE
    found = imported_parts(path.read_text(encoding="utf-8"), package, late)
    return {part for part in found if part != part_of(module_of(path))}


@every_file
def test_every_file_has_a_place_in_the_order(path):
    assert path == PACKAGE / "__init__.py" or part_of(module_of(path)), name_of(path)


@every_file
def test_imports_run_one_way(path):
    own = ORDER.index(part_of(module_of(path)) or "__init__")
    assert [part for part in parts_below(path) if ORDER.index(part) > own] == []


def files_in(*parts):
    return [p for p in FILES if (part_of(module_of(p)) or "").startswith(parts)]


@pytest.mark.parametrize("path", files_in("course.lessons"), ids=name_of)
def test_a_lesson_imports_earlier_lessons_only(path):
    lessons = sorted(part for part in parts_below(path) if part.startswith("course.lessons"))
    assert all(lesson < part_of(module_of(path)) for lesson in lessons)


@pytest.mark.parametrize("path", files_in(*ENGINES), ids=name_of)
def test_an_engine_imports_no_content(path):
    assert [part for part in parts_below(path) if part.startswith("course.lessons")] == []


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        ("import numpy as np\nfrom math import prod", []),
        ("import bnlab", ["__init__"]),
        ("from bnlab import __version__", []),
        ("from bnlab.course.lessons.nb05 import folding", ["course.lessons.nb05"]),
        ("from bnlab.course import check", ["course"]),
        ("from bnlab import batchnorm_forward", ["__init__"]),
        ("from bnlab import functional as F, data", ["functional", "data"]),
        ("import bnlab.data", ["data"]),
        ("from bnlab.course.exercises.progress import home", ["course.exercises"]),
        ("from . import plots", ["plots"]),
        ("from .layers import Linear", ["layers"]),
        ("def f():\n    from bnlab.tools.cli import app", ["tools"]),
        ("class A:\n    def f(self):\n        import bnlab.training", ["training"]),
        ("try:\n    import bnlab.optim\nexcept ImportError:\n    pass", ["optim"]),
    ],
)
def test_the_reader_of_imports_sees_every_form(source, parts):
    assert list(imported_parts(source)) == parts


def test_late_imports_can_be_left_out():
    source = "import bnlab.data\ndef f():\n    import bnlab.tools.cli"
    assert list(imported_parts(source, late=False)) == ["data"]


def test_import_bnlab_loads_numpy_and_nothing_heavier():
    code = """
        import sys
        import numpy, numpy.random
        before = {name.partition(".")[0] for name in sys.modules}
        import bnlab
        after = {name.partition(".")[0] for name in sys.modules}
        print(*sorted(after - before - set(sys.stdlib_module_names)))
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert loaded == ["bnlab"]


def test_version_is_that_of_pyproject():
    pyproject = PACKAGE.parent / "pyproject.toml"
    if not pyproject.is_file():
        pytest.skip("bnlab is installed without its repository")
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    assert bnlab.__version__ == project["version"]


@pytest.mark.parametrize(
    "name",
    ["batchnorm_forward", "batchnorm_backward", "batchnorm_inference", "fold_batchnorm"],
)
def test_the_core_is_at_hand_as_bnlab_name(name):
    assert getattr(bnlab, name).__module__ == "bnlab.batchnorm"


def import_or_skip(path):
    """The module; skips an adapter whose framework is not installed here."""
    try:
        return importlib.import_module(module_of(path))
    except ModuleNotFoundError as error:
        if error.name.partition(".")[0] not in FRAMEWORKS:
            raise
        pytest.skip(f"{error.name} is not installed")


@every_file
def test_all_is_true(path):
    module = import_or_skip(path)
    assert part_of(module_of(path)) not in CORE or hasattr(module, "__all__")
    names = getattr(module, "__all__", [])
    assert len(set(names)) == len(names)
    assert [name for name in names if not hasattr(module, name)] == []


def missing_sections(function):
    """Sections that a public function's docstring owes its reader."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    returns = any(
        isinstance(node, ast.Yield | ast.YieldFrom) or getattr(node, "value", None)
        for node in statements(tree, late=True)
        if isinstance(node, ast.Return | ast.Yield | ast.YieldFrom)
    )
    wanted = ["Parameters", "Returns|Yields", "Examples"] if returns else ["Parameters", "Examples"]
    text = inspect.getdoc(function) or ""
    return [s for s in wanted if not re.search(rf"^({s})\n-+$", text, re.MULTILINE)]


def owes_sections(function):
    """Whether learners call it; a backward is described by the forward right above it."""
    part = part_of(function.__module__)
    check = function.__module__ == "bnlab.course.exercises.checking"
    public = part in {*CORE} - {"arrays", "channels"} or check
    has_forward = function.__name__.endswith("_backward") and part != "batchnorm"
    takes = inspect.isfunction(function) and inspect.signature(function).parameters
    return bool(public and takes and not has_forward)


@every_file
def test_public_names_are_documented(path):
    module = import_or_skip(path)
    public = [getattr(module, name) for name in getattr(module, "__all__", [])]
    described = [
        f
        for f in public
        if (inspect.isfunction(f) or inspect.isclass(f)) and f.__module__ == module.__name__
    ]
    assert [f.__qualname__ for f in described if not inspect.getdoc(f)] == []
    with_arguments = [f for f in described if owes_sections(f)]
    missing = {f.__qualname__: missing_sections(f) for f in with_arguments}
    assert {name: sections for name, sections in missing.items() if sections} == {}


@pytest.mark.parametrize(
    "path", [p for p in FILES if not name_of(p).startswith("course/")], ids=name_of
)
def test_no_file_passes_300_lines(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300


# The room that conftest.py prepares.


def test_progress_is_kept_in_a_temporary_home():
    home = Path(os.environ["BNLAB_HOME"])
    assert home.is_dir()
    assert home.is_relative_to(tempfile.gettempdir())


@pytest.mark.parametrize("host", ["example.org", "192.0.2.1", "2001:db8::1", b"example.org"])
def test_network_is_cut(host):
    with pytest.raises(ConnectionRefusedError, match="network cut; asked for"):
        socket.create_connection((host, 80), timeout=1)


@pytest.mark.parametrize("host", ["192.0.2.1", "example.org"])
@pytest.mark.parametrize("call", ["connect", "connect_ex", "sendto"])
def test_a_bare_socket_is_cut_off_too(call, host):
    words = [b"hello"] if call == "sendto" else []
    kind = socket.SOCK_DGRAM if call == "sendto" else socket.SOCK_STREAM
    with socket.socket(type=kind) as plug, pytest.raises(ConnectionRefusedError, match=host):
        getattr(plug, call)(*words, (host, 80))


@pytest.mark.parametrize("call", [lambda host: socket.getaddrinfo(host=host, port=80),
                                  socket.gethostbyname])  # fmt: skip
def test_strangers_are_not_looked_up(call):
    with pytest.raises(ConnectionRefusedError, match=r"network cut; asked for 'example.org'"):
        call("example.org")


def test_loopback_stays_open():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("localhost", port), timeout=5) as client:
            assert client.getpeername() == ("127.0.0.1", port)
    assert socket.gethostbyname("localhost").startswith("127.")


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="Windows has none")
def test_unix_sockets_stay_open(tmp_path):
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(str(tmp_path / "s"))
        server.listen()
        client.connect(str(tmp_path / "s"))


def test_figures_are_drawn_off_screen_and_kernels_choose_for_themselves():
    import matplotlib

    assert matplotlib.get_backend().lower() == "agg"
    assert "MPLBACKEND" not in os.environ
