"""Where members are trained: the queue, the recorder, and one module per executor.

Nothing here imports TensorFlow except `worker`, which a worker process imports once its output is
held back.
"""
