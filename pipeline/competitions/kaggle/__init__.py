"""Kaggle through its own command line: `client.py` is the competition, the others its parts."""
