"""Notebook 08, Ask whether batch norm works, and why.

- `ex_gradient_cosine`, `questions`: the exercises. `recall`: the closed-book questions, about
  notebooks 02, 04 and 06. `paper_figure`: the paper's figure 1, to be run.
- Does it work: `learning_rates`, `training_time`, `initialization`, `depth` (on `residual`),
  `figure_one`, `placement`, `only_batchnorm`, `robustness`, `blind_accuracy`, `paper_remarks`.
- Why: `internal_shift`, `landscape`, `noise_after`, `gradient_growth`.
- Again on CIFAR-10: `at_scale`, the runs and the judges of each claim; `rates_figure`, both scales.
"""
