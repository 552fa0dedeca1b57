"""The claims ledger: each claim about batch norm with the experiment that tests it."""
