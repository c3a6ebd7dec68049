"""The statistics of the comparison: pure functions of arrays.

SciPy, scikit-learn and statsmodels do the work. docs/comparing.md has the simulations.
"""
