"""The `bnlab` command. Each function is thin; what it needs is imported when it runs."""

import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from bnlab import __version__

app = typer.Typer(
    help="A course on batch normalization in which every statement is executed.",
    no_args_is_help=True,
    add_completion=False,
)
experiment = typer.Typer(help="The claims of the course, run again.", no_args_is_help=True)
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
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Your folder; made if it does not exist.")
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
    """Put the notebooks in DIR, keep what you wrote there, and open JupyterLab."""
    from bnlab.tools.doctor import JUPYTER, to_do
    from bnlab.tools.lab import LabError, working_copy

    folder = _without_tilde(folder)
    try:
        results = working_copy(folder)
    except LabError as error:
        _stop(str(error))
    left = to_do()
    _print_rows(
        [(result.action, result.name, result.message) for result in results]
        + [("TO DO", line.name, line.message) for line in left]
    )
    if not copy_only:
        if JUPYTER in [line.name for line in left]:
            _stop(f"The notebooks are in {folder}, but JupyterLab would not start: see above.")
        raise typer.Exit(_jupyterlab(folder, no_browser, port))


@app.command()
def doctor(
    no_kernel: Annotated[
        bool, typer.Option("--no-kernel", help="Do not start a Jupyter kernel.")
    ] = False,
):
    """Look whether this computer is ready for the course."""
    from bnlab.tools.doctor import examine

    lines = examine(kernel=not no_kernel)
    _print_rows(("ok" if line.ok else "TO DO", line.name, line.message) for line in lines)
    left = sum(not line.ok for line in lines)
    if left:
        _stop(f"{left} of {len(lines)} lines say what to do.")
    typer.echo("Everything is ready. Start with: bnlab lab")


@app.command()
def progress():
    """Show which exercises are done."""
    from bnlab.course import progress

    typer.echo(progress())


@experiment.command("list")
def list_experiments():
    """Show what can be run: id, notebook, kind, number of seeds, what is said."""
    from bnlab.course.experiments.ledger import runnable

    entries = runnable().values()
    claims = [entry.claim for entry in entries]
    seeds = [len(getattr(getattr(entry, "config", None), "seeds", ())) for entry in entries]
    _print_rows(
        (claim.id, claim.notebook, claim.kind, f"{count} seeds" if count else "", claim.said)
        for claim, count in zip(claims, seeds, strict=True)
    )


@experiment.command("run")
def run_experiment(
    name: Annotated[str, typer.Argument(help="An id such as R2, figure1, or all: the ledger.")],
    data: Annotated[
        str, typer.Option(help='"digits", or a folder with MNIST\'s four files, for figure1.')
    ] = "digits",
    seeds: Annotated[
        int | None, typer.Option(min=2, help="How many; by default the experiment's own.")
    ] = None,
    jobs: Annotated[
        int, typer.Option(min=-1, help="Seeds run at the same time; -1: one a core.")
    ] = 1,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Where results go; run again, it goes on there.")
    ] = Path("bnlab-results"),
    keep: Annotated[
        bool, typer.Option("--keep", help="Put the arrays into data/results, for the course.")
    ] = False,
):
    """Run one experiment or the whole ledger, seed by seed; what is finished is not run again."""
    from bnlab.course.experiments.campaign import choose, run_campaign, write_ledger
    from bnlab.course.experiments.files import ResultsError

    if jobs == 0:
        _stop(
            "--jobs is the number of seeds run at the same time: 1 or more, or -1 for one a core."
        )
    if keep and (data != "digits" or seeds is not None):
        _stop("--keep is for the experiment as the course shows it: leave out --data and --seeds.")
    out = _without_tilde(out)
    try:
        entries = choose(name, data, seeds)
    except (ValueError, OSError) as error:
        _stop(str(error))
    try:
        evidence, failures = run_campaign(entries, out, jobs, keep)
        if name.lower() == "all":
            write_ledger(evidence, out)
    except KeyboardInterrupt:
        typer.echo(f"Stopped. What is finished is kept in {out}; the same command goes on there.")
        raise typer.Exit(130) from None
    except ResultsError as error:
        _stop(str(error))
    except ImportError as error:
        _stop(f"{name} cannot run: {error}; `bnlab doctor` says what to install")
    typer.echo(f"{len(evidence)} of {len(entries)} verdicts, with their files, are in {out}.")
    if failures:
        _stop("\n".join(failures))


@workshop.command("build")
def build_workshop(
    folder: Annotated[
        Path, typer.Argument(metavar="DEST", help="A new or empty folder for the kit.")
    ],
    minutes: Annotated[
        int, typer.Option(help="45 (notebook 02), 90 (02, 03, 05) or 180 (01 to 07).")
    ] = 180,
    offline: Annotated[
        bool, typer.Option("--offline", help="Add what a room without a network installs from.")
    ] = False,
):
    """Build notebooks, solutions, slides, schedule and hand-out of a workshop in DEST."""
    from rich.console import Console

    from bnlab.tools.workshop.build import WorkshopError, build

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends it as Ctrl-C does
    folder = _without_tilde(folder)
    try:
        with Console().status("reading the notebooks") as status:
            kit = build(folder, minutes, offline, tell=status.update)
    except WorkshopError as error:
        _stop(str(error))
    except KeyboardInterrupt:
        typer.echo(f"Stopped. Nothing is left in {folder}; the same command begins anew.")
        raise typer.Exit(130) from None
    typer.echo(f"The kit for {minutes} minutes is in {kit}. Begin with schedule.html.")


def _without_tilde(folder):
    """Expand a leading ~, which not every shell does."""
    try:
        return folder.expanduser()
    except RuntimeError:
        _stop(f"{folder}: there is no such user here; write the folder without ~.")


def _jupyterlab(folder, no_browser, port):
    """Run JupyterLab until it ends and return its exit code."""
    if importlib.util.find_spec("jupyterlab") is None:
        _stop(
            f"The notebooks are in {folder}, but JupyterLab is not installed; "
            'in the folder of the course: python -m pip install -e ".[course]"'
        )
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={folder.resolve()}"]
    command += ["--no-browser"] * no_browser
    command += [f"--ServerApp.port={port}"] * (port is not None)
    # In a container everybody is root, and Jupyter would refuse to start.
    command += ["--allow-root"] * (hasattr(os, "geteuid") and os.geteuid() == 0)
    typer.echo("Starting JupyterLab. To stop it, press Ctrl-C here.")
    # The networks of the course are small: more threads than one only wait for each other.
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with subprocess.Popen(command, env=one_thread | os.environ) as server:
        signal.signal(signal.SIGTERM, lambda *_: server.terminate())
        return _wait(server)


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


def _print_rows(rows):
    """Print aligned columns; the last one wraps at the width of the terminal."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    for row in rows:
        table.add_row(*(Text(cell, overflow="fold") for cell in row))  # a long path stays whole
    Console().print(table)


def _stop(sentence):
    typer.echo(sentence, err=True)
    raise typer.Exit(1)
