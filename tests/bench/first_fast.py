"""The network of the recipe `fast` in its first form, for the race against the present one."""

from keras import layers

from pipeline.networks import Layers, output, register


@register("first_fast")
def first_fast() -> Layers:
    """Return `fast_cnn` on whole images."""
    return [
        *_pooled(_convolution(32, "valid")),
        *_normalized(_convolution(32, "same")),
        *_pooled(_convolution(64, "valid")),
        *_normalized(_convolution(128, "same")),
        *_normalized(_convolution(128, "valid")),
        layers.GlobalMaxPooling2D(),
        output(),
    ]


def _convolution(filters: int, padding: str) -> layers.Layer:
    return layers.Conv2D(filters, 3, padding=padding, use_bias=False)


def _pooled(layer: layers.Layer) -> Layers:
    return [layer, *_normalized(layers.MaxPooling2D(2))]


def _normalized(layer: layers.Layer) -> Layers:
    return [layer, layers.BatchNormalization(), layers.Activation("relu")]
