"""Notebook 02, Write batch norm and place it in a network.

- `ex_batchnorm_algorithm`, `ex_identity_parameters`, `questions`: the exercises.
- `recall`: the closed-book questions, about notebook 00.
- `algorithm` (which statistics), `running_variance` (which centre), `normalized` (what two moments
  say), `bound` (how far a value can be), `scale_and_shift` (gamma and beta) and `notation`: the
  claims.
"""
