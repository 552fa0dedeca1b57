"""Stored outputs whose numbers may differ by what their cell allows.

A cell's metadata say how far a number, as it is printed, may be from the stored one: `"bnlab":
{"within": "2%"}` of the stored number, or `{"within": 0.02}` whatever the number is. Without them
text must be equal.

Numbers that may differ have a point with digits behind it, or an exponent: 0.51, -1e-05, 95.9 in
95.9%. Integers (60, and the 3. of NumPy), nan, words and what looks like a number inside a word
(P1, x1.5, 2.4.6) must be equal. Columns stay columns: spaces in front of a number may differ too.
"""

import re
from decimal import Decimal

__all__ = ["Tolerant", "read_tolerance", "tolerant"]

NUMBER = re.compile(
    r"""
    [ ]*                        # a shorter number stands behind more spaces
    (
        (?<![\w.]) [-+]?        # neither inside a word nor inside a version
        (?: \d*\.\d+ (?:e[-+]?\d+)? | \d+\.?e[-+]?\d+ )
        (?! \w | \.\d )         # a point may end the sentence
    )
    """,
    re.VERBOSE | re.IGNORECASE,
)


class Tolerant(str):
    """A stored text that equals each text with the same words and nearly the same numbers.

    No hash could agree with such an equality, so there is none.

    >>> Tolerant("loss  9.98 after 60 steps", "2%") == "loss 10.02 after 60 steps"
    True
    >>> Tolerant("loss  9.98 after 60 steps", "2%") == "loss 10.02 after 61 steps"
    False
    """

    def __new__(cls, text, within):
        self = super().__new__(cls, text)
        self.within, self.allowed = within, read_tolerance(within)
        return self

    def __eq__(self, other):
        return self.same_words(other) and not self.too_far(other)

    def __ne__(self, other):
        return not self == other

    def same_words(self, other):
        """Whether all that is no number is the same, and numbers stand in the same places."""
        return NUMBER.split(self)[::2] == NUMBER.split(other)[::2]

    def too_far(self, other):
        """Pairs of numbers, stored and new, that differ more than allowed."""
        return [
            (old, new)
            for old, new in zip(NUMBER.findall(self), NUMBER.findall(other), strict=True)
            if abs(Decimal(new) - Decimal(old)) > self.allowed(abs(Decimal(old)))
        ]

    def explain(self, other):
        """Lines that say first why this text is not the other one, and then show both."""
        if self.same_words(other):
            far = self.too_far(other)
            why = [f"{new} is not within {self.within} of {old}" for old, new in far]
        else:
            why = ["words or integers differ, or how many numbers there are"]
        return [*why, "stored:", *self.splitlines(), "new:", *other.splitlines()]


def tolerant(text, metadata):
    """The text as the metadata of its cell say it is to be compared."""
    marks = metadata.get("bnlab", {})
    return Tolerant(text, marks["within"]) if "within" in marks and isinstance(text, str) else text


def read_tolerance(within):
    """Function that takes the size of a stored number, and returns how far off another may be.

    >>> read_tolerance("2%")(Decimal(300)), read_tolerance(0.02)(Decimal(300))
    (Decimal('6.00'), Decimal('0.02'))
    """
    if isinstance(within, str) and (found := re.fullmatch(r"(\d+(?:\.\d+)?)%", within)):
        share = Decimal(found[1]) / 100
        if 0 < share < 1:
            return lambda size: share * size
    if type(within) in (int, float) and 0 < within < float("inf"):
        return lambda size: Decimal(str(within))
    raise ValueError(
        '"within" of a cell is a share of the stored number, such as "2%", or a distance, such as '
        f"0.02, above 0; got {within!r}: correct it in the cell's metadata, or take it out"
    )
