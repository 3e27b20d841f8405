"""How the widgets of notebook 04 look; plain NumPy, Matplotlib and Pillow."""

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


def mosaic(digits) -> np.ndarray:
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


def explorer(block, step, counts, distance) -> np.ndarray:
    """Draw the digit in the middle of a block large, the block, and of which digits codes are."""
    width, height = _EXPLORER
    canvas = Image.new("RGB", (width, height), render.PAPER)
    draw = ImageDraw.Draw(canvas)
    left, top, zoom, gap = 10, 32, 9, 4
    large = 28 * zoom
    render.write(draw, (left, 9), "The digit at the point", _TITLE, bold=True)
    _put(canvas, _zoom(block[2, 2], zoom), left, top)

    second, tile = left + large + 28, 56
    render.write(draw, (second, 9), f"Around it, in steps of {step:g}", _TITLE, bold=True)
    edge = second + 2 * (tile + gap), top + 2 * (tile + gap)
    draw.rectangle((edge[0] - 3, edge[1] - 3, edge[0] + tile + 2, edge[1] + tile + 2), fill=_MARK)
    for row in range(5):
        for column in range(5):
            place = second + column * (tile + gap), top + row * (tile + gap)
            _put(canvas, _zoom(block[row, column], 2), *place)
    below = top + 5 * tile + 4 * gap + 8
    render.write(draw, (second, below), "x grows to the right, y upwards", 13, render.FAINT)

    y = top + large + 14
    total = sum(counts.values())
    render.write(draw, (left, y), f"Digits of the {total} nearest codes", _TITLE, bold=True)
    _share_bar(draw, counts, (left, y + 23, large, 26))
    render.write(draw, (left, y + 56), f"the nearest is {distance:.2g} away", 13, render.FAINT)
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


def encoder(drawn, reach, picture, look) -> np.ndarray:
    """Draw where a picture lands on the map, what comes back, and how sure the net is of it."""
    width, height = _ENCODER
    canvas = Image.new("RGB", (width, height), render.PAPER)
    draw = ImageDraw.Draw(canvas)
    left, top, gap, side = 10, 32, 12, 112
    render.write(draw, (left, 9), "Where it lands", _TITLE, bold=True)
    landed = drawn if look is None else _with_ellipses(drawn, look.z_mean, look.z_std, reach)
    _put(canvas, landed, left, top)

    empty = np.full((28, 28, 3), render.TRACK, np.uint8)
    second = left + SMALL_MAP + 24
    if look is None:
        panels = [empty] * 3
        draws = [empty] * SHOWN_DRAWS
    else:
        share = np.clip(look.deviation / MOST_DEVIATION, 0, 1)
        heat = _HEAT[np.rint(255 * share).astype(np.uint8)]
        panels = [picture, look.mean, heat]
        draws = look.draws[:SHOWN_DRAWS]
    titles = ("Input", "Reconstruction", "Deviation")
    for number, (title, panel) in enumerate(zip(titles, panels, strict=True)):
        x = second + number * (side + gap)
        render.write(draw, (x, 9), title, 13, bold=True, width=side + gap - 2)
        _put(canvas, _zoom(panel, 4), x, top)
    y = top + side + 12
    text = "What codes drawn from q(z | x) decode to"
    render.write(draw, (second, y), text, _TITLE, bold=True)
    tile, tile_gap = 56, 4
    for number, digit in enumerate(draws):
        row, column = divmod(number, 6)
        place = second + column * (tile + tile_gap), y + 22 + row * (tile + tile_gap)
        _put(canvas, _zoom(digit, 2), *place)
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


def _put(canvas, picture, x, y):
    canvas.paste(Image.fromarray(picture), (x, y))


def _pixel(point, reach, side):
    """Return where a place of the plane lies in a square picture of it."""
    return side * (point[0] + reach) / (2 * reach), side * (reach - point[1]) / (2 * reach)
