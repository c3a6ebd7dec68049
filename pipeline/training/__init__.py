"""One member: from digits and a recipe to checkpoints and a history."""
