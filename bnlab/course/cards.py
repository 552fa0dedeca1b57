"""The HTML of a card: what `check` says of an answer, or what is known of a claim.

Its words have the ink of the page, which can be read in every theme. The coloured line at its side
only repeats what a sign and a word say. GitHub and others take styles away; the words are left.
"""

import html
import re

__all__ = ["BREAK", "GREEN", "GREY", "ORANGE", "RED", "card", "marked"]

# For lines and marks: a contrast of 3 and more on white paper and on dark.
GREEN, ORANGE, RED, GREY = "#1a7f37", "#b35900", "#d1242f", "#6e7781"
BREAK = "overflow-wrap: anywhere"  # a long name is cut rather than the page made wider


def card(colour, content):
    """HTML beside a line of this colour."""
    style = f"border-left: 4px solid {colour}; padding: 0.3em 0.8em; {BREAK}"
    return f'<div class="bnlab-card" style="{style}">{content}</div>'


def marked(text):
    """Text as HTML, in which backticks stand for code.

    >>> marked("`x < 0` & more")
    '<code>x &lt; 0</code> &amp; more'
    """
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))
