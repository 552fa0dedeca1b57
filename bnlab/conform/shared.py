"""Which libraries share a convention, from the table of notebook 05."""

from bnlab.course.lessons.nb05.conventions import CONVENTIONS

__all__ = ["shared_with"]


def shared_with(field, *values, multiplies=("new", "old", "none")):
    """The libraries whose convention has one of these values, as a list in words.

    `multiplies`: only of those whose momentum multiplies this.

    >>> shared_with("channel_axis", 0)
    'Equinox'
    >>> shared_with("eps", 0.5)
    'no library in the table of notebook 05'
    """
    rows = CONVENTIONS.items()
    names = [n for n, c in rows if getattr(c, field) in values and c.multiplies in multiplies]
    *most, last = [_in_a_list(name) for name in names] or ["no library in the table of notebook 05"]
    return f"{', '.join(most)} and {last}" if most else last


def _in_a_list(name):
    """A name of the table without its comma: "tf.keras 2, dense" is "tf.keras 2 (dense)"."""
    library, comma, case = name.partition(", ")
    return f"{library} ({case})" if comma else library
