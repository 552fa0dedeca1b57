"""Exercises: `check` an answer, climb the `hint` ladder, see a `solution`, follow `progress`."""

from bnlab.exercises.checking import check
from bnlab.exercises.helping import hint, solution
from bnlab.exercises.record import progress
from bnlab.exercises.report import CheckFailed, Report

__all__ = ["CheckFailed", "Report", "check", "hint", "progress", "solution"]
