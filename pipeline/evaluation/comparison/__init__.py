"""Which recipe is better, by how much, and how sure that is: `make compare`."""

from pipeline.evaluation.comparison.ranking import compare

__all__ = ["compare"]
