"""PatchWhitening against its definition: patches in, uncorrelated unit-variance features out."""

import keras
import numpy as np
import pytest

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
