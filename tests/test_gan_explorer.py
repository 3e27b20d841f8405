"""The explorer of notebook 03 without a browser, on a generator whose pictures can be read."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras import ops

from course_utils import gan_view, samplers, widgets

LATENT = 5
CLASSES = 3


@keras.saving.register_keras_serializable(package="tests")
class Writer(keras.layers.Layer):
    """Writes the code and the class into the first two rows of a picture."""

    def call(self, inputs):
        z, classes = inputs
        rows = ops.stack(
            [ops.pad(z, ((0, 0), (0, 28 - LATENT))), ops.pad(classes, ((0, 0), (0, 28 - CLASSES)))],
            axis=1,
        )
        return ops.pad(0.2 * rows, ((0, 0), (0, 26), (0, 0)))[..., None]


def make_generator():
    z, classes = keras.Input((LATENT,)), keras.Input((CLASSES,))
    return keras.Model([z, classes], Writer()([z, classes]))


IMAGES = np.random.default_rng(0).random((30, 28, 28, 1)).astype("float32")
LABELS = np.arange(30) % CLASSES


def probabilities(images):
    assert images.shape[1:] == (28, 28, 1) and images.min() >= 0 and images.max() <= 1
    seen = np.full((len(images), CLASSES), 0.1)
    seen[:, 1] = 0.8
    return seen


@pytest.fixture(scope="module")
def view():
    return gan_view.GanView(make_generator(), probabilities, IMAGES, LABELS)


def state(**changes):
    first = {"class": 2, "seed": 4, "threshold": gan_view.NO_TRUNCATION, "place": (0.0, 0.0)}
    return first | changes


def read(view, **changes):
    """Return code and class that the generator was asked for."""
    digit = view._look(state(**changes))[0]
    rows = (2 * digit - 1) / 0.2
    return rows[0, :LATENT], rows[1, :CLASSES]


def test_the_seed_s_own_code_is_in_the_middle(view):
    code, classes = read(view)
    np.testing.assert_allclose(code, np.random.default_rng(4).normal(size=LATENT), atol=1e-4)
    np.testing.assert_allclose(classes, [0, 0, 1], atol=1e-4)
    np.testing.assert_allclose(read(view, **{"class": 0})[0], code, atol=1e-4)  # the class alone
    assert not np.allclose(read(view, seed=5)[0], code)


def test_a_place_is_the_point_of_the_slice_and_truncation_comes_last(view):
    centre = np.random.default_rng(4).normal(size=LATENT)
    expected = samplers.latent_slice(centre, np.array([0.5, -1.0]), seed=4)
    np.testing.assert_allclose(read(view, place=(0.5, -1.0))[0], expected, atol=1e-4)
    cut = samplers.truncate(expected, 0.5)
    np.testing.assert_allclose(read(view, place=(0.5, -1.0), threshold="0.5")[0], cut, atol=1e-4)


def test_the_map_shows_the_digits_of_its_places(view):
    drawn = view.map(state())
    side = 28 * gan_view.TILES
    assert drawn.shape == (side, side) and drawn.dtype == np.uint8
    row, column = 1, 3  # second from above, fourth from the left
    step = 2 * gan_view.REACH / gan_view.TILES
    place = (-gan_view.REACH + (column + 0.5) * step, gan_view.REACH - (row + 0.5) * step)
    digit = view._look(state(place=place))[0]
    tile = drawn[28 * row : 28 * row + 28, 28 * column : 28 * column + 28]
    np.testing.assert_array_equal(tile, np.rint(255 * digit).astype(np.uint8))


def test_the_closest_training_picture_is_the_closest_of_its_class():
    rng = np.random.default_rng(1)
    mine = rng.random((300, 28, 28)).astype("float32") ** 8 * rng.random((300, 1, 1)) + 0.3
    labels = np.repeat([2, 0, 1], [298, 1, 1])
    view = gan_view.GanView(make_generator(), probabilities, mine[..., None], labels)
    for x in (-2.0, 0.0, 1.3):
        digit, _, nearest, distance = view._look(state(place=(x, 0.3)))
        gaps = [np.sqrt(np.sum((one - digit) ** 2)) for one in mine[:298]]  # one by one
        np.testing.assert_array_equal(nearest, mine[np.argmin(gaps)])
        assert distance == pytest.approx(min(gaps), rel=1e-4)


def test_a_copy_is_found_out():
    generator = make_generator()
    z = np.random.default_rng(0).normal(size=(1, LATENT)).astype("float32")
    copy = (generator([z, np.eye(CLASSES, dtype="float32")[:1]]).numpy() + 1) / 2
    images = np.concatenate([IMAGES, copy])
    view = gan_view.GanView(generator, probabilities, images, np.append(LABELS, 0))
    found = view._look(state(**{"class": 0, "seed": 0}))
    assert found[3] == pytest.approx(0, abs=1e-5)


def test_pictures_and_words(view):
    picture = view(state())
    assert picture.shape == (330, 630, 3) and picture.dtype == np.uint8
    assert np.any(picture != view(state(place=(1.0, 0.0))))
    still = view.still(state(place=(2.5, 2.5)))
    assert still.shape == (330, 960, 3)
    np.testing.assert_array_equal(still[:, 330:], view(state(place=(2.5, 2.5))))
    assert "sees a 1 (80%), not the 2 asked for" in view.describe(state())
    assert "sees a 1 (80%), as asked" in view.describe(state(**{"class": 1}))


def test_what_was_seen_is_not_computed_again():
    calls = []

    def counting(images):
        calls.append(len(images))
        return probabilities(images)

    view = gan_view.GanView(make_generator(), counting, IMAGES, LABELS)
    calls.clear()
    view(state()), view.describe(state()), view(state())
    assert calls == [1]


def without_a_loop():
    raise RuntimeError("no running event loop")


def test_the_widget_follows_its_controls(monkeypatch):
    # a browser test that ran before has left its event loop running in this thread
    monkeypatch.setattr(gan_view, "asyncio", SimpleNamespace(get_running_loop=without_a_loop))
    shell = widgets.gan_explorer(make_generator(), IMAGES, LABELS, probabilities)
    before, pad = shell._image.value, shell.controls["place"].picture
    shell.controls["place"].value = (0.7, 0.2)
    assert shell._image.value != before
    assert shell.controls["place"].picture == pad  # the slice stays where only the point moves
    for name, value in (("class", 0), ("seed", 3), ("threshold", "0.5")):
        before, pad = shell._image.value, shell.controls["place"].picture
        shell.controls[name].value = value
        assert shell._image.value != before and shell.controls["place"].picture != pad
    assert shell._message.value == ""
    shell.reset()
    assert shell.state() == {
        "class": 2, "seed": 0, "threshold": gan_view.NO_TRUNCATION, "place": (0.0, 0.0),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (IMAGES, LABELS[:5], "as many labels"),
        (IMAGES[..., 0], LABELS, "n, height, width, 1"),
        (IMAGES, np.zeros(30, int), r"none of \[1, 2\]"),
    ],
)
def test_refuses_pictures_that_do_not_fit(images, labels, message):
    with pytest.raises(ValueError, match=message):
        gan_view.GanView(make_generator(), probabilities, images, labels)


def test_refuses_another_generator():
    z = keras.Input((4,))
    with pytest.raises(ValueError, match="needs a generator of codes"):
        gan_view.GanView(keras.Model(z, keras.layers.Dense(3)(z)), probabilities, IMAGES, LABELS)


def test_the_slice_waits_until_the_keys_rest(monkeypatch):
    monkeypatch.setattr(gan_view, "REST_SECONDS", 0.05)
    shell = widgets.gan_explorer(make_generator(), IMAGES, LABELS, probabilities)
    shown = []
    monkeypatch.setattr(shell.controls["place"], "show", lambda picture: shown.append(picture))

    async def keys():
        pictures = set()
        for seed in (1, 2, 3):
            shell.controls["seed"].value = seed
            pictures.add(bytes(shell._image.value))
        assert len(pictures) == 3 and not shown  # digits at once, no slice yet
        await asyncio.sleep(0.3)

    with ThreadPoolExecutor(1) as pool:  # a thread without a loop
        pool.submit(asyncio.run, keys()).result()
    assert len(shown) == 1  # of the last seed alone
    np.testing.assert_array_equal(shown[0], shell._view.map(shell.state()))
