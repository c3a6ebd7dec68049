"""Runs in other programs' views: MLflow and TensorBoard.

Both are written from the run folder alone, so a run can be logged while it trains or any time
later. MLflow and TensorBoard are optional packages. They are imported only where they are used.
"""
