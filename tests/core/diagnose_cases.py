"""Torch models as people have them, with what is true of each: {problem: layers}.

From public reports and architectures; each is the smallest model that shows its kind.
"""

import diagnose_order_cases  # noqa: F401 - it fills CASES
from diagnose_kind_cases import Diary, KeyEncoder, logits_before_a_softmax
from diagnose_parts import CASES, Coded, Untraceable, after, batch, small
from diagnose_state_cases import Dead

__all__ = [
    "CASES", "Coded", "Dead", "Diary", "KeyEncoder", "Untraceable", "after", "batch",
    "logits_before_a_softmax", "small",
]  # fmt: skip
