"""The engine of the exercises: compare an answer with the reference and its known mistakes."""
