"""Notebook 05, Take batch norm to test time: two modes, averages, folding.

- `ex_running_statistics`, `ex_inference`, `ex_fold_linear`, `questions`: the exercises.
- `recall`: the closed-book questions, about notebooks 02 and 04.
- `evaluation`, `recomputed_statistics`, `training_by_averages`, `folding`: the claims.
- `conventions`: what other libraries mean by momentum and eps.
"""
