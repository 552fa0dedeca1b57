"""Notebook 10, Normalize when the batch is tiny, or spread over machines.

- `ex_layernorm`, `ex_groupnorm`, `ex_merge_stats`, `questions`: the exercises; `recall`: the
  closed-book questions.
- `batch_size_sweep`, `shards`, `replicas`: the claims; `distributed` puts the last to the test in
  two real processes.
"""

ON_REQUEST = ("distributed",)  # cannot be imported without torch
