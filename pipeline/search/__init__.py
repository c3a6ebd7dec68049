"""A search for better settings: the space, the study, its trials, and what is recorded of them.

Only `study` imports Optuna, which is an extra.
"""
