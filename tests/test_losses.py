"""Losses against loops, against TensorFlow and SciPy, and against what papers say."""

import keras
import numpy as np
import pytest
import scipy.special
import scipy.stats
import tensorflow as tf

from course_utils import losses

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(2, 5, 4, 3)).astype("float32")  # (batch, height, width, channels)
OTHER = RNG.normal(size=(2, 5, 4, 3)).astype("float32")


def naive_gram(features):
    height, width, channels = features.shape
    gram = np.zeros((channels, channels))
    for i in range(height):
        for j in range(width):
            for c in range(channels):
                for d in range(channels):
                    gram[c, d] += features[i, j, c] * features[i, j, d]
    return gram / (height * width)


def test_gram_matrix_is_the_mean_of_products():
    found = losses.gram_matrix(FEATURES)
    assert found.shape == (2, 3, 3) and found.dtype == "float32"
    np.testing.assert_allclose(found, [naive_gram(one) for one in FEATURES], atol=1e-6)


def test_gram_matrix_is_symmetric_and_positive_semi_definite():
    found = losses.gram_matrix(FEATURES).numpy()
    np.testing.assert_allclose(found, found.transpose(0, 2, 1), rtol=1e-6)
    assert np.linalg.eigvalsh(found).min() > -1e-6


def test_gram_matrix_forgets_positions_and_nothing_else():
    flat = FEATURES.reshape(2, 20, 3)
    moved = flat[:, RNG.permutation(20)].reshape(FEATURES.shape)
    expected = losses.gram_matrix(FEATURES)
    np.testing.assert_allclose(losses.gram_matrix(moved), expected, atol=1e-6)
    channel_moved = FEATURES.copy()
    channel_moved[..., 0] = channel_moved[:, ::-1, :, 0]  # one channel against the others
    assert not np.allclose(losses.gram_matrix(channel_moved), expected, atol=1e-2)


def test_gram_matrix_does_not_grow_with_the_picture():
    tiled = np.tile(FEATURES, (1, 2, 3, 1))
    expected = losses.gram_matrix(FEATURES)
    np.testing.assert_allclose(losses.gram_matrix(tiled), expected, atol=1e-6)


def test_gram_matrix_with_unknown_sizes_and_of_bfloat16():
    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3))])
    def traced(features):
        return losses.gram_matrix(features)

    np.testing.assert_allclose(traced(FEATURES), losses.gram_matrix(FEATURES), rtol=1e-6)
    rounded = losses.gram_matrix(tf.cast(FEATURES, tf.bfloat16))
    assert rounded.dtype == tf.float32
    np.testing.assert_allclose(rounded, losses.gram_matrix(FEATURES), atol=0.02)


@pytest.mark.parametrize("shape", [(5, 4, 3), (1, 2, 5, 4, 3)])
def test_gram_matrix_refuses_other_axes(shape):
    with pytest.raises(ValueError, match=r"\(batch, height, width, channels\); received"):
        losses.gram_matrix(np.zeros(shape, "float32"))


def test_content_loss_is_the_mean_square():
    expected = [
        sum((a - b) ** 2 for a, b in zip(x.ravel(), y.ravel(), strict=True)) / x.size
        for x, y in zip(FEATURES, OTHER, strict=True)
    ]
    found = losses.content_loss(FEATURES, OTHER)
    assert found.shape == (2,) and found.dtype == "float32"
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    np.testing.assert_array_equal(losses.content_loss(FEATURES, FEATURES), [0, 0])


def test_style_loss_is_that_of_the_paper():
    """Gatys et al. 2016, Eq. 3 and 4: sums over positions, divided by 4 N² M²."""
    channels, positions = 3, 20
    expected = []
    for x, y in zip(FEATURES, OTHER, strict=True):
        f, p = (one.reshape(positions, channels).T.astype("float64") for one in (x, y))
        expected.append(((f @ f.T - p @ p.T) ** 2).sum() / (4 * channels**2 * positions**2))
    grams = losses.gram_matrix(FEATURES), losses.gram_matrix(OTHER)
    found = losses.style_loss(*grams)
    assert found.shape == (2,)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_one_target_serves_a_batch():
    target = losses.gram_matrix(OTHER[:1])
    grams = losses.gram_matrix(FEATURES)
    each = [losses.style_loss(target, grams[i : i + 1])[0] for i in range(2)]
    np.testing.assert_allclose(losses.style_loss(target, grams), each, rtol=1e-6)
    each = [losses.content_loss(OTHER[:1], FEATURES[i : i + 1])[0] for i in range(2)]
    np.testing.assert_allclose(losses.content_loss(OTHER[:1], FEATURES), each, rtol=1e-6)


def test_features_are_not_taken_for_gram_matrices():
    with pytest.raises(ValueError, match=r"Gram matrices .* Call gram_matrix on features first"):
        losses.style_loss(FEATURES, FEATURES)
    with pytest.raises(ValueError, match=r"received \(2, 5, 3\)"):
        losses.style_loss(np.zeros((2, 5, 3), "float32"), np.zeros((2, 5, 3), "float32"))


@pytest.mark.parametrize(
    ("first", "second"),
    [((2, 5, 4, 3), (2, 5, 4, 2)), ((2, 5, 4, 3), (3, 5, 4, 3)), ((2, 5, 4, 3), (2, 5, 4))],
)
def test_shapes_must_agree(first, second):
    with pytest.raises(ValueError, match="the same shape, apart from a batch of one; received"):
        losses.content_loss(np.zeros(first, "float32"), np.zeros(second, "float32"))


@pytest.mark.parametrize("power", [1, 2])
def test_total_variation_is_the_sum_over_neighbours(power):
    expected = []
    for image in FEATURES:
        total = 0
        height, width, channels = image.shape
        for i in range(height):
            for j in range(width):
                if i + 1 < height:
                    total += (abs(image[i + 1, j] - image[i, j]) ** power).sum()
                if j + 1 < width:
                    total += (abs(image[i, j + 1] - image[i, j]) ** power).sum()
        expected.append(total / (height * width * channels))
    found = losses.total_variation_loss(FEATURES, power)
    assert found.shape == (2,)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_total_variation_agrees_with_tensorflow():
    expected = tf.image.total_variation(tf.constant(FEATURES)) / (5 * 4 * 3)
    np.testing.assert_allclose(losses.total_variation_loss(FEATURES), expected, rtol=1e-5)


def test_total_variation_of_plain_pictures():
    assert losses.total_variation_loss(np.full((1, 4, 4, 3), 0.3, "float32"))[0] == 0
    half = np.zeros((1, 4, 6, 1), "float32")
    half[:, :, 3:] = 1  # one upright edge: four differences of one
    np.testing.assert_allclose(losses.total_variation_loss(half), [4 / 24])


@pytest.mark.parametrize(
    ("shape", "power", "message"), [((4, 4, 3), 1, "four|batch"), ((1, 4, 4, 3), 0, "positive")]
)
def test_total_variation_refuses(shape, power, message):
    with pytest.raises(ValueError, match=message):
        losses.total_variation_loss(np.zeros(shape, "float32"), power)


def test_gradients_agree_with_finite_differences():
    """Of the whole chain, in double precision only where NumPy computes it."""
    target = losses.gram_matrix(OTHER[:1])

    def by_numpy(x):
        gram = np.einsum("ijc,ijd->cd", x, x) / 20
        style = ((gram - target.numpy()[0].astype("float64")) ** 2).mean() / 4
        down, right = np.diff(x, axis=0), np.diff(x, axis=1)
        return style + ((down**2).sum() + (right**2).sum()) / x.size

    x = tf.constant(FEATURES[:1])
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = losses.style_loss(target, losses.gram_matrix(x))
        value += losses.total_variation_loss(x, 2)
    gradient = tape.gradient(value, x)[0]
    base = FEATURES[0].astype("float64")
    expected = np.zeros_like(base)
    for index in np.ndindex(base.shape):
        step = np.zeros_like(base)
        step[index] = 1e-5
        expected[index] = (by_numpy(base + step) - by_numpy(base - step)) / 2e-5
    np.testing.assert_allclose(gradient, expected, atol=1e-4)
    assert keras.ops.shape(value) == (1,)


# --- likelihoods and divergences -------------------------------------------------------------


def test_reconstruction_loss_is_the_log_probability_of_coins():
    logits = RNG.normal(size=(3, 4, 5, 1)).astype("float32") * 3
    bits = RNG.integers(0, 2, logits.shape)
    chance = 1 / (1 + np.exp(-logits.astype("float64")))
    expected = -scipy.stats.bernoulli(chance).logpmf(bits).sum(axis=(1, 2, 3))
    found = losses.reconstruction_loss(bits, logits)
    assert found.shape == (3,) and found.dtype == "float32"
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_reconstruction_loss_of_grey_pixels_is_smallest_where_they_are_met():
    grey = np.full((1, 2), 0.3, "float32")
    best = np.log(0.3 / 0.7)
    around = [
        float(losses.reconstruction_loss(grey, np.full((1, 2), logit, "float32"))[0])
        for logit in (best - 0.5, best, best + 0.5)
    ]
    entropy = scipy.stats.bernoulli(0.3).entropy()
    assert around[1] == pytest.approx(2 * entropy, rel=1e-5) and around[1] == min(around)


def test_reconstruction_loss_stays_finite_where_a_sigmoid_would_round():
    logits = np.array([[60.0, -60.0, 60.0, -60.0]], "float32")
    bits = np.array([[1.0, 0.0, 0.0, 1.0]], "float32")
    assert float(losses.reconstruction_loss(bits, logits)[0]) == pytest.approx(120)


def test_kl_divergence_against_monte_carlo():
    mean, log_var = np.array([[0.7, -1.2, 0.1]]), np.array([[-1.0, 0.4, 0.0]])
    posterior = scipy.stats.multivariate_normal(mean[0], np.diag(np.exp(log_var[0])))
    prior = scipy.stats.multivariate_normal(np.zeros(3), np.eye(3))
    draws = posterior.rvs(400_000, random_state=0)
    samples = posterior.logpdf(draws) - prior.logpdf(draws)
    error = samples.std() / np.sqrt(len(samples))
    found = float(losses.kl_divergence(mean, log_var)[0])
    assert abs(found - samples.mean()) < 4 * error < 0.02 * found


def test_kl_divergence_sums_over_axes_and_vanishes_only_at_the_prior():
    mean, log_var = RNG.normal(size=(6, 4)), RNG.normal(size=(6, 4))
    found = losses.kl_divergence(mean, log_var).numpy()
    parts = [losses.kl_divergence(mean[:, j : j + 1], log_var[:, j : j + 1]) for j in range(4)]
    np.testing.assert_allclose(found, np.sum(parts, axis=0), rtol=1e-5)
    assert found.shape == (6,) and found.min() > 0
    np.testing.assert_allclose(losses.kl_divergence(np.zeros((2, 4)), np.zeros((2, 4))), 0)


def test_gaussian_log_density_against_scipy():
    z, mean, log_var = RNG.normal(size=(3, 5, 4))
    expected = scipy.stats.norm(mean, np.exp(log_var / 2)).logpdf(z).sum(axis=-1)
    found = losses.gaussian_log_density(z, mean, log_var)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    prior = losses.gaussian_log_density(z, 0, 0)
    np.testing.assert_allclose(prior, scipy.stats.norm.logpdf(z).sum(axis=-1), rtol=1e-5)


@pytest.mark.parametrize("name", ["reconstruction_loss", "kl_divergence"])
def test_shapes_that_would_be_broadcast_are_refused(name):
    with pytest.raises(ValueError, match=r"same shape; received \(2, 3\) and \(2, 1\)"):
        getattr(losses, name)(np.zeros((2, 3)), np.zeros((2, 1)))


# --- two networks against each other ---------------------------------------------------------

LOGITS = np.array([-3.0, -0.5, 0.0, 1.0, 4.0], "float32")


def sigmoid(x):
    return 1 / (1 + np.exp(-x.astype("float64")))


@pytest.mark.parametrize("shape", [(5,), (5, 1)])
def test_discriminator_loss_is_binary_cross_entropy(shape):
    real, fake = LOGITS.reshape(shape), LOGITS[::-1].copy().reshape(shape)
    found = losses.discriminator_loss(real, fake)
    assert found.shape == (5,) and found.dtype == "float32"
    expected = -np.log(sigmoid(LOGITS)) - np.log(1 - sigmoid(LOGITS[::-1]))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    keras_loss = keras.losses.BinaryCrossentropy(from_logits=True, reduction=None)
    both = keras_loss(np.ones((5, 1)), LOGITS[:, None]) + keras_loss(
        np.zeros((5, 1)), LOGITS[::-1][:, None]
    )
    np.testing.assert_allclose(found, both, rtol=1e-5)


def test_discriminator_loss_of_ignorance_and_of_certainty():
    undecided = losses.discriminator_loss(np.zeros(1, "float32"), np.zeros(1, "float32"))
    np.testing.assert_allclose(undecided, [2 * np.log(2)], rtol=1e-6)
    sure = np.full(1, 1000, "float32")
    np.testing.assert_array_equal(losses.discriminator_loss(sure, -sure), [0])
    np.testing.assert_allclose(losses.discriminator_loss(-sure, sure), [2000])


def test_discriminator_loss_refuses_other_shapes():
    with pytest.raises(ValueError, match=r"same shape; received \(5,\) and \(4,\)"):
        losses.discriminator_loss(LOGITS, LOGITS[:4])


def test_generator_losses_and_their_slopes():
    logits = tf.constant(LOGITS[:, None])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(logits)
        steep, flat = losses.generator_loss(logits), losses.saturating_generator_loss(logits)
    assert steep.shape == flat.shape == (5,)
    np.testing.assert_allclose(steep, -np.log(sigmoid(LOGITS)), rtol=1e-5)
    np.testing.assert_allclose(flat, np.log(1 - sigmoid(LOGITS)), rtol=1e-5)
    p = sigmoid(LOGITS)[:, None]
    np.testing.assert_allclose(tape.gradient(steep, logits), p - 1, rtol=1e-5)
    np.testing.assert_allclose(tape.gradient(flat, logits), -p, rtol=1e-5)


def test_the_game_is_a_game_of_opposites():
    """What the discriminator gains on generated pictures, the saturating generator loses."""
    fake = LOGITS
    only_fake = losses.discriminator_loss(np.full(5, 1000, "float32"), fake)
    np.testing.assert_allclose(only_fake, -losses.saturating_generator_loss(fake), rtol=1e-6)


def test_r1_of_a_linear_and_of_a_quadratic_discriminator():
    images = RNG.normal(size=(3, 4, 4, 1)).astype("float32")
    w = RNG.normal(size=(4, 4, 1)).astype("float32")
    found = losses.r1_penalty(lambda x: tf.reduce_sum(x * w, axis=(1, 2, 3)), images)
    assert found.shape == (3,) and found.dtype == "float32"
    np.testing.assert_allclose(found, [np.sum(w**2)] * 3, rtol=1e-5)
    squares = losses.r1_penalty(lambda x: tf.reduce_sum(x**2, axis=(1, 2, 3))[:, None], images)
    np.testing.assert_allclose(squares, 4 * np.sum(images**2, axis=(1, 2, 3)), rtol=1e-5)


def test_r1_agrees_with_finite_differences_and_reaches_the_weights():
    keras.utils.set_random_seed(0)
    net = keras.Sequential(
        [
            keras.Input((3, 3, 1)),
            keras.layers.Conv2D(2, 2, activation="tanh"),
            keras.layers.Flatten(),
            keras.layers.Dense(1),
        ]
    )
    images = RNG.normal(size=(2, 3, 3, 1)).astype("float32")
    with tf.GradientTape() as tape:
        penalty = losses.r1_penalty(net, images)
    h = 1e-2
    for index in range(2):
        slopes = []
        for place in np.ndindex(3, 3):
            step = np.zeros((1, 3, 3, 1), "float32")
            step[0, place[0], place[1]] = h
            high, low = net(images[index : index + 1] + step), net(images[index : index + 1] - step)
            slopes.append(float(high[0, 0] - low[0, 0]) / (2 * h))
        np.testing.assert_allclose(penalty[index], np.sum(np.square(slopes)), rtol=1e-3)
    kernel = tape.gradient(penalty, net.trainable_variables)[0]
    assert np.abs(kernel).max() > 0


# --- one symbol after another ----------------------------------------------------------------


def test_symbol_loss_is_the_sum_of_log_probabilities():
    logits = 3 * RNG.normal(size=(3, 4, 5, 7)).astype("float32")
    symbols = RNG.integers(0, 7, (3, 4, 5))
    expected = np.zeros(3)
    for n, i, j in np.ndindex(3, 4, 5):
        expected[n] -= scipy.special.log_softmax(logits[n, i, j].astype("float64"))[
            symbols[n, i, j]
        ]
    found = losses.symbol_loss(symbols.astype("int32"), logits)
    assert found.shape == (3,) and found.dtype == "float32"
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_symbol_loss_of_ignorance_is_the_length_in_nats():
    symbols = RNG.integers(0, 256, (2, 28, 28)).astype("int32")
    found = losses.symbol_loss(symbols, np.zeros((2, 28, 28, 256), "float32"))
    np.testing.assert_allclose(found, 784 * np.log(256), rtol=1e-5)


def test_symbol_loss_of_two_symbols_is_the_reconstruction_loss():
    logits = RNG.normal(size=(3, 4, 5, 1)).astype("float32")
    bits = RNG.integers(0, 2, (3, 4, 5, 1)).astype("int32")
    both = np.concatenate([np.zeros_like(logits), logits], axis=-1)
    found = losses.symbol_loss(bits[..., 0], both)
    np.testing.assert_allclose(found, losses.reconstruction_loss(bits, logits), rtol=1e-5)


def test_symbol_loss_is_summed_in_float32():
    logits = np.zeros((1, 28, 28, 256), "float32")
    symbols = np.zeros((1, 28, 28), "int32")
    rounded = losses.symbol_loss(symbols, tf.cast(logits, tf.bfloat16))
    assert rounded.dtype == "float32"
    np.testing.assert_allclose(rounded, 784 * np.log(256), rtol=1e-5)


@pytest.mark.parametrize(
    ("symbols", "message"),
    [
        (np.zeros((2, 4, 4), "int32"), r"received \(2, 4, 4\) and \(2, 4, 5, 3\)"),
        (np.zeros((2, 4, 5, 1), "int32"), "without the last axis"),
        (np.zeros((2, 4, 5), "float32"), "whole numbers .* received float32"),
    ],
)
def test_symbol_loss_refuses(symbols, message):
    with pytest.raises(ValueError, match=message):
        losses.symbol_loss(symbols, np.zeros((2, 4, 5, 3), "float32"))
