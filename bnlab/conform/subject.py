"""The batch norm that is looked at: layers of it, in the layout of this course and in float64."""

import functools

import numpy as np

from bnlab.conform import probes
from bnlab.conform.adapter import DoesNotApply

__all__ = ["EPS", "MOMENTUM", "TOLERANCE", "VISIBLE_EPS", "Live", "Subject", "TargetError"]

# What a layer is given where a row says nothing else. eps is too small to be seen, so that its
# place is looked at in a row of its own; momentum is far from 1 - momentum and from 1/2.
EPS, MOMENTUM = 1e-14, 0.3
VISIBLE_EPS = 2.0  # where the place of eps is looked at: in the middle of the variances
TOLERANCE = {"float64": 1e-6, "float32": 1e-4}  # of the largest number, and at least absolute


class TargetError(ValueError):
    """There is nothing to look at; the text is one sentence that says why."""


class Subject:
    """All layers of one kind.

    Parameters
    ----------
    adapter : type
        A subclass of `Adapter`.
    """

    def __init__(self, adapter):
        self.adapter = adapter
        self.dtype = adapter.dtypes[0]
        self.tolerance = TOLERANCE.get(self.dtype, 1e-2)

    def layer(self, gamma, beta, dtype=None, **settings):
        """Make a new layer; what cannot be set of eps and momentum is left out."""
        wanted = {"eps": EPS, "momentum": MOMENTUM, **settings}
        given = {name: value for name, value in wanted.items() if name in self.adapter.settings}
        return Live(self, np.array(gamma, float), np.array(beta, float), dtype, given)

    def plain_layer(self, channels, **settings):
        """Make a layer with gamma 1, beta 0, and the framework's own eps and momentum."""
        return Live(self, np.ones(channels), np.zeros(channels), None, settings)

    @functools.cached_property
    def refused(self):
        """Number of axes -> why the layer takes no such batch; 2, 3 and 4 are tried."""
        found = {}
        for ndim in (2, 3, 4):
            try:
                batch = probes.batch(probes.SHAPES[ndim][-1])
                self.layer(batch.gamma, batch.beta).train(batch.x)
            except DoesNotApply as why:
                found[ndim] = str(why)
            except Exception as error:
                found[ndim] = f"It refuses {probes.LETTERS[ndim]}: {told(error)}"
        return found

    @property
    def dims(self):
        """Numbers of axes of the batches that it takes, the smallest first."""
        return [ndim for ndim in (2, 3, 4) if ndim not in self.refused]

    def need(self, ndim):
        """Stop the row where batches of so many axes are refused."""
        if ndim in self.refused:
            raise DoesNotApply(self.refused[ndim])

    def need_dtype(self, dtype):
        """Stop the row where such numbers are refused: an error breaks no promise about digits."""
        if dtype not in self.adapter.dtypes:
            raise DoesNotApply(f"The adapter offers no {dtype}.")
        x = stored(np.arange(4.0).reshape(self.shape(4, 1)), dtype)
        try:
            self.layer(np.ones(1), np.zeros(1), dtype).train(x)
        except Exception as error:
            raise DoesNotApply(f"It refuses {dtype}: {told(error)}") from None

    @property
    def missing(self):
        """Part of the report -> why its rows do not apply."""
        return self.adapter.missing

    def can_set(self, name):
        """Whether eps or momentum can be set."""
        return name in self.adapter.settings

    @functools.cached_property
    def own_eps(self):
        """The default of eps: how small deviations come out, which are far below it."""
        x = np.array([-1e-4, 1e-4]).reshape(self.shape(2, 1))
        y = self.plain_layer(1).train(x)[0].ravel()[-1]
        return float(f"{max((1e-4 / y) ** 2 - 1e-8, 0.0):.3g}")

    def eps(self, given=EPS):
        """The eps of a layer that was given this one, as far as it can be set."""
        return given if self.can_set("eps") else self.own_eps

    def shape(self, n, c):
        """(N, C) with as many further axes, of length 1, as the layer needs at least."""
        return n, c, *[1] * (self.dims[0] - 2)


class Live:
    """One layer: NumPy arrays (N, C, ...) in, float64 out."""

    def __init__(self, subject, gamma, beta, dtype, settings):
        self.dtype = dtype or subject.dtype
        self.axis = subject.adapter.channel_axis
        self.changed = set()  # which inputs were written into
        self.adapter = subject.adapter(gamma, beta, self.dtype, **settings)

    def train(self, x):
        """Return y and ``backward(dy)``, which returns a dict with dx, dgamma and dbeta."""
        return self._train(np.array(np.moveaxis(x, 1, self.axis), order="C"))

    def train_in_other_memory(self, x):
        """Train on the same numbers, laid out as the other convention about channels has them."""
        other = -1 if self.axis == 1 else 1
        in_order = np.array(np.moveaxis(x, 1, other), order="C")
        return self._train(np.moveaxis(in_order, other, self.axis))

    def _train(self, x):
        with _Watched(self, "x", stored(x, self.dtype)) as given:
            y, backward = self.adapter.train(given)
        return self._array(y), lambda dy: self._backward(backward, dy, x.shape)

    def _backward(self, backward, dy, shape):
        if backward is None:
            raise DoesNotApply("Its adapter has no backward.")
        dy = np.array(np.moveaxis(dy, 1, self.axis), order="C")
        with _Watched(self, "dy", stored(dy, self.dtype)) as given:
            found = backward(given)
        if not isinstance(found, dict):
            found = dict(zip(("dx", "dgamma", "dbeta"), found, strict=True))
        return {
            name: self._array(value) if np.shape(value) == shape else np.ravel(np.array(value))
            for name, value in found.items()
        }

    def eval(self, x):
        """Return y of evaluation mode."""
        x = np.array(np.moveaxis(x, 1, self.axis), order="C")
        with _Watched(self, "x", stored(x, self.dtype)) as given:
            return self._array(self.adapter.eval(given))

    def running(self):
        """Return copies of running mean and variance."""
        mean, var = self.adapter.running()
        return np.array(mean, float).ravel(), np.array(var, float).ravel()

    def save(self):
        """Return the saved state."""
        return self.adapter.save()

    def load(self, state):
        """Take over a saved state."""
        self.adapter.load(state)

    def _array(self, y):
        return np.moveaxis(np.array(y, float), self.axis, 1)


class _Watched:
    """Notes whether what happens inside changes the array."""

    def __init__(self, live, name, array):
        self.live, self.name, self.array, self.before = live, name, array, array.copy()

    def __enter__(self):
        return self.array

    def __exit__(self, *_):
        if not np.array_equal(self.array, self.before, equal_nan=True):
            self.live.changed.add(self.name)


def stored(x, dtype):
    """The array as this dtype stores it; bfloat16 numbers come in a float32 array.

    >>> stored(np.array([1.0, 5.01]), "bfloat16")
    array([1., 5.], dtype=float32)
    """
    if dtype != "bfloat16":
        return x.astype(dtype)
    bits = np.asarray(x, np.float32).view(np.uint32)
    half = np.uint32(0x7FFF) + ((bits >> 16) & 1)  # to the nearest, ties to even
    return ((bits + half) & np.uint32(0xFFFF0000)).view(np.float32)


def told(error):
    """Kind and first line of an error."""
    first = str(error).strip().split("\n")[0]
    return f"{type(error).__name__}: {first}".rstrip(": .") + "."
