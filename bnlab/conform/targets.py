"""What can be looked at, and its adapter; a framework is imported only if it is asked for."""

import importlib
import inspect
import os
import runpy
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from bnlab.conform.adapter import Adapter
from bnlab.conform.subject import TargetError, told
from bnlab.course.exercises.function import Mine

__all__ = ["Target", "find"]

# Package in which a layer's class, or one that it is derived from, was written -> its adapter.
FRAMEWORKS = {
    "torch": ("torch_layers", "Torch"),
    "keras": ("keras_layers", "Keras"),
    "flax": ("flax_layers", "Flax"),
    "equinox": ("equinox_layers", "Equinox"),
    "mlx": ("mlx_layers", "Mlx"),
    "bnlab.layers": ("course_layers", "Course"),
}
WHAT = (
    'a class such as torch.nn.BatchNorm1d, a function that makes a layer, "module:attribute", '
    "my_batchnorm.py, a dict of functions of the course, or a subclass of bnlab.conform.Adapter"
)


@dataclass(frozen=True)
class Target:
    """A name, the adapter, and whose the functions are."""

    name: str
    adapter: type
    parts: dict = field(default_factory=dict)


def find(target):
    """The `Target` for whatever somebody hands to `conform`.

    Raises
    ------
    TargetError
        With one sentence, if nothing can be looked at.
    """
    if isinstance(target, str | os.PathLike):
        return _from_text(os.fspath(target))
    return _from_object(target, _name_of(target))


def _name_of(target):
    if isinstance(target, ModuleType):
        return target.__name__
    if isinstance(target, dict):
        return "functions"
    if isinstance(target, Mine):
        return target.whose
    module, name = (getattr(target, k, "") for k in ("__module__", "__qualname__"))
    return f"{module}:{name}" if name else type(target).__name__


# Text


def _from_text(text):
    place, _, attribute = text.rpartition(":") if _has_attribute(text) else (text, "", "")
    names = _run(Path(place)) if place.endswith(".py") else vars(_import(place))
    if not attribute:
        return _from_object(_functions_in(names, text), text)
    if attribute not in names:
        raise TargetError(f"{place} has no {attribute}.")
    return _from_object(names[attribute], text)


def _has_attribute(text):
    return ":" in text and not text.endswith(".py")  # a colon may stand in C:\\my_batchnorm.py


def _run(path):
    if not path.is_file():
        raise TargetError(f"There is no file {path}.")
    try:
        return runpy.run_path(str(path))
    except (Exception, SystemExit) as error:
        raise TargetError(f"{path} cannot be run: {told(error)}") from None


def _import(name):
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        root = name.partition(".")[0]
        if error.name == root:
            raise TargetError(
                f"{root} is not installed here; install it where bnlab is, or name a file, such "
                "as my_batchnorm.py."
            ) from None
        raise TargetError(f"{name} cannot be imported: {told(error)}") from None
    except Exception as error:
        raise TargetError(f"{name} cannot be imported: {told(error)}") from None


def _functions_in(names, text):
    from bnlab.conform.adapters.functions import NAMES

    found = {name: names[name] for name in NAMES if callable(names.get(name))}
    if not found:
        raise TargetError(
            f"{text} defines none of {', '.join(NAMES)}; to test something else that is in it, "
            f"write {text}:NAME."
        )
    return found


# Objects


def _from_object(target, name):
    if isinstance(target, ModuleType):
        target = _functions_in(vars(target), name)
    if isinstance(target, Mine):
        target = {target.name: target}
    if isinstance(target, dict):
        return _from_functions(target, name)
    if isinstance(target, type) and issubclass(target, Adapter):
        return Target(name, target)
    if not callable(target) or _is_layer(target):
        raise TargetError(
            f"conform makes its own layers; it needs {WHAT}, got a {type(target).__name__}."
        )
    if exercise := _exercise_of(target):
        return _from_functions({exercise: target}, name)
    return Target(name, _adapter_of(target, name))


def _from_functions(functions, name):
    from bnlab.conform.adapters.functions import NAMES, Functions

    if strange := sorted(functions.keys() - set(NAMES)):
        raise TargetError(f"conform knows the functions {', '.join(NAMES)}; got {strange[0]!r}.")
    return Target(name, Functions.of(functions), {n: _whose(functions.get(n)) for n in NAMES})


def _whose(function):
    if function is None:
        return "missing"
    return "yours" if getattr(function, "yours", True) else "the course's"


def _is_layer(target):
    return not isinstance(target, type) and _framework(type(target)) is not None


def _exercise_of(target):
    """The exercise that a function answers: by its name, or by being called with x, gamma, beta."""
    from bnlab.conform.adapters.functions import NAMES

    if isinstance(target, type):
        return None
    if (name := getattr(target, "__name__", "")) in NAMES:
        return name
    try:
        arguments = list(inspect.signature(target).parameters)
    except (TypeError, ValueError):
        return None
    return NAMES[0] if arguments[:3] == ["x", "gamma", "beta"] else None


def _adapter_of(make, name):
    """The adapter for a class of layers, or for a function that makes one."""
    kind = make if isinstance(make, type) else type(_one(make, name))
    if not (found := _framework(kind)):
        raise TargetError(
            f"{name} is of no framework that conform knows ({', '.join(FRAMEWORKS)}); it needs "
            f"{WHAT}."
        )
    file, adapter = found
    module = importlib.import_module(f"bnlab.conform.adapters.{file}")
    choose = getattr(module, "adapter_for", lambda kind: getattr(module, adapter))
    return choose(kind).of(make)


def _one(make, name):
    try:
        return make(3)
    except Exception as error:
        raise TargetError(f"{name}(3) makes no layer with 3 channels: {told(error)}") from None


def _framework(kind):
    """File and class of the adapter, by where the class and its bases were written."""
    for base in kind.__mro__:
        for package, adapter in FRAMEWORKS.items():
            if f"{base.__module__}.".startswith(f"{package}."):
                return adapter
    return None
