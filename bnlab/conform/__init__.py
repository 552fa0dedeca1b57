"""Does this batch norm keep its promises? For any framework, and for what a learner wrote.

- `conform(target)` looks at about thirty promises, from the output in training to the state that is
  saved, and names the mistake behind a broken one. `bnlab conform TARGET` does so in a terminal.
- `Adapter` is what somebody writes, in about ten lines, for a framework that is not known here.
"""

from bnlab.conform.adapter import Adapter, DoesNotApply
from bnlab.conform.conforming import conform
from bnlab.conform.report import Report, Row
from bnlab.conform.subject import TargetError

__all__ = ["Adapter", "DoesNotApply", "Report", "Row", "TargetError", "conform"]
