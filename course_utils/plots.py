"""Figures of the course: one look, readable on a projector, safe for colour-blind readers.

NumPy and Matplotlib only. Every function returns a figure that no global state knows about: leave
it last in the cell, or `display` it. It shows itself once, with an alternative text (`alt`, made
from the title where it is not given) that screen readers and the exported web pages use. Titles
say what to see.
"""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from course_utils import _charts as charts
from course_utils import _drawing as draw

PALETTE = draw.PALETTE
Range = tuple[float, float]


def to_uint8(images, value_range: Range = (0, 1)) -> np.ndarray:
    """Map images from a known value range to bytes.

    Args:
        images: array of any shape, with values in `value_range`; it may be overshot by a
            thousandth of the range, as rounding does.
        value_range: the values of black and white: (0, 1), (-1, 1), (0, 255).

    Returns:
        uint8 array of the same shape.

    Raises:
        ValueError: if a value is outside the range or not finite.
    """
    low, high = value_range
    if not low < high:
        raise ValueError(f"value_range must be (low, high) with low < high; got {value_range}.")
    images = np.asarray(images)
    if images.dtype == np.uint8 and (low, high) == (0, 255):
        return images
    images = images.astype(np.float32)
    if images.size:
        smallest, largest = float(images.min()), float(images.max())
        slack = 1e-3 * (high - low)
        if not (smallest >= low - slack and largest <= high + slack):  # also catches NaN
            raise ValueError(
                f"Images must lie in value_range=({low}, {high}); received values from "
                f"{smallest:.4g} to {largest:.4g}. Give the right value_range, or np.clip first."
            )
    scaled = (np.clip(images, low, high) - low) * (255 / (high - low))
    return np.rint(scaled).astype(np.uint8)


def tile(images, ncols: int = 8, pad: int = 2, fill: int = 255) -> np.ndarray:
    """Lay images out in rows on one canvas.

    Args:
        images: `(n, height, width)` or `(n, height, width, channels)` uint8.
        ncols: images in a row; fewer where there are fewer images.
        pad: pixels between two images.
        fill: value of the pixels that no image covers.

    Returns:
        uint8 canvas, `(rows * (height + pad) - pad, columns * (width + pad) - pad[, channels])`.

    Raises:
        ValueError: if there is no image, or the shape or type is another.
    """
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or not images.size:
        raise ValueError(
            "tile needs at least one uint8 image as (n, height, width[, channels]); "
            f"received {images.dtype} of shape {images.shape}."
        )
    n, height, width, *channels = images.shape
    ncols = min(ncols, n)
    nrows = -(-n // ncols)
    step_y, step_x = height + pad, width + pad
    canvas = np.full((nrows * step_y - pad, ncols * step_x - pad, *channels), fill, np.uint8)
    for i, image in enumerate(images):
        y, x = i // ncols * step_y, i % ncols * step_x
        canvas[y : y + height, x : x + width] = image
    return canvas


def image_grid(
    images,
    *,
    titles: Sequence[str] | None = None,
    ncols: int = 8,
    scale: float = 1.1,
    value_range: Range = (0, 1),
    suptitle: str | None = None,
    alt: str | None = None,
) -> Figure:
    """Show images in rows, each with an optional title above it.

    Args:
        images: `(n, height, width)`, `(n, height, width, 1)` or `(n, height, width, 3)`, with
            values in `value_range`.
        titles: one for each image; a line break starts a second line.
        ncols: images in a row.
        scale: width of an image in inches; small ones are enlarged by a whole factor near it.
        value_range: the values of black and white.
        suptitle: what to see.
        alt: alternative text.

    Raises:
        ValueError: if shape, range or the number of titles is wrong.
    """
    pictures = draw.as_rgb(to_uint8(draw.as_batch(images), value_range))
    alt = alt or draw.describe(draw.count(len(pictures), "picture"), suptitle)
    return draw.picture_figure(
        pictures, tile, titles=titles, ncols=ncols, scale=scale, suptitle=suptitle, alt=alt
    )


def feature_grid(
    features,
    *,
    ncols: int = 8,
    scale: float = 1.0,
    shared_scale: bool = False,
    suptitle: str | None = None,
    alt: str | None = None,
) -> Figure:
    """Show every channel of one feature map, dark for its smallest value, bright for its largest.

    Args:
        features: `(height, width, channels)`, any finite values.
        ncols: maps in a row.
        scale: width of a map in inches.
        shared_scale: one scale for all maps, so that they can be compared; otherwise each map
            uses the whole scale, and a constant map is dark.
        suptitle: what to see.
        alt: alternative text.

    Raises:
        ValueError: if the shape is another, or a value is not finite.
    """
    features = np.asarray(features, np.float32)
    if features.ndim != 3 or not features.size or not np.isfinite(features).all():
        raise ValueError(
            "feature_grid needs finite features of shape (height, width, channels); "
            f"received shape {features.shape}."
        )
    maps = features.transpose(2, 0, 1)  # (channels, height, width)
    axes = None if shared_scale else (1, 2)
    maps = maps - maps.min(axis=axes, keepdims=True)
    maps = maps / np.maximum(maps.max(axis=axes, keepdims=True), 1e-12)
    pictures = draw.colour(maps, "viridis")
    alt = alt or draw.describe(draw.count(len(maps), "feature map"), suptitle)
    return draw.picture_figure(
        pictures, tile, titles=None, ncols=ncols, scale=scale, suptitle=suptitle, alt=alt
    )


def filter_grid(
    kernels,
    *,
    ncols: int = 8,
    scale: float = 0.8,
    suptitle: str | None = None,
    alt: str | None = None,
) -> Figure:
    """Show the kernels of a first convolution; each is scaled to its own largest weight.

    Three input channels are drawn as colours, where mid-grey is zero; with any other number each
    `(input, filter)` pair is drawn by itself, red for positive and blue for negative weights.

    Args:
        kernels: `(height, width, in_channels, filters)`, the layout of Keras.
        ncols: kernels in a row.
        scale: width of a kernel in inches.
        suptitle: what to see.
        alt: alternative text.

    Raises:
        ValueError: if the shape is another, or a weight is not finite.
    """
    kernels = np.asarray(kernels, np.float32)
    if kernels.ndim != 4 or not kernels.size or not np.isfinite(kernels).all():
        raise ValueError(
            "filter_grid needs finite kernels of shape (height, width, in_channels, filters); "
            f"received shape {kernels.shape}."
        )
    kernels = kernels.transpose(3, 2, 0, 1)  # (filters, in_channels, height, width)
    in_colour = kernels.shape[1] == 3
    if not in_colour:
        kernels = kernels.reshape(-1, 1, *kernels.shape[2:])
    peak = np.abs(kernels).max(axis=(1, 2, 3), keepdims=True)
    shade = 0.5 + 0.5 * kernels / np.maximum(peak, 1e-12)  # 0.5 is zero
    if in_colour:
        pictures = to_uint8(shade.transpose(0, 2, 3, 1))
    else:
        pictures = draw.colour(shade[:, 0], "RdBu_r")
    alt = alt or draw.describe(draw.count(len(pictures), "filter"), suptitle)
    return draw.picture_figure(
        pictures,
        tile,
        titles=None,
        ncols=ncols,
        scale=scale,
        suptitle=suptitle,
        alt=alt,
        frame=True,
    )


def heatmap_overlay(
    images,
    maps,
    *,
    titles: Sequence[str] | None = None,
    ncols: int = 8,
    scale: float = 1.1,
    value_range: Range = (0, 1),
    suptitle: str | None = None,
    alt: str | None = None,
) -> Figure:
    """Show each picture and, below it, where its map is large: there the grey picture glows.

    Args:
        images: `(n, height, width[, 1 or 3])`, with values in `value_range`.
        maps: `(n, map_height, map_width)` in [0, 1]; enlarged smoothly to the pictures' size.
        titles: one for each picture.
        ncols: pictures in a row.
        scale: width of a picture in inches.
        value_range: the values of black and white.
        suptitle: what to see.
        alt: alternative text.

    Raises:
        ValueError: if shapes, ranges or numbers do not fit together.
    """
    pictures = draw.as_rgb(to_uint8(draw.as_batch(images), value_range))
    maps = np.asarray(maps, np.float32)
    if maps.ndim != 3 or len(maps) != len(pictures):
        raise ValueError(
            "heatmap_overlay needs one map of shape (height, width) for each image; received "
            f"{len(pictures)} images and maps of shape {maps.shape}."
        )
    n, height, width, _ = pictures.shape
    heat = draw.enlarge(to_uint8(maps) / 255, height, width)  # (n, height, width)
    grey = pictures @ np.array([0.299, 0.587, 0.114])
    grey = 40 + 0.55 * grey[..., None]
    glow = 255 * mpl.colormaps["inferno"](0.3 + 0.65 * heat)[..., :3]
    opacity = 0.8 * heat[..., None]
    overlay = np.rint((1 - opacity) * grey + opacity * glow).astype(np.uint8)
    gap = np.full((n, max(1, height // 20), width, 3), 255, np.uint8)
    pairs = np.concatenate([pictures, gap, overlay], axis=1)
    alt = alt or draw.describe(f"{draw.count(n, 'picture')} above heat maps", suptitle)
    return draw.picture_figure(
        pairs, tile, titles=titles, ncols=ncols, scale=scale, suptitle=suptitle, alt=alt
    )


@draw.styled
def curves(
    runs: Mapping[str, Mapping[str, Sequence[float]]],
    *,
    metrics: str | Sequence[str] = "accuracy",
    x: str | None = None,
    mark_best: bool = False,
    mark_overfitting: bool = False,
    title: str | None = None,
    alt: str | None = None,
) -> Figure:
    """Draw learning curves: a colour for each run, validation solid, training dashed.

    Args:
        runs: `{label: history}`; a history maps "loss", "val_loss", "accuracy", ... to one value
            an epoch, as `History.history` of Keras does. A missing or empty series is left out.
        metrics: one panel for each, named without "val_".
        x: the series of each history for the horizontal axis, such as "seconds"; None counts
            epochs from 1.
        mark_best: put a dot on the best validation value of each run, and write it down.
        mark_overfitting: shade what follows the smallest validation loss of the first run.
        title: what to see.
        alt: alternative text.

    Raises:
        ValueError: if there is no run, or a series and its `x` differ in length.
    """
    if not runs:
        raise ValueError("curves needs at least one run; received none.")
    metrics = [metrics] if isinstance(metrics, str) else list(metrics)
    alt = alt or draw.describe(f"Curves of {' and '.join(metrics)} of {', '.join(runs)}", title)
    fig = draw.new_figure(1.4 + 5 * len(metrics), 3.8, alt, title)
    for ax, metric in zip(fig.subplots(1, len(metrics), squeeze=False)[0], metrics, strict=True):
        charts.draw_metric(ax, runs, metric, x, mark_best)
        if mark_overfitting:
            charts.shade_overfitting(ax, next(iter(runs.values())), x)
    return fig


@draw.styled
def traces(
    runs: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    xlabel: str,
    ylabel: str,
    log: bool = False,
    title: str | None = None,
    alt: str | None = None,
) -> Figure:
    """Draw one line for each run, labelled at its end: how something falls over time, say.

    Args:
        runs: `{label: (xs, ys)}`.
        xlabel: what the xs are, with their unit.
        ylabel: what the ys are.
        log: whether the vertical axis is logarithmic; the values must then be positive.
        title: what to see.
        alt: alternative text.

    Raises:
        ValueError: if there is no run, or xs and ys differ in length.
    """
    if not runs or any(len(xs) != len(ys) or not len(xs) for xs, ys in runs.values()):
        lengths = {name: (len(xs), len(ys)) for name, (xs, ys) in runs.items()}
        raise ValueError(
            f"traces needs runs with as many xs as ys, and at least one; received {lengths}."
        )
    alt = alt or draw.describe(f"{ylabel} against {xlabel} of {', '.join(runs)}", title)
    fig = draw.new_figure(7.4, 4.2, alt, title)
    charts.draw_traces(fig.subplots(), runs, xlabel, ylabel, log)
    return fig


@draw.styled
def latent_map(
    maps: Mapping[str, np.ndarray],
    labels: Sequence[int],
    *,
    class_names: Sequence[str] | None = None,
    limit: float | None = None,
    title: str | None = None,
    alt: str | None = None,
) -> Figure:
    """Draw where an encoder puts pictures on the plane, a panel for each encoder.

    Args:
        maps: `{title: points}`, points `(n, 2)`.
        labels: `(n,)` classes of the pictures, the same for every map.
        class_names: names of the classes 0, 1, ...; None writes the numbers.
        limit: each panel shows [-limit, limit] along both axes; None shows nearly all of its
            points, panel by panel.
        title: what to see.
        alt: alternative text.

    Raises:
        ValueError: if there is no map, or points and labels differ in number.
    """
    labels = np.asarray(labels, int)
    shapes = [np.shape(points) for points in maps.values()]
    if not maps or any(shape != (len(labels), 2) for shape in shapes):
        raise ValueError(
            f"latent_map needs a point (x, y) for each of {len(labels)} labels, received {shapes}."
        )
    alt = alt or draw.describe(f"Latent map of {', '.join(maps)}", title)
    columns = min(len(maps), 4)
    side = {1: 5.6, 2: 4.4}.get(columns, 3.1)
    fig = draw.new_figure(side * columns, side * -(-len(maps) // columns) + 0.4, alt, title)
    charts.draw_maps(fig, maps, labels, class_names, limit, columns)
    return fig


@draw.styled
def confusion_matrix(
    matrix, class_names: Sequence[str], *, title: str | None = None, alt: str | None = None
) -> Figure:
    """Show which class is taken for which: counts, coloured by the share of the true class.

    Args:
        matrix: `(classes, classes)` non-negative integers; rows are true, columns predicted.
        class_names: one for each class. The right edge gives the recall of each.
        title: what to see.
        alt: alternative text.

    Raises:
        ValueError: if the matrix is not square, not counts, or does not fit the names.
    """
    matrix = np.asarray(matrix)
    n = len(class_names)
    counts = np.issubdtype(matrix.dtype, np.integer) and matrix.shape == (n, n) and n > 0
    if not counts or (matrix < 0).any():
        raise ValueError(
            f"confusion_matrix needs non-negative integers of shape ({n}, {n}) for {n} class "
            f"names; received {matrix.dtype} of shape {matrix.shape}."
        )
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    accuracy = np.trace(matrix) / max(matrix.sum(), 1)
    alt = alt or draw.describe(f"Confusion matrix, accuracy {accuracy:.1%}", title)
    fig = draw.new_figure(2.8 + 0.6 * n, 1.7 + 0.47 * n, alt, title)
    ax = fig.subplots()
    ax.grid(False)
    ax.spines[:].set_visible(False)
    # The square root makes a confusion of a few percent visible beside a diagonal near one.
    ax.imshow(share, cmap="Blues", norm=PowerNorm(0.5, 0, 1), aspect="auto")
    for (row, column), value in np.ndenumerate(matrix):
        if value:
            ink = "white" if share[row, column] > 0.35 else draw.INK
            weight = "bold" if row == column else "normal"
            ax.text(column, row, value, color=ink, weight=weight, ha="center", va="center",
                    fontsize=11)  # fmt: skip
    ax.set_xticks(range(n), class_names, rotation=35, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(n), class_names)
    ax.set_xlabel("predicted class")
    ax.set_ylabel("true class")
    right = ax.secondary_yaxis("right")
    right.spines[:].set_visible(False)
    right.set_yticks(range(n), [f"{recall:.0%}" for recall in np.diag(share)])
    right.set_ylabel("found (recall)")
    return fig


@draw.styled
def reliability_diagram(
    confidences,
    correct,
    *,
    bins: int = 15,
    ece: float | None = None,
    title: str | None = None,
    alt: str | None = None,
) -> Figure:
    """Compare how sure a classifier is with how often it is right.

    Bars show the accuracy of each confidence bin; the hatched gap leads to its mean confidence.
    Below, how many pictures fall into each bin.

    Args:
        confidences: `(n,)` probability of the predicted class, in [0, 1].
        correct: `(n,)` bool, whether the prediction was right.
        bins: bins of equal width.
        ece: expected calibration error to print, for example `metrics.expected_calibration_error`.
        title: what to see.
        alt: alternative text.

    Raises:
        ValueError: if the shapes differ or a confidence is outside [0, 1].
    """
    confidences, correct = np.asarray(confidences, float), np.asarray(correct)
    if confidences.ndim != 1 or confidences.shape != correct.shape or not len(confidences):
        raise ValueError(
            "reliability_diagram needs confidences and correct of one shape (n,); received "
            f"{confidences.shape} and {correct.shape}."
        )
    if not ((confidences >= 0) & (confidences <= 1)).all():
        raise ValueError(
            "confidences must lie in [0, 1]; received values from "
            f"{confidences.min():.4g} to {confidences.max():.4g}."
        )
    note = "" if ece is None else f"expected calibration error {ece:.1%}"
    alt = alt or draw.describe(f"Reliability diagram {note}".strip(), title)
    fig = draw.new_figure(6, 5.4, alt, title)
    charts.draw_reliability(fig, bins, confidences, correct, note)
    return fig


@draw.styled
def probability_bars(
    probabilities,
    class_names: Sequence[str],
    *,
    true_label: int | None = None,
    image=None,
    value_range: Range = (0, 1),
    title: str | None = None,
    alt: str | None = None,
) -> Figure:
    """Show class probabilities as bars, the true class, if known, in another colour.

    Args:
        probabilities: `(classes,)` in [0, 1].
        class_names: one for each class.
        true_label: index of the true class.
        image: `(height, width[, channels])` picture to show at the left.
        value_range: the values of black and white of `image`.
        title: what to see.
        alt: alternative text.

    Raises:
        ValueError: if probabilities and names do not fit, or one is outside [0, 1].
    """
    probabilities = np.asarray(probabilities, float)
    if probabilities.shape != (len(class_names),):
        raise ValueError(
            f"probability_bars needs one probability for each of {len(class_names)} classes; "
            f"received shape {probabilities.shape}."
        )
    if not ((probabilities >= -1e-3) & (probabilities <= 1 + 1e-3)).all():
        raise ValueError(f"probabilities must lie in [0, 1]; received {probabilities}.")
    top = int(probabilities.argmax())
    what = f"Class probabilities, {class_names[top]} first with {probabilities[top]:.0%}"
    picture = None
    if image is not None:
        picture = draw.as_rgb(to_uint8(draw.as_batch(np.asarray(image)[None]), value_range))[0]
    fig = draw.new_figure(
        5.2 + (picture is not None) * 2.8, 0.9 + 0.31 * len(class_names),
        alt or draw.describe(what, title), title,
    )  # fmt: skip
    charts.draw_bars(fig, probabilities, class_names, true_label, picture)
    return fig
