"""Look a torch model over for the mistakes of the field guide (notebook 09): `diagnose`.

Everything is read off the modules, their state, the order in which they are called and, if a batch
is given, what reaches them. Nothing is trained, and the model is left as it was.

- `model` and `checkpoint` gather what is found in a model, and in a file; `report` shows it.
- `problems` is the table of what can be found. It is found by `settings` (of one layer),
  `statistics` (its numbers), `order` (of the calls, which `calls` follows and `probing` tries) and
  `batch` (what reaches a layer). `unseen` says what cannot be looked at.
- `restoring` leaves the model as it was.
"""

from bnlab.diagnose.checkpoint import diagnose_checkpoint
from bnlab.diagnose.model import diagnose
from bnlab.diagnose.problems import ADVICE
from bnlab.diagnose.report import Finding, Report

__all__ = ["ADVICE", "Finding", "Report", "diagnose", "diagnose_checkpoint"]
