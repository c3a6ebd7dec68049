"""Many members: an executor trains them, and the process that holds the run records them.

Nothing here imports TensorFlow but what trains: a worker process does it once it is silent.
"""
