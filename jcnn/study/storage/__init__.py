"""What a study keeps: the ledger of finished runs, checkpoints, locks, and what is read back."""
