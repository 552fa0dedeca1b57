"""Notebook 00, Mend a dead network: one function, and what batch norm does with it.

- `ex_start_here`: the exercise `feature_means` and the question `how_many_means`.
"""
