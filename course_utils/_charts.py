"""How the curves and charts of `plots` are drawn; nothing here is for notebooks."""

import itertools

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, MaxNLocator

from course_utils._drawing import CLASS_COLOURS, FAINT, INK, PALETTE

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


def draw_traces(ax, runs, xlabel, ylabel, log):
    """Draw one labelled line for each run."""
    labels = []
    for colour_, (name, (xs, ys)) in zip(PALETTE * 9, runs.items(), strict=False):
        ax.plot(xs, ys, color=colour_, linewidth=2.4, marker="o" if len(xs) == 1 else None)
        labels.append((xs[-1], ys[-1], name, colour_))
    if log:
        ax.set_yscale("log")
    ax.margins(x=0.02, y=0.08)
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    _label_ends(ax, labels)


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
    scale = ax.yaxis.get_transform().transform  # the identity, or a logarithm
    bottom, top, *ys = scale(np.array([low, high, *(y for _, y, _, _ in labels)]))
    wanted = (np.array(ys) - bottom) / (top - bottom) * height
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


def draw_reliability(fig, bins, confidences, correct, note):
    """Draw accuracy bars with their gap to the confidence, and the histogram below."""
    index = np.minimum((confidences * bins).astype(int), bins - 1)
    counts = np.bincount(index, minlength=bins)
    used = counts > 0
    accuracy = np.bincount(index, correct.astype(float), bins)[used] / counts[used]
    confidence = np.bincount(index, confidences, bins)[used] / counts[used]
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


def draw_maps(fig, maps, labels, class_names, limit, columns):
    """Draw a panel for each map; without a limit, one that shows nearly all of its points."""
    names = list(class_names or map(str, range(labels.max() + 1)))
    panels = fig.subplots(-(-len(maps) // columns), columns, squeeze=False).ravel()
    for ax, (name, points) in zip(panels, maps.items(), strict=False):
        reach = limit or max(np.quantile(np.abs(points), 0.995), 1e-3)
        draw_map(ax, np.asarray(points), labels, names, reach, name)
    for ax in panels[len(maps) :]:
        ax.set_axis_off()


def draw_map(ax, points, labels, class_names, limit, title):
    """Draw points of a plane coloured by class, with the name of each class at its median."""
    for index, name in enumerate(class_names):
        chosen = points[labels == index]
        if not len(chosen):
            continue
        colour = CLASS_COLOURS[index % len(CLASS_COLOURS)]
        ax.scatter(*chosen.T, s=5, color=colour, alpha=0.5, linewidths=0)
        place = np.clip(np.median(chosen, axis=0), -0.93 * limit, 0.93 * limit)
        text = ax.text(
            *place, name, color=colour, fontsize=15, weight="bold", ha="center", va="center"
        )
        text.set_path_effects([withStroke(linewidth=3.5, foreground="white")])
    ax.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal")
    ax.set_title(title, color=FAINT, fontsize=12)
