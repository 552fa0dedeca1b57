"""What a batch norm has to offer so that its promises can be looked at: the class `Adapter`."""

__all__ = ["Adapter", "DoesNotApply"]


class DoesNotApply(Exception):
    """A promise has no meaning for this batch norm; the text says why."""


class Adapter:
    """A batch norm of some framework, spoken to in NumPy arrays; write a subclass for yours.

    One object is one layer in training with C channels. Its arrays have the layout and the dtype
    of the framework. A method that you leave out takes its rows out of the report.

    Parameters
    ----------
    gamma, beta : ndarray, shape (C,)
        Scale and shift that the layer is given.
    dtype : {"float64", "float32", "float16", "bfloat16"}
        What the layer computes in. NumPy has no bfloat16: then arrays are float32 and hold numbers
        that bfloat16 can hold.
    **settings : float
        ``eps`` and ``momentum``, each only where it is not to be the framework's default. Pass
        momentum on as it is: which way it runs is one of the questions.

    Attributes
    ----------
    dtypes : tuple of str
        Those that the layer can compute in. The first is used for all rows but those about others.
    channel_axis : {1, -1}
        Where the channels of x are.
    settings : tuple of str
        What can be set, of ``"eps"`` and ``"momentum"``.
    keeps_memory_order : bool
        Whether the layer sees how the array that it is given lies in memory.
    missing : dict
        Part of the report -> why its rows do not apply.

    Examples
    --------
    A layer of this course that is spoken to by hand; `conform` has an adapter for it already.

    >>> from bnlab.layers import BatchNorm
    >>> class Mine(Adapter):
    ...     dtypes = ("float64",)
    ...     def __init__(self, gamma, beta, dtype, **settings):
    ...         self.layer = BatchNorm(len(gamma), **settings)
    ...         self.layer.weight[:], self.layer.bias[:] = gamma, beta
    ...     def train(self, x):
    ...         return self.layer.train().forward(x), None
    ...     def eval(self, x):
    ...         return self.layer.eval().forward(x)
    """

    dtypes = ("float32",)
    channel_axis = 1
    settings = ("eps", "momentum")
    keeps_memory_order = False
    missing = {}  # noqa: RUF012 (never changed; a subclass says its own)

    def __init__(self, gamma, beta, dtype, **settings):
        raise NotImplementedError(f"{type(self).__name__} needs an __init__ that makes its layer")

    def train(self, x):
        """Run the layer on x in training mode.

        Returns
        -------
        y : array_like, shape of x
        backward : callable or None
            Maps the gradient dy to (dx, dgamma, dbeta) of *this* call; it may be called after
            other calls of `train`. None where there is no backward.
        """
        raise DoesNotApply(self._lacks("train"))

    def eval(self, x):
        """Run the layer on x in evaluation mode; return y."""
        raise DoesNotApply(self._lacks("eval"))

    def running(self):
        """Return the mean and the variance by which evaluation would normalize now, (C,) each."""
        raise DoesNotApply(self._lacks("running"))

    def save(self):
        """Return the state as the framework saves it, in any form."""
        raise DoesNotApply(self._lacks("save"))

    def load(self, state):
        """Take over a saved state."""
        raise DoesNotApply(self._lacks("load"))

    def names(self):
        """Return what the framework calls scale, shift, running mean and running variance."""
        raise DoesNotApply(self._lacks("names"))

    def _lacks(self, method):
        return f"The adapter has no {method}()."
