"""What a convolutional network sees: feature maps, Grad-CAM and occlusion, each in one call."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

# Layers that only move values around, or halfway through a unit: nothing new to look at.
_SKIPPED = (
    keras.layers.InputLayer,
    keras.layers.Normalization,
    keras.layers.Rescaling,
    keras.layers.BatchNormalization,
    keras.layers.Dropout,
    keras.layers.SpatialDropout2D,
    keras.layers.ZeroPadding2D,
    keras.layers.Cropping2D,
)


@dataclass(frozen=True)
class Explanation:
    """What the network computed for one picture.

    Attributes:
        logits: `(classes,)` float32.
        probabilities: `(classes,)` float32, the softmax of the logits.
        class_index: the class that the maps explain.
        features: layer name to `(height, width, channels)` float32.
        grad_cam: layer name to `(height, width)` float32, at least 0, not scaled.
    """

    logits: np.ndarray
    probabilities: np.ndarray
    class_index: int
    features: dict[str, np.ndarray]
    grad_cam: dict[str, np.ndarray]


def visible_layers(model: keras.Model) -> list[str]:
    """Return the layers worth looking at, from the input to the output.

    They are those with an output of shape `(batch, height, width, channels)` that end a step: sums
    of branches, activations, and convolutions with their own activation. In a network without any
    of these, all convolutions.

    Raises:
        ValueError: if no layer has such an output.
    """
    spatial = [layer for layer in model.layers if _is_spatial(layer)]
    chosen = [layer.name for layer in spatial if _ends_a_step(layer)]
    if not chosen:
        chosen = [layer.name for layer in spatial if not isinstance(layer, _SKIPPED)]
    if not chosen:
        raise ValueError(
            "The model must have layers with output (batch, height, width, channels); "
            f"received {[layer.name for layer in model.layers]}."
        )
    return chosen


def explain(
    model: keras.Model, layer_names: Sequence[str] | None = None
) -> Callable[..., Explanation]:
    """Compile one function that gives logits, feature maps and Grad-CAM maps of all layers.

    The Grad-CAM map of class c at a layer with activations A is `relu(sum_k a_k A_k)`, where a_k
    is the mean over all positions of the gradient of the logit of c with respect to A_k.

    Args:
        model: functional model, one picture in, `(batch, classes)` logits out.
        layer_names: layers with 4-D outputs; None takes `visible_layers(model)`.

    Returns:
        A function `(image, class_index=None) -> Explanation`. `image` is `(height, width,
        channels)` as the model takes it; None explains the class with the largest logit. The
        function reads the model's present weights at each call.

    Raises:
        ValueError: if a layer is unknown or its output has another shape.

    Source: Selvaraju et al. 2017, arXiv:1610.02391, Eq. 1 and 2.
    """
    names = list(visible_layers(model) if layer_names is None else layer_names)
    known = {layer.name: layer for layer in model.layers}
    for name in names:
        if name not in known or not _is_spatial(known[name]):
            raise ValueError(
                "Each of layer_names must be a layer with output (batch, height, width, "
                f"channels); received {name!r}."
            )
    # A model of several outputs runs every layer once, however many of them are looked at.
    probe = keras.Model(
        model.inputs, {"activations": [known[name].output for name in names], "y": model.outputs[0]}
    )
    shape = tuple(model.inputs[0].shape[1:])

    @tf.function(
        input_signature=[
            tf.TensorSpec((1, *shape), tf.float32),
            tf.TensorSpec((), tf.int32),
        ],
        autograph=False,
    )
    def run(image, class_index):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(image)
            outputs = probe(image, training=False)
            logits = tf.cast(outputs["y"][0], tf.float32)  # (classes,)
            top = tf.argmax(logits, output_type=tf.int32)
            class_index = tf.where(class_index < 0, top, class_index)
            score = tf.gather(logits, class_index)
        activations = outputs["activations"]
        # One backward pass serves all layers; no layer's weights are differentiated.
        gradients = tape.gradient(score, activations, unconnected_gradients="zero")
        maps, cams = [], []
        for activation, gradient in zip(activations, gradients, strict=True):
            activation = tf.cast(activation[0], tf.float32)  # (height, width, channels)
            importance = tf.reduce_mean(tf.cast(gradient[0], tf.float32), axis=(0, 1))
            maps.append(activation)
            cams.append(tf.nn.relu(tf.linalg.matvec(activation, importance)))
        return logits, tf.nn.softmax(logits), class_index, maps, cams

    def explained(image, class_index: int | None = None) -> Explanation:
        image = _checked(image, shape)[None]
        chosen = -1 if class_index is None else class_index
        logits, probabilities, chosen, maps, cams = run(image, tf.constant(chosen, tf.int32))
        return Explanation(
            logits.numpy(),
            probabilities.numpy(),
            int(chosen),
            {name: array.numpy() for name, array in zip(names, maps, strict=True)},
            {name: array.numpy() for name, array in zip(names, cams, strict=True)},
        )

    return explained


def occlusion(
    model: keras.Model, *, patch: int = 10, steps: int = 5
) -> Callable[[np.ndarray], np.ndarray]:
    """Compile one function that measures what covering each part of a picture does.

    A square in the picture's mean colour covers it at `steps` x `steps` places, all of them in one
    batch. The map holds, for each pixel, by how much the probability of a class falls, averaged
    over the squares that cover the pixel.

    Args:
        model: one picture in, `(batch, classes)` logits out.
        patch: side of the square in pixels.
        steps: places in each direction, from edge to edge.

    Returns:
        A function `image -> (height, width, classes)` float32: the fall of each probability,
        negative where covering makes the class more likely.

    Raises:
        ValueError: if the squares would not cover the whole picture.

    Source: Zeiler and Fergus 2014, arXiv:1311.2901, §4.2.
    """
    height, width, channels = model.inputs[0].shape[1:]
    starts = [np.rint(np.linspace(0, side - patch, steps)).astype(int) for side in (height, width)]
    covered = patch <= min(height, width) and all(
        places[0] == 0 and places[-1] + patch == side and (np.diff(places) <= patch).all()
        for places, side in zip(starts, (height, width), strict=True)
    )
    if not covered:
        raise ValueError(
            f"The squares must cover a {height} x {width} picture; received patch={patch}, "
            f"steps={steps}."
        )
    squares = np.zeros((steps * steps, height, width, 1), np.float32)  # 1 where covered
    for number, (y, x) in enumerate((y, x) for y in starts[0] for x in starts[1]):
        squares[number, y : y + patch, x : x + patch] = 1
    share = squares[..., 0] / squares.sum(axis=0)[..., 0]  # of each pixel, by its squares

    @tf.function(
        input_signature=[tf.TensorSpec((height, width, channels), tf.float32)], autograph=False
    )
    def run(image):
        grey = tf.reduce_mean(image, axis=(0, 1))  # (channels,)
        covered = image * (1 - squares) + grey * squares
        logits = model(tf.concat([image[None], covered], axis=0), training=False)
        probabilities = tf.nn.softmax(tf.cast(logits, tf.float32))
        falls = probabilities[:1] - probabilities[1:]  # (steps * steps, classes)
        return tf.einsum("kyx,kc->yxc", share, falls)

    def fall(image) -> np.ndarray:
        return run(_checked(image, (height, width, channels))).numpy()

    return fall


def _is_spatial(layer) -> bool:
    try:
        return len(layer.output.shape) == 4
    except (AttributeError, ValueError):  # used twice, or several outputs
        return False


def _ends_a_step(layer) -> bool:
    if isinstance(layer, keras.layers.Conv2D):
        return layer.activation is not keras.activations.linear
    activations = (keras.layers.Activation, keras.layers.ReLU, keras.layers.LeakyReLU)
    return isinstance(layer, (*activations, keras.layers.Add, keras.layers.Concatenate))


def _checked(image, shape) -> np.ndarray:
    image = np.asarray(image, np.float32)
    if image.shape != tuple(shape):
        raise ValueError(f"The picture must have the shape {tuple(shape)}; got {image.shape}.")
    return image
