"""Notebook 02, Compute batch norm by hand, and find the errors in other people's notes.

- `ex_batchnorm_algorithm`, `ex_identity_parameters`, `questions`: the exercises.
- `algorithm` (which statistics), `normalized` (what two moments say), `scale_and_shift` (gamma and
  beta) and `notation`: the claims.
"""
