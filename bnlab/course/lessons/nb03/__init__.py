"""Notebook 03, Derive the gradient of batch norm, and test every line of it.

- `ex_backpropagation`, `ex_closed_form` (both on `batches`), `ex_numerical_gradient`, `questions`.
- `backpropagation` (the derivation), `gradient_geometry` (a projection) and `wrong_gradients`
  (which tests see a mistake): the claims.
"""
