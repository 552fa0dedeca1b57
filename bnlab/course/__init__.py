"""Everything that exists for the lessons: check an answer, get a hint, see the evidence.

- `exercises/` and `experiments/` are the engines, `lessons/nb00` to `nb10` what they run.
- `explore/` has the pictures that a reader can move.
"""

from bnlab.course.exercises.checking import check
from bnlab.course.exercises.helping import hint, solution
from bnlab.course.exercises.mine import mine
from bnlab.course.exercises.progress import progress
from bnlab.course.exercises.report import CheckFailed, Report
from bnlab.course.experiments.record import claim, record
from bnlab.course.explore.exploring import explore

__all__ = [
    "CheckFailed",
    "Report",
    "check",
    "claim",
    "explore",
    "hint",
    "mine",
    "progress",
    "record",
    "solution",
]
