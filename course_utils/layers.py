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


# --- what a pixel may see ----------------------------------------------------------------------


@keras.saving.register_keras_serializable(package="course_utils")
class MaskedConv2D(layers.Conv2D):
    """A convolution that sees only what stands before the centre of its window, as one reads.

    Before means in rows above, or in the same row further left. Weights of all other places are
    multiplied by zero, so they neither contribute nor learn.

    Args:
        filters, kernel_size: as in `keras.layers.Conv2D`; the sides of the window must be odd.
        mask_type: "A" hides the centre as well, for the first layer, whose input is the picture;
            "B" shows it, for layers behind, whose features know nothing of it.

    Input `(batch, height, width, channels)`; output `(batch, height, width, filters)`.

    Source: van den Oord et al. 2016, arXiv:1601.06759, §3.4, for one channel.
    """

    def __init__(self, filters, kernel_size, mask_type="B", **kwargs):
        super().__init__(filters, kernel_size, **kwargs | {"padding": "same"})
        _check_mask_type(mask_type)
        if any(side % 2 == 0 for side in self.kernel_size):
            raise ValueError(
                f"the sides of the kernel of a MaskedConv2D must be odd; received {kernel_size!r}."
            )
        if any(number != 1 for number in (*self.strides, *self.dilation_rate, self.groups)):
            raise ValueError("a MaskedConv2D has no strides, dilation or groups other than 1.")
        self.mask_type = mask_type

    @property
    def mask(self):
        """Ones where the window may be seen, zeros elsewhere, `(height, width)` float32."""
        height, width = self.kernel_size
        mask = np.zeros((height, width), "float32")
        mask[: height // 2] = 1
        mask[height // 2, : width // 2 + (self.mask_type == "B")] = 1
        return mask

    def convolution_op(self, inputs, kernel):
        """Convolve with the kernel, masked; the kernel itself stays as it is."""
        mask = ops.cast(self.mask[:, :, None, None], kernel.dtype)
        return super().convolution_op(inputs, kernel * mask)

    def get_config(self):
        """Return what is needed to make this layer again."""
        return super().get_config() | {"mask_type": self.mask_type}


@keras.saving.register_keras_serializable(package="course_utils")
class StackConv2D(layers.Conv2D):
    """A convolution of one of the two stacks of a gated PixelCNN; no weight is masked.

    Instead of hiding a part of its window, the layer pads the input on one side, so that the
    window *ends* where a mask would begin.

    Args:
        filters, kernel_size: as in `keras.layers.Conv2D`.
        stack: "vertical", a window over the pixel's row and the rows above, as far to the left as
            to the right (the width must be odd); or "horizontal", one row high, over the pixel and
            those left of it.
        mask_type: "A" moves the window by one, so that the pixel's row (vertical) or the pixel
            (horizontal) is left out, for the first layer; "B" keeps it, for layers behind.

    Input `(batch, height, width, channels)`; output `(batch, height, width, filters)`.

    Source: van den Oord et al. 2016, arXiv:1606.05328, §2.3.
    """

    def __init__(self, filters, kernel_size, stack="vertical", mask_type="B", **kwargs):
        super().__init__(filters, kernel_size, **kwargs | {"padding": "valid"})
        _check_mask_type(mask_type)
        height, width = self.kernel_size
        if stack not in ("vertical", "horizontal"):
            raise ValueError(f'stack must be "vertical" or "horizontal"; received {stack!r}.')
        if stack == "vertical" and width % 2 == 0:
            raise ValueError(f"a vertical stack needs an odd width; received {kernel_size!r}.")
        if stack == "horizontal" and height != 1:
            raise ValueError(
                f"the kernel of a horizontal stack is one row high; received {kernel_size!r}."
            )
        if any(number != 1 for number in (*self.strides, *self.dilation_rate, self.groups)):
            raise ValueError("a StackConv2D has no strides, dilation or groups other than 1.")
        self.stack, self.mask_type = stack, mask_type

    @property
    def padding_before(self):
        """Rows to add on top, and columns to add on the left."""
        height, width = self.kernel_size
        strict = int(self.mask_type == "A")
        if self.stack == "vertical":
            return height - 1 + strict, width // 2
        return 0, width - 1 + strict

    def call(self, inputs):
        """Pad, leave out what the moved window does not reach, and convolve."""
        top, left = self.padding_before
        right = left if self.stack == "vertical" else 0
        if self.mask_type == "A":  # the last row or column is nobody's past
            inputs = inputs[:, :-1] if self.stack == "vertical" else inputs[:, :, :-1]
        return super().call(ops.pad(inputs, ((0, 0), (top, 0), (left, right), (0, 0))))

    def compute_output_shape(self, input_shape):
        """Return the shape of the output."""
        return (*input_shape[:-1], self.filters)

    def get_config(self):
        """Return what is needed to make this layer again."""
        return super().get_config() | {"stack": self.stack, "mask_type": self.mask_type}


@keras.saving.register_keras_serializable(package="course_utils")
class GatedActivation(layers.Layer):
    """Multiply what is said by how much it counts: y = tanh(a) ⊙ σ(b), a and b halves of the input.

    Input `(..., 2 * channels)`; output `(..., channels)`.

    Source: van den Oord et al. 2016, arXiv:1606.05328, Eq. 2.
    """

    def call(self, inputs):
        """Split the channels in two, and gate."""
        said, weight = ops.split(inputs, 2, axis=-1)
        return ops.tanh(said) * ops.sigmoid(weight)

    def compute_output_shape(self, input_shape):
        """Return the shape of the output."""
        return (*input_shape[:-1], input_shape[-1] // 2)


def _check_mask_type(mask_type):
    if mask_type not in ("A", "B"):
        raise ValueError(f'mask_type must be "A" or "B"; received {mask_type!r}.')


# --- what time it is ---------------------------------------------------------------------------


@keras.saving.register_keras_serializable(package="course_utils")
class TimeEmbedding(layers.Layer):
    """Write a time step as sines and cosines of many periods, like the hands of many clocks.

    e[i] = sin(t ω_i), e[dim/2 + i] = cos(t ω_i), with ω_i = max_period^(-2i/dim) for
    i = 0, ..., dim/2 - 1. Neighbouring times have similar embeddings, and none are equal.

    Args:
        dim: size of the embedding, even.
        max_period: about the longest period, in steps over 2π.

    Input `(batch,)`, time steps; output `(batch, dim)`, in the layer's compute dtype.

    Source: Vaswani et al. 2017, arXiv:1706.03762, §3.5; sines first, then cosines, as Ho et al.
    2020, arXiv:2006.11239.
    """

    def __init__(self, dim=64, max_period=10_000.0, **kwargs):
        super().__init__(**kwargs)
        if isinstance(dim, bool) or not isinstance(dim, int) or dim < 2 or dim % 2:
            raise ValueError(f"dim must be a positive even number; received {dim!r}.")
        self.dim, self.max_period = dim, max_period

    def call(self, t):
        """Return sines and cosines."""
        half = self.dim // 2
        frequencies = self.max_period ** (-np.arange(half) / half)
        # in float32 also under a policy of half precision: t * ω may be 1,000
        angles = ops.cast(t, "float32")[:, None] * ops.convert_to_tensor(frequencies, "float32")
        embedding = ops.concatenate([ops.sin(angles), ops.cos(angles)], axis=-1)
        return ops.cast(embedding, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        """Return the shape of the output."""
        return (input_shape[0], self.dim)

    def get_config(self):
        """Return what is needed to make this layer again."""
        return super().get_config() | {"dim": self.dim, "max_period": self.max_period}
