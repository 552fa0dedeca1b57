"""The hand-out: formulas, how libraries differ, and the pitfalls, on one page.

Nothing is written twice: formulas are those of the docstrings, the table is the one of notebook 05,
the pitfalls are claims of the ledger.
"""

import inspect
import re
from html import escape

from bnlab import batchnorm
from bnlab.course.experiments.ledger import ledger
from bnlab.course.lessons.nb05.conventions import CONVENTIONS, closed_form
from bnlab.layers import BatchNorm
from bnlab.tools.workshop.formulas import mathml
from bnlab.tools.workshop.pages import page, table

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
body { max-width: 190mm; margin: 8mm auto; font-size: 7.2pt; line-height: 1.2; }
h1 { font-size: 13pt; margin: 0 0 1.5mm; } h2 { font-size: 9pt; margin: 2.5mm 0 1mm; }
p { margin: 1mm 0; }
dl { display: grid; grid-template-columns: max-content auto; gap: 1.8mm 4mm; margin: 0; }
dt { font-weight: bold; } dd { margin: 0; } dt, dd { align-self: center; }
math { font-size: 8.5pt; margin-right: 3mm; math-style: normal; }
td, th { padding: .3mm 1.5mm; } td { white-space: nowrap; }
.pitfalls { columns: 2; column-gap: 5mm; font-size: 6pt; }
.pitfalls p { break-inside: avoid; margin: 0 0 .9mm; }
@page { size: A4; margin: 9mm 10mm; }
@media print { body { margin: 0; max-width: none; } }
"""


def handout():
    """One page, A4 when it is printed.

    Returns
    -------
    str
        HTML.
    """
    return page("Batch normalization on one page", "\n".join(
        [_formulas(), _conventions(), _pitfalls()]), STYLE)  # fmt: skip


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
        f"<dl>{''.join(lines)}</dl>\n"
        "<p>Sums and means run over the M values of a channel: M = N for rows (N, C), M = N·H·W "
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
    return f"<h2>How libraries keep their running statistics</h2>\n{table(columns, rows)}"


def _number(value):
    """As one writes it in Python, 1e-5 and not 1e-05; a dash where there is none."""
    return "–" if value is None else f"{value:g}".replace("e-0", "e-")


def _pitfalls():
    claims = [entry.claim for name, entry in ledger().items() if name.startswith("P")]
    lines = [f"<p><b>{c.id} {escape(c.said)}</b> {escape(c.correct)}</p>" for c in claims]
    return f"<h2>Pitfalls</h2>\n<div class='pitfalls'>{''.join(lines)}</div>"
