"""digit-recognizer rebuilt offline from MNIST: `competition.py`, and the parts it is made of."""
