"""The `bnlab` command. Each function is thin; what it needs is imported when it runs."""

import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from bnlab import __version__
from bnlab.tools.experiments import app as experiment
from bnlab.tools.terminal import print_rows, stop, without_tilde

app = typer.Typer(
    help="A course on batch normalization in which every statement is executed.",
    no_args_is_help=True,
    add_completion=False,
)
app.add_typer(experiment, name="experiment")
workshop = typer.Typer(help="The kit for instructors.", no_args_is_help=True)
app.add_typer(workshop, name="workshop")


@workshop.callback()
def _workshop():
    """Keep `build` a name of its own; typer would drop the name of a single command."""


def _version(wanted: bool):
    if wanted:
        typer.echo(f"bnlab {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, help="Show the version.")
    ] = False,
):
    """Accept the options that stand before a command."""


@app.command()
def lab(
    place: Annotated[
        Path,
        typer.Argument(
            metavar="[DIR|NOTEBOOK]",
            help="Your folder, made if it does not exist; or a notebook, opened where it lies.",
        ),
    ] = Path("bnlab-course"),
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Only print the address.")
    ] = False,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port; by default Jupyter's own.")
    ] = None,
    copy_only: Annotated[
        bool, typer.Option("--copy-only", help="Copy, and do not start JupyterLab.")
    ] = False,
):
    """Put the notebooks in DIR, keep what you wrote there, and open the first in JupyterLab.

    With a NOTEBOOK nothing is copied: JupyterLab opens it in the folder that it lies in.
    """
    from bnlab.tools.doctor import JUPYTER, to_do
    from bnlab.tools.lab import LabError, make_ready, working_copy

    place, results = without_tilde(place), []
    try:
        if place.suffix == ".ipynb" and not place.is_dir():
            make_ready(place)
            folder, first = place.parent, place.name
        else:
            results = working_copy(place)
            folder, first = place, results[0].name
    except LabError as error:
        stop(str(error))
    left = to_do()
    print_rows(
        [(result.action, result.name, result.message) for result in results]
        + [("TO DO", line.name, line.message) for line in left]
    )
    if not copy_only:
        if JUPYTER in [line.name for line in left]:
            stop(f"The notebooks are in {folder}, but JupyterLab would not start: see above.")
        raise typer.Exit(_jupyterlab(folder, first, no_browser, port))


@app.command()
def doctor(
    no_kernel: Annotated[
        bool, typer.Option("--no-kernel", help="Do not start a Jupyter kernel.")
    ] = False,
):
    """Look whether this computer is ready for the course."""
    from bnlab.tools.doctor import examine, start

    lines = examine(kernel=not no_kernel)
    print_rows(("ok" if line.ok else "TO DO", line.name, line.message) for line in lines)
    left = sum(not line.ok for line in lines)
    if left:
        stop(f"{left} of {len(lines)} lines say what to do.")
    typer.echo(f"Everything is ready. Start with: {start()}")


@app.command()
def progress():
    """Show which exercises are done."""
    from bnlab.course import progress

    typer.echo(progress())


@app.command()
def diagnose(
    checkpoint: Annotated[
        Path, typer.Argument(metavar="FILE", help="A state dict, or a dict that holds some.")
    ],
):
    """Look at the running statistics in a checkpoint of PyTorch; nothing in it is executed."""
    try:
        from bnlab.diagnose import diagnose_checkpoint
    except ImportError as error:
        stop(f"diagnose cannot run: {error}; `bnlab doctor` says what to install")
    try:
        report = diagnose_checkpoint(without_tilde(checkpoint))
    except ValueError as error:
        stop(str(error))
    typer.echo(report)
    raise typer.Exit(1 if report else 0)


@app.command()
def conform(
    target: Annotated[
        str,
        typer.Argument(help="torch.nn:BatchNorm1d, module:attribute, or a file: my_batchnorm.py"),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
):
    """Does this batch norm keep its promises? The exit status is 1 where one is broken."""
    from rich.console import Console

    from bnlab.conform import TargetError, conform

    sys.path.insert(0, os.getcwd())  # where a module of one's own is
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # the arrays are tiny: threads would only wait
    try:
        report = conform(target)
    except TargetError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    if as_json:
        typer.echo(report.to_json())
    else:
        Console().print(report)
        typer.echo("\n".join([*report.whose(), report.badge]))
    raise typer.Exit(not report.ok)


@workshop.command("build")
def build_workshop(
    folder: Annotated[
        Path, typer.Argument(metavar="DEST", help="A new or empty folder for the kit.")
    ],
    minutes: Annotated[
        int, typer.Option(help="45, 90 or 180; each holds what the shorter one does.")
    ] = 180,
    offline: Annotated[
        bool, typer.Option("--offline", help="Add what a room without a network installs from.")
    ] = False,
):
    """Build notebooks, solutions, slides, schedule and hand-out of a workshop in DEST."""
    from rich.console import Console

    from bnlab.tools.workshop.build import WorkshopError, build

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends it as Ctrl-C does
    folder = without_tilde(folder)
    try:
        with Console().status("reading the notebooks") as status:
            kit = build(folder, minutes, offline, tell=status.update)
    except WorkshopError as error:
        stop(str(error))
    except KeyboardInterrupt:
        typer.echo(f"Stopped. Nothing is left in {folder}; the same command begins anew.")
        raise typer.Exit(130) from None
    typer.echo(f"The kit for {minutes} minutes is in {kit}. Begin with schedule.html.")


def _jupyterlab(folder, first, no_browser, port):
    """Run JupyterLab, open at a notebook of the folder, until it ends; return its exit code."""
    if importlib.util.find_spec("jupyterlab") is None:
        stop(
            f"The notebooks are in {folder}, but JupyterLab is not installed; "
            'in the folder of the course: python -m pip install -e ".[course]"'
        )
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={folder.resolve()}"]
    command += [f"--LabApp.default_url=/lab/tree/{quote(first)}"]
    command += ["--no-browser"] * no_browser
    command += [f"--ServerApp.port={port}"] * (port is not None)
    # In a container everybody is root, and Jupyter would refuse to start.
    command += ["--allow-root"] * (hasattr(os, "geteuid") and os.geteuid() == 0)
    typer.echo("Starting JupyterLab. To stop it, press Ctrl-C here.")
    # The networks of the course are small: more threads than one only wait for each other.
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with subprocess.Popen(command, env=one_thread | os.environ | _no_news()) as server:
        signal.signal(signal.SIGTERM, lambda *_: server.terminate())
        return _wait(server)


def _no_news():
    """A folder more in which Jupyter looks: it turns off the question about news over page one."""
    ours, theirs = str(Path(__file__).with_name("jupyter")), os.environ.get("JUPYTER_CONFIG_PATH")
    return {"JUPYTER_CONFIG_PATH": os.pathsep.join([theirs, ours] if theirs else [ours])}


def _wait(server):
    """Let the server answer Ctrl-C: at a terminal it asks first, and it ends its kernels."""
    while server.poll() is None:
        try:
            server.wait()
        except KeyboardInterrupt:
            if not sys.stdin.isatty():
                _end(server)
    return server.returncode


def _end(server):
    """Without a terminal the signal may have come to us alone: wait a little, then pass it on."""
    try:
        server.wait(timeout=3)
    except subprocess.TimeoutExpired:
        server.terminate()
