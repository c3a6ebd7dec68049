"""How good runs are: scores, comparisons, reports and pictures. It reads runs and never trains."""
