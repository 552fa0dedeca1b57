"""Notebook 05, Take batch norm to test time: average, translate, fold.

- `ex_running_statistics`, `ex_inference`, `ex_fold_linear`, `questions`: the exercises.
- `evaluation`, `recomputed_statistics`, `training_by_averages`, `folding`: the claims.
- `conventions`: what other libraries mean by momentum and eps.
"""
