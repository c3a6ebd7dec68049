"""TensorFlow's first words, kept from the person unless something goes wrong."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def startup() -> Iterator[None]:
    """Hold back what the block writes to stderr; show it if the block fails.

    TensorFlow 2.21 greets with lines on oneDNN and missing CUDA drivers from C++, which no
    setting silences: they are written before its logging reads TF_CPP_MIN_LOG_LEVEL. That
    setting, if the person has not set it, keeps the later ones to errors that end the process.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    original = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(original, held.read())
            raise
        finally:
            os.dup2(original, 2)
            os.close(original)
