"""The networks for the competition: convolutions with batch normalization."""

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
    """A network of 61,578 parameters for the recipe `quick`: few filters at 28 x 28 pixels."""
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


@register("fast_cnn")
def fast_cnn() -> Layers:
    """A network of 251,946 parameters that trains fast: only one layer sees 24 x 24 pixels.

    A border of 2 pixels is cut off first. 12 % of the digits reach into it, none with more than 9 %
    of its ink. Most parameters are in the last convolution, from 4 x 4 to 2 x 2 pixels.
    """
    return [layers.Cropping2D(2), *_five_convolutions(second=32)]


@register("deep_cnn")
def deep_cnn() -> Layers:
    """A network of 279,722 parameters that trains fast, most of whose layers see few pixels."""
    return _five_convolutions(second=64)


@register("fifteen_cnn")
def fifteen_cnn(dropout: float = 0.4, convolution_dropout: float = 0.4) -> Layers:
    """One of the fifteen CNNs: 327,242 parameters. Normalization comes after the ReLU.

    Chris Deotte, "25 Million Images! [0.99757] MNIST" (Kaggle, 2018).
    """
    return [
        *_relu_first(layers.Conv2D(32, 3, activation="relu")),
        *_relu_first(layers.Conv2D(32, 3, activation="relu")),
        *_relu_first(layers.Conv2D(32, 5, strides=2, padding="same", activation="relu")),
        layers.Dropout(convolution_dropout),
        *_relu_first(layers.Conv2D(64, 3, activation="relu")),
        *_relu_first(layers.Conv2D(64, 3, activation="relu")),
        *_relu_first(layers.Conv2D(64, 5, strides=2, padding="same", activation="relu")),
        layers.Dropout(convolution_dropout),
        *_relu_first(layers.Conv2D(128, 4, activation="relu")),
        layers.Flatten(),
        layers.Dropout(dropout),
        output(),
    ]


def _five_convolutions(second: int) -> Layers:
    """Return five convolutions, most of them on few pixels, the second one with `second` filters.

    Each filter of the last one passes on its largest output.
    """
    return [
        *_pooled(_convolution(32, "valid")),
        *_normalized(_convolution(second)),
        *_pooled(_convolution(64, "valid")),
        *_normalized(_convolution(128)),
        *_normalized(_convolution(128, "valid")),
        layers.GlobalMaxPooling2D(),
        output(),
    ]


def _convolution(filters: int, padding: str = "same") -> layers.Layer:
    """Return a 3 x 3 convolution without bias, because the normalization after it has one."""
    return layers.Conv2D(filters, 3, padding=padding, use_bias=False)


def _pooled(layer: layers.Layer) -> Layers:
    """Return a layer with pooling, then, on a quarter of the pixels, normalization and ReLU."""
    return [layer, *_normalized(layers.MaxPooling2D(2))]


def _relu_first(layer: layers.Layer) -> Layers:
    """Return a layer that ends with its ReLU, followed by batch normalization."""
    return [layer, layers.BatchNormalization()]


def _normalized(layer: layers.Layer) -> Layers:
    """Return a layer followed by batch normalization, then ReLU."""
    return [layer, layers.BatchNormalization(), layers.Activation("relu")]
