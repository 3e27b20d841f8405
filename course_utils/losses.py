"""What training makes small: style and content, likelihoods, divergences, a game of two networks.

Every loss is computed for each picture of a batch by itself; its shape is `(batch,)`.
"""

import math

import keras
from keras import ops


def gram_matrix(features):
    """Correlate the channels of a feature map: which features occur together, wherever that is.

    G[c, d] = (1 / M) Σ_x F[x, c] F[x, d] over the M = height · width positions x. Positions are
    summed over, so G forgets where a feature is. Gatys et al. leave out the factor 1 / M and
    divide by it in the loss; here pictures of different sizes have comparable Gram matrices.

    Args:
        features: `(batch, height, width, channels)` float.

    Returns:
        `(batch, channels, channels)` float32, symmetric and positive semi-definite.

    Raises:
        ValueError: if `features` does not have four axes.

    Source: Gatys et al. 2016, "Image Style Transfer Using Convolutional Neural Networks",
    doi:10.1109/CVPR.2016.265, Eq. 3.
    """
    if len(features.shape) != 4:
        raise ValueError(
            "features must have the shape (batch, height, width, channels); received "
            f"{tuple(features.shape)}."
        )
    features = ops.cast(features, "float32")
    batch, height, width, channels = ops.shape(features)
    flat = ops.reshape(features, (batch, height * width, channels))  # (batch, M, channels)
    return ops.matmul(ops.transpose(flat, (0, 2, 1)), flat) / ops.cast(height * width, "float32")


def content_loss(y_true, y_pred):
    """Mean squared difference of two feature maps: is the same thing at the same place?

    Gatys et al. take half the sum instead of the mean (Eq. 1); the mean, as in Johnson et al.
    2016, arXiv:1603.08155, Eq. 2, does not grow with the size of the picture.

    Args:
        y_true: `(batch, height, width, channels)` features.
        y_pred: the same of another picture; a batch of one is compared with each of the other.

    Returns:
        `(batch,)` float32.

    Raises:
        ValueError: if the shapes differ, apart from a batch of one.
    """
    return _mean_square_difference(y_true, y_pred)


def style_loss(y_true, y_pred):
    """Squared difference of two Gram matrices: is the texture the same?

    E = 1 / (4 C²) Σ_cd (G[c, d] - A[c, d])² over C channels. With the 1 / M of `gram_matrix` this
    is Gatys et al. 2016, Eq. 4, whose factor is 1 / (4 C² M²), for pictures of equal size.

    Args:
        y_true: `(batch, channels, channels)`, of `gram_matrix`.
        y_pred: the same of another picture; a batch of one is compared with each of the other.

    Returns:
        `(batch,)` float32.

    Raises:
        ValueError: if the shapes differ apart from a batch of one, or are not those of Gram
            matrices.
    """
    for gram in (y_true, y_pred):
        if len(gram.shape) != 3 or gram.shape[1] != gram.shape[2]:
            raise ValueError(
                "style_loss compares Gram matrices of shape (batch, channels, channels); received "
                f"{tuple(gram.shape)}. Call gram_matrix on features first."
            )
    return _mean_square_difference(y_true, y_pred) / 4


def total_variation_loss(images, power=1):
    """Mean difference of neighbouring pixels: how noisy is the picture?

    TV = 1 / (H W C) Σ (|x[i, j+1] - x[i, j]|^p + |x[i+1, j] - x[i, j]|^p). With p = 1 it lets
    edges stand and flattens noise, with p = 2 it softens both and is smooth at zero.

    Args:
        images: `(batch, height, width, channels)` float.
        power: p, positive.

    Returns:
        `(batch,)` float32.

    Raises:
        ValueError: if `images` does not have four axes, or `power` is not positive.

    Source: Mahendran and Vedaldi 2015, arXiv:1412.0035, §3.2, with finite differences apart.
    """
    if len(images.shape) != 4:
        raise ValueError(
            "images must have the shape (batch, height, width, channels); received "
            f"{tuple(images.shape)}."
        )
    if not power > 0:
        raise ValueError(f"power must be positive; received {power!r}.")
    images = ops.cast(images, "float32")
    _, height, width, channels = ops.shape(images)
    down = ops.abs(images[:, 1:] - images[:, :-1]) ** power
    right = ops.abs(images[:, :, 1:] - images[:, :, :-1]) ** power
    total = ops.sum(down, axis=(1, 2, 3)) + ops.sum(right, axis=(1, 2, 3))
    return total / ops.cast(height * width * channels, "float32")


def reconstruction_loss(y_true, logits):
    """Negative log-likelihood of pixels, each of them a coin of its own, in nats a picture.

    -log p(x | z) = -Σ_i [x_i log p_i + (1 - x_i) log(1 - p_i)], p = sigmoid(logits), summed over
    the pixels. For grey levels between zero and one this is no likelihood, and it cannot fall
    below their entropy, but it is smallest at p = x all the same.

    Args:
        y_true: `(batch, ...)` in [0, 1].
        logits: the same shape, any real numbers.

    Returns:
        `(batch,)` float32.

    Raises:
        ValueError: if the shapes differ.

    Source: Kingma and Welling 2014, arXiv:1312.6114, appendix C.1.
    """
    _check_same_shape(y_true=y_true, logits=logits)
    x, logits = ops.cast(y_true, "float32"), ops.cast(logits, "float32")
    # log(1 + e^l) - x l, which is the sum above without a sigmoid that may round to 0 or 1
    return ops.sum(ops.softplus(logits) - x * logits, axis=tuple(range(1, len(logits.shape))))


def kl_divergence(z_mean, z_log_var):
    """Return by how much a diagonal Gaussian differs from the standard normal one, in nats.

    KL(N(μ, σ²) || N(0, 1)) = ½ Σ_j (μ_j² + σ_j² - log σ_j² - 1), summed over the latent axes.

    Args:
        z_mean: `(batch, latent_dim)`, μ.
        z_log_var: the same shape, log σ².

    Returns:
        `(batch,)` float32, not negative.

    Raises:
        ValueError: if the shapes differ.

    Source: Kingma and Welling 2014, arXiv:1312.6114, appendix B.
    """
    _check_same_shape(z_mean=z_mean, z_log_var=z_log_var)
    mean, log_var = ops.cast(z_mean, "float32"), ops.cast(z_log_var, "float32")
    return 0.5 * ops.sum(ops.square(mean) + ops.exp(log_var) - log_var - 1, axis=-1)


def gaussian_log_density(z, z_mean, z_log_var):
    """Return the logarithm of the density of a diagonal Gaussian, in nats.

    log N(z; μ, σ²) = -½ Σ_j [log 2π + log σ_j² + (z_j - μ_j)² / σ_j²].

    Args:
        z: `(..., latent_dim)`, where the density is wanted.
        z_mean: μ, of a shape that goes with that of `z`; 0 for the standard normal.
        z_log_var: log σ², likewise; 0 for the standard normal.

    Returns:
        `(...,)` float32.
    """
    z = ops.cast(z, "float32")
    mean, log_var = ops.cast(z_mean, "float32"), ops.cast(z_log_var, "float32")
    square = ops.square(z - mean) * ops.exp(-log_var)
    return -0.5 * ops.sum(math.log(2 * math.pi) + log_var + square, axis=-1)


# --- two networks against each other ---------------------------------------------------------


def discriminator_loss(real_logits, fake_logits):
    """How badly a discriminator tells real pictures from generated ones, in nats.

    -log σ(d(x)) - log(1 - σ(d(G(z)))) = softplus(-d(x)) + softplus(d(G(z))), for pairs of one real
    and one generated picture; σ is the sigmoid. It is 2 log 2 = 1.386 for one that always says
    "as likely as not".

    Args:
        real_logits: `(batch,)` or `(batch, 1)`, of real pictures; large where it says "real".
        fake_logits: the same shape, of generated pictures.

    Returns:
        `(batch,)` float32, not negative.

    Raises:
        ValueError: if the shapes differ.

    Source: Goodfellow et al. 2014, arXiv:1406.2661, Eq. 1.
    """
    _check_same_shape(real_logits=real_logits, fake_logits=fake_logits)
    return ops.softplus(-_flat(real_logits)) + ops.softplus(_flat(fake_logits))


def generator_loss(fake_logits):
    """How badly a generator deceives: -log σ(d(G(z))), the loss that does not saturate.

    Its slope with respect to the logit, σ(d) - 1, is close to -1 where the discriminator is sure
    that the picture is generated: where there is most to learn.

    Args:
        fake_logits: `(batch,)` or `(batch, 1)`, the discriminator's answer to generated pictures.

    Returns:
        `(batch,)` float32, not negative.

    Source: Goodfellow et al. 2014, arXiv:1406.2661, §3.
    """
    return ops.softplus(-_flat(fake_logits))


def saturating_generator_loss(fake_logits):
    """Return the generator's side of the minimax game: log(1 - σ(d(G(z)))).

    Its slope with respect to the logit, -σ(d), is close to 0 where the discriminator is sure that
    the picture is generated, so that a bad generator learns nothing.

    Args:
        fake_logits: `(batch,)` or `(batch, 1)`, the discriminator's answer to generated pictures.

    Returns:
        `(batch,)` float32, not positive.

    Source: Goodfellow et al. 2014, arXiv:1406.2661, Eq. 1.
    """
    return -ops.softplus(_flat(fake_logits))


def r1_penalty(discriminator, images):
    """How steep a discriminator is at real pictures: |∂d(x) / ∂x|², summed over the pixels.

    Where generated pictures are like real ones, there is nothing to tell apart, and d should be
    flat. A slope there pushes the generator away again.

    Args:
        discriminator: from `(batch, height, width, channels)` to logits `(batch,)` or `(batch, 1)`;
            each logit must depend on its own picture alone.
        images: real pictures, float32.

    Returns:
        `(batch,)` float32, not negative; it can be differentiated with respect to the weights.

    Source: Mescheder et al. 2018, arXiv:1801.04406, Eq. 9, without the factor γ/2.
    """
    import tensorflow as tf

    images = tf.convert_to_tensor(images)
    with tf.GradientTape() as tape:
        tape.watch(images)
        total = tf.reduce_sum(discriminator(images))  # one gradient for each picture
    return tf.reduce_sum(tf.square(tape.gradient(total, images)), axis=(1, 2, 3))


def _flat(logits):
    return ops.reshape(ops.cast(logits, "float32"), (-1,))


def _check_same_shape(**arrays):
    shapes = [tuple(array.shape) for array in arrays.values()]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"{' and '.join(arrays)} must have the same shape; received {shapes[0]} and "
            f"{shapes[1]}."
        )


def _mean_square_difference(y_true, y_pred):
    """Average the squared difference over all axes but the first."""
    true_shape, pred_shape = tuple(y_true.shape), tuple(y_pred.shape)
    batches = {true_shape[0], pred_shape[0]} - {1, None}
    rest_differs = any(
        None not in pair and pair[0] != pair[1]
        for pair in zip(true_shape[1:], pred_shape[1:], strict=False)
    )
    if len(true_shape) != len(pred_shape) or rest_differs or len(batches) > 1:
        raise ValueError(
            "y_true and y_pred must have the same shape, apart from a batch of one; received "
            f"{true_shape} and {pred_shape}."
        )
    difference = ops.cast(y_pred, "float32") - ops.cast(y_true, "float32")
    return ops.mean(ops.square(difference), axis=tuple(range(1, len(true_shape))))


# --- one symbol after another ------------------------------------------------------------------


def symbol_loss(y_true, logits):
    """Negative log-likelihood of the symbols of a picture, in nats a picture.

    -Σ_i log p(x_i | x_<i), p = softmax(logits), summed over all places. With the chain rule this is
    the likelihood of the picture itself, no bound.

    Args:
        y_true: `(batch, height, width)` whole numbers in [0, num_levels).
        logits: `(batch, height, width, num_levels)`.

    Returns:
        `(batch,)` float32, not negative.

    Raises:
        ValueError: if the shapes do not go together, or symbols are not whole numbers.

    Source: van den Oord et al. 2016, arXiv:1601.06759, Eq. 1.
    """
    if tuple(y_true.shape) != tuple(logits.shape[:-1]):
        raise ValueError(
            "symbols must have the shape of the logits without the last axis; received "
            f"{tuple(y_true.shape)} and {tuple(logits.shape)}."
        )
    if "int" not in keras.backend.standardize_dtype(y_true.dtype):
        raise ValueError(
            "symbols must be whole numbers (int32, say), not levels between 0 and 1; received "
            f"{keras.backend.standardize_dtype(y_true.dtype)}."
        )
    each = keras.losses.sparse_categorical_crossentropy(
        y_true, ops.cast(logits, "float32"), from_logits=True
    )
    return ops.sum(each, axis=(1, 2))
