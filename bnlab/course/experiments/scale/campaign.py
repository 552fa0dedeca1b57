"""Many runs, some at the same time; each is kept as soon as it is there and not run again."""

import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import Path

import joblib
import torch

from bnlab.course.experiments.files import replacing
from bnlab.course.experiments.fingerprint import fingerprint_of
from bnlab.course.experiments.scale.cifar import which_copy
from bnlab.course.experiments.scale.runs import changed
from bnlab.course.experiments.scale.training import train

__all__ = ["Place", "run_all"]


@dataclass(frozen=True)
class Place:
    """Where runs compute and where they are kept."""

    folder: Path  # a file a run
    data: str  # folder of the images
    device: str  # as torch has it: "cuda", "mps" or "cpu"
    copy: str  # which copy of the images, by `cifar.which_copy`

    @classmethod
    def of(cls, folder, data, device):
        """Look at the images once, for all runs."""
        return cls(Path(folder), str(Path(data).absolute()), device, which_copy(data))

    def made_from(self, run):
        """What decides the numbers of a run here; with another of them it is run again."""
        return {"run": changed(run)} | self.common()

    def common(self):
        """What all runs here have in common."""
        on_gpu = self.device.startswith("cuda")
        device = torch.cuda.get_device_name() if on_gpu else self.device
        return {"images": self.copy, "device": device, "code": fingerprint_of(train)}

    def path(self, run):
        """Its file."""
        label = json.dumps(self.made_from(run), sort_keys=True)
        return self.folder / f"{hashlib.sha256(label.encode()).hexdigest()[:16]}.json"

    def kept(self, run):
        """What a finished run found, or None."""
        path = self.path(run)
        return json.loads(path.read_text())["found"] if path.exists() else None


def run_all(runs, place, jobs=1, minutes=None, tick=lambda: None):
    """Do what is not done yet, and begin no run after so many minutes: run -> what it found."""
    todo = [run for run in runs if place.kept(run) is None]
    parallel = joblib.Parallel(jobs, return_as="generator_unordered", pre_dispatch=jobs)
    for _ in parallel(joblib.delayed(_run_and_keep)(run, place) for run in _until(todo, minutes)):
        tick()
    return {run: found for run in runs if (found := place.kept(run)) is not None}


def _until(todo, minutes):
    """The runs, as long as there is time to begin one."""
    start = time.monotonic()
    for run in todo:
        if minutes is None or time.monotonic() - start < 60 * minutes:
            yield run


def _run_and_keep(run, place):
    torch.manual_seed(run.seed)  # dropout and noise draw from torch's own generator
    found = train(run, place.data, place.device)
    about = place.made_from(run) | {"torch": torch.__version__, "found": found}
    with replacing(place.path(run)) as new:
        new.write_text(json.dumps(about) + "\n", encoding="utf-8")
