"""Which libraries share a convention, from the table of notebook 05."""

from bnlab.course.lessons.nb05.conventions import CONVENTIONS

__all__ = ["shared_with"]


def shared_with(field, *values):
    """The libraries whose convention has one of these values, as a list in words.

    >>> shared_with("channel_axis", 0)
    'Equinox'
    >>> shared_with("eps", 0.5)
    'no library in the table of notebook 05'
    """
    rows = CONVENTIONS.items()
    names = [name for name, convention in rows if getattr(convention, field) in values]
    *most, last = [_in_a_list(name) for name in names] or ["no library in the table of notebook 05"]
    return f"{', '.join(most)} and {last}" if most else last


def _in_a_list(name):
    """A name of the table without its comma: "tf.keras 2, dense" is "tf.keras 2 (dense)"."""
    library, comma, case = name.partition(", ")
    return f"{library} ({case})" if comma else library
