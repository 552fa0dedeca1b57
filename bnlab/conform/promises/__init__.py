"""The promises of a batch norm; the order of these imports is that of the report."""

from bnlab.conform.promises import training  # noqa: I001
from bnlab.conform.promises import gradients
from bnlab.conform.promises import averages
from bnlab.conform.promises import evaluation
from bnlab.conform.promises import edges
from bnlab.conform.promises import precision

__all__ = ["averages", "edges", "evaluation", "gradients", "precision", "training"]
