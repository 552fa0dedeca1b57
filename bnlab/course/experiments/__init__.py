"""The engine of the claims: run an experiment, keep its result, judge it, print the ledger."""
