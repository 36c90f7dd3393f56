"""The training loop: batches, optimizer, checkpoints, validation, and what stops it."""
