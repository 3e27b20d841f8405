"""How the widgets of notebook 04 look; plain NumPy, Matplotlib and Pillow."""

import functools

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from matplotlib.patheffects import withStroke
from PIL import Image, ImageDraw

from course_utils import _charts as charts
from course_utils import _drawing as look_of
from course_utils import plots, render

TILES = 12  # digits along each side of the mosaic
MAP_SIDE = 28 * TILES  # pixels of the screen
SMALL_MAP = 312
MOST_DEVIATION = 0.25  # shown as the brightest; hardly a pixel has more
SHOWN_DRAWS = 18

_SHARP = 2  # pixels of a map for one of the screen, for screens of high resolution
_EXPLORER = (596, 386)  # width, height; beside the pads they fill a cell of 960 pixels
_ENCODER = (716, 366)
_COLOURS = [tuple(round(255 * part) for part in to_rgb(name)) for name in look_of.CLASS_COLOURS]
_MARK, _HAIR = (213, 94, 0), (150, 150, 150)  # Okabe and Ito's vermilion
_HEAT = mpl.colormaps["inferno"](np.arange(256), bytes=True)[:, :3]
_TITLE = 14


# --- maps


@look_of.styled
def code_map(codes, labels, reach, side=MAP_SIDE, sharp=_SHARP) -> np.ndarray:
    """Draw codes as dots coloured by digit, over rings at 1, 2 and 3 standard deviations."""
    fig = Figure(figsize=(side / 100, side / 100), dpi=100 * sharp)
    ax = fig.add_axes((0, 0, 1, 1))
    for radius in (1, 2, 3):
        ring = Circle((0, 0), radius, fill=False, ls=(0, (5, 4)), lw=0.9, color="#8a8a8a", zorder=3)
        ax.add_patch(ring)
    charts.draw_map(ax, codes, labels, [str(digit) for digit in range(labels.max() + 1)], reach, "")
    ax.set_axis_off()
    pixels_apart = side / (2 * reach)
    for radius in (1, 2, 3) if pixels_apart > 16 else (3,):
        text = ax.text(0, radius, f"{radius}σ", fontsize=8, color=look_of.FAINT, zorder=4,
                       ha="center", va="center")  # fmt: skip
        text.set_path_effects([withStroke(linewidth=2.5, foreground="white")])
    drawn = FigureCanvasAgg(fig)
    drawn.draw()
    return np.asarray(drawn.buffer_rgba())[..., :3].copy()


def tiled_map(digits) -> np.ndarray:
    """Lay the decoded digits out as they lie on the map."""
    return _zoom(plots.tile(digits, TILES, pad=0), _SHARP)


def with_mark(drawn, point, reach) -> np.ndarray:
    """Draw a point into a map of high resolution and bring it to the pixels of the screen."""
    picture = Image.fromarray(drawn).convert("RGB")
    draw = ImageDraw.Draw(picture)
    side = picture.width
    x, y = _pixel(point, reach, side)
    for radius, colour in ((9, render.INK), (7, render.PAPER), (5, render.INK)):
        radius *= side / MAP_SIDE
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=colour, width=4)
    return np.asarray(picture.resize((MAP_SIDE, MAP_SIDE), Image.Resampling.BOX))


def beside(left, right) -> np.ndarray:
    """Put a map before a picture, on white."""
    height = right.shape[0]
    margin = (height - left.shape[0]) // 2
    canvas = np.full((height, left.shape[1] + 16 + right.shape[1], 3), 255, np.uint8)
    canvas[margin : margin + left.shape[0], 8 : 8 + left.shape[1]] = left
    canvas[:, left.shape[1] + 16 :] = right
    return canvas


# --- the explorer


_LEFT, _TOP, _LARGE = 10, 32, 9 * 28  # the large digit
_BLOCK, _TILE, _GAP = _LEFT + _LARGE + 28, 2 * 28, 4  # where the block begins; its digits
_BELOW = _TOP + _LARGE + 14  # where the bar and its words begin


def explorer(block, step, counts, distance) -> np.ndarray:
    """Draw the digit in the middle of a block large, the block, and of which digits codes are."""
    drawn = _explorer_ground(step, sum(counts.values())).copy()
    drawn[_TOP : _TOP + _LARGE, _LEFT : _LEFT + _LARGE] = _zoom(block[2, 2], 9)[..., None]
    tiles = block.repeat(2, axis=2).repeat(2, axis=3)[..., None]
    for row in range(5):
        for column in range(5):
            x, y = _BLOCK + column * (_TILE + _GAP), _TOP + row * (_TILE + _GAP)
            drawn[y : y + _TILE, x : x + _TILE] = tiles[row, column]
    words = Image.new("RGB", (_LARGE, 54), render.PAPER)
    draw = ImageDraw.Draw(words)
    _share_bar(draw, counts, (0, 0, _LARGE, 26))
    render.write(draw, (0, 33), f"the nearest is {distance:.2f} away", 13, render.FAINT)
    drawn[_BELOW + 23 : _BELOW + 23 + 54, _LEFT : _LEFT + _LARGE] = np.asarray(words)
    return drawn


@functools.lru_cache(maxsize=32)
def _explorer_ground(step, total):
    """Draw what does not depend on the point: drawing words takes longer than copying pixels."""
    width, height = _EXPLORER
    canvas = Image.new("RGB", (width, height), render.PAPER)
    draw = ImageDraw.Draw(canvas)
    for x, y, title in (
        (_LEFT, 9, "The digit at the point"),
        (_BLOCK, 9, f"Around it, in steps of {step:g}"),
        (_LEFT, _BELOW, f"Digits of the {total} nearest codes"),
    ):
        render.write(draw, (x, y), title, _TITLE, bold=True)
    x, y = _BLOCK + 2 * (_TILE + _GAP), _TOP + 2 * (_TILE + _GAP)
    draw.rectangle((x - 3, y - 3, x + _TILE + 2, y + _TILE + 2), fill=_MARK)
    below = _TOP + 5 * _TILE + 4 * _GAP + 8
    render.write(draw, (_BLOCK, below), "x grows to the right, y upwards", 13, render.FAINT)
    return np.asarray(canvas)


def _share_bar(draw, counts, box):
    """Draw shares as one bar, each part in the colour of its digit and with its name."""
    x, y, width, height = box
    total, begin = sum(counts.values()), 0
    for digit, number in counts.items():
        edges = [x + round(width * part / total) for part in (begin, begin + number)]
        colour = _COLOURS[digit % len(_COLOURS)]
        draw.rectangle((edges[0], y, edges[1] - 1, y + height - 1), fill=colour)
        if edges[1] - edges[0] > 14:
            ink = render.INK if np.dot(colour, (0.299, 0.587, 0.114)) > 140 else render.PAPER
            middle = (edges[0] + edges[1]) / 2, y + height / 2
            render.write(draw, middle, str(digit), 15, ink, bold=True, anchor="mm")
        begin += number


# --- the encoder


_PANELS, _PANEL, _PANEL_GAP = _LEFT + SMALL_MAP + 24, 4 * 28, 12
_DRAWN = _TOP + _PANEL + 12  # where the draws and their title begin


def encoder(drawn, reach, picture, look) -> np.ndarray:
    """Draw where a picture lands on the map, what comes back, and how sure the net is of it."""
    canvas = _encoder_ground().copy()
    landed = drawn if look is None else _with_ellipses(drawn, look.z_mean, look.z_std, reach)
    canvas[_TOP : _TOP + SMALL_MAP, _LEFT : _LEFT + SMALL_MAP] = landed
    empty = np.full((28, 28), render.TRACK[0], np.uint8)
    if look is None:
        panels, draws = [empty] * 3, [empty] * SHOWN_DRAWS
    else:
        share = np.clip(look.deviation / MOST_DEVIATION, 0, 1)
        heat = _HEAT[np.rint(255 * share).astype(np.uint8)]
        panels, draws = [picture, look.mean, heat], look.draws[:SHOWN_DRAWS]
    for number, panel in enumerate(panels):
        x = _PANELS + number * (_PANEL + _PANEL_GAP)
        large = _zoom(panel, 4)
        canvas[_TOP : _TOP + _PANEL, x : x + _PANEL] = np.atleast_3d(large)
    for number, digit in enumerate(draws):
        row, column = divmod(number, 6)
        x, y = _PANELS + column * (_TILE + _GAP), _DRAWN + 22 + row * (_TILE + _GAP)
        canvas[y : y + _TILE, x : x + _TILE] = _zoom(digit, 2)[..., None]
    return canvas


@functools.cache
def _encoder_ground():
    """Draw the titles."""
    width, height = _ENCODER
    canvas = Image.new("RGB", (width, height), render.PAPER)
    draw = ImageDraw.Draw(canvas)
    render.write(draw, (_LEFT, 9), "Where it lands", _TITLE, bold=True)
    for number, title in enumerate(("Input", "Reconstruction", "Deviation")):
        x = _PANELS + number * (_PANEL + _PANEL_GAP)
        render.write(draw, (x, 9), title, 13, bold=True, width=_PANEL + _PANEL_GAP - 2)
    title = "What codes drawn from q(z | x) decode to"
    render.write(draw, (_PANELS, _DRAWN), title, _TITLE, bold=True)
    return np.asarray(canvas)


def _with_ellipses(drawn, z_mean, z_std, reach):
    """Draw hair lines through the mean, and ellipses of one and two standard deviations."""
    side, fine = drawn.shape[0], 4  # subpixels, for smooth lines
    x, y = np.clip(_pixel(z_mean, reach, side), 0, side - 1)
    picture = Image.fromarray(drawn)
    draw = ImageDraw.Draw(picture)
    draw.line((round(x), 0, round(x), side), fill=_HAIR)
    draw.line((0, round(y), side, round(y)), fill=_HAIR)
    radii = np.clip(np.asarray(z_std) * side / (2 * reach), 1.5, side)  # of one deviation
    half = int(2 * radii.max()) + 4
    left, top = int(x) - half, int(y) - half
    mask = Image.new("L", (fine * (2 * half + 1),) * 2)
    ink = ImageDraw.Draw(mask)
    centre = fine * np.array([x - left, y - top])
    for times, thick in ((2, 5), (1, 7)):
        edges = np.concatenate([centre - fine * times * radii, centre + fine * times * radii])
        ink.ellipse(edges.tolist(), outline=255, width=thick)
    picture.paste(_MARK, (left, top), mask.resize((2 * half + 1,) * 2, Image.Resampling.BOX))
    return np.asarray(picture)


# --- small things


def resize(grey, height, width) -> np.ndarray:
    """Resize `(h, w)` uint8 smoothly."""
    return np.asarray(Image.fromarray(grey).resize((width, height), Image.Resampling.BILINEAR))


def _zoom(picture, factor):
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)


def _pixel(point, reach, side):
    """Return where a place of the plane lies in a square picture of it."""
    return side * (point[0] + reach) / (2 * reach), side * (reach - point[1]) / (2 * reach)
