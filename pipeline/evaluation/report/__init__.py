"""`make report`: the comparison, the settings and the curves of all runs on one page."""

from pipeline.evaluation.report.page import write
from pipeline.evaluation.report.searches import read_all as read_searches

__all__ = ["read_searches", "write"]
