"""Notebook 01, See what shifts: the inputs of a network, and the inputs of its layers.

- `ex_covariate_shift`, `ex_standardize`, `ex_whitening`: the exercises.
- `covariate_shift`, `input_scaling`: claims about the data. `sigmoid_inputs`, `saturation`: about
  networks of sigmoids.
"""
