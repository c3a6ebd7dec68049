"""The networks that play for a score: convolutions with batch normalization."""

from keras import layers

from pipeline.networks.registry import Layers, output, register


@register("bn_cnn")
def bn_cnn(dropout: float = 0.3) -> Layers:
    """The notebook's batch-normalized CNN: 742,858 parameters, 741,962 trainable."""
    return [
        *_normalized(layers.Conv2D(64, 3, padding="same")),
        layers.MaxPooling2D(2),
        *_normalized(layers.Conv2D(128, 3, padding="same")),
        layers.MaxPooling2D(2),
        layers.Conv2D(192, 3, padding="same"),
        layers.Activation("relu"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        *_normalized(layers.Dense(256)),
        layers.Dropout(dropout),
        output(),
    ]


@register("small_cnn")
def small_cnn(dropout: float = 0.2) -> Layers:
    """A network of 61,578 parameters for the `quick` recipe: no layer is wide at 28 x 28."""
    return [
        *_normalized(layers.Conv2D(16, 3, padding="valid")),
        layers.MaxPooling2D(2),
        *_normalized(layers.Conv2D(32, 3, padding="same")),
        layers.MaxPooling2D(2),
        *_normalized(layers.Conv2D(64, 3, padding="same")),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        *_normalized(layers.Dense(64)),
        layers.Dropout(dropout),
        output(),
    ]


def _normalized(layer: layers.Layer) -> Layers:
    """Return a layer with batch normalization and ReLU after it, in this order."""
    return [layer, layers.BatchNormalization(), layers.Activation("relu")]
