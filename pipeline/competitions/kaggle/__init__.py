"""Kaggle through its own command line.

`download.py` is the source of the digits, `upload.py` is the competition. The others are their
parts.
"""
