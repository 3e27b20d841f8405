"""What widgets draw, pixel by pixel."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from course_utils import render

NAMES = ["ant", "bee", "cow", "dog", "eel", "fox"]


def same_colour(picture, colour):
    return (np.asarray(picture) == np.array(colour)).all(axis=-1)


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3)])
@pytest.mark.parametrize("level", [1, 9])
@pytest.mark.parametrize("filters", [True, False])
def test_png_keeps_every_pixel(shape, level, filters):
    picture = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    for drawn in (picture, picture[::-1, ::2]):  # also where rows do not lie in order
        data = render.encode_png(drawn, level, filters)
        image = Image.open(io.BytesIO(data))
        image.verify()  # the checksums
        decoded = Image.open(io.BytesIO(data))
        assert decoded.mode == ("RGB" if len(shape) == 3 else "L")
        np.testing.assert_array_equal(np.asarray(decoded), drawn)


@pytest.mark.parametrize(
    "picture",
    [np.zeros((4, 4)), np.zeros((4, 4, 4), "uint8"), np.zeros((0, 4), "uint8"), None],
)
def test_png_of_something_else_is_refused(picture):
    with pytest.raises(ValueError, match=r"must be uint8 of shape .* received"):
        render.encode_png(picture)


def test_fit_cuts_the_middle():
    wide = np.zeros((10, 30, 3), np.uint8)
    wide[:, 10:20] = (10, 20, 30)
    fitted = render.fit(wide, 10, 10)
    assert fitted.shape == (10, 10, 3)
    assert (fitted[:, 2:-2] == (10, 20, 30)).all()
    tall = np.zeros((31, 10, 3), np.uint8)
    assert render.fit(tall, 4, 8).shape == (4, 8, 3)
    same = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    np.testing.assert_array_equal(render.fit(same, 8, 8), same)


def test_enlarge_repeats_pixels():
    picture = np.random.default_rng(0).integers(0, 256, (2, 3, 3), np.uint8)
    expected = picture.repeat(4, axis=0).repeat(4, axis=1)
    np.testing.assert_array_equal(render.enlarge(picture, 12), expected)


def test_paint_spans_the_colours():
    painted = render.paint(np.array([[-1.0, 0.0], [1.0, 3.0]]))
    np.testing.assert_array_equal(painted[0, 0], render.VIRIDIS[0])
    np.testing.assert_array_equal(painted[1, 1], render.VIRIDIS[255])
    np.testing.assert_array_equal(painted[0, 1], render.VIRIDIS[64])
    np.testing.assert_array_equal(render.paint(np.full((2, 2), 5.0))[0, 0], render.VIRIDIS[0])


def test_glow_is_where_the_map_is_large():
    picture = np.full((8, 8, 3), 128, np.uint8)
    heat = np.zeros((4, 4))
    heat[0, 0], heat[3, 3] = 2.0, -5.0
    shown = render.glow(picture, heat, 64).astype(int)
    assert shown.shape == (64, 64, 3)
    saturation = shown.max(axis=-1) - shown.min(axis=-1)
    assert saturation[:8, :8].min() > 60
    assert saturation[32:, 32:].max() == 0
    assert not (render.glow(picture, np.zeros((4, 4)), 64).std(axis=-1)).any()


def test_bars_are_as_long_as_the_probabilities():
    probabilities = np.array([0.02, 0.5, 0.25, 0.2, 0.0, 0.03])
    bars = render.probability_bars(probabilities, NAMES, width=472, height=150, truth=2)
    assert bars.shape == (150, 472, 3)
    blue, green = same_colour(bars, render.BLUE), same_colour(bars, render.GREEN)
    room = 472 - 112 - 118
    rows = [round((line + 0.5) * 30) for line in range(5)]
    lengths = [int((blue | green)[row, : 112 + room].sum()) for row in rows]
    expected = [round(share * room) for share in (0.5, 0.25, 0.2, 0.03, 0.02)]
    assert lengths == expected
    assert green[rows[1]].any()
    assert not green[rows[0]].any()


def test_bars_without_a_known_class_are_all_blue():
    bars = render.probability_bars(np.full(6, 1 / 6), NAMES, width=472, height=150)
    assert not same_colour(bars, render.GREEN).any()


def test_fewer_classes_than_bars():
    bars = render.probability_bars(np.array([0.4, 0.6]), NAMES[:2], width=472, height=100)
    blue = same_colour(bars, render.BLUE)
    assert blue[25].sum() == round(0.6 * 242)
    assert blue[75].sum() == round(0.4 * 242)


def test_strongest_orders_by_mean_absolute_value():
    features = np.zeros((2, 2, 4))
    features[..., 1], features[..., 2], features[0, 0, 3] = -3, 1, 2
    assert list(render.strongest(features, 3)) == [1, 2, 3]
    assert len(render.strongest(features)) == 4


@pytest.mark.parametrize("count", [1, 2, 4, 5, 9, 16])
@pytest.mark.parametrize("size", [3, 7, 31])
def test_every_map_is_drawn_inside_the_tile(count, size):
    features = np.zeros((size, size, 16))
    features[0, 0] = 1  # a map with both ends of the scale
    tile = render.map_tile(features, list(range(count)), 402)
    assert tile.shape == (402, 402, 3)
    low, high = same_colour(tile, render.VIRIDIS[0]), same_colour(tile, render.VIRIDIS[255])
    assert high.any()
    ratio = low.sum() / high.sum()
    assert ratio == pytest.approx(size**2 - 1, rel=0.35 if size == 31 else 0.1)


def test_one_map_shows_its_values():
    features = np.zeros((3, 3, 2))
    features[1, 1, 1] = 1
    tile = render.map_tile(features, [1], 402)
    np.testing.assert_array_equal(tile[201, 201], render.VIRIDIS[255])
    np.testing.assert_array_equal(tile[30, 30], render.VIRIDIS[0])


def explanation(depth=20):
    rng = np.random.default_rng(3)
    return SimpleNamespace(
        probabilities=rng.dirichlet(np.ones(6)), features={"conv": rng.random((7, 7, depth))}
    )


@pytest.mark.parametrize("channels", [1, 3])
def test_canvas_has_its_parts(channels):
    picture = np.full((32, 32, channels), 200, np.uint8)
    options = {"layer": "conv", "channels": range(16), "truth": 1}
    plain = render.cnn_canvas(picture, explanation(), NAMES, **options)
    assert plain.shape == (440, 960, 3)
    assert plain.dtype == np.uint8
    assert (plain[34:258, 16:240] == 200).all()
    assert (plain[34:258, 264:488] == 255).all()
    heat = np.ones((7, 7))
    glowing = render.cnn_canvas(
        picture, explanation(), NAMES, saliency=heat, saliency_title="Grad-CAM: bee", **options
    )
    assert (glowing[34:258, 264:488] != 255).all(axis=-1).all()
    np.testing.assert_array_equal(glowing[:, :250], plain[:, :250])
    assert not same_colour(plain[40:430, 542:944], (255, 255, 255)).all()
    one = render.cnn_canvas(picture, explanation(), NAMES, **{**options, "channels": [4]})
    assert not same_colour(one[34:436, 542:944], (255, 255, 255)).any()


def test_long_text_ends_in_an_ellipsis_and_stays_in_its_place():
    from PIL import ImageDraw

    canvas = Image.new("L", (200, 30), 255)
    render.write(ImageDraw.Draw(canvas), (0, 5), "a very long class name", 15, 0, width=80)
    inked = np.flatnonzero((np.asarray(canvas) < 128).any(axis=0))
    assert 40 < inked.max() <= 81


# --- the studio


def solid(height, width, colour):
    return np.full((height, width, 3), colour, np.uint8)


@pytest.mark.parametrize("shape", [(171, 256), (256, 171), (10, 200), (4, 4), (300, 300)])
def test_the_studio_shows_everything_in_proportion_on_a_canvas_of_one_size(shape):
    red, blue, green = (200, 0, 0), (0, 0, 200), (0, 150, 0)
    canvas = render.studio_canvas(
        solid(*shape, red), [solid(50, 50, green)], solid(*shape, blue),
        content_title="a", style_titles=["b"], result_title="c",
    )  # fmt: skip
    assert canvas.shape == (460, 760, 3) and canvas.dtype == np.uint8
    boxes = {}
    for name, colour in (("content", red), ("style", green), ("result", blue)):
        rows, columns = np.nonzero((canvas == colour).all(axis=-1))
        boxes[name] = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert len(rows) == np.prod(boxes[name])  # nothing lies on top of it
    assert boxes["style"] == (190, 190)
    for name, (high, wide) in (("content", (190, 190)), ("result", (422, 522))):
        scale = min(high / shape[0], wide / shape[1])
        assert boxes[name] == pytest.approx([scale * side for side in shape], abs=1)


def test_two_styles_stand_side_by_side():
    first, second = solid(50, 50, (0, 150, 0)), solid(50, 80, (250, 200, 0))
    canvas = render.studio_canvas(
        solid(9, 9, 0), [first, second], solid(9, 9, 0),
        content_title="a", style_titles=["60% one", "40% another name that is too long"],
        result_title="c",
    )  # fmt: skip
    places = [np.nonzero((canvas == one[0, 0]).all(axis=-1))[1] for one in (first, second)]
    assert np.ptp(places[0]) == np.ptp(places[1]) == 90 and places[0].max() < places[1].min()


def test_shrink_fits_into_a_box_and_enlarges_too():
    picture = solid(30, 60, (1, 2, 3))
    assert render.shrink(picture, 10, 100).shape == (10, 20, 3)
    assert render.shrink(picture, 100, 120).shape == (60, 120, 3)
    assert render.shrink(solid(1, 1000, 9), 50, 50).shape == (1, 50, 3)
