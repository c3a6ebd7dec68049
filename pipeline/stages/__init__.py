"""The stages of `make submit`, each of which makes sure that the earlier ones are done.

data -> split -> train -> ensemble -> submission -> submit. A stage that finds its work done
already does nothing and says so. TensorFlow is imported only where a network trains or predicts.
"""
