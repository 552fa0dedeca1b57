"""Functions of the course, such as those in a learner's `my_batchnorm.py`, put together to a layer.

Where a function is not there, the course's own takes its place, and the rows about it do not apply.
"""

import numpy as np

from bnlab.batchnorm import batchnorm_forward
from bnlab.conform import reference
from bnlab.conform.adapter import Adapter, DoesNotApply
from bnlab.course.lessons.nb02.ex_batchnorm_algorithm import FORWARD
from bnlab.course.lessons.nb03.ex_backpropagation import STAGED
from bnlab.course.lessons.nb03.ex_closed_form import CLOSED_FORM
from bnlab.course.lessons.nb05.ex_inference import INFERENCE
from bnlab.course.lessons.nb05.ex_running_statistics import UPDATE
from bnlab.course.lessons.nb06.ex_spatial_batchnorm import SPATIAL

__all__ = ["NAMES", "Functions"]

NAMES = tuple(e.name for e in (FORWARD, STAGED, CLOSED_FORM, UPDATE, INFERENCE, SPATIAL))

# Part of the report -> the functions of which one has to be there.
NEEDED = {
    "training": (FORWARD.name, SPATIAL.name),
    "gradients": (STAGED.name, CLOSED_FORM.name),
    "running statistics": (UPDATE.name,),
    "evaluation": (INFERENCE.name,),
}


class Functions(Adapter):
    """The functions as one layer; each is called as its exercise says, and by position."""

    dtypes = ("float64", "float32", "float16")
    keeps_memory_order = True
    functions = {}  # noqa: RUF012 (never changed; `of` makes a subclass)

    @classmethod
    def of(cls, functions):
        """The adapter for these functions, name -> function."""
        missing = {
            part: f"{' or '.join(names)} is not in your library yet."
            for part, names in NEEDED.items()
            if not functions.keys() & set(names)
        }
        missing["state"] = "Functions keep no state."
        missing["defaults"] = "The functions of the course are told eps and momentum."
        return type(cls.__name__, (cls,), {"functions": functions, "missing": missing})

    def __init__(self, gamma, beta, dtype, **settings):
        self.gamma, self.beta = gamma.astype(dtype), beta.astype(dtype)
        self.eps, self.momentum = settings.get("eps"), settings.get("momentum")
        self.mean, self.var = np.zeros(len(gamma)), np.ones(len(gamma))
        self.new = []  # batches that have not moved the running statistics yet

    def train(self, x):
        """As `Adapter.train`; what the forward function returns besides y is left alone."""
        self.new.append(x.copy())
        arguments = (x, self.gamma, self.beta, self.eps)
        y = _first(self._forward(x.ndim)(*arguments))
        return y, lambda dy: self._backward(dy, *arguments)

    def eval(self, x):
        """As `Adapter.eval`, on the view (M, C)."""
        inference = self._function(INFERENCE)
        rows = reference.rows(x)
        y = inference(rows, self.gamma, self.beta, *self.running(), self.eps)
        return reference.unrows(_first(y), x.shape)

    def running(self):
        """As `Adapter.running`; the arrays are those that evaluation gets, not copies."""
        while self.new:
            rows = reference.rows(self.new.pop(0))
            update = self._function(UPDATE)
            self.mean, self.var = update(self.mean, self.var, rows, self.momentum)[:2]
        return self.mean, self.var

    def _forward(self, ndim):
        if ndim == 2:
            return self._function(FORWARD)
        if ndim == 4 and SPATIAL.name in self.functions:
            return self.functions[SPATIAL.name]
        if ndim == 4:
            raise DoesNotApply(f"{SPATIAL.name} is not in your library yet.")
        raise DoesNotApply("The functions of the course take (N, C) and (N, C, H, W).")

    def _backward(self, dy, x, *rest):
        """The staged gradients, and those of the closed form, on the view (M, C)."""
        rows = reference.rows(dy), reference.rows(x)
        found = {}
        if CLOSED_FORM.name in self.functions:
            cache = batchnorm_forward(rows[1], *rest)[1]
            dx, dgamma, dbeta = self.functions[CLOSED_FORM.name](rows[0], cache)[:3]
            found = {"dx": dx, "dgamma": dgamma, "dbeta": dbeta}
            found |= {f"{name}, closed form": value for name, value in found.items()}
        if STAGED.name in self.functions or not found:
            found |= self._function(STAGED)(*rows, *rest)
        return {
            name: reference.unrows(value, x.shape) if np.shape(value) == rows[0].shape else value
            for name, value in found.items()
        }

    def _function(self, exercise):
        return self.functions.get(exercise.name, exercise.reference)


def _first(value):
    return value[0] if isinstance(value, tuple) else value
