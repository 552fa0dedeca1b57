"""What an exploration is, and `explore`, which shows one in a notebook."""

import difflib
import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

__all__ = ["Exploration", "exploration", "explore", "names"]

HERE = Path(__file__).parent


@dataclass(frozen=True, eq=False)
class Exploration:
    """A small picture that its reader can move; the moving part is the module NAME.js.

    Parameters
    ----------
    name : str
        Of its two files, NAME.py and NAME.js.
    state : dict of str to JSON values
        What the reader can change, as it is at first. Read back as attributes: `widget.gamma`.
    alt : str
        The picture in words, for those who do not see it.
    first, seen : str
        What to try first, and what one should have seen then. Plain text.
    still : function of a state
        Draws the same picture with Matplotlib and returns its figure.
    data : function without arguments
        Returns a dict of JSON values that the module reads besides the state and never changes.
    follow : function of changes to the first state
        Returns what changes along with them, unless they say otherwise.
    check : function of a state
        Raises ValueError, with a sentence, where a state makes no sense.
    """

    name: str
    state: dict
    alt: str
    first: str
    seen: str
    still: Callable
    data: Callable = dict
    follow: Callable = lambda changes: {}
    check: Callable = lambda state: None

    @property
    def module(self):
        """The text of the JavaScript module."""
        return (HERE / f"{self.name}.js").read_text(encoding="utf-8")

    def with_changes(self, changes):
        """The first state with these values in place of its own; ValueError if one makes no sense.

        Arrays become lists and NumPy's numbers Python's, since a state travels as JSON.
        """
        for key in changes.keys() - self.state.keys():
            raise ValueError(
                f"the exploration {self.name!r} has no {key!r}; it has {', '.join(self.state)}"
            )
        plain = {key: _plain(value) for key, value in changes.items()}
        for key, value in plain.items():
            _check_kind(f"{key} of the exploration {self.name!r}", value, self.state[key])
        state = self.state | self.follow(plain) | plain
        self.check(state)
        return state


def _plain(value):
    """A value as JSON has it."""
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _check_kind(what, value, usual):
    """Let a value be of the kind that it is at first."""
    if _kinds(value) != _kinds(usual):
        raise ValueError(f"{what} takes {_kinds(usual)}, got {value!r}")


def _kinds(value):
    if isinstance(value, bool):
        return "True or False"
    if isinstance(value, int | float):
        return "finite numbers" if math.isfinite(value) else "numbers that are not finite"
    if isinstance(value, list):
        return f"lists of {' and '.join(sorted({_kinds(part) for part in value})) or 'nothing'}"
    return "texts" if isinstance(value, str) else type(value).__name__


def names():
    """The names of all explorations.

    >>> "batch" in names()
    True
    """
    return sorted(path.stem for path in HERE.glob("*.js"))


def exploration(name):
    """The exploration of this name; ValueError with the nearest name if there is none.

    >>> exploration("batch").state["gamma"]
    1
    """
    if name not in names():
        near = difflib.get_close_matches(str(name), names(), n=1)
        help_ = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(names())}"
        raise ValueError(f"there is no exploration {name!r}; {help_}")
    module = importlib.import_module(f"bnlab.course.explore.{name}")
    return next(value for value in vars(module).values() if isinstance(value, Exploration))


def explore(name, **state):
    """Show a picture to move, where the call is the last line of a cell.

    What the reader does can be read in the next cells as attributes, and changed there too. Where
    there is no anywidget, or no kernel, a still picture stands in its place.

    Parameters
    ----------
    name : str
        "batch", for example.
    **state
        What shall be other than at first; see `exploration(name).state`.

    Returns
    -------
    widget
        Shows itself as the last line of a cell; each part of its state is an attribute.

    Raises
    ------
    ValueError
        There is no such exploration or state.

    Examples
    --------
    >>> explore("batch", x=[1, 1, 1, 1, 6], gamma=2).x
    [1, 1, 1, 1, 6]
    """
    from bnlab.course.explore.showing import shown_class

    found = exploration(name)
    return shown_class(found)(**found.with_changes(state))
