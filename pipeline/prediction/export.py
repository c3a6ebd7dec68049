"""A checkpoint in the file formats that Keras users exchange, each checked by loading it."""

import json
import os
import tempfile
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from pipeline.common.errors import PipelineError
from pipeline.prediction.predictor import Predictor, load_checkpoint

FILES = ("model.keras", "model.json", "model.weights.h5")
"""The whole model, its architecture alone, and its weights alone."""


def export(checkpoint: Path, folder: Path, images: NDArray[np.uint8]) -> list[Path]:
    """Write a checkpoint into `folder` as FILES and return their paths.

    The files appear only after the whole model, and the architecture with the weights, have been
    loaded again and have given the checkpoint's probabilities for `images`, uint8 [n, 28, 28, 1],
    within the rounding of float32. Raises PipelineError if they differ, or if the checkpoint cannot
    be loaded.
    """
    network = load_checkpoint(checkpoint)
    expected = Predictor(network)(images)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".partial-") as name:
        whole, architecture, weights = (Path(name) / file for file in FILES)
        network.save(whole)
        architecture.write_text(_architecture(network), encoding="utf-8")
        network.save_weights(weights)
        reloads = {
            whole.name: load_checkpoint(whole),
            f"{architecture.name} with {weights.name}": load_parts(architecture, weights),
        }
        for form, reloaded in reloads.items():
            # On a GPU, sums may be computed in another order.
            if not np.allclose(Predictor(reloaded)(images), expected, rtol=0, atol=1e-6):
                raise PipelineError(
                    f"{form}: loaded again, it gives other probabilities than {checkpoint}; use "
                    "the checkpoint itself"
                )
        for file in FILES:
            os.replace(Path(name) / file, folder / file)
    return [folder / file for file in FILES]


def load_parts(architecture: Path, weights: Path) -> keras.Model:
    """Return the network that an architecture's JSON file and a weights file describe."""
    network = keras.models.model_from_json(architecture.read_text(encoding="utf-8"))
    network.load_weights(weights)
    return network


def _architecture(network: keras.Model) -> str:
    """Return the network's architecture as JSON with one key a line."""
    return json.dumps(json.loads(network.to_json()), indent=2) + "\n"
