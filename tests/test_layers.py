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


# --- what a pixel may see ------------------------------------------------------------------------


def sees(model, shape=(5, 7)):
    """Return on which inputs each place's output depends, from gradients, `(h, w, h, w)` bool."""
    x = tf.constant(np.random.default_rng(0).normal(size=(1, *shape, 1)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(model(x)[0], axis=-1)
    return tape.jacobian(y, x)[..., 0, :, :, 0].numpy() != 0


def window(shape, rows, columns):
    """Return the same for a single window: `rows(i)` and `columns(i, row)` list what is in it."""
    expected = np.zeros((*shape, *shape), bool)
    for i, j in np.ndindex(*shape):
        for row in rows(i):
            for column in columns(j, row == i):
                if 0 <= row < shape[0] and 0 <= column < shape[1]:
                    expected[i, j, row, column] = True
    return expected


def strictly_before(shape):
    place = np.arange(shape[0] * shape[1])
    return (place[None, :] < place[:, None]).reshape(*shape, *shape)


def filled(layer, shape=(5, 7)):
    layer.build((None, *shape, 1))
    rng = np.random.default_rng(1)
    for weight in layer.weights:
        weight.assign(rng.uniform(0.5, 1.5, weight.shape))
    return layer


@pytest.mark.parametrize("mask_type", ["A", "B"])
@pytest.mark.parametrize("kernel_size", [3, (5, 3), (1, 5), (3, 1)])
def test_a_masked_convolution_sees_its_window_up_to_the_centre(mask_type, kernel_size):
    layer = filled(layers.MaskedConv2D(2, kernel_size, mask_type))
    height, width = layer.kernel_size
    last = mask_type == "B"

    def columns(j, same_row):
        return range(j - width // 2, j + last) if same_row else range(
            j - width // 2, j + width // 2 + 1
        )  # fmt: skip

    expected = window((5, 7), lambda i: range(i - height // 2, i + 1), columns)
    np.testing.assert_array_equal(sees(layer), expected)
    assert layer.compute_output_shape((None, 5, 7, 1)) == (None, 5, 7, 2)


def test_a_masked_convolution_is_the_sum_over_visible_places():
    layer = filled(layers.MaskedConv2D(2, 3, "B"))
    x = np.random.default_rng(2).normal(size=(1, 4, 5, 1)).astype("float32")
    kernel, padded = layer.kernel.numpy(), np.pad(x[0], ((1, 1), (1, 1), (0, 0)))
    expected = np.zeros((4, 5, 2)) + layer.bias.numpy()
    for i, j in np.ndindex(4, 5):
        for a, b in [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]:
            expected[i, j] += padded[i + a, j + b] @ kernel[a, b]
    np.testing.assert_allclose(layer(x)[0], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("mask_type", ["A", "B"])
@pytest.mark.parametrize("kernel_size", [(2, 3), (1, 5), (3, 1)])
def test_the_vertical_stack_sees_rows_above_on_both_sides(mask_type, kernel_size):
    layer = filled(layers.StackConv2D(2, kernel_size, "vertical", mask_type))
    height, width = kernel_size
    end = 1 if mask_type == "B" else 0
    expected = window(
        (5, 7),
        lambda i: range(i + end - height, i + end),
        lambda j, _: range(j - width // 2, j + width // 2 + 1),
    )
    np.testing.assert_array_equal(sees(layer), expected)
    assert layer(np.zeros((1, 5, 7, 1), "float32")).shape == (1, 5, 7, 2)


@pytest.mark.parametrize("mask_type", ["A", "B"])
@pytest.mark.parametrize("width", [1, 2, 3])
def test_the_horizontal_stack_sees_its_row_to_the_left(mask_type, width):
    layer = filled(layers.StackConv2D(2, (1, width), "horizontal", mask_type))
    end = 1 if mask_type == "B" else 0
    expected = window((5, 7), lambda i: [i], lambda j, _: range(j + end - width, j + end))
    np.testing.assert_array_equal(sees(layer), expected)


def masked_net(depth):
    x = inputs = keras.Input((5, 7, 1))
    for number in range(depth):
        x = layers.MaskedConv2D(3, 3, "B" if number else "A", activation="tanh")(x)
    return keras.Model(inputs, x)


def two_stacks(depth):
    inputs = keras.Input((5, 7, 1))
    v = layers.StackConv2D(3, (1, 3), "vertical", "A")(inputs)
    h = keras.layers.Add()([layers.StackConv2D(3, (1, 1), "horizontal", "A")(inputs), v])
    for _ in range(depth):
        v = layers.GatedActivation()(layers.StackConv2D(6, (2, 3), "vertical")(v))
        left = layers.StackConv2D(6, (1, 2), "horizontal")(h)
        h = layers.GatedActivation()(keras.layers.Add()([left, keras.layers.Conv2D(6, 1)(v)]))
    return keras.Model(inputs, h)


def test_masks_one_after_another_have_a_blind_spot_and_two_stacks_have_none():
    keras.utils.set_random_seed(0)
    before = strictly_before((5, 7))
    masked = sees(masked_net(6))
    assert not np.any(masked & ~before)  # strict causality
    # A window of 3 reaches one column to the right for each row that it goes up.
    reach = np.zeros_like(before)
    for i, j, row, column in np.argwhere(before):
        reach[i, j, row, column] = column - j <= i - row
    np.testing.assert_array_equal(masked, reach)
    assert before[3, 3, 2, 5] and not masked[3, 3, 2, 5]  # the blind spot, however deep
    np.testing.assert_array_equal(sees(two_stacks(6)), before)


def test_hidden_weights_get_no_gradient():
    layer = filled(layers.MaskedConv2D(2, (3, 5), "A"))
    x = tf.constant(np.random.default_rng(0).normal(size=(2, 5, 7, 1)), tf.float32)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(x) ** 2)
    gradient = tape.gradient(loss, layer.kernel).numpy()
    visible = np.array([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [0, 0, 0, 0, 0]], bool)
    assert np.all(gradient[visible] != 0) and np.all(gradient[~visible] == 0)
    np.testing.assert_array_equal(layer.mask, visible)


def test_masks_and_stacks_survive_saving(tmp_path):
    inputs = keras.Input((5, 7, 1))
    x = layers.MaskedConv2D(4, 5, "A", activation="relu", name="a")(inputs)
    x = layers.MaskedConv2D(4, 3, "B", name="b")(x)
    v = layers.StackConv2D(4, (2, 3), "vertical", "A", name="v")(inputs)
    h = layers.StackConv2D(4, (1, 2), "horizontal", "B", use_bias=False, name="h")(x)
    model = keras.Model(inputs, layers.GatedActivation()(keras.layers.Add()([v, h])))
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(rng.normal(size=weight.shape))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    images = rng.normal(size=(2, 5, 7, 1)).astype("float32")
    np.testing.assert_array_equal(loaded(images), model(images))
    found = {name: loaded.get_layer(name) for name in "abvh"}
    assert [found[name].mask_type for name in "abvh"] == ["A", "B", "A", "B"]
    assert [found[name].stack for name in "vh"] == ["vertical", "horizontal"]
    np.testing.assert_array_equal(found["a"].mask, model.get_layer("a").mask)


def test_masked_and_stacked_in_mixed_precision():
    for layer in (
        layers.MaskedConv2D(2, 3, "B", dtype="mixed_bfloat16"),
        layers.StackConv2D(2, (2, 3), dtype="mixed_bfloat16"),
    ):
        y = layer(np.ones((1, 4, 4, 1), "float32"))
        assert y.dtype == "bfloat16" and layer.kernel.dtype == "float32"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.MaskedConv2D(2, 3, "C"), '"A" or "B"; received \'C\''),
        (lambda: layers.MaskedConv2D(2, (3, 4)), r"must be odd; received \(3, 4\)"),
        (lambda: layers.MaskedConv2D(2, 3, strides=2), "no strides"),
        (lambda: layers.StackConv2D(2, (2, 3), mask_type="a"), '"A" or "B"; received \'a\''),
        (lambda: layers.StackConv2D(2, (2, 3), "both"), '"vertical" or "horizontal"'),
        (lambda: layers.StackConv2D(2, (2, 4)), r"odd width; received \(2, 4\)"),
        (lambda: layers.StackConv2D(2, (2, 3), "horizontal"), "one row high"),
        (lambda: layers.StackConv2D(2, (2, 3), dilation_rate=2), "no strides, dilation"),
    ],
)
def test_masked_and_stacked_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_gated_activation_multiplies_the_halves():
    x = np.random.default_rng(0).normal(size=(2, 3, 8)).astype("float32")
    a, b = x[..., :4].astype("float64"), x[..., 4:].astype("float64")
    found = layers.GatedActivation()(x)
    np.testing.assert_allclose(found, np.tanh(a) / (1 + np.exp(-b)), rtol=1e-5)
    assert layers.GatedActivation().compute_output_shape((None, 3, 8)) == (None, 3, 4)


# --- what time it is -----------------------------------------------------------------------------


def test_time_embedding_is_sines_then_cosines():
    times = np.array([0, 1, 37, 999])
    found = layers.TimeEmbedding(dim=8, max_period=100.0)(times)
    assert found.shape == (4, 8) and found.dtype == "float32"
    for t, row in zip(times, found.numpy(), strict=True):
        for i in range(4):
            angle = t * 100.0 ** (-2 * i / 8)
            assert row[i] == pytest.approx(np.sin(angle), abs=1e-4)
            assert row[4 + i] == pytest.approx(np.cos(angle), abs=1e-4)


def test_no_two_times_have_the_same_embedding_and_neighbours_are_close():
    found = layers.TimeEmbedding(dim=32)(np.arange(1000)).numpy()
    gaps = np.linalg.norm(found[:, None] - found[None], axis=-1)
    assert (gaps + 9 * np.eye(1000)).min() > 0.1
    assert gaps[500, 501] < gaps[500, 520] < gaps[500, 900]
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 4, rtol=1e-5)  # √(dim / 2)


def test_time_embedding_is_computed_in_float32_under_any_policy():
    exact = layers.TimeEmbedding(dim=16)(np.array([997])).numpy()
    half = layers.TimeEmbedding(dim=16, dtype="mixed_bfloat16")(np.array([997]))
    assert half.dtype == "bfloat16"
    np.testing.assert_allclose(keras.ops.cast(half, "float32"), exact, atol=0.005)


@pytest.mark.parametrize("dim", [0, 7, -2, 2.0, True])
def test_time_embedding_refuses_other_sizes(dim):
    with pytest.raises(ValueError, match=f"positive even number; received {dim}"):
        layers.TimeEmbedding(dim)


def test_time_embedding_survives_saving(tmp_path):
    inputs = keras.Input((), dtype="int32")
    model = keras.Model(inputs, layers.TimeEmbedding(dim=6, max_period=50.0)(inputs))
    assert model.output_shape == (None, 6)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    times = np.arange(9)
    np.testing.assert_array_equal(loaded(times), model(times))
    assert loaded.layers[-1].max_period == 50.0
