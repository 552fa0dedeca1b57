"""Notebook 07, Measure the noise of batch norm, and use it to regularize.

- `ex_predicted_noise`, `ex_ghost_batches`, `questions`, `recall`: the exercises.
- `regularization` (how large the noise is), `ghost_batches` (the noise alone), `small_data` and
  `dropout_and_batchnorm`: the claims.
"""
