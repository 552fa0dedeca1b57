"""What the adapters of frameworks share: a layer comes from a class, or from a function."""

import inspect

from bnlab.conform.adapter import Adapter

__all__ = ["Made"]


class Made(Adapter):
    """Base of the adapters whose layer is made by ``make(channels, **settings)``.

    `keywords` says what the framework calls eps and momentum.
    """

    keywords = {"eps": "eps", "momentum": "momentum"}  # noqa: RUF012 (never changed)
    make = None

    @classmethod
    def of(cls, make):
        """The adapter for the layers that this class or function makes."""
        taken = [name for name, keyword in cls.keywords.items() if _takes(make, keyword)]
        return type(cls.__name__, (cls,), {"make": staticmethod(make), "settings": tuple(taken)})

    def keyword_arguments(self, settings):
        """The settings under the framework's own names."""
        return {self.keywords[name]: value for name, value in settings.items()}


def _takes(make, keyword):
    try:
        parameters = inspect.signature(make).parameters.values()
    except (TypeError, ValueError):  # a built-in
        return True
    return any(p.name == keyword or p.kind == p.VAR_KEYWORD for p in parameters)
