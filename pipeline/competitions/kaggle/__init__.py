"""Kaggle through its own command: `download.py` gets the digits, `upload.py` submits."""
