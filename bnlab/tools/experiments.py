"""`bnlab experiment`: list the claims, run them again, keep what a GPU found."""

from pathlib import Path
from typing import Annotated

import typer

from bnlab.tools.terminal import print_rows, stop, without_tilde

app = typer.Typer(help="The claims of the course, run again.", no_args_is_help=True)


@app.command("list")
def list_experiments():
    """Show what can be run: id, notebook, kind, seeds, seconds of one core, what is said."""
    from bnlab.course.experiments.ledger import runnable
    from bnlab.course.experiments.results import duration

    print_rows(
        (e.claim.id, e.claim.notebook, e.claim.kind, _seeds(e), duration(e), e.claim.said)
        for e in runnable().values()
    )


def _seeds(entry):
    count = len(getattr(getattr(entry, "config", None), "seeds", ()))
    return f"{count} seeds" if count else ""


@app.command("run")
def run_experiment(
    name: Annotated[
        str,
        typer.Argument(help="An id such as R2 or figure1; all: each of them; scale: all there."),
    ],
    data: Annotated[
        str,
        typer.Option(
            help='"digits", a folder with MNIST\'s four files, for figure1, or one with the six of '
            "CIFAR-10's binary version, at scale."
        ),
    ] = "digits",
    at: Annotated[
        str, typer.Option(help='"digits", or "scale": CIFAR-10, convolutions and torch.')
    ] = "digits",
    device: Annotated[str, typer.Option(help="At scale: cuda, mps or cpu.")] = "cpu",
    budget: Annotated[
        float | None,
        typer.Option(metavar="MINUTES", help="At scale: after these no new run begins."),
    ] = None,
    small: Annotated[
        bool, typer.Option("--small", help="At scale: minutes on a CPU, to try it; decides little.")
    ] = False,
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
        stop("--jobs is the number of seeds run at the same time: 1 or more, or -1 for one a core.")
    scale = "scale" in (at.lower(), name.lower())
    if at.lower() not in ("digits", "scale"):
        stop(f'--at is "digits" or "scale", got "{at}".')
    if scale and (keep or seeds is not None):
        stop(
            "At scale the seeds are those of the plan, and `bnlab experiment keep DIR` keeps the "
            "runs: leave out --seeds and --keep."
        )
    if not scale and (small or budget is not None or device != "cpu"):
        stop("--device, --budget and --small are for runs on CIFAR-10: add --at scale.")
    if scale:
        _run_at_scale(name, data, without_tilde(out), device, small, jobs, budget)
        return
    if keep and (data != "digits" or seeds is not None):
        stop("--keep is for the experiment as the course shows it: leave out --data and --seeds.")
    out = without_tilde(out)
    try:
        entries = choose(name, data, seeds)
    except (ValueError, OSError) as error:
        stop(str(error))
    try:
        evidence, failures = run_campaign(entries, out, jobs, keep)
        if name.lower() == "all":
            write_ledger(evidence, out)
    except KeyboardInterrupt:
        typer.echo(f"Stopped. What is finished is kept in {out}; the same command goes on there.")
        raise typer.Exit(130) from None
    except ResultsError as error:
        stop(str(error))
    except ImportError as error:
        stop(f"{name} cannot run: {error}; `bnlab doctor` says what to install")
    typer.echo(f"{len(evidence)} of {len(entries)} verdicts, with their files, are in {out}.")
    if failures:
        stop("\n".join(failures))


def _run_at_scale(name, data, out, device, small, jobs, minutes):
    """Run the claims on CIFAR-10."""
    from bnlab.course.experiments.at_scale import FULL, SMALL
    from bnlab.course.experiments.campaign_at_scale import choose_at_scale, run_at_scale
    from bnlab.course.experiments.files import ResultsError

    if data == "digits":
        stop("At scale the images are CIFAR-10's: --data DIR, the folder of its six binary files.")
    how = {"size": SMALL if small else FULL, "jobs": jobs, "minutes": minutes}
    try:
        entries = choose_at_scale(name)
        evidence, done, of = run_at_scale(entries, out, data, device, **how)
    except KeyboardInterrupt:
        typer.echo(f"Stopped. What is finished is kept in {out}; the same command goes on there.")
        raise typer.Exit(130) from None
    except (ValueError, ResultsError) as error:
        stop(str(error))
    except ImportError as error:
        stop(f"{name} cannot run: {error}; `bnlab doctor` says what to install")
    typer.echo(f"{done} of {of} runs and {len(evidence)} verdicts are in {out}.")


@app.command("keep")
def keep_experiments(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Results of runs at scale.")],
):
    """Take runs at scale, made on some machine with a GPU, into data/results, for the course."""
    from bnlab.course.experiments.campaign_at_scale import keep_at_scale

    try:
        count = keep_at_scale(without_tilde(folder))
    except (ValueError, OSError) as error:
        stop(str(error))
    typer.echo(f"{count} runs at scale are kept now.")
