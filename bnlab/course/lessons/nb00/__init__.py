"""Notebook 00, Start here: how a check works, and the first normalized column.

- `ex_start_here`: the exercises `feature_means` and the first question.
"""
