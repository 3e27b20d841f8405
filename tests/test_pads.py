"""The Python half of the pads; what the browser does is tested in `tests/browser`."""

import io

import numpy as np
import PIL.Image
import pytest
import traitlets

from course_utils import pads
from course_utils.pads import DrawPad, PointPad

PICTURE = np.arange(48, dtype=np.uint8).reshape(6, 8)


def make_point(**options):
    return PointPad(
        **({"extent": (-2, 4, -1, 1), "picture": PICTURE, "description": "p"} | options)
    )


def test_a_point_has_a_place_an_extent_and_a_picture():
    pad = make_point(value=(3, -0.5), side=200)
    assert pad.value == (3.0, -0.5) and pad.extent == (-2, 4, -1, 1) and pad.side == 200
    np.testing.assert_array_equal(np.asarray(PIL.Image.open(io.BytesIO(pad.picture))), PICTURE)
    pad.show(255 - PICTURE)
    np.testing.assert_array_equal(
        np.asarray(PIL.Image.open(io.BytesIO(pad.picture))), 255 - PICTURE
    )


@pytest.mark.parametrize("value", [(5, 0), (0, 1.5), (-3, 0), (np.nan, 0)])
def test_a_point_outside_is_refused_and_changes_nothing(value):
    pad = make_point()
    with pytest.raises(traitlets.TraitError, match=r"inside the extent \(-2.0, 4.0, -1.0, 1.0\)"):
        pad.value = value
    assert pad.value == (0, 0)


@pytest.mark.parametrize("extent", [(1, 1, 0, 1), (0, 1, 2, 1)])
def test_an_empty_extent_is_refused(extent):
    with pytest.raises(traitlets.TraitError, match="left < right and bottom < top; received"):
        make_point(extent=extent, value=(1, 1))


def test_a_raster_goes_there_and_back():
    drawing = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)
    pad = DrawPad(drawing, description="d")
    np.testing.assert_array_equal(pad.raster, drawing)
    seen = []
    pad.observe(lambda change: seen.append(change.new), "value")
    pad.raster = drawing.T
    np.testing.assert_array_equal(pad.raster, drawing.T)
    pad.set_trait("value", memoryview(drawing.tobytes()))  # as a message brings it
    np.testing.assert_array_equal(pad.raster, drawing)
    assert seen == [drawing.T.tobytes(), drawing.tobytes()]
    assert not DrawPad(description="d", pixels=5).raster.any()


@pytest.mark.parametrize(
    ("raster", "message"),
    [
        (np.zeros((28, 28)), r"uint8; received \(28, 28\) of float64"),
        (np.zeros(784, np.uint8), r"received \(784,\)"),
        (np.zeros((27, 28), np.uint8), "28 x 28 pixels; received 756 values"),
    ],
)
def test_another_raster_is_refused_and_changes_nothing(raster, message):
    pad = DrawPad(description="d")
    with pytest.raises(traitlets.TraitError, match=message):
        pad.raster = raster
    assert not pad.raster.any() and pad.raster.shape == (28, 28)


def test_a_drawing_may_leave_pixels_unknown():
    raster = np.zeros((28, 28), np.uint8)
    raster[14:] = pads.UNKNOWN
    pad = DrawPad(raster, description="d", unknown=True)
    assert pad.unknown and not DrawPad(description="d").unknown
    np.testing.assert_array_equal(
        pad.raster == pads.UNKNOWN, np.arange(28)[:, None] * np.ones(28) >= 14
    )
    # the browser's half has the same level
    assert f"UNKNOWN = {pads.UNKNOWN}," in pads._ESM.read_text(encoding="utf-8")
