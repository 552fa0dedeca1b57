"""The command `bnlab` and what stands behind it: lab, doctor, workshop."""
