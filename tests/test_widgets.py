"""The CNN explorer without a browser."""

import io

import keras
import numpy as np
import pytest
from PIL import Image

from course_utils import _memory, cnn_view, render, widgets

NAMES = ["ant", "bee", "cow", "dog"]


def small_net(channels=3, activation=None):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((16, 16, channels))
    x = keras.layers.Conv2D(6, 3, activation="relu", name="first")(inputs)
    x = keras.layers.MaxPooling2D()(x)
    x = keras.layers.Conv2D(20, 3, activation="relu", name="second")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(4, activation=activation)(x))


@pytest.fixture(scope="module")
def net():
    return small_net()


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), np.uint8)


@pytest.fixture(scope="module")
def view(net, pictures):
    return cnn_view.CnnView(net, pictures, [0, 1, 2, 3, 0], NAMES)


def state(**changes):
    return {
        "picture": 0,
        "own": None,
        "layer": "second",
        "channel": cnn_view.STRONGEST,
        "saliency": cnn_view.GRAD_CAM,
        "class": cnn_view.TOP,
        **changes,
    }


@pytest.mark.parametrize(
    "change",
    [
        {"picture": 1},
        {"own": np.zeros((40, 60, 3), np.uint8)},
        {"layer": "first"},
        {"channel": 0},
        {"channel": 19},
        {"saliency": cnn_view.OCCLUSION},
        {"saliency": cnn_view.OFF},
    ],
)
def test_each_part_of_the_state_changes_the_picture(view, change):
    plain, changed = view(state()), view(state(**change))
    assert plain.shape == changed.shape == (440, 960, 3)
    assert (plain != changed).any()
    np.testing.assert_array_equal(view(state()), plain)


@pytest.mark.parametrize("saliency", [cnn_view.GRAD_CAM, cnn_view.OCCLUSION])
def test_every_class_has_its_own_saliency(view, saliency):
    shown = [view(state(saliency=saliency, **{"class": name})) for name in NAMES]
    for one in range(4):
        for other in range(one):
            assert (shown[one] != shown[other]).any()
    top = view._explanation(("test", 0), view.pictures[0], None).class_index
    np.testing.assert_array_equal(view(state(saliency=saliency)), shown[top])


def test_the_network_runs_once_for_each_picture_and_class(net, pictures, monkeypatch):
    view = cnn_view.CnnView(net, pictures, [0] * 5, NAMES)
    calls = []
    real = view._explain
    monkeypatch.setattr(view, "_explain", lambda *args: calls.append(args) or real(*args))
    for layer in view.layers:
        for channel in range(3):
            view(state(picture=3, layer=layer, channel=channel))
    assert len(calls) == 1
    view(state(picture=3, **{"class": "bee"}))
    view(state(picture=4))
    assert len(calls) == 3


def test_what_is_remembered_is_bounded(net, pictures, monkeypatch):
    monkeypatch.setattr(_memory, "REMEMBERED", 3)
    view = cnn_view.CnnView(net, pictures, [0] * 5, NAMES)
    for picture in range(5):
        view(state(picture=picture))
    assert len(view._seen) == 3


def test_description_says_what_the_picture_shows(view, net, pictures):
    logits = net(pictures[1:2] / np.float32(255)).numpy()[0]
    probabilities = np.exp(logits) / np.exp(logits).sum()
    text = view.describe(state(picture=1))
    top = int(probabilities.argmax())
    assert text.startswith(f"bee, taken for {NAMES[top]} ({probabilities[top]:.0%})")
    assert "speaks for" in text
    assert "grey square" in view.describe(state(saliency=cnn_view.OCCLUSION))
    own = view.describe(state(own=pictures[0], saliency=cnn_view.OFF))
    assert own.startswith("Your picture, taken for")
    assert own.endswith("%).")


def test_preprocess_gets_values_in_0_1(net, pictures):
    seen = []

    def preprocess(image):
        seen.append(image)
        return image * 2 - 1

    cnn_view.CnnView(net, pictures, [0] * 5, NAMES, preprocess)
    np.testing.assert_allclose(seen[0], pictures[0] / 255, atol=1e-6)
    assert seen[0].dtype == np.float32


def test_float_and_uint8_pictures_are_the_same(net, pictures, view):
    other = cnn_view.CnnView(net, pictures / np.float32(255), [0, 1, 2, 3, 0], NAMES)
    np.testing.assert_array_equal(other(state()), view(state()))


def test_grey_pictures_and_own_pictures_for_them():
    pictures = np.random.default_rng(0).random((2, 16, 16, 1))
    view = cnn_view.CnnView(small_net(1), pictures, [0, 1], NAMES)
    assert view(state()).shape == (440, 960, 3)
    own = np.zeros((30, 20, 3), np.uint8)
    own[..., 0] = 255
    _, picture, _, _ = view._picture(state(own=own))
    assert picture.shape == (16, 16, 1)
    assert (picture == 76).all()  # 0.299 * 255


@pytest.mark.parametrize(
    ("labels", "names", "message"),
    [
        ([0, 1], NAMES, r"one label for each of 5 images.*received labels of shape \(2,\)"),
        ([0] * 5, NAMES[:3], "one name for each of 4 classes.*3 names"),
    ],
)
def test_labels_and_names_that_do_not_fit_are_refused(net, pictures, labels, names, message):
    with pytest.raises(ValueError, match=message):
        widgets.cnn_explorer(net, pictures, labels, names)


def test_a_model_of_probabilities_is_refused(pictures):
    with pytest.raises(ValueError, match="needs a model that returns logits"):
        widgets.cnn_explorer(small_net(activation="softmax"), pictures, [0] * 5, NAMES)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((0, 16, 16, 3)), "must have the shape"),
        (np.zeros((5, 16, 16)), r"received \(5, 16, 16\)"),
        (np.full((5, 16, 16, 3), 7.0), "float in \\[0, 1\\]; received float64 from 7 to 7"),
    ],
)
def test_pictures_of_another_kind_are_refused(net, images, message):
    with pytest.raises(ValueError, match=message):
        widgets.cnn_explorer(net, images, [0] * 5, NAMES)


# --- the widget ------------------------------------------------------------------------------


def shown(shell):
    return np.asarray(Image.open(io.BytesIO(bytes(shell._image.value))))


@pytest.fixture
def explorer(net, pictures):
    def read(content):
        return np.full((20, 30, 3), content[0], np.uint8)

    return widgets.cnn_explorer(net, pictures, [0, 1, 2, 3, 0], NAMES, read=read)


def test_the_picture_is_that_of_the_state(explorer, view):
    controls = explorer.controls
    controls["layer"].value = "first"
    controls["picture"].value = 3
    controls["class"].value = "dog"
    np.testing.assert_array_equal(
        shown(explorer), view(state(layer="first", picture=3, **{"class": "dog"}))
    )


def test_moving_the_channel_shows_that_channel(explorer, view):
    explorer.controls["channel"].index = 5
    np.testing.assert_array_equal(shown(explorer), view(state(channel=4)))


def test_the_channel_follows_the_layer_and_reset_restores_it(explorer, view):
    channel, layer = explorer.controls["channel"], explorer.controls["layer"]
    assert channel.options == (cnn_view.STRONGEST, *range(20))
    channel.value = 3
    layer.value = "first"
    assert channel.value == 3
    layer.value = "second"
    channel.value = 12
    layer.value = "first"
    assert (channel.options[-1], channel.value) == (5, 5)
    np.testing.assert_array_equal(shown(explorer), view(state(layer="first", channel=5)))
    explorer.reset()
    assert (channel.options[-1], channel.value) == (19, cnn_view.STRONGEST)
    np.testing.assert_array_equal(shown(explorer), view(state()))


def test_an_own_picture_stays_until_another_is_chosen(explorer, view):
    entry = {"name": "a.png", "type": "", "size": 1, "content": memoryview(b"\x80"),
             "last_modified": 0}  # fmt: skip
    explorer.controls["own"].set_state({"value": [entry]})
    own = np.full((20, 30, 3), 128, np.uint8)
    np.testing.assert_array_equal(shown(explorer), view(state(own=own)))
    explorer.controls["layer"].value = "first"
    np.testing.assert_array_equal(shown(explorer), view(state(own=own, layer="first")))
    explorer.controls["picture"].value = 2
    np.testing.assert_array_equal(shown(explorer), view(state(picture=2, layer="first")))


def test_without_a_reader_there_is_no_upload(net, pictures):
    explorer = widgets.cnn_explorer(net, pictures, [0] * 5, NAMES)
    assert "own" not in explorer.controls
    assert shown(explorer).shape == (440, 960, 3)


def test_two_explorers_do_not_share_their_state(net, pictures):
    one = widgets.cnn_explorer(net, pictures, [0] * 5, NAMES)
    other = widgets.cnn_explorer(net, pictures, [0] * 5, NAMES)
    before = shown(other)
    one.controls["picture"].value = 3
    np.testing.assert_array_equal(shown(other), before)


def test_all_is_compiled_before_the_first_key_press(net, pictures, monkeypatch):
    view = cnn_view.CnnView(net, pictures, [0] * 5, NAMES)
    import tensorflow as tf

    def refuse(*args, **kwargs):
        raise AssertionError("traced after construction")

    monkeypatch.setattr(tf.GradientTape, "__enter__", refuse)
    monkeypatch.setattr(type(net), "__call__", refuse)
    view(state(picture=2, saliency=cnn_view.OCCLUSION, **{"class": "cow"}))


def test_occlusion_maps_are_there_before_they_are_asked_for(net, pictures, monkeypatch):
    view = cnn_view.CnnView(net, pictures, [0] * 5, NAMES)
    calls = []
    real = view._occlusion
    monkeypatch.setattr(view, "_occlusion", lambda image: calls.append(1) or real(image))
    for picture in range(5):
        view(state(picture=picture, saliency=cnn_view.OCCLUSION))
    assert calls == []
    for layer in view.layers:
        view(state(own=pictures[0, ::-1], layer=layer, saliency=cnn_view.OCCLUSION))
    assert calls == [1]


def test_render_is_fit_for_the_state_the_widget_gives(explorer):
    assert set(explorer.state()) == set(state())
    assert render.encode_png(shown(explorer))
