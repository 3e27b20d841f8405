"""What the completer of notebook 05 and the inpainter of notebook 06 share: holes, and pictures."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from course_utils import pads, render

NOTHING, EVERYTHING = "nothing", "everything"
HIDES = ("lower half", "upper half", "right half", "middle", EVERYTHING, NOTHING)
COLUMNS, GAP, TOP, LEFT = 4, 8, 34, 8  # of the tiles
OPEN = render.BLUE  # not known, and not yet drawn
PAPER, INK = np.array([(60, 44, 0), (255, 190, 60)], float)  # of what a model drew


def hidden(raster: np.ndarray, part: str) -> np.ndarray:
    """Return a raster `(side, side)` uint8 of which a part, one of `HIDES`, is unknown."""
    half, quarter = len(raster) // 2, len(raster) // 4
    middle = slice(quarter, len(raster) - quarter)
    region = {
        "lower half": np.s_[half:],
        "upper half": np.s_[:half],
        "right half": np.s_[:, half:],
        "middle": (middle, middle),
        EVERYTHING: np.s_[:],
        NOTHING: np.s_[:0],
    }[part]
    raster = raster.copy()
    raster[region] = pads.UNKNOWN
    return raster


def coloured(raster, drawn: np.ndarray | None, until: int | None = None) -> np.ndarray:
    """Colour one picture: grey where it is known, orange where drawn, blue where still open.

    Args:
        raster: `(side, side)` uint8, `pads.UNKNOWN` where nothing is known.
        drawn: `(side, side)` in [0, 1], what a model says of the unknown pixels, or None.
        until: the first row of which it says nothing yet; None for none.

    Returns:
        `(side, side, 3)` uint8.
    """
    unknown = raster == pads.UNKNOWN
    colours = np.repeat(raster[..., None], 3, axis=-1)
    colours[unknown] = OPEN
    if drawn is not None:
        rows = slice(0, until)
        levels = drawn[rows][unknown[rows]][:, None]
        colours[rows][unknown[rows]] = np.rint(PAPER + levels * (INK - PAPER))
    return colours


def sheet(title: str, pictures: Sequence[np.ndarray], zoom: int) -> np.ndarray:
    """Draw coloured pictures in rows of four under a title, `(height, width, 3)` uint8."""
    tile = len(pictures[0]) * zoom
    lines = -(-len(pictures) // COLUMNS)
    size = 2 * LEFT + COLUMNS * (tile + GAP) - GAP, TOP + lines * (tile + GAP)
    canvas = Image.new("RGB", size, render.PAPER)
    render.write(ImageDraw.Draw(canvas), (LEFT, 8), title, 15, bold=True)
    for number, colours in enumerate(pictures):
        line, column = divmod(number, COLUMNS)
        place = LEFT + column * (tile + GAP), TOP + line * (tile + GAP)
        canvas.paste(Image.fromarray(render.enlarge(colours, tile)), place)
    return np.asarray(canvas)


def beside(given: np.ndarray, picture: np.ndarray) -> np.ndarray:
    """Put what is given, coloured, left of a sheet: for readers without a kernel."""
    side = len(picture) - 2 * TOP
    pad = Image.new("RGB", (side + 2 * LEFT, len(picture)), render.PAPER)
    large = Image.fromarray(given).resize((side, side), Image.Resampling.NEAREST)
    pad.paste(large, (LEFT, TOP))
    render.write(ImageDraw.Draw(pad), (LEFT, 8), "Given", 15, bold=True)
    return np.concatenate([np.asarray(pad), picture], axis=1)
