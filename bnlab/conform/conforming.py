"""`conform`: look at every promise of a batch norm."""

import contextlib
import io
import warnings

import numpy as np

from bnlab.conform import promises  # noqa: F401 (fills the list)
from bnlab.conform.promising import look_at_all
from bnlab.conform.report import Report
from bnlab.conform.subject import Subject, TargetError
from bnlab.conform.targets import find

__all__ = ["conform"]


def conform(target):
    """Look whether a batch norm keeps its promises.

    Every promise is tried on the smallest batches first, so that a broken one comes with a small
    input. Where a mistake of the course gives the same numbers, the row says its sentence.

    Parameters
    ----------
    target : object or str
        A class of layers (torch, Flax, Keras, Equinox, MLX, this course), or a function that makes
        a layer with C channels; a dict of functions of the course, by the names of the exercises,
        a module that holds them, or what `mine` returns; a subclass of `Adapter`; or, as text,
        ``"torch.nn:BatchNorm1d"``, ``"module:attribute"`` or the path of ``my_batchnorm.py``.

    Returns
    -------
    Report
        Its `rows`, and whether it is `ok`: whether none is broken.

    Raises
    ------
    TargetError
        With one sentence, if there is nothing to look at.

    Examples
    --------
    >>> from bnlab.layers import BatchNorm
    >>> report = conform(BatchNorm)
    >>> report.ok
    True
    >>> class Biased(BatchNorm):
    ...     def _track(self, mean, var, m):
    ...         super()._track(mean, var * (m - 1) / m, m)
    >>> conform(Biased)["variance that is fed"].value
    'biased'
    """
    with (
        contextlib.redirect_stdout(io.StringIO()),
        warnings.catch_warnings(action="ignore"),
        np.errstate(all="ignore"),
    ):
        found = find(target)
        subject = Subject(found.adapter)
        if not subject.dims:
            raise TargetError(f"{found.name} takes no batch: {subject.refused[2]}")
        return Report(found.name, look_at_all(subject), found.parts)
