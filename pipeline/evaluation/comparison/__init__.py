"""Which recipe is better, by how much, and how sure that is: `make compare`."""
