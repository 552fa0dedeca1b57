"""What belongs to one notebook: its exercises, questions, claims and pictures, in a folder each."""
