"""digit-recognizer rebuilt offline from MNIST.

`source.py` builds the files, `competition.py` scores submissions. The others are their parts.
"""
