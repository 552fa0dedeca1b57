"""The capstone of notebook 09: its data, and what `examine` finds in a learner's script.

The script is `capstone_script`; a learner works on a copy, ``my_capstone.py``. `examine` believes
no number that it prints: it trains the script's own network on words of its own, and tries it.
"""

import contextlib
import copy
import functools
import io
import traceback
import zlib
from pathlib import Path

import numpy as np

from bnlab.course.exercises import library
from bnlab.course.lessons.nb09.pitfalls import torch_twin, trained
from bnlab.data import load_digits

__all__ = ["begin", "digits_of_old_scanner", "examine", "old_network", "words"]

FILE = "my_capstone.py"
TARGET = 0.90  # mean accuracy over both scanners
LONGEST, WIDTH = 8, 12  # digits in a word, positions with the padding
CONTRAST, GREY = 0.5, 0.5  # of the new scanner

# What may be left, in the order in which to look for it.
LEFT = ("not finite", "backbone moves", "padding counts", "dropout first")
RUNS, TRAINS, READS = "does not run", "does not train", "reads badly"


# The data


def old_network():
    """The trained network of the old scanner in torch: 64-50-50, and the layer 50-10."""
    network = torch_twin(_trained_once())
    return network[:-1], network[-1]


@functools.cache
def _trained_once():
    return trained(0)[0]


def digits_of_old_scanner(part):
    """Images (N, 64) and digits (N,) of "train", "val" or "test" as torch tensors."""
    return _tensors(*_images(part))


def words(part, seed=0):
    """Words of 1 to 8 digits of the new scanner, padded with zeros, the longest first.

    Its scans have half the contrast on grey paper. In one word of "train" there is a broken pixel.

    Returns
    -------
    x : torch.Tensor, shape (N, 12, 64)
    labels, mask : torch.Tensor, shape (N, 12)
        Which digit it is; True where there is one.
    """
    rng, (images, digits) = np.random.default_rng(seed), _images(part)
    count = 600 if part == "train" else 300
    lengths = np.sort(rng.integers(1, LONGEST + 1, count))[::-1]
    rows = rng.integers(0, len(images), (count, WIDTH))
    mask = np.arange(WIDTH) < lengths[:, None]
    x = np.where(mask[..., None], CONTRAST * images[rows] + GREY, 0.0)
    if part == "train":
        x[rng.integers(count), 0, 5] = np.inf
    return _tensors(x, digits[rows], mask)


def _images(part):
    digits = load_digits()
    return getattr(digits, f"x_{part}"), getattr(digits, f"y_{part}")


def _tensors(*arrays):
    import torch

    return tuple(map(torch.from_numpy, arrays))


# The learner's copy


def path():
    """Where the learner's script is: beside ``my_batchnorm.py``."""
    return library.path().with_name(FILE)


def begin():
    """Put the script beside the notebook, unless there is one already."""
    script = Path(__file__).with_name("capstone_script.py")
    with contextlib.suppress(FileExistsError), path().open("x", encoding="utf-8") as new:
        new.write(script.read_text(encoding="utf-8"))
    print(f"{FILE} is beside your notebooks. What you change there is never overwritten.")


def examine(file=None):
    """Train and try the network of a script; the number to give to `check`.

    Parameters
    ----------
    file : path, optional
        By default ``my_capstone.py`` beside the notebooks.

    Returns
    -------
    int
        `check` says what it means.
    """
    file = path() if file is None else file
    try:
        if not file.is_file():
            raise _Problem(RUNS, f"There is no {file.name}; begin() puts it there.")
        return receipt(*_found(file))
    except _Problem as problem:
        print(problem)
        return receipt(problem.kind)


def receipt(*left):
    """The number of what is left, or of nothing: not to be guessed."""
    return zlib.crc32("+".join(("capstone", *left)).encode()) % 1_000_000


class _Problem(Exception):
    """The script does not get so far that it could be tried."""

    def __init__(self, kind, sentence):
        super().__init__(sentence)
        self.kind = kind


def _found(file):
    """What is left in the script; prints the accuracy on words that it has not seen."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        reader = _trained_reader(file)
        old, new = _guarded(file, lambda: _accuracies(reader.eval()))
        left = _guarded(file, lambda: [name for name in LEFT if TESTS[name](reader)])
    print(f"test accuracy: {old:.1%} old scanner, {new:.1%} new, mean {(old + new) / 2:.1%}; "
          f"the target is {TARGET:.0%}")  # fmt: skip
    return left or ([READS] if (old + new) / 2 < TARGET else [])


def _trained_reader(file):
    space = {"__name__": "capstone"}

    def execute():
        exec(compile(file.read_text(encoding="utf-8"), str(file), "exec"), space)
        return space["Reader"](), space["train"]

    reader, train = _guarded(file, execute)
    before = copy.deepcopy(reader.state_dict())
    _guarded(file, lambda: train(reader, *words("train", seed=1)))
    heads = [name for name in before if "old" not in name and "backbone" not in name]
    state = reader.state_dict()
    moved = {name for name in heads if not bool((state[name] == before[name]).all())}
    if not moved:
        raise _Problem(TRAINS, "After train(reader, ...) the new head is what it was before.")
    if moved.isdisjoint(name for name, _ in reader.named_buffers()):
        raise _Problem(TRAINS, "In train(reader, ...) no running statistics of the new head moved.")
    return reader


def _guarded(file, action):
    """The value of an action of the script, which may do anything, print included."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            return action()
    except (Exception, SystemExit) as error:
        lines = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == str(file)]
        place = f" (line {lines[-1].lineno})" if lines else ""
        said = f"{type(error).__name__}: {error}".splitlines()[0]
        raise _Problem(RUNS, f"{file.name} stops{place}: {said}") from None


# What is tried. Each takes the trained reader in evaluation mode.


def _accuracies(reader):
    import torch

    (images, digits), (x, labels, mask) = digits_of_old_scanner("test"), words("test", seed=1)
    with torch.no_grad():
        old = (reader.old(images).argmax(1) == digits).double().mean()
        new = (reader(x, mask).argmax(1) == labels[mask]).double().mean()
    return old.item(), new.item()


def _not_finite(reader):
    return not all(bool(b.isfinite().all()) for b in reader.buffers())


def _backbone_moves(reader):
    """Whether the frozen backbone gives other outputs than the one that came."""
    import torch

    images, _ = digits_of_old_scanner("test")
    with torch.no_grad():
        return not torch.allclose(reader.backbone(images), old_network()[0].eval()(images))


def _padding_counts(reader):
    """Whether further padding changes the outputs for the real digits in training mode."""
    import torch

    x, _, mask = (part[-40:] for part in words("test", seed=1))
    longer = torch.nn.functional.pad(x, (0, 0, 0, 8)), torch.nn.functional.pad(mask, (0, 8))
    once, twice = (_in_training(reader, *batch) for batch in ((x, mask), longer))
    return not torch.allclose(once, twice, atol=1e-6, equal_nan=True)


def _in_training(reader, x, mask):
    """Outputs of a copy in training mode, without dropout, behind the backbone that came.

    That stands in evaluation mode: whether training leaves it alone, `_backbone_moves` tells.
    """
    import torch

    trial = copy.deepcopy(reader).train()
    trial.backbone = old_network()[0].eval()
    torch.manual_seed(0)  # a dropout that is not a layer drops the same both times
    for module in trial.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    with torch.no_grad():
        return trial(x, mask)


def _dropout_first(reader):
    """Whether dropout is called before a batch norm, in the order of the calls."""
    import torch

    called, trial = [], copy.deepcopy(reader)
    for module in trial.modules():
        module.register_forward_hook(lambda module, *_: called.append(module))
    trial(*(words("test", seed=1)[i] for i in (0, 2)))
    drops = [i for i, m in enumerate(called) if isinstance(m, torch.nn.Dropout) and m.p > 0]
    norms = [i for i, m in enumerate(called) if isinstance(m, torch.nn.BatchNorm1d)]
    return bool(drops and norms) and min(drops) < max(norms)


TESTS = dict(
    zip(LEFT, (_not_finite, _backbone_moves, _padding_counts, _dropout_first), strict=True)
)
