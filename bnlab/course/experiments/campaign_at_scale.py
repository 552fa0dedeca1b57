"""The claims at scale, one after another: what `bnlab experiment run W1 --at scale` does."""

from pathlib import Path

from bnlab.course.experiments import results
from bnlab.course.experiments.at_scale import FULL, plans
from bnlab.course.experiments.campaign import progress_bar
from bnlab.course.experiments.files import check_folder
from bnlab.course.experiments.reporting import paragraph, write_verdict
from bnlab.course.experiments.scale.runs import read, write

__all__ = ["choose_at_scale", "keep_at_scale", "run_at_scale"]

ALL = "scale"
COMMON = ("images", "device", "code")  # what runs share that may stand in one file


def choose_at_scale(name):
    """The plans of this name: one claim, or "scale" for all, the most important one first."""
    known = {claim.lower(): plan for claim, plan in plans().items()}
    if name.lower() == ALL:
        return list(known.values())
    if name.lower() not in known:
        raise ValueError(
            f"{name} has no plan for CIFAR-10; choose one of {', '.join(plans())}, or {ALL} for all"
        )
    return [known[name.lower()]]


def run_at_scale(entries, out, data, device, *, size=FULL, jobs=1, minutes=None, console=None):
    """Run what is not finished yet, print the verdicts, and write them and all runs into `out`.

    Raises
    ------
    ValueError
        If the images are not CIFAR-10's, or torch has no such device.
    """
    import torch

    from bnlab.course.experiments.scale import cifar
    from bnlab.course.experiments.scale.campaign import Place, run_all

    _check_device(device)
    cifar.check(data)
    check_folder(Path(out))
    place = Place.of(Path(out) / "runs", data, device)
    runs = list(dict.fromkeys(run for entry in entries for run in entry.runs(size)))
    with progress_bar(console) as bar:
        there = sum(place.kept(run) is not None for run in runs)
        task = bar.add_task("runs", total=len(runs), completed=there)
        found = run_all(runs, place, jobs, minutes, tick=lambda: bar.advance(task))
        evidence = [entry.evidence(found, size) for entry in entries]
        for e in evidence:
            bar.console.print(paragraph(e) + "\n", markup=False, highlight=False, soft_wrap=True)
            write_verdict(e, Path(out))
    write(Path(out) / "scale.json", found, torch=torch.__version__, **place.common())
    return evidence, len(found), len(runs)


def keep_at_scale(folder):
    """Take the runs of a folder into data/results, beside those that are there; how many are now.

    Raises
    ------
    ValueError
        If there are no runs, or they were made from other images, on another device or by other
        code than those that are kept.
    """
    new, kept = Path(folder) / "scale.json", results.folder() / "scale.json"
    if not new.exists():
        raise ValueError(
            f"{new} is not there; `bnlab experiment run scale --data DIR --out {folder}` writes it"
        )
    try:
        found, made = read(new)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{new} holds no runs at scale; run the same command again, which writes it anew"
        ) from error
    if kept.exists():
        others, made_before = read(kept)
        if any(made[name] != made_before[name] for name in COMMON):
            raise ValueError(
                f"the runs in {folder} and those in {kept} have other images, devices or code; "
                "move that file away to begin anew"
            )
        found = others | found
    plain = {run for plan in plans().values() for run in plan.runs()}
    found = {run: numbers for run, numbers in found.items() if run in plain}
    write(kept, found, **made)
    return len(found)


def _check_device(device):
    import torch

    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(
            f"torch {torch.__version__} has no device {device!r} here; choose cuda, mps or cpu"
        ) from error
