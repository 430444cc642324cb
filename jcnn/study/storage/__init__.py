"""A study's storage: ledger, checkpoints, locks, run keys, loading and exporting results."""
