"""The completer of notebook 05 without a browser, on small models."""

import keras
import numpy as np
import pytest
from keras import layers

from course_utils import _holes, completer_view, pads, pixels, widgets
from course_utils.completer_view import ANY, COMPLETIONS, HIDES, CompleterView
from course_utils.layers import MaskedConv2D

IMAGES = np.random.default_rng(0).random((5, 8, 8, 1)).astype("float32")
LABELS = np.array([3, 1, 4, 1, 5])


def make_sampler(conditional=True):
    seen, label = keras.Input((4, 4, 4)), keras.Input((), dtype="int32")
    x = MaskedConv2D(4, 3, "A", activation="tanh")(seen)
    if conditional:
        x = layers.Add()([x, layers.Reshape((1, 1, 4))(layers.Embedding(6, 4)(label))])
    logits = layers.Conv2D(16, 1)(x)
    model = keras.Model([seen, label] if conditional else seen, logits)
    rng = np.random.default_rng(1)
    for weight in model.weights:
        weight.assign(rng.normal(size=weight.shape))
    return pixels.PixelSampler(model, pixels.BLOCKS)


@pytest.fixture(scope="module")
def view():
    return CompleterView(make_sampler(), IMAGES, LABELS)


def state(view, hide="lower half", **changes):
    given = changes.pop("given", view.given(changes.get("digit", 0), hide))
    return view.first | {"hide": hide, "given": given.tobytes()} | changes


def tiles(picture, side=8):
    """Cut the completions out of a picture, `(8, side, side, 3)`."""
    zoom, gap, top, left = (
        completer_view._ZOOM, _holes.GAP, _holes.TOP, _holes.LEFT,
    )  # fmt: skip
    found = []
    for number in range(COMPLETIONS):
        line, column = divmod(number, 4)
        y, x = top + line * (side * zoom + gap), left + column * (side * zoom + gap)
        found.append(picture[y : y + side * zoom : zoom, x : x + side * zoom : zoom])
    return np.array(found)


def test_a_digit_with_a_part_hidden(view):
    ink = (IMAGES[2, ..., 0] >= 0.5) * 255
    hidden = {
        "lower half": lambda i, j: i >= 4,
        "upper half": lambda i, j: i < 4,
        "right half": lambda i, j: j >= 4,
        "middle": lambda i, j: 2 <= i < 6 and 2 <= j < 6,
        "everything": lambda i, j: True,
        "nothing": lambda i, j: False,
    }
    assert set(hidden) == set(HIDES)
    for hide, inside in hidden.items():
        raster = view.given(2, hide)
        assert raster.shape == (8, 8) and raster.dtype == np.uint8
        for i, j in np.ndindex(8, 8):
            assert raster[i, j] == (pads.UNKNOWN if inside(i, j) else ink[i, j])


def test_bytes_and_floats_give_the_same_digits(view):
    as_bytes = CompleterView(make_sampler(), np.rint(IMAGES * 255).astype(np.uint8), LABELS)
    np.testing.assert_array_equal(as_bytes.rasters, view.rasters)


@pytest.mark.parametrize("hide", ["lower half", "middle", "everything", "nothing"])
def test_pictures_follow_the_rows_and_end_in_completions(view, hide):
    now = state(view, hide, seed=3, **{"class": 2})
    steps = list(view.complete(now))
    assert [share for share, _ in steps] == [0.25, 0.5, 0.75, 1.0]
    expected = pixels.complete(
        view._sampler,
        (view.given(0, hide) == 255)[None, ..., None].astype("float32"),
        (view.given(0, hide) != pads.UNKNOWN)[None, ..., None],
        2,
        n=COMPLETIONS,
        seed=3,
        particles=completer_view.PARTICLES,
    )
    ink = pixels.BLOCKS.decode(expected)[..., 0] > 0.5
    known = view.given(0, hide) != pads.UNKNOWN
    for number, (_, picture) in enumerate(steps):
        assert picture.dtype == np.uint8
        shown = tiles(picture)
        written = np.zeros((8, 8), bool)
        written[: 2 * (number + 1)] = True
        for one, drawn in zip(shown, ink, strict=True):
            assert np.all(one[known & (view.given(0, hide) == 255)] == 255)
            assert np.all(one[known & (view.given(0, hide) == 0)] == 0)
            assert np.all(one[~known & ~written] == _holes.OPEN)
            if number == 3:
                np.testing.assert_array_equal(
                    one[~known], np.array([_holes.PAPER, _holes.INK])[drawn[~known].astype(int)]
                )
    np.testing.assert_array_equal(view(now), steps[-1][1])  # remembered


def test_known_pixels_after_the_hole_count(view):
    """The upper half is to be completed; what is kept below decides which fit."""
    drawn = []
    for below in (0, 255):
        raster = view.given(0, "upper half")
        raster[4:] = below
        *_, (_, picture) = view.complete(state(view, given=raster))
        drawn.append(tiles(picture)[:, :4])
    assert np.any(drawn[0] != drawn[1])


def test_what_is_not_written_yet_is_blue_and_the_words_say_so(view):
    now = state(view, "right half", digit=1)
    shown = tiles(view(now))
    assert np.all(shown[:, :, 4:] == _holes.OPEN)
    assert view.describe(now) == (
        "Test digit 1, labelled 1: 32 of 64 pixels are unknown. Press Complete."
    )
    for _ in view.complete(now):
        pass
    assert not np.any(np.all(tiles(view(now)) == _holes.OPEN, axis=-1))
    assert view.describe(now).endswith(
        "8 completions for any class, temperature 1.0, seed 0; what the model wrote is orange."
    )
    raster = view.given(1, "right half")
    raster[0, 0] = 255 - raster[0, 0]
    assert view.describe(state(view, digit=1, given=raster)).startswith("Your drawing: 32 of 64")


def test_one_for_readers_without_a_kernel(view):
    still, picture = view.still(view.first), view(view.first)
    assert still.shape[0] == picture.shape[0] and still.shape[1] > picture.shape[1]
    np.testing.assert_array_equal(still[:, -picture.shape[1] :], picture)
    assert np.any(np.all(still[:, : -picture.shape[1]] == _holes.OPEN, axis=-1))
    assert not np.any(np.all(tiles(picture) == _holes.OPEN, axis=-1))


def test_the_widget_works_from_its_controls():
    shell = widgets.digit_completer(make_sampler(), IMAGES, LABELS)
    assert shell.controls["class"].options == (ANY, 0, 1, 2, 3, 4, 5)
    first = shell._image.value
    shell.controls["hide"].value = "upper half"
    pad = shell.controls["given"]
    assert np.all(pad.raster[:4] == pads.UNKNOWN) and not np.any(pad.raster[4:] == pads.UNKNOWN)
    assert "Press Complete" in shell._caption.value
    before = shell._image.value
    shell.start()
    assert shell.wait(60) and shell._message.value == ""
    assert shell._image.value != before and shell._progress.value == 1
    assert "8 completions for any class" in shell._caption.value
    done = shell._image.value
    for name, value in (("class", 3), ("temperature", 0.5), ("seed", 7), ("digit", 2)):
        shell.controls[name].value = value
        assert "Press Complete" in shell._caption.value and shell._image.value != done
    raster = pad.raster.copy()
    raster[7] = pads.UNKNOWN
    pad.raster = raster
    shell.start()
    assert shell.wait(60) and shell._message.value == ""
    shell.reset()
    assert shell._image.value == first  # written before, so it is there at once
    assert shell.state()["hide"] == "lower half" and shell.state()["class"] == ANY


def test_cancel_leaves_what_was_written():
    shell = widgets.digit_completer(make_sampler(), IMAGES, LABELS)
    shell.controls["seed"].value = 5
    work = shell._steps

    def steps(state):
        for number, step in enumerate(work(state)):
            if number == 2:
                shell.cancel()
            yield step

    shell._steps = steps
    before = shell._image.value
    shell.start()
    assert shell.wait(60)
    assert "Cancelled" in shell._message.value and shell._image.value != before
    assert 0 < shell._progress.value < 1
    assert "Press Complete" in shell._caption.value


def test_a_model_without_classes_has_none_to_ask_for():
    shell = widgets.digit_completer(make_sampler(conditional=False), IMAGES, LABELS)
    assert shell.controls["class"].options == (ANY,)
    assert "8 completions" in shell._caption.value


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (IMAGES[:, :6], LABELS, r"\(n, 8, 8, 1\); received a sampler of \(4, 4\) symbols"),
        (IMAGES[:0], LABELS[:0], "pictures of its size"),
        (IMAGES, LABELS[:3], r"each of 5 pictures; received \(3,\)"),
        (IMAGES, LABELS / 2, "float64"),
    ],
)
def test_refuses_what_does_not_fit(images, labels, message):
    with pytest.raises(ValueError, match=message):
        CompleterView(make_sampler(), images, labels)
