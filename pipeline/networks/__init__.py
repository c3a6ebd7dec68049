"""The networks by name: `networks.build("bn_cnn")` returns a plain, uncompiled Keras model.

Every network takes float32 images [n, 28, 28, 1] in [0, 1] and returns class probabilities
[n, 10]. Importing this package registers all of them.
"""

from pipeline.networks import batch_norm_cnns, tutorials
from pipeline.networks.registry import (
    CLASSES,
    INPUT_SHAPE,
    Layers,
    build,
    check,
    check_own,
    names,
    output,
    own_dropout_rates,
    register,
    register_file,
    scale,
)

__all__ = [
    "CLASSES",
    "INPUT_SHAPE",
    "Layers",
    "batch_norm_cnns",
    "build",
    "check",
    "check_own",
    "names",
    "output",
    "own_dropout_rates",
    "register",
    "register_file",
    "scale",
    "tutorials",
]
