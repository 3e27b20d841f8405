"""Grad-CAM and occlusion against naive oracles."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from course_utils import explain


def small_net(seed=0):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Rescaling(2.0, -1.0, name="scale")(inputs)
    x = keras.layers.Conv2D(5, 3, activation="tanh", name="first")(x)  # (batch, 6, 6, 5)
    y = keras.layers.Conv2D(5, 3, padding="same", name="bare")(x)
    y = keras.layers.Activation("silu", name="smooth")(y)
    x = keras.layers.Add(name="sum")([x, y])
    x = keras.layers.AveragePooling2D(2, name="pool")(x)
    x = keras.layers.Flatten(name="flat")(x)
    return keras.Model(inputs, keras.layers.Dense(4, name="logits")(x))


@pytest.fixture(scope="module")
def net():
    return small_net()


@pytest.fixture
def image():
    return np.random.default_rng(1).random((8, 8, 3)).astype("float32")


def split(model, name):
    """The part of `small_net` behind a layer, as a function of that layer's output."""
    layer = model.get_layer

    def rest(activation):
        x = activation
        if name == "first":
            x = layer("sum")([x, layer("smooth")(layer("bare")(x))])
        return layer("logits")(layer("flat")(layer("pool")(x)))

    return rest


def test_visible_layers_are_the_ends_of_steps(net):
    assert explain.visible_layers(net) == ["first", "smooth", "sum"]


def test_visible_layers_of_bare_convolutions():
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(2, 3, name="a")(inputs)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Conv2D(2, 3, name="b")(x)
    model = keras.Model(inputs, keras.layers.Flatten()(x))
    assert explain.visible_layers(model) == ["a", "b"]


def test_a_model_without_maps_is_refused():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="only")])
    with pytest.raises(ValueError, match=r"must have layers with output .*\['only'\]"):
        explain.visible_layers(model)


def test_logits_and_features_are_the_models(net, image):
    result = explain.explain(net)(image)
    logits = net(image[None]).numpy()[0]
    np.testing.assert_allclose(result.logits, logits, rtol=1e-5)
    np.testing.assert_allclose(
        result.probabilities, np.exp(logits) / np.exp(logits).sum(), rtol=1e-5
    )
    first = net.get_layer("first")(net.get_layer("scale")(image[None])).numpy()[0]
    np.testing.assert_allclose(result.features["first"], first, rtol=1e-5, atol=1e-6)
    assert result.features["sum"].shape == (6, 6, 5)
    assert result.features["sum"].dtype == np.float32
    assert result.class_index == logits.argmax()


@pytest.mark.parametrize("name", ["first", "sum"])
@pytest.mark.parametrize("class_index", [0, 3])
def test_grad_cam_equals_a_naive_loop(net, image, name, class_index):
    result = explain.explain(net)(image, class_index)
    activation = tf.constant(result.features[name])[None]
    with tf.GradientTape() as tape:
        tape.watch(activation)
        score = split(net, name)(activation)[0, class_index]
    gradient = tape.gradient(score, activation).numpy()[0]
    expected = np.zeros((6, 6))
    for channel in range(5):
        importance = sum(gradient[y, x, channel] for y in range(6) for x in range(6)) / 36
        expected += importance * result.features[name][..., channel]
    expected = np.maximum(expected, 0)
    assert expected.max() > 0
    np.testing.assert_allclose(result.grad_cam[name], expected, rtol=1e-4, atol=1e-6)
    assert result.class_index == class_index


def test_grad_cam_against_finite_differences(net, image):
    class_index, step = 2, 1e-2
    result = explain.explain(net)(image, class_index)
    rest = split(net, "first")
    activation = result.features["first"]
    importance = []
    for channel in range(5):
        # Raising a whole channel by a step changes the score by the sum of its gradients.
        raised, lowered = activation.copy(), activation.copy()
        raised[..., channel] += step
        lowered[..., channel] -= step
        scores = rest(np.stack([raised, lowered])).numpy()[:, class_index]
        importance.append((scores[0] - scores[1]) / (2 * step) / 36)
    expected = np.maximum(activation @ np.array(importance), 0)
    np.testing.assert_allclose(result.grad_cam["first"], expected, rtol=2e-2, atol=1e-4)


def test_no_class_means_the_top_class(net, image):
    explained = explain.explain(net)
    top = explained(image)
    asked = explained(image, top.class_index)
    np.testing.assert_array_equal(top.grad_cam["sum"], asked.grad_cam["sum"])


def test_a_layer_that_the_class_does_not_depend_on_gets_an_empty_map(image):
    inputs = keras.Input((8, 8, 3))
    side = keras.layers.Conv2D(2, 3, activation="relu", name="side")(inputs)
    x = keras.layers.Conv2D(2, 3, activation="relu", name="used")(inputs)
    y = keras.layers.Add(name="cut")([x, keras.layers.Rescaling(0.0)(side)])
    y = keras.layers.GlobalAveragePooling2D()(y)
    model = keras.Model(inputs, keras.layers.Dense(2)(y))
    result = explain.explain(model)(image)
    assert not result.grad_cam["side"].any()


def test_training_later_is_seen(image):
    net = small_net()
    explained = explain.explain(net)
    before = explained(image).logits
    net.get_layer("logits").bias.assign_add(np.ones(4))
    np.testing.assert_allclose(explained(image).logits, before + 1, rtol=1e-5)


def test_dropout_and_batch_statistics_stay_as_at_inference(image):
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, name="c")(inputs)
    norm = keras.layers.BatchNormalization()
    x = keras.layers.Activation("relu", name="r")(norm(x))
    x = keras.layers.Dropout(0.9)(x)
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(x)))
    explained = explain.explain(model)
    moving = norm.moving_mean.numpy().copy()
    np.testing.assert_array_equal(explained(image).logits, explained(image).logits)
    np.testing.assert_array_equal(norm.moving_mean.numpy(), moving)


@pytest.mark.parametrize("name", ["absent", "flat", "logits"])
def test_layers_without_maps_are_named(net, name):
    with pytest.raises(ValueError, match=f"layer_names must be a layer .* received '{name}'"):
        explain.explain(net, ["first", name])


def test_a_picture_of_another_shape_is_refused(net):
    message = r"shape \(8, 8, 3\); got \(4, 8, 3\)"
    with pytest.raises(ValueError, match=message):
        explain.explain(net)(np.zeros((4, 8, 3)))
    with pytest.raises(ValueError, match=message):
        explain.occlusion(net, patch=4, steps=3)(np.zeros((4, 8, 3)))


def test_occlusion_equals_one_picture_at_a_time(net, image):
    patch, steps = 4, 3
    falls = explain.occlusion(net, patch=patch, steps=steps)(image)
    total, times = np.zeros((8, 8, 4)), np.zeros((8, 8, 1))

    def probabilities(picture):
        logits = net(picture[None]).numpy()[0]
        return np.exp(logits) / np.exp(logits).sum()

    whole = probabilities(image)
    for y in (0, 2, 4):
        for x in (0, 2, 4):
            covered = image.copy()
            covered[y : y + patch, x : x + patch] = image.mean(axis=(0, 1))
            total[y : y + patch, x : x + patch] += whole - probabilities(covered)
            times[y : y + patch, x : x + patch] += 1
    assert falls.shape == (8, 8, 4)
    assert falls.dtype == np.float32
    np.testing.assert_allclose(falls, total / times, atol=1e-5)
    np.testing.assert_allclose(falls.sum(axis=-1), 0, atol=1e-5)  # probabilities sum to one


def test_occlusion_of_an_even_picture_changes_nothing(net):
    falls = explain.occlusion(net, patch=4, steps=3)(np.full((8, 8, 3), 0.3))
    np.testing.assert_allclose(falls, 0, atol=1e-6)


@pytest.mark.parametrize(("patch", "steps"), [(2, 3), (9, 3), (4, 1)])
def test_squares_that_leave_gaps_are_refused(net, patch, steps):
    with pytest.raises(ValueError, match=rf"must cover a 8 x 8 picture; received patch={patch}"):
        explain.occlusion(net, patch=patch, steps=steps)
