"""What a run is, and the file that keeps many of them. Nothing here needs torch."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from bnlab.course.experiments.files import replacing

__all__ = ["NOISE", "Run", "changed", "read", "write"]

NOISE = (0.0, 0.1, 0.2, 0.4)  # added to test images, in standard deviations of the pixels


@dataclass(frozen=True)
class Run:
    """All that decides the numbers of a run, but for the images and the device.

    SGD with momentum 0.9 on batches of `batch` images, moved by up to four pixels and mirrored if
    `augment`; the rate falls in a straight line from `lr` to 0.
    """

    net: str = "plain"  # or "resnet20", "resnet56"
    norm: str = "batch"  # a key of nets.NORMS
    lr: float = 0.1
    seed: int = 0
    epochs: int = 6
    images: int = 45_000
    tests: int = 10_000  # so many of the test images, and of the 5,000 validation images, count
    width: int = 64  # channels of the first layer; a quarter of it in a residual network
    batch: int = 128
    ghost: int = 0  # images that share statistics, if norm is "ghost"
    noise: float = 0.0  # its size, if norm is "noise"
    activation: str = "relu"  # or "sigmoid"
    place: str = "before"  # the norm stands before or after the activation
    trained: str = "all"  # or "norm", "random", "last", see nets
    init: float = 1.0  # factor of He's standard deviation
    decay: float = 5e-4
    dropout: float = 0.0
    augment: bool = True


def changed(run):
    """The fields that are not the default."""
    default = dataclasses.asdict(Run())
    return {k: v for k, v in dataclasses.asdict(run).items() if v != default[k]}


def write(path, found, **made):
    """Write runs into one JSON file, a run a line, with what they have in common above."""
    lines = [json.dumps([changed(run), numbers]) for run, numbers in found.items()]
    with replacing(Path(path)) as new:
        head = ", ".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in made.items())
        new.write_text(f'{{{head}, "runs": [\n' + ",\n".join(lines) + "\n]}\n", encoding="utf-8")


def read(path):
    """Runs of a file of `write`, and what they have in common."""
    content = json.loads(Path(path).read_text(encoding="utf-8"))
    return {Run(**fields): numbers for fields, numbers in content.pop("runs")}, content
