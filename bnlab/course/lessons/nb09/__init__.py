"""Notebook 09, the field guide: recognize batch norm bugs by their symptoms.

- `pitfalls_*`: P1 to P20, by family; `pitfalls`: what they share.
- `broken_layers` and `questions`: the ten layers of the bug hunt, and their names.
"""
