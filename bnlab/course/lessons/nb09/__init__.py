"""Notebook 09, the field guide: recognize mistakes with batch norm by their symptoms.

- `pitfalls_*`: P1 to P28, by family; `pitfalls`: what they share; `two_processes`: what runs P21.
- `broken_layers` and `questions`: the ten layers of the bug hunt, and their names.
- `capstone_script`: the script that is mended at the end; `capstone`: its data, and what looks it
  over; `questions_capstone`: what `check` says to it.
- `recall`: the closed-book questions.
"""

ON_REQUEST = ("capstone_script",)  # needs torch
