"""digit-recognizer rebuilt offline: `source.py` builds it, `competition.py` scores."""
