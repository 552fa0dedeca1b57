"""Notebook 03, Train a network with your own backward pass.

- `ex_backpropagation`, `ex_closed_form` (both on `batches`), `ex_numerical_gradient`, `questions`.
- `recall`: the closed-book questions about notebooks 00 and 02.
- `backpropagation` (the derivation), `gradient_geometry` (a projection) and `wrong_gradients`
  (which tests see a mistake): the claims.
"""
