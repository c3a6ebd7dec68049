"""`make report`: the comparison, the settings and the curves of all runs on one page."""

from pipeline.evaluation.report.page import write

__all__ = ["write"]
