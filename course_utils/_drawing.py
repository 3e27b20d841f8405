"""How the figures of `plots` look and are put together; nothing here is for notebooks."""

import base64
import functools
import io
import itertools
import textwrap

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, MaxNLocator

# Okabe and Ito's palette, the two that are too light for thin lines on white last.
PALETTE = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#000000", "#56B4E9", "#F0E442",
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
            self.savefig(buffer, format="png", metadata={"Software": None})
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


# --- curves ----------------------------------------------------------------------------------


def draw_metric(ax, runs, metric, x, mark_best):
    """Draw one metric of every run into one panel, labelled at the line ends."""
    labels = []  # (x, y, text, colour)
    both = False
    for colour_, (name, history) in zip(PALETTE * 9, runs.items(), strict=False):
        train, valid = (_series(history, key, x, name) for key in (metric, f"val_{metric}"))
        both |= bool(len(train[0]) and len(valid[0]))
        for (xs, ys), style, width in ((train, (0, (3, 1.5)), 1.6), (valid, "-", 2.4)):
            if len(xs):
                marker = "o" if len(xs) == 1 else None
                ax.plot(xs, ys, color=colour_, linestyle=style, linewidth=width, marker=marker)
        xs, ys = valid if len(valid[0]) else train
        if len(xs):
            labels.append((xs[-1], ys[-1], name, colour_))
        if mark_best and len(valid[0]):
            best = np.nanargmin(ys) if falls(metric) else np.nanargmax(ys)
            ax.plot(
                xs[best],
                ys[best],
                "o",
                color=colour_,
                markersize=8,
                markeredgecolor="white",
                zorder=5,
            )
            value = f"{ys[best]:.1%}" if "accuracy" in metric else f"{ys[best]:.3g}"
            labels[-1] = (xs[-1], ys[-1], f"{name}\nbest {value}", colour_)
    ax.margins(x=0.02, y=0.08)
    if "accuracy" in metric:
        ax.yaxis.set_major_formatter(FuncFormatter(percent))
    if x is None:
        ax.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))
    ax.set_xlabel(x or "epoch")
    ax.set_title(metric.replace("_", " "), color=FAINT, fontsize=12)
    _label_ends(ax, labels)
    if both:
        keys = [
            Line2D([], [], color=FAINT, label="validation"),
            Line2D([], [], color=FAINT, label="training", linestyle=(0, (3, 1.5)), linewidth=1.6),
        ]
        ax.legend(
            handles=keys, loc="lower right", bbox_to_anchor=(1, 0.98), ncols=2, fontsize=10,
            labelcolor=FAINT, borderpad=0.2, columnspacing=1.2,
        )  # fmt: skip


def shade_overfitting(ax, history, x):
    """Shade what follows the smallest validation loss, if anything does."""
    xs, losses = _series(history, "val_loss", x, "the first run")
    if not len(xs) or np.nanargmin(losses) == len(losses) - 1:
        return
    start = xs[np.nanargmin(losses)]
    ax.set_xlim(ax.get_xlim())
    ax.axvspan(start, ax.get_xlim()[1], color="#f3efe6", zorder=0)
    ax.axvline(start, color=FAINT, linewidth=1, linestyle=":")
    when = f"epoch {start:.0f}" if x is None else f"{start:.0f} {x}"
    height, side = (0.97, "top") if falls(ax.get_title("left")) else (0.03, "bottom")
    ax.annotate(
        f"after {when} the\nvalidation loss rises", (start, height), (6, 0),
        xycoords=("data", "axes fraction"), textcoords="offset points",
        fontsize=10, color=FAINT, va=side,
    )  # fmt: skip


def percent(value, position=None):
    """Write a share as a tick label: 0.5 is "50%"."""
    return f"{100 * value:g}%"


def falls(metric):
    """Tell whether smaller is better."""
    return "accuracy" not in metric


def _series(history, key, x, name):
    """Return the horizontal and vertical values of one series, both empty if it is missing."""
    ys = np.asarray(history.get(key, ()), float)
    xs = np.arange(1, len(ys) + 1) if x is None else np.asarray(history.get(x, ()), float)
    if len(ys) and len(xs) != len(ys):
        raise ValueError(
            f"{key!r} and {x!r} of {name!r} must have one value an epoch; received "
            f"{len(ys)} and {len(xs)}."
        )
    return (xs, ys) if len(ys) else (ys, ys)


def _label_ends(ax, labels):
    """Write each label right of its line's end, pushed apart where they would overlap."""
    if not labels:
        return
    fontsize = 11
    low, high = ax.get_ylim()
    ax.set_ylim(low, high)
    height = ax.get_position().height * ax.get_figure().get_figheight() * 72  # points
    wanted = np.array([(y - low) / (high - low) * height for _, y, _, _ in labels])
    needed = np.array([fontsize * 1.3 * (text.count("\n") + 1) for _, _, text, _ in labels])
    order = np.argsort(wanted, kind="stable")
    placed = wanted.copy()
    for _ in range(50):
        for below, above in itertools.pairwise(order):
            overlap = (needed[below] + needed[above]) / 2 - (placed[above] - placed[below])
            if overlap > 0:
                placed[below] -= overlap / 2
                placed[above] += overlap / 2
    for (x, y, text, colour_), shift in zip(labels, placed - wanted, strict=True):
        ax.annotate(
            text, (x, y), (8, shift), textcoords="offset points", color=colour_,
            fontsize=fontsize, va="center", annotation_clip=False, zorder=6,
            path_effects=[withStroke(linewidth=3, foreground="white")],
        )  # fmt: skip


# --- charts ----------------------------------------------------------------------------------


def draw_reliability(fig, bins, counts, accuracy, confidence, note):
    """Draw accuracy bars with their gap to the confidence, and the histogram below."""
    top, bottom = fig.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    width = 1 / bins
    centres = (np.arange(bins) + 0.5) / bins
    used = centres[counts > 0]
    top.plot([0, 1], [0, 1], color=FAINT, linewidth=1.2, linestyle="--")
    top.bar(used, accuracy, width * 0.94, color=PALETTE[0], label="how often right")
    top.bar(
        used, confidence - accuracy, width * 0.94, bottom=accuracy, color="none",
        edgecolor=PALETTE[1], hatch="////", linewidth=1, label="gap to how sure",
    )  # fmt: skip
    top.set(xlim=(0, 1), ylim=(0, 1), ylabel="accuracy")
    top.legend(loc="upper left", fontsize=11, title=note or None, alignment="left")
    bottom.bar(centres, counts, width * 0.94, color="#9a9a9a")
    bottom.set(xlabel="confidence of the prediction", ylabel="pictures")
    bottom.yaxis.set_major_locator(MaxNLocator(nbins=3, integer=True))
    for axis in (top.yaxis, bottom.xaxis):
        axis.set_major_formatter(FuncFormatter(percent))


def draw_bars(fig, probabilities, class_names, true_label, picture):
    """Draw horizontal bars with their values, beside a picture if there is one."""
    if picture is None:
        ax = fig.subplots()
    else:
        left, ax = fig.subplots(1, 2, width_ratios=(1, 1.9))
        left.imshow(picture, interpolation="nearest" if len(picture) < 100 else "antialiased")
        left.set_axis_off()
    colours = [PALETTE[0]] * len(class_names)
    if true_label is not None:
        colours[true_label] = PALETTE[1]
    ax.barh(range(len(class_names)), 1, color="#f2f2f2", height=0.72)
    ax.barh(range(len(class_names)), probabilities, color=colours, height=0.72)
    for i, probability in enumerate(probabilities):
        ax.annotate(
            f"{probability:.0%}", (min(probability, 0.9), i), (4, 0), textcoords="offset points",
            va="center", fontsize=11, color="white" if probability > 0.9 else INK,
        )  # fmt: skip
    names = list(class_names)
    if true_label is not None:
        names[true_label] = f"true: {names[true_label]}"
    ax.set_yticks(range(len(names)), names, color=INK)
    if true_label is not None:
        ax.get_yticklabels()[true_label].set(color=PALETTE[1], weight="bold")
    ax.invert_yaxis()
    ax.set(xlim=(0, 1.01), xticks=[])
    ax.grid(False)
    ax.spines[["bottom", "left"]].set_visible(False)
