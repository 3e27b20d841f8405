"""Draw what widgets show: plain NumPy and Pillow, a few milliseconds a picture.

Every function is pure: arrays in, `(height, width, 3)` uint8 out, nothing of a notebook needed.
"""

import functools
import io
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from PIL import Image, ImageDraw, ImageFont

INK, FAINT, TRACK, PAPER = (34, 34, 34), (95, 95, 95), (232, 232, 232), (255, 255, 255)
BLUE, GREEN = (0, 114, 178), (0, 158, 115)  # Okabe and Ito
VIRIDIS = mpl.colormaps["viridis"](np.arange(256), bytes=True)[:, :3]
INFERNO = mpl.colormaps["inferno"](np.linspace(0.3, 0.95, 256), bytes=True)[:, :3]

_CNN_SIZE = (960, 440)  # width, height
_SIDE = 224  # of the picture and of its saliency map
_MAPS_SIDE = 402  # of all feature maps together


@functools.cache
def font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """Return DejaVu Sans, which Matplotlib brings along, so that text looks the same anywhere."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(Path(mpl.get_data_path()) / "fonts" / "ttf" / name, size)


def write(draw, xy, text, size=14, colour=INK, *, bold=False, anchor="la", width=None) -> None:
    """Write one line of text; where `width` is given, end it in an ellipsis rather than exceed it.

    Args:
        draw: `PIL.ImageDraw.Draw`.
        xy: where the anchor lies, in pixels.
        text: one line.
        size: font size in pixels.
        colour: RGB.
        bold: whether to use the bold face.
        anchor: as in Pillow, "la" for left and top, "rm" for right and middle.
        width: pixels that the text may take.
    """
    face = font(size, bold)
    if width is not None and face.getlength(text) > width:
        while text and face.getlength(text + "…") > width:
            text = text[:-1]
        text = text.rstrip() + "…"
    draw.text(xy, text, fill=colour, font=face, anchor=anchor)


def encode_png(picture: np.ndarray, level: int = 1, filters: bool = True) -> bytes:
    """Return a PNG: `(height, width[, 3])` uint8.

    Args:
        picture: what to encode.
        level: of zlib's compression.
        filters: whether to try five filters on each row, as Pillow does. Without, which is for
            pictures that change live, it takes a quarter of the time for text and enlarged pixels,
            and they get no larger; a photograph takes half the time and grows by a third.

    Raises:
        ValueError: if type or shape is another.
    """
    picture = np.asarray(picture)
    grey_or_rgb = picture.ndim == 2 or (picture.ndim == 3 and picture.shape[-1] == 3)
    if picture.dtype != np.uint8 or not grey_or_rgb or not picture.size:
        raise ValueError(
            "A rendered picture must be uint8 of shape (height, width) or (height, width, 3); "
            f"received {picture.dtype} of shape {picture.shape}."
        )
    if filters:
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "PNG", compress_level=level)
        return buffer.getvalue()
    height, width = picture.shape[:2]
    rows = np.zeros((height, 1 + picture[0].size), np.uint8)  # a row begins with its filter: none
    rows[:, 1:] = picture.reshape(height, -1)
    colour_type = 2 if picture.ndim == 3 else 0
    header = struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0)
    parts = (b"IHDR", header), (b"IDAT", zlib.compress(rows, level)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts
    )


def fit(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Cut the middle out of a picture, in the wanted proportions, and resize it.

    Args:
        picture: `(h, w, 3)` uint8.
        height: of the result, in pixels.
        width: of the result, in pixels.

    Returns:
        `(height, width, 3)` uint8.
    """
    h, w = picture.shape[:2]
    scale = min(h / height, w / width)
    cut_h, cut_w = height * scale, width * scale
    top, left = (h - cut_h) / 2, (w - cut_w) / 2
    box = (left, top, left + cut_w, top + cut_h)
    resized = Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS, box)
    return np.asarray(resized)


def enlarge(picture: np.ndarray, side: int) -> np.ndarray:
    """Resize to `side` pixels in the longer direction, every pixel a sharp block.

    Args:
        picture: `(h, w)` or `(h, w, 3)` uint8.
        side: of the result, in pixels.
    """
    h, w = picture.shape[:2]
    zoom = side / max(h, w)
    size = (max(1, round(w * zoom)), max(1, round(h * zoom)))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.NEAREST))


def paint(values: np.ndarray, lut: np.ndarray = VIRIDIS) -> np.ndarray:
    """Colour one map from its smallest to its largest value; a constant map gets the first colour.

    Args:
        values: `(h, w)` floats.
        lut: `(256, 3)` uint8 colours.
    """
    low, high = float(values.min()), float(values.max())
    scaled = (values - low) * (255 / (high - low)) if high > low else np.zeros_like(values)
    return lut[np.rint(scaled).astype(np.uint8)]


def glow(picture: np.ndarray, heat: np.ndarray, side: int) -> np.ndarray:
    """Let a grey copy of the picture glow where a map is large.

    Args:
        picture: `(h, w, 3)` uint8.
        heat: `(map_h, map_w)` floats; negative values count as 0, the largest glows most, and a
            map without a positive value leaves the grey picture.
        side: of the result, in pixels.

    Returns:
        uint8 of the size of `enlarge(picture, side)`.
    """
    grey = enlarge(np.asarray(Image.fromarray(picture).convert("L")), side)
    heat = np.maximum(np.asarray(heat, np.float32), 0)
    if heat.max() > 0:
        heat = heat / heat.max()
    size = grey.shape[1], grey.shape[0]
    smooth = np.asarray(Image.fromarray(heat).resize(size, Image.Resampling.BILINEAR))
    colours = INFERNO[np.rint(255 * np.clip(smooth, 0, 1)).astype(np.uint8)]
    opacity = 0.8 * smooth[..., None]
    base = 40 + 0.55 * grey[..., None].astype(np.float32)
    return np.rint((1 - opacity) * base + opacity * colours).astype(np.uint8)


def probability_bars(
    probabilities: np.ndarray,
    class_names: Sequence[str],
    *,
    width: int,
    height: int,
    truth: int | None = None,
    top: int = 5,
) -> np.ndarray:
    """Draw the most probable classes as bars; the true class is green and says so.

    Args:
        probabilities: `(classes,)`, in [0, 1].
        class_names: one for each class.
        width: of the result, in pixels.
        height: of the result, in pixels.
        truth: index of the true class, if it is known.
        top: number of bars.
    """
    canvas = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(canvas)
    order = np.argsort(-probabilities, kind="stable")[:top]
    label, number = 112, 118
    room = width - label - number
    row = height / len(order)
    for line, index in enumerate(order):
        middle = round((line + 0.5) * row)
        y0, y1 = middle - round(0.33 * row), middle + round(0.33 * row)
        share = float(probabilities[index])
        colour = GREEN if index == truth else BLUE
        first = line == 0
        write(draw, (label - 10, middle), class_names[index], 16, bold=first, anchor="rm",
              width=label - 10)  # fmt: skip
        draw.rectangle((label, y0, label + room - 1, y1), fill=TRACK)
        if share * room >= 1:
            draw.rectangle((label, y0, label + round(share * room) - 1, y1), fill=colour)
        percent = f"{100 * share:.0f}%" if share >= 0.005 else "<1%"
        x = label + room + 52
        write(draw, (x, middle), percent, 16, bold=first, anchor="rm")
        if index == truth:
            write(draw, (x + 10, middle), "true", 14, GREEN, bold=True, anchor="lm")
    return np.asarray(canvas)


def strongest(features: np.ndarray, count: int = 16) -> np.ndarray:
    """Return the channels with the largest mean absolute value, the strongest first.

    Args:
        features: `(height, width, channels)`.
        count: how many, at most.

    Returns:
        `(min(count, channels),)` int64.
    """
    return np.argsort(-np.abs(features).mean(axis=(0, 1)), kind="stable")[:count]


def map_tile(features: np.ndarray, channels: Sequence[int], side: int) -> np.ndarray:
    """Draw some channels in a square, each on its own scale and with its number above it.

    Args:
        features: `(height, width, channels)`.
        channels: which, in the order to draw them; one alone fills the square.
        side: of the square, in pixels.
    """
    if len(channels) == 1:
        painted = enlarge(paint(features[..., channels[0]]), side)
        canvas = np.full((side, side, 3), 255, np.uint8)
        canvas[: painted.shape[0], : painted.shape[1]] = painted
        return canvas
    columns = int(np.ceil(np.sqrt(len(channels))))
    band, pad = 16, 6
    cell = (side + pad) // columns - pad  # with the band of text above the map
    edge = cell - band
    gap = (side - columns * edge) // max(1, columns - 1)
    canvas = Image.new("RGB", (side, side), PAPER)
    draw = ImageDraw.Draw(canvas)
    for i, channel in enumerate(channels):
        x, y = i % columns * (edge + gap), i // columns * (cell + pad)
        write(draw, (x, y + band - 3), str(channel), 12, FAINT, anchor="ls")
        painted = enlarge(paint(features[..., channel]), edge)
        canvas.paste(Image.fromarray(painted), (x, y + band))
    return np.asarray(canvas)


def cnn_canvas(
    picture: np.ndarray,
    explanation,
    class_names: Sequence[str],
    *,
    layer: str,
    channels: Sequence[int],
    saliency: np.ndarray | None = None,
    saliency_title: str = "",
    truth: int | None = None,
    title: str = "The picture",
) -> np.ndarray:
    """Draw a picture, its class probabilities, what a network looks at, and a layer's maps.

    Args:
        picture: `(h, w, 1 or 3)` uint8, as the network gets it.
        explanation: `explain.Explanation` of the picture.
        class_names: one for each class.
        layer: whose feature maps are shown.
        channels: which of them; one alone is shown large.
        saliency: `(map_h, map_w)` map to lay over the picture, or None.
        saliency_title: what that map is.
        truth: index of the true class, if it is known.
        title: what the picture is.

    Returns:
        `(440, 960, 3)` uint8.
    """
    width, height = _CNN_SIZE
    canvas = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(canvas)
    left, head, gap = 16, 34, 24
    second, third = left + _SIDE + gap, width - left - _MAPS_SIDE

    if picture.shape[-1] == 1:
        picture = np.repeat(picture, 3, axis=-1)

    def put(array, x, y):
        canvas.paste(Image.fromarray(array), (x, y))

    write(draw, (left, 10), title, 15, bold=True, width=_SIDE)
    put(enlarge(picture, _SIDE), left, head)
    if saliency is not None:
        write(draw, (second, 10), saliency_title, 15, bold=True, width=_SIDE + gap - 8)
        put(glow(picture, saliency, _SIDE), second, head)
    bars_top = head + _SIDE + 14
    bars = probability_bars(
        explanation.probabilities,
        class_names,
        width=2 * _SIDE + gap,
        height=height - bars_top - 10,
        truth=truth,
    )
    put(bars, left, bars_top)

    features = explanation.features[layer]
    h, w, depth = features.shape
    write(draw, (third, 10), layer, 15, bold=True, width=180)
    if len(channels) == 1:
        shown = features[..., channels[0]]
        note = f"channel {channels[0]} of {depth}, {shown.min():.2g} to {shown.max():.2g}"
    else:
        note = f"{len(channels)} strongest of {depth} maps, {h} × {w}"
    write(draw, (third + _MAPS_SIDE, 11), note, 14, FAINT, anchor="ra")
    put(map_tile(features, channels, _MAPS_SIDE), third, head)
    return np.asarray(canvas)


_STUDIO_SIZE = (760, 460)  # width, height
_SAMPLE_SIDE = 190  # of the squares in which content and style lie


def shrink(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize a picture smoothly, so that it just fits into a box and keeps its proportions.

    Args:
        picture: `(h, w, 3)` uint8.
        height: of the box in pixels.
        width: of the box.

    Returns:
        `(h', w', 3)` uint8, one side of which is that of the box.
    """
    scale = min(height / picture.shape[0], width / picture.shape[1])
    size = (max(1, round(scale * side)) for side in picture.shape[1::-1])
    return np.asarray(Image.fromarray(picture).resize(tuple(size), Image.Resampling.BICUBIC))


def studio_canvas(
    content: np.ndarray,
    styles: Sequence[np.ndarray],
    result: np.ndarray,
    *,
    content_title: str,
    style_titles: Sequence[str],
    result_title: str,
) -> np.ndarray:
    """Draw a content picture, one or two styles, and large what has been made of them.

    Args:
        content: `(h, w, 3)` uint8, of any proportions.
        styles: one or two pictures, each `(h, w, 3)` uint8.
        result: `(h, w, 3)` uint8.
        content_title: what the content is.
        style_titles: what each style is, and its share.
        result_title: what the result is, or how far it is.

    Returns:
        `(460, 760, 3)` uint8.
    """
    width, height = _STUDIO_SIZE
    canvas = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(canvas)
    left, head, band, gap = 16, 8, 22, 8

    def put(picture, title, x, y, box_height, box_width, size=15):
        write(draw, (x, y), title, size, bold=True, width=box_width)
        canvas.paste(Image.fromarray(shrink(picture, box_height, box_width)), (x, y + band))

    put(content, content_title, left, head, _SAMPLE_SIDE, _SAMPLE_SIDE)
    top = head + band + _SAMPLE_SIDE + 2 * gap
    if len(styles) == 1:
        put(styles[0], style_titles[0], left, top, _SAMPLE_SIDE, _SAMPLE_SIDE)
    else:
        side = (_SAMPLE_SIDE - gap) // 2
        for number, (style, title) in enumerate(zip(styles, style_titles, strict=True)):
            put(style, title, left + number * (side + gap), top, side, side, size=11)
    x = 2 * left + _SAMPLE_SIDE
    put(result, result_title, x, head, height - head - band - gap, width - x - left)
    return np.asarray(canvas)
