"""From checkpoints to probabilities."""
