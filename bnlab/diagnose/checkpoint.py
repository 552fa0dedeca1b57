"""The same for the state dicts in a file: what the running statistics alone show."""

from collections.abc import Mapping

import torch

from bnlab.diagnose.report import Report
from bnlab.diagnose.statistics import Statistics, common_problems, problems_alone

__all__ = ["diagnose_checkpoint"]


def diagnose_checkpoint(path):
    """Find what is wrong with the running statistics in a file of `torch.save`.

    The state dicts are looked for inside, for the model, its average and so on; the file is read
    with ``weights_only=True``, so nothing in it is executed. A file knows no eps, no momentum and
    no order of layers: torch's defaults are assumed.

    Parameters
    ----------
    path : str or Path
        A file with a state dict, or with a dict that holds some.

    Returns
    -------
    Report
        As `diagnose` gives it, with the names of the state dict.

    Raises
    ------
    ValueError
        If the file cannot be read, or holds more than tensors and plain values.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     torch.save(torch.nn.BatchNorm1d(3).state_dict(), f"{folder}/model.pt")
    ...     [finding.problem for finding in diagnose_checkpoint(f"{folder}/model.pt")]
    ['untouched statistics']
    """
    every = list(_statistics(_tensors(_load(path))))
    pairs = [(one.name, problem) for one in every for problem in problems_alone(one)]
    pairs += common_problems(every)
    if not every:
        pairs += [("", "no batch norm layer seen")]
    return Report.of(pairs, f"{len(every) or 'no'} layer{'s' * (len(every) != 1)} of {path}")


def _load(path):
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ValueError(f"there is no file {path}") from None
    except Exception as error:
        raise ValueError(
            f"{path} is no file of tensors and plain values that torch.save wrote; save "
            f"model.state_dict(), or call diagnose(model) where the model is. torch says: "
            f"{str(error).splitlines()[0]}"
        ) from error


def _tensors(value, prefix=""):
    """{dotted name: tensor} of all tensors in nested dicts."""
    if isinstance(value, torch.Tensor):
        return {prefix: value}
    if not isinstance(value, Mapping):
        return {}
    found = {}
    for key, item in value.items():
        found |= _tensors(item, f"{prefix}.{key}" if prefix else str(key))
    return found


def _statistics(tensors):
    for key, var in tensors.items():
        name, _, last = key.rpartition(".")
        mean = tensors.get(f"{name}.running_mean".lstrip("."))
        if last == "running_var" and mean is not None:
            batches = tensors.get(f"{name}.num_batches_tracked".lstrip("."))
            yield Statistics(name, mean, var, batches=None if batches is None else int(batches))
