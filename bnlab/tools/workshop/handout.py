"""The hand-out, one sheet: in front the summary cards, behind formulas, libraries and pitfalls.

Nothing is written twice: the cards are those of the notebooks, the formulas those of the
docstrings, the table is the one of notebook 05, the pitfalls are claims of the ledger.
"""

import inspect
import re
from html import escape

from bnlab import batchnorm
from bnlab.course.experiments.ledger import ledger
from bnlab.course.lessons.nb05.conventions import CONVENTIONS, closed_form
from bnlab.layers import BatchNorm
from bnlab.tools.workshop.closing import card_of
from bnlab.tools.workshop.formulas import mathml, render_markdown
from bnlab.tools.workshop.pages import page, scrolling, table
from bnlab.tools.workshop.plans import title_of

__all__ = ["formulas_of", "handout"]

FORMULAS = {
    "Training": batchnorm.batchnorm_forward,
    "Backward": batchnorm.batchnorm_backward,
    "Running averages": BatchNorm,
    "after t steps": closed_form,
    "Test time": batchnorm.batchnorm_inference,
    "Folded": batchnorm.fold_batchnorm,
}
STYLE = """
body { max-width: 190mm; margin: 8mm auto; font-size: 7.4pt; line-height: 1.22; }
h1 { font-size: 13pt; margin: 0 0 1.5mm; } h2 { font-size: 9.5pt; margin: 2.5mm 0 1mm; }
p { margin: 0 0 1mm; } ul, ol { margin: 0 0 1mm; padding-left: 1.4em; }
code { font-size: .95em; }
dl { display: grid; grid-template-columns: max-content auto; gap: 1.8mm 4mm; margin: 0 0 2.5mm; }
dt { font-weight: bold; } dd { margin: 0; } dt, dd { align-self: center; }
math { math-style: normal; } dd math { font-size: 8.5pt; margin-right: 3mm; }
td, th { padding: .3mm 1.5mm; } td { white-space: nowrap; } table { font-size: 7pt; }
.cards { columns: 2; column-gap: 7mm; }
.cards > div { margin: 0 0 3mm; } .cards p, .cards li { break-inside: avoid; }
.cards h2 { font-size: max(9.5pt, 1.1em); margin: 0 0 1mm; }
.cards h2 { break-after: avoid; border-bottom: 1px solid #57606a; }
.pitfalls { columns: 2; column-gap: 6mm; font-size: 8.4pt; }
.pitfalls p { break-inside: avoid; margin: 0 0 .8mm; }
.back { margin-top: 10mm; }
@media screen and (max-width: 600px) { .cards, .pitfalls { columns: 1; } }
@page { size: A4; margin: 9mm 10mm; }
@media print {
  body { margin: 0; max-width: none; }
  .back { break-before: page; margin: 0; padding-top: 1.5mm; }
}
"""


def handout(notebooks):
    """One sheet of A4, printed on both sides.

    Parameters
    ----------
    notebooks : dict
        The notebooks of the workshop, whole: name -> NotebookNode.

    Returns
    -------
    str
        HTML.
    """
    words = "<p>The cards are those of the whole notebooks; some of it you meet at home.</p>"
    back = "\n".join([_formulas(), _conventions(), _pitfalls()])
    return page(
        "Batch normalization on one sheet",
        f'{words}\n{_cards(notebooks)}\n<div class="back">{back}</div>', STYLE,
    )  # fmt: skip


def _cards(notebooks):
    cards = [_card(name[:2], notebook) for name, notebook in notebooks.items()]
    size = min(10.5, 52 / len(cards))  # points; seven cards fill a page
    return f'<div class="cards" style="font-size: {size:.1f}pt">{"".join(cards)}</div>'


def _card(number, notebook):
    """A summary card, but for the picture that it calls to mind: here is none."""
    card = re.sub(r"^(- )?\*\*The picture.*\n+", "", card_of(notebook), flags=re.M)
    title = f"<h2>{number} {escape(title_of(notebook))}</h2>"
    return f"<div>{title}{render_markdown(card)}</div>"


def formulas_of(thing):
    r"""Formulas in a docstring, in LaTeX.

    Parameters
    ----------
    thing : function or class

    Returns
    -------
    list of str

    Examples
    --------
    >>> formulas_of(batchnorm.batchnorm_backward)[1]
    'd\\gamma = \\sum dy\\,\\hat{x}, \\quad d\\beta = \\sum dy'
    """
    blocks = re.findall(r"\.\. math::(.*?)(?:\n\n|\Z)", inspect.getdoc(thing), flags=re.S)
    return [" ".join(block.split()) for block in blocks]


def _formulas():
    lines = [
        f"<dt>{name}</dt><dd>{' '.join(map(mathml, formulas_of(thing)))}</dd>"
        for name, thing in FORMULAS.items()
    ]
    return (
        scrolling("Formulas", f"<dl>{''.join(lines)}</dl>")
        + "<p>Sums and means run over the M values of a channel: M = N for rows (N, C), M = N·H·W "
        "for images (N, C, H, W). Training normalizes by the biased variance (divided by M); the "
        "running variance is fed the unbiased one (divided by M − 1).</p>"
    )


def _conventions():
    columns = ["library", "momentum multiplies", "momentum", "eps", "running variance is fed",
               "start", "channel axis", "names, or what to know"]  # fmt: skip
    rows = [
        [name, c.multiplies, _number(c.momentum), _number(c.eps), c.variance, c.start,
         _number(c.channel_axis), c.names]
        for name, c in CONVENTIONS.items()
    ]  # fmt: skip
    title = "How libraries keep their running statistics"
    return f"<h2>{title}</h2>\n{scrolling(title, table(columns, rows))}"


def _number(value):
    """As one writes it in Python, 1e-5 and not 1e-05; a dash where there is none."""
    return "–" if value is None else f"{value:g}".replace("e-0", "e-")


def _pitfalls():
    claims = [entry.claim for name, entry in ledger().items() if name.startswith("P")]
    lines = [f"<p><b>{c.id}</b> {escape(c.said)}</p>" for c in claims]
    return (
        "<h2>What goes wrong in practice (causes and fixes: notebook 09)</h2>\n"
        f"<div class='pitfalls'>{''.join(lines)}</div>"
    )
