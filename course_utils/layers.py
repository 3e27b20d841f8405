"""Keras layers that more than one notebook, or a saved checkpoint, needs."""

import keras
import numpy as np
from keras import layers, ops


@keras.saving.register_keras_serializable(package="course_utils")
class PatchWhitening(layers.Layer):
    """Turn every small patch into uncorrelated features of equal variance.

    A convolution whose kernel is computed, not learned: the eigenvectors of the covariance of the
    image patches, each divided by the square root of its eigenvalue, and their negatives, so that
    a rectifier behind the layer loses no information. Only the bias is trained.

    Args:
        kernel_size: side of the patch in pixels.
        epsilon: added to every eigenvalue before the square root, in squared input units; it keeps
            directions that hold almost nothing but noise from being blown up.

    Input `(batch, height, width, channels)`; output `(batch, height - k + 1, width - k + 1,
    2 * channels * k**2)`, in the layer's compute dtype.

    Source: Jordan 2024, arXiv:2404.00498, §3.2.
    """

    def __init__(self, kernel_size=2, epsilon=5e-4, **kwargs):
        super().__init__(**kwargs)
        self.kernel_size = kernel_size
        self.epsilon = epsilon

    def build(self, input_shape):
        """Make the weights for inputs of this shape."""
        k, channels = self.kernel_size, input_shape[-1]
        filters = 2 * channels * k * k
        self.kernel = self.add_weight(
            name="kernel", shape=(k, k, channels, filters), initializer="zeros", trainable=False
        )
        self.bias = self.add_weight(name="bias", shape=(filters,), initializer="zeros")

    def adapt(self, images):
        """Compute the kernel from images.

        Args:
            images: `(n, height, width, channels)` float array, in the range that the layer will
                be fed; a few thousand pictures are enough.

        Raises:
            ValueError: if the layer has no weights yet, or the number of channels differs.
        """
        if not self.built:
            raise ValueError("PatchWhitening.adapt needs a built layer: put it into a model first.")
        k, _, channels, _ = self.kernel.shape
        images = np.asarray(images, "float64")
        if images.ndim != 4 or images.shape[-1] != channels:
            raise ValueError(
                f"PatchWhitening.adapt needs images of shape (n, height, width, {channels}); "
                f"received {images.shape}."
            )
        patches = np.lib.stride_tricks.sliding_window_view(images, (k, k), axis=(1, 2))
        patches = patches.transpose(0, 1, 2, 4, 5, 3).reshape(-1, k * k * channels)
        eigenvalues, eigenvectors = np.linalg.eigh(np.cov(patches, rowvar=False))
        whitening = eigenvectors / np.sqrt(eigenvalues + self.epsilon)  # (k*k*channels, same)
        whitening = whitening[:, ::-1]  # strongest direction first
        kernel = np.concatenate([whitening, -whitening], axis=1)
        self.kernel.assign(kernel.reshape(self.kernel.shape))

    def call(self, inputs):
        """Convolve without padding and add the bias."""
        return ops.conv(inputs, self.kernel, padding="valid") + ops.cast(
            self.bias, self.compute_dtype
        )

    def compute_output_shape(self, input_shape):
        """Give the output shape for an input shape."""
        batch, height, width, channels = input_shape
        k = self.kernel_size
        shrink = [None if side is None else side - k + 1 for side in (height, width)]
        return (batch, *shrink, 2 * channels * k * k)

    def get_config(self):
        """Return what is needed to build the layer again."""
        return super().get_config() | {"kernel_size": self.kernel_size, "epsilon": self.epsilon}
