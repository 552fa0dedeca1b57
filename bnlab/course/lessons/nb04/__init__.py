"""Notebook 04, Drop the redundant bias, and see what the length of the weights still does.

- `ex_redundant_bias`, `ex_scale_invariance`, `questions`: the exercises.
- `recall`: the closed-book questions about notebooks 00, 02 and 03.
- `redundant_bias`, `scale_invariance`, `norm_growth`, `effective_rate`: the claims.
"""
