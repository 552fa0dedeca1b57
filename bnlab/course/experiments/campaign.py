"""Several experiments after another, with a progress bar: what `bnlab experiment run` does."""

import csv

import joblib

from bnlab.course.experiments import results
from bnlab.course.experiments.evidence import Experiment
from bnlab.course.experiments.files import ResultsError, check_folder, replacing
from bnlab.course.experiments.ledger import runnable
from bnlab.course.experiments.reporting import paragraph
from bnlab.course.experiments.runner import finished, run, units
from bnlab.course.experiments.selection import find, with_data, with_seeds
from bnlab.data import load_digits

__all__ = ["choose", "progress_bar", "run_campaign", "write_ledger"]


def choose(name, data="digits", seeds=None):
    """The experiments of this name, on these data, with this many seeds.

    "all" is the ledger and what is no row of it: figure1, under a minute on the digits.
    """
    entries = list(runnable().values()) if name.lower() == "all" else [find(name)]
    if data == "digits":
        load_digits()  # what is wrong with the file is said now, not by a worker
    return [with_seeds(with_data(entry, data), seeds) for entry in entries]


def run_campaign(entries, folder, jobs=1, keep=False, console=None):
    """Run each entry into the folder and print its verdict as soon as it is there.

    If there are several, one that fails does not stop the others, unless there is no place left
    for the results.
    """
    check_folder(folder)
    evidence, failures = [], []
    with joblib.parallel_config(n_jobs=jobs), progress_bar(console) as bar:
        there = sum(finished(entry, folder) for entry in entries)
        task = bar.add_task("", total=sum(len(units(e)) for e in entries), completed=there)
        for entry in entries:
            bar.update(task, description=entry.claim.id)
            try:
                evidence.append(run(entry, folder, tick=lambda: bar.advance(task)))
                if keep and isinstance(entry, Experiment):
                    results.keep(entry, *_found(entry, folder))
            except Exception as error:
                if len(entries) == 1 or isinstance(error, ResultsError):
                    raise
                failures.append(f"{entry.claim.id} failed: {type(error).__name__}: {error}")
                bar.console.print(failures[-1], markup=False, highlight=False)
            else:
                text = paragraph(evidence[-1]) + "\n"
                bar.console.print(text, markup=False, highlight=False, soft_wrap=True)
    return evidence, failures


def _found(entry, folder):
    """Arrays of a run that has ended, and its seconds."""
    arrays, made = results.load(folder / f"{entry.claim.id}.json")
    return arrays, made["seconds"]


def write_ledger(evidence, folder):
    """Write ledger.csv, one row a claim; a figure is none."""
    claim_fields = ("id", "notebook", "kind", "said", "correct", "source")
    with (
        replacing(folder / "ledger.csv") as new,
        new.open("w", encoding="utf-8", newline="") as file,
    ):
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow([*claim_fields, "measured", "setting", "verdict"])
        for found in (e for e in evidence if e.claim.kind != "figure"):
            claim = [getattr(found.claim, field) for field in claim_fields]
            rows.writerow([*claim, found.measured, found.setting, found.verdict])


def progress_bar(console):
    """How many seeds are done, and the time left at the pace of the last ones."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description:>7}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, speed_estimate_period=600)
