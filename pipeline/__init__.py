"""From a fresh clone to a scored submission for Kaggle's digit-recognizer."""

__version__ = "0.1.0"
