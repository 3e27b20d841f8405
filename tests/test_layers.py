"""Our layers against their definitions, written out in NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from course_utils import layers
from course_utils.layers import PatchWhitening


def naive_patches(images, k):
    return np.array(
        [
            image[i : i + k, j : j + k].reshape(-1)
            for image in images
            for i in range(image.shape[0] - k + 1)
            for j in range(image.shape[1] - k + 1)
        ]
    )


@pytest.fixture
def images():
    noise = np.random.default_rng(0).standard_normal((40, 12, 12, 3))
    # neighbouring pixels and colours depend on each other, as in photographs
    noise = noise + 0.8 * np.roll(noise, 1, axis=1) + 0.5 * np.roll(noise, 1, axis=2)
    return (noise + 0.7 * noise.mean(axis=-1, keepdims=True)).astype("float32")


def adapted(images, **arguments):
    layer = PatchWhitening(**arguments)
    layer.build(images.shape)
    layer.adapt(images)
    return layer


def test_output_equals_the_kernel_applied_to_each_patch(images):
    layer = adapted(images)
    layer.bias.assign(np.linspace(-1, 1, 24))
    expected = naive_patches(images, 2) @ layer.kernel.numpy().reshape(12, 24) + layer.bias.numpy()
    np.testing.assert_allclose(
        layer(images).numpy().reshape(-1, 24), expected, rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("k", [1, 2, 3])
def test_features_are_uncorrelated_with_unit_variance(images, k):
    features = adapted(images, kernel_size=k, epsilon=0.0)(images).numpy()
    half = 3 * k * k
    covariance = np.cov(features.reshape(-1, 2 * half)[:, :half], rowvar=False)
    np.testing.assert_allclose(covariance, np.eye(half), atol=2e-3)


def test_second_half_is_the_negative_of_the_first(images):
    features = adapted(images)(images).numpy()
    np.testing.assert_allclose(features[..., :12], -features[..., 12:], atol=1e-4)


def test_epsilon_bounds_the_gain(images):
    flat = np.zeros_like(images)  # no variance at all: the gain is 1 / sqrt(epsilon)
    kernel = adapted(flat, epsilon=0.01).kernel.numpy().reshape(12, 24)
    np.testing.assert_allclose(np.linalg.norm(kernel, axis=0), 10.0, rtol=1e-5)


def test_only_the_bias_is_trained(images):
    layer = adapted(images)
    assert [weight.path.split("/")[-1] for weight in layer.trainable_weights] == ["bias"]


def test_survives_saving(images, tmp_path):
    inputs = keras.Input(images.shape[1:])
    model = keras.Model(inputs, PatchWhitening(kernel_size=3, epsilon=0.1, name="whiten")(inputs))
    model.get_layer("whiten").adapt(images)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(images), model(images))
    assert loaded.get_layer("whiten").epsilon == 0.1
    assert model.output_shape == (None, 10, 10, 54)


def test_errors_name_the_rule(images):
    with pytest.raises(ValueError, match="needs a built layer"):
        PatchWhitening().adapt(images)
    layer = adapted(images)
    with pytest.raises(ValueError, match=r"\(n, height, width, 3\); received \(40, 12, 12, 2\)"):
        layer.adapt(images[..., :2])


# --- reflection padding and conditional instance normalisation


def test_reflection_padding_is_that_of_numpy():
    x = np.random.default_rng(0).normal(size=(2, 5, 6, 3)).astype("float32")
    layer = layers.ReflectionPadding2D(3)
    expected = np.pad(x, ((0, 0), (3, 3), (3, 3), (0, 0)), mode="reflect")
    np.testing.assert_array_equal(layer(x), expected)
    assert layer.compute_output_shape(x.shape) == expected.shape
    assert layer.compute_output_shape((None, None, 6, 3)) == (None, None, 12, 3)


@pytest.mark.parametrize("padding", [0, -1, 1.5, True])
def test_reflection_padding_must_be_positive(padding):
    with pytest.raises(ValueError, match=f"positive whole number; received {padding}"):
        layers.ReflectionPadding2D(padding)


def conditional_norm(x, w, seed=1):
    rng = np.random.default_rng(seed)
    layer = layers.ConditionalInstanceNormalization()
    layer([x, w])
    for weight in layer.weights:
        weight.assign(rng.normal(size=weight.shape))
    return layer


def test_conditional_instance_normalisation_picture_by_picture():
    rng = np.random.default_rng(0)
    x = rng.normal(2, 3, size=(3, 5, 4, 2)).astype("float32")
    w = rng.random((3, 6)).astype("float32")
    layer = conditional_norm(x, w)
    found = layer([x, w])
    for picture, weights, result in zip(x, w, found, strict=True):
        for c in range(2):
            values = picture[..., c]
            gamma = layer.gamma_0.numpy()[c] + sum(weights * layer.gamma.numpy()[:, c])
            beta = layer.beta_0.numpy()[c] + sum(weights * layer.beta.numpy()[:, c])
            expected = gamma * (values - values.mean()) / np.sqrt(values.var() + 1e-5) + beta
            np.testing.assert_allclose(result[..., c], expected, atol=1e-4)


def test_without_a_style_it_is_plain_instance_normalisation_at_first():
    x = np.random.default_rng(0).normal(2, 3, size=(2, 9, 8, 3)).astype("float32")
    y = layers.ConditionalInstanceNormalization()([x, np.eye(4, dtype="float32")[:2]]).numpy()
    np.testing.assert_allclose(y.mean(axis=(1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(y.std(axis=(1, 2)), 1, atol=1e-3)


def test_conditional_instance_normalisation_in_mixed_precision():
    x = np.random.default_rng(0).normal(100, 3, size=(1, 16, 16, 3)).astype("float32")
    w = np.ones((1, 2), "float32")
    layer = layers.ConditionalInstanceNormalization(dtype="mixed_bfloat16")
    y = layer([keras.ops.cast(x, "bfloat16"), w])
    assert y.dtype == "bfloat16" and layer.gamma.dtype == "float32"


def test_style_layers_survive_saving(tmp_path):
    image, w = keras.Input((None, None, 3)), keras.Input((4,))
    y = layers.ReflectionPadding2D(2)(image)
    y = layers.ConditionalInstanceNormalization(epsilon=1e-3)([y, w])
    model = keras.Model([image, w], y)
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(rng.normal(size=weight.shape))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert loaded.layers[-1].epsilon == 1e-3 and loaded.layers[1].padding == 2
    for size in (7, 9):
        x = rng.random((2, size, 8, 3)).astype("float32")
        inputs = [x, np.eye(4, dtype="float32")[:2]]
        np.testing.assert_array_equal(loaded(inputs), model(inputs))


# --- sampling ------------------------------------------------------------------------------------


def test_samples_have_the_moments_that_are_asked_for():
    mean, log_var = np.array([[1.5, -2.0]], "float32"), np.array([[0.0, -3.0]], "float32")
    many = [np.repeat(values, 100_000, axis=0) for values in (mean, log_var)]
    z = layers.Sampling(seed=0)(many).numpy()
    deviation = np.exp(log_var[0] / 2)
    assert np.all(np.abs(z.mean(axis=0) - mean[0]) < 4 * deviation / np.sqrt(100_000))
    np.testing.assert_allclose(z.std(axis=0), deviation, rtol=0.01)
    assert abs(np.corrcoef(z.T)[0, 1]) < 0.02


def test_samples_are_differentiable_and_differ_from_call_to_call():
    layer = layers.Sampling(seed=1)
    mean, log_var = tf.constant([[0.3, -0.2]]), tf.constant([[0.5, -1.0]])
    with tf.GradientTape() as tape:
        tape.watch([mean, log_var])
        z = layer([mean, log_var])
        total = tf.reduce_sum(z)
    to_mean, to_log_var = tape.gradient(total, [mean, log_var])
    np.testing.assert_allclose(to_mean, 1)
    np.testing.assert_allclose(to_log_var, (z - mean) / 2, rtol=1e-5)  # dσ/d log σ² = σ / 2
    assert not np.allclose(layer([mean, log_var]), z)
    assert np.allclose(layers.Sampling(seed=1)([mean, log_var]), z)


def test_sampling_survives_saving(tmp_path):
    inputs = [keras.Input((2,)), keras.Input((2,))]
    model = keras.Model(inputs, layers.Sampling(seed=7)(inputs))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert loaded.layers[-1].seed == 7
    values = [np.ones((3, 2), "float32"), np.zeros((3, 2), "float32")]
    assert loaded(values).shape == (3, 2)
