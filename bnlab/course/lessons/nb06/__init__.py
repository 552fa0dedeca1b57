"""Notebook 06, Normalize images channel by channel, and fold the result into a convolution.

- `ex_spatial_batchnorm`, `ex_effective_batch_size`, `ex_fold_conv`, `questions`, `recall`: the
  exercises, and the closed-book questions.
- `images` (which axes), `folding` and `small_cnn` (a race on the digits): the claims.
"""
