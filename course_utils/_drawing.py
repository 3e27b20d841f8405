"""How the figures of `plots` look and are put together; nothing here is for notebooks."""

import base64
import functools
import io
import textwrap

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.figure import Figure

# Okabe and Ito's palette, the two that are too light for thin lines on white last.
PALETTE = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#000000", "#56B4E9", "#F0E442",
)  # fmt: skip
# Ten classes: Tol's muted palette, and ink for the tenth; each group bears its name as well.
CLASS_COLOURS = (
    "#CC6677", "#332288", "#DDCC77", "#117733", "#88CCEE",
    "#882255", "#44AA99", "#999933", "#AA4499", "#222222",
)  # fmt: skip
INK, FAINT = "#222222", "#6b6b6b"
DPI = 100
STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#999999",
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.prop_cycle": cycler(color=PALETTE),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 14,
    "figure.dpi": DPI,
    "font.family": "DejaVu Sans",
    "font.size": 12,
    "grid.color": "#e4e4e4",
    "legend.frameon": False,
    "lines.linewidth": 2.2,
    "text.color": INK,
    "xtick.color": FAINT,
    "xtick.major.size": 0,
    "ytick.color": FAINT,
    "ytick.major.size": 0,
}


class LessonFigure(Figure):
    """A figure that a notebook displays as one PNG with an alternative text."""

    alt = ""

    def _repr_mimebundle_(self, include=None, exclude=None):
        buffer = io.BytesIO()
        with mpl.rc_context(STYLE):
            if self.get_layout_engine():  # lay out once: a second time would move things a little
                self.draw_without_rendering()
                self.set_layout_engine("none")
            self.savefig(
                buffer, format="png", metadata={"Software": None}, pil_kwargs={"optimize": True}
            )
        image = base64.b64encode(buffer.getvalue()).decode("ascii")
        data = {"image/png": image, "text/plain": f"Figure: {self.alt}"}
        return data, {"image/png": {"alt": self.alt}}


def styled(function):
    """Draw with the course's style, without changing the reader's own settings."""

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        with mpl.rc_context(STYLE):
            return function(*args, **kwargs)

    return wrapper


def new_figure(width, height, alt, title=None, layout="constrained"):
    """Return an empty figure, sizes in inches, with a left-aligned title over all panels."""
    fig = LessonFigure(figsize=(width, height), layout=layout)
    fig.alt = alt
    if title:
        fig.suptitle(wrap(title, width, 14), x=0.01, ha="left", fontsize=14)
    return fig


def wrap(text, width, fontsize):
    """Break lines so that text of this size in points fits a width in inches."""
    letters = max(8, int(width * 72 / (0.57 * fontsize)))
    return "\n".join(textwrap.fill(line, letters) for line in text.split("\n"))


def describe(what, title):
    """Join what a figure is and what to see in it to an alternative text."""
    return f"{what}: {title}" if title else f"{what}"


def count(n, noun):
    """Return "1 picture", "8 pictures"."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


# --- pictures --------------------------------------------------------------------------------


def as_batch(images):
    """Return images as `(n, height, width, channels)`, channels 1 or 3."""
    images = np.asarray(images)
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or not images.size:
        raise ValueError(
            "Images must have the shape (n, height, width), (n, height, width, 1) or "
            f"(n, height, width, 3); received {np.shape(images)}."
        )
    return images


def as_rgb(images):
    """Repeat a single channel to three."""
    return np.repeat(images, 3, axis=-1) if images.shape[-1] == 1 else images


def colour(maps, name):
    """Paint maps in [0, 1] with a colour map: `(n, height, width)` to uint8 RGB."""
    return mpl.colormaps[name](maps, bytes=True)[..., :3]


def enlarge(maps, height, width):
    """Resize `(n, h, w)` maps bilinearly, with pixel centres aligned as image viewers do."""

    def weights(size, new_size):
        position = (np.arange(new_size) + 0.5) * size / new_size - 0.5
        distance = np.abs(np.clip(position, 0, size - 1)[:, None] - np.arange(size))
        return np.maximum(0, 1 - distance)  # (new_size, size)

    rows, columns = weights(maps.shape[1], height), weights(maps.shape[2], width)
    return np.einsum("yh,nhw,xw->nyx", rows, maps, columns)


@styled
def picture_figure(pictures, tile, *, titles, ncols, scale, suptitle, alt, frame=False):
    """Show uint8 RGB pictures in rows at a whole multiple of their size, titles above."""
    n, height, width, _ = pictures.shape
    if titles is not None and len(titles) != n:
        raise ValueError(f"titles must be one for each picture; received {len(titles)} for {n}.")
    zoom = scale * DPI / width
    if zoom > 0.75:
        factor = max(1, round(zoom))
        pictures = pictures.repeat(factor, axis=1).repeat(factor, axis=2)
        n, height, width, _ = pictures.shape
        zoom = 1
    if frame:  # a hairline, for pictures that may be white at the edge
        pictures = np.pad(pictures, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=170)
        n, height, width, _ = pictures.shape
    gap = max(1, round((7 if frame else 5) / zoom))
    band = fontsize = 0
    if titles is not None:
        lines = [line for title in titles for line in str(title).split("\n")]
        room = (width * zoom + 4) / DPI * 72  # points
        fontsize = np.clip(room / (0.58 * max(map(len, lines), default=1)), 7, 12)
        n_lines = max(str(title).count("\n") + 1 for title in titles)
        band = round((n_lines * fontsize * 1.25 + 7) / 72 * DPI / zoom)
    framed = np.full((n, band + height, width, 3), 255, np.uint8)
    framed[:, band:] = pictures
    canvas = tile(framed, ncols, gap)

    grid_width, grid_height = canvas.shape[1] * zoom / DPI, canvas.shape[0] * zoom / DPI
    edge = 0.06
    fig_width = max(grid_width + 2 * edge, 5 if suptitle else 0)
    text = wrap(suptitle, fig_width, 14) if suptitle else ""
    head = 0.26 * (text.count("\n") + 1) + 0.08 if text else 0
    fig_height = grid_height + 2 * edge + head
    fig = new_figure(fig_width, fig_height, alt, layout="none")
    if text:
        fig.text(edge / fig_width, 1 - edge / fig_height, text, va="top", fontsize=14)
    ax = fig.add_axes(
        (edge / fig_width, edge / fig_height, grid_width / fig_width, grid_height / fig_height)
    )
    ax.set_axis_off()
    ax.imshow(canvas, aspect="auto", interpolation="nearest" if zoom == 1 else "antialiased")
    for i, title in enumerate(titles if titles is not None else ()):
        row, column = divmod(i, min(ncols, n))
        x = column * (width + gap) + width / 2
        y = row * (band + height + gap) + band - 5 / zoom
        ax.text(x, y, title, ha="center", va="baseline", fontsize=fontsize, linespacing=1.15)
    return fig
