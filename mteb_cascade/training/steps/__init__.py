"""The trainer: steps, batches, checkpoints, ranks."""
