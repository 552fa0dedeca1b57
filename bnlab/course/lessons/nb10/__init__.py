"""Notebook 10, Normalize when the batch is tiny, or spread over machines.

- `ex_layernorm`, `ex_groupnorm`, `ex_merge_stats`, `questions`: the exercises.
- `batch_size_sweep`, `shards`, `replicas` (on `distributed`, two real processes): the claims.
- `beyond_one_batch`, `frozen`: what the text measures.
"""

ON_REQUEST = ("distributed",)  # cannot be imported without torch
