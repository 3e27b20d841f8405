"""Two controls that ipywidgets lacks: a point to drag over a picture, and a raster to draw on.

Both are controls like others, with a `value` and a `description`, and fit into `shells.Live`, which
puts them beside its picture. What happens in the browser is in `pads.js`.
"""

from pathlib import Path

import anywidget
import numpy as np
import traitlets

from course_utils import render

UNKNOWN = 128  # the level of a pixel that a drawing leaves open

_ESM = Path(__file__).with_name("pads.js")


class PointPad(anywidget.AnyWidget):
    """A point on a picture, moved with the pointer or with arrow keys.

    With Shift an arrow key moves it further; Home puts it into the centre.

    Args:
        value: `(x, y)`, where the point is; inside the extent.
        extent: `(left, right, bottom, top)`, what the edges of the picture stand for.
        picture: `(height, width[, 3])` uint8 below the point; `show` replaces it.
        description: the label.
        side: of the square in pixels.

    Raises:
        traitlets.TraitError: if the extent is empty or the point lies outside.
    """

    _esm = _ESM
    kind = traitlets.Unicode("point").tag(sync=True)
    value = traitlets.Tuple(traitlets.Float(), traitlets.Float()).tag(sync=True)
    extent = traitlets.Tuple(*[traitlets.Float()] * 4).tag(sync=True)
    picture = traitlets.Bytes().tag(sync=True)
    description = traitlets.Unicode().tag(sync=True)
    side = traitlets.Int(360).tag(sync=True)

    def __init__(self, value=(0.0, 0.0), *, extent, picture, description, **options):
        super().__init__(
            extent=self._checked(tuple(map(float, extent))),
            value=tuple(map(float, value)),
            picture=render.encode_png(picture),
            description=description,
            **options,
        )

    def show(self, picture: np.ndarray) -> None:
        """Replace the picture below the point.

        Args:
            picture: `(height, width[, 3])` uint8.
        """
        self.picture = render.encode_png(picture)

    @staticmethod
    def _checked(extent):
        left, right, bottom, top = extent
        if not (left < right and bottom < top):
            raise traitlets.TraitError(
                "extent must be (left, right, bottom, top) with left < right and bottom < top; "
                f"received {extent}."
            )
        return extent

    @traitlets.validate("extent")
    def _check_extent(self, proposal):
        return self._checked(proposal["value"])

    @traitlets.validate("value")
    def _check_value(self, proposal):
        (x, y), (left, right, bottom, top) = proposal["value"], self.extent
        if not (left <= x <= right and bottom <= y <= top):
            raise traitlets.TraitError(
                f"value must lie inside the extent {self.extent}; received {(x, y)}."
            )
        return proposal["value"]


class DrawPad(anywidget.AnyWidget):
    """A square raster of grey levels to draw on: pen, rubber, and arrow keys with the space bar.

    Args:
        raster: `(pixels, pixels)` uint8 to begin with, or None for an empty one.
        description: the label.
        pixels: of each side of the raster.
        radius: of the pen, in pixels of the raster; MNIST's strokes are 2 to 3 pixels wide.
        side: of the square in pixels of the screen.
        unknown: whether pixels are ink, paper or `UNKNOWN`, which is one more tool. Strokes then
            have sharp edges.

    `value` holds the raster as bytes, row by row; `raster` gives it as an array.

    Raises:
        traitlets.TraitError: if a raster has another shape.
    """

    _esm = _ESM
    kind = traitlets.Unicode("drawing").tag(sync=True)
    value = traitlets.CBytes().tag(sync=True)  # arrives as a view of the message
    pixels = traitlets.Int(28).tag(sync=True)
    radius = traitlets.Float(1.0).tag(sync=True)
    description = traitlets.Unicode().tag(sync=True)
    side = traitlets.Int(196).tag(sync=True)
    unknown = traitlets.Bool(False).tag(sync=True)

    def __init__(self, raster=None, *, description, pixels=28, **options):
        if raster is None:
            raster = np.zeros((pixels, pixels), np.uint8)
        super().__init__(
            pixels=pixels, value=self._packed(raster), description=description, **options
        )

    @property
    def raster(self) -> np.ndarray:
        """The drawing, `(pixels, pixels)` uint8; assign to it to replace it."""
        return np.frombuffer(self.value, np.uint8).reshape(self.pixels, self.pixels)

    @raster.setter
    def raster(self, raster):
        """Replace the drawing."""
        self.value = self._packed(raster)

    @staticmethod
    def _packed(raster):
        raster = np.asarray(raster)
        if raster.ndim != 2 or raster.dtype != np.uint8:
            raise traitlets.TraitError(
                "a raster must have the shape (pixels, pixels) and be uint8; received "
                f"{raster.shape} of {raster.dtype}."
            )
        return raster.tobytes()

    @traitlets.validate("value")
    def _check_value(self, proposal):
        content = proposal["value"]
        if len(content) != self.pixels**2:
            raise traitlets.TraitError(
                f"a raster must have {self.pixels} x {self.pixels} pixels; received {len(content)} "
                "values."
            )
        return content
