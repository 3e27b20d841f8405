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


@keras.saving.register_keras_serializable(package="course_utils")
class ReflectionPadding2D(layers.Layer):
    """Continue a picture beyond its edges by its own mirror image, without repeating the edge.

    Padding with zeros, the default of a convolution, draws a dark frame that a network which makes
    pictures shows in its result.

    Args:
        padding: rows and columns to add on each side; less than height and width.

    Input `(batch, height, width, channels)`; output `(batch, height + 2p, width + 2p, channels)`.
    """

    def __init__(self, padding=1, **kwargs):
        super().__init__(**kwargs)
        if isinstance(padding, bool) or not isinstance(padding, int) or padding < 1:
            raise ValueError(f"padding must be a positive whole number; received {padding!r}.")
        self.padding = padding

    def call(self, inputs):
        """Mirror at the four edges."""
        p = self.padding
        return ops.pad(inputs, ((0, 0), (p, p), (p, p), (0, 0)), mode="reflect")

    def compute_output_shape(self, input_shape):
        """Return the shape of the output."""
        batch, height, width, channels = input_shape
        grown = [side and side + 2 * self.padding for side in (height, width)]
        return (batch, *grown, channels)

    def get_config(self):
        """Return what is needed to make this layer again."""
        return super().get_config() | {"padding": self.padding}


@keras.saving.register_keras_serializable(package="course_utils")
class ConditionalInstanceNormalization(layers.Layer):
    """Normalise each channel of each picture, then scale and shift it as the chosen styles say.

    y = γ(w) (x - μ) / √(σ² + ε) + β(w), where μ and σ² are the mean and variance of one channel of
    one picture, and γ(w) = γ₀ + w Γ, β(w) = β₀ + w B: a row of Γ and B for each style, on top of
    the γ₀, β₀ of no style. All that a network knows of a style can stand in these few numbers, so
    styles can be blended and weakened by weights that are neither zero nor one.

    Args:
        epsilon: added to the variance.

    Inputs: features `(batch, height, width, channels)` and style weights `(batch, styles)`; output
    has the shape and dtype of the features.

    Source: Dumoulin et al. 2017, arXiv:1610.07629, Eq. 5; the γ₀, β₀ of no style are ours.
    """

    def __init__(self, epsilon=1e-5, **kwargs):
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def build(self, input_shape):
        """Make the weights for features and style weights of these shapes."""
        features, weights = input_shape
        channels, styles = features[-1], weights[-1]
        self.gamma_0 = self.add_weight(name="gamma_0", shape=(channels,), initializer="ones")
        self.beta_0 = self.add_weight(name="beta_0", shape=(channels,), initializer="zeros")
        self.gamma = self.add_weight(name="gamma", shape=(styles, channels), initializer="zeros")
        self.beta = self.add_weight(name="beta", shape=(styles, channels), initializer="zeros")

    def call(self, inputs):
        """Normalise, scale and shift."""
        features, weights = inputs
        mean, variance = ops.moments(ops.cast(features, "float32"), axes=(1, 2), keepdims=True)
        gamma = ops.cast(self.gamma_0 + ops.matmul(weights, self.gamma), "float32")
        beta = ops.cast(self.beta_0 + ops.matmul(weights, self.beta), "float32")
        scale = gamma[:, None, None, :] * ops.rsqrt(variance + self.epsilon)
        shift = beta[:, None, None, :] - scale * mean
        # one multiplication and one addition a pixel, in the dtype of the features
        return features * ops.cast(scale, features.dtype) + ops.cast(shift, features.dtype)

    def compute_output_shape(self, input_shape):
        """Return the shape of the features."""
        return input_shape[0]

    def get_config(self):
        """Return what is needed to make this layer again."""
        return super().get_config() | {"epsilon": self.epsilon}


@keras.saving.register_keras_serializable(package="course_utils")
class Sampling(layers.Layer):
    """Draw from a normal distribution with the given mean and logarithm of the variance.

    z = μ + exp(½ log σ²) ε with ε ~ N(0, 1): the randomness enters from outside, so that z can be
    differentiated with respect to μ and log σ² (the reparameterisation trick).

    Args:
        seed: of the noise, or None for one that differs from run to run.

    Inputs: `z_mean` and `z_log_var`, both `(batch, latent_dim)`; output of the same shape.

    Source: Kingma and Welling 2014, arXiv:1312.6114, §2.4.
    """

    def __init__(self, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs):
        """Draw one sample for each mean; in training and in use alike."""
        z_mean, z_log_var = inputs
        epsilon = keras.random.normal(
            ops.shape(z_mean), dtype=z_mean.dtype, seed=self.seed_generator
        )
        return z_mean + ops.exp(0.5 * z_log_var) * epsilon

    def compute_output_shape(self, input_shape):
        """Return the shape of the mean."""
        return input_shape[0]

    def get_config(self):
        """Return what is needed to make this layer again."""
        return super().get_config() | {"seed": self.seed}
