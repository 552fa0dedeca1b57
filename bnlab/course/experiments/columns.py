"""Arrays over seeds as named columns and back, so that a long result fits a CSV file."""

import numpy as np

__all__ = ["from_columns", "to_columns"]


def to_columns(arrays):
    """Split arrays of shape (S, ...) into one column for each place behind the seeds.

    Parameters
    ----------
    arrays : dict of ndarray
        All with the seeds as their first axis.

    Returns
    -------
    dict of ndarray, shape (S,)

    Examples
    --------
    >>> to_columns({"loss": np.array([1.0, 2.0]), "rates": np.array([[0.1, 1.0], [0.1, 1.0]])})
    {'loss': array([1., 2.]), 'rates.0': array([0.1, 0.1]), 'rates.1': array([1., 1.])}
    """
    return {
        ".".join(map(str, (name, *place))): array[(slice(None), *place)]
        for name, array in arrays.items()
        for place in np.ndindex(array.shape[1:])
    }


def from_columns(columns):
    """Undo `to_columns`.

    Examples
    --------
    >>> from_columns({"rates.0": np.array([0.1, 0.1]), "rates.1": np.array([1.0, 1.0])})
    {'rates': array([[0.1, 1. ], [0.1, 1. ]])}
    """
    places = {}
    for column in columns:
        name, *place = column.split(".")
        places.setdefault(name, []).append(tuple(map(int, place)))
    return {name: _assembled(columns, name, found) for name, found in places.items()}


def _assembled(columns, name, places):
    shape = [size + 1 for size in np.max(places, axis=0)] if places[0] else []
    first = columns[".".join(map(str, (name, *places[0])))]
    array = np.empty((len(first), *shape))
    for place in places:
        array[(slice(None), *place)] = columns[".".join(map(str, (name, *place)))]
    return array
