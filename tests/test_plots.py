import ast
import base64
import io
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from scipy import ndimage

from course_utils import _charts, _drawing, plots

NAMES = ("cat", "dog", "frog")
HISTORY = {
    "loss": [2.0, 1.0, 0.5, 0.2],
    "val_loss": [2.1, 1.5, 1.6, 1.9],
    "accuracy": [0.3, 0.6, 0.8, 0.95],
    "val_accuracy": [0.3, 0.5, 0.55, 0.54],
    "seconds": [2.0, 4.0, 6.0, 8.0],
}


def pixels(fig):
    data, _ = fig._repr_mimebundle_()
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).convert("RGB"))


def texts(fig):
    return [text.get_text() for text in fig.findobj(mpl.text.Text) if text.get_text()]


def contains(picture, part):
    """Tell whether `part` occurs in `picture`, pixel for pixel."""
    windows = np.lib.stride_tricks.sliding_window_view(picture, part.shape)
    return (windows == part).all(axis=(-1, -2, -3)).any()


# --- to_uint8 --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "value_range", "expected"),
    [
        ([0, 0.5, 1], (0, 1), [0, 128, 255]),
        ([-1, 0, 1], (-1, 1), [0, 128, 255]),
        ([0.0, 127.4, 255.0], (0, 255), [0, 127, 255]),
        ([-0.0005, 1.0005], (0, 1), [0, 255]),
    ],
)
def test_to_uint8_maps_the_range_to_bytes(values, value_range, expected):
    result = plots.to_uint8(np.array(values, "float32"), value_range)
    assert result.dtype == np.uint8
    assert result.tolist() == expected


def test_to_uint8_round_trips_every_byte():
    every = np.arange(256, dtype=np.uint8)
    assert (plots.to_uint8(every, (0, 255)) == every).all()
    assert (plots.to_uint8(every / np.float32(255)) == every).all()
    assert (plots.to_uint8(every / np.float32(127.5) - 1, (-1, 1)) == every).all()


@pytest.mark.parametrize("bad", [[0, 1.01], [-0.01, 1], [0, np.nan], [0, np.inf], [0, 255]])
def test_to_uint8_never_guesses_the_range(bad):
    with pytest.raises(ValueError, match=r"must lie in value_range=\(0, 1\); received values from"):
        plots.to_uint8(np.array(bad))


def test_to_uint8_refuses_an_empty_range():
    with pytest.raises(ValueError, match=r"low < high; got \(1, 1\)"):
        plots.to_uint8(np.zeros(2), (1, 1))


# --- tile ------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [(), (1,), (3,)])
def test_tile_puts_every_image_at_its_place(channels):
    images = np.random.default_rng(0).integers(0, 255, (5, 3, 4, *channels), dtype=np.uint8)
    canvas = plots.tile(images, ncols=2, pad=1, fill=7)
    assert canvas.shape == (3 * 3 + 2, 2 * 4 + 1, *channels)
    covered = np.zeros(canvas.shape, bool)
    for i, (top, left) in enumerate([(0, 0), (0, 5), (4, 0), (4, 5), (8, 0)]):
        assert (canvas[top : top + 3, left : left + 4] == images[i]).all()
        covered[top : top + 3, left : left + 4] = True
    assert (canvas[~covered] == 7).all()


def test_tile_uses_no_more_columns_than_images():
    assert plots.tile(np.zeros((2, 3, 4), np.uint8), ncols=8, pad=2).shape == (3, 10)


@pytest.mark.parametrize(
    "bad", [np.zeros((2, 3, 4)), np.zeros((3, 4), np.uint8), np.zeros((0, 3, 4), np.uint8)]
)
def test_tile_says_what_it_needs(bad):
    with pytest.raises(ValueError, match=r"at least one uint8 image as .* received"):
        plots.tile(bad)


# --- pictures --------------------------------------------------------------------------------


def test_image_grid_shows_every_pixel_enlarged_by_a_whole_factor():
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    picture = pixels(plots.image_grid(images, value_range=(0, 255), scale=0.4, titles=NAMES))
    for image in images:
        assert contains(picture, image.repeat(5, axis=0).repeat(5, axis=1))


def test_image_grid_shows_grey_images_as_grey():
    digit = np.random.default_rng(0).random((8, 8)).astype("float32")
    enlarged = np.rint(digit * 255).astype(np.uint8).repeat(5, 0).repeat(5, 1)
    for batch in (digit[None], digit[None, ..., None]):
        picture = pixels(plots.image_grid(batch, scale=0.4))
        assert contains(picture, np.repeat(enlarged[..., None], 3, axis=-1))


def test_image_grid_reduces_large_pictures():
    height, width, _ = pixels(plots.image_grid(np.zeros((2, 500, 500, 3)), scale=1)).shape
    assert 190 <= width <= 230 and 95 <= height <= 125


def test_image_grid_writes_titles():
    fig = plots.image_grid(np.zeros((3, 8, 8)), titles=NAMES, suptitle="Three animals")
    assert {*NAMES, "Three animals"} <= set(texts(fig))
    assert fig.alt == "3 pictures: Three animals"
    assert plots.image_grid(np.zeros((1, 8, 8)), alt="A black square").alt == "A black square"


def test_a_long_title_is_wrapped_inside_the_figure():
    fig = plots.image_grid(np.zeros((1, 8, 8)), suptitle="What to see here " * 8)
    pixels(fig)
    box = fig.texts[0].get_window_extent()
    assert box.x1 <= fig.bbox.x1 and box.y0 > fig.axes[0].get_window_extent().y1


@pytest.mark.parametrize("shape", [(8, 8), (1, 8, 8, 4), (0, 8, 8, 3)])
def test_image_grid_says_which_shapes_it_takes(shape):
    with pytest.raises(ValueError, match=r"must have the shape .* received \("):
        plots.image_grid(np.zeros(shape))


def test_image_grid_wants_a_title_for_each_picture():
    with pytest.raises(ValueError, match="one for each picture; received 2 for 3"):
        plots.image_grid(np.zeros((3, 8, 8)), titles=["a", "b"])


def test_feature_grid_scales_each_map_or_all_of_them():
    features = np.zeros((4, 4, 3), "float32")
    features[0, 0] = 1, 10, 0  # a weak map, a strong map, a silent map
    colours = mpl.colormaps["viridis"]

    def has(fig, value):
        part = np.tile(np.array(colours(value, bytes=True)[:3]), (25, 25, 1))
        return contains(pixels(fig), part)

    each = plots.feature_grid(features, scale=1)
    assert has(each, 1.0) and has(each, 0.0) and not has(each, 0.1)
    shared = plots.feature_grid(features, scale=1, shared_scale=True)
    assert has(shared, 1.0) and has(shared, 0.0) and has(shared, 0.1)
    assert each.alt == "3 feature maps"


@pytest.mark.parametrize("bad", [np.zeros((4, 4)), np.full((4, 4, 2), np.nan)])
def test_feature_grid_refuses_other_shapes_and_nan(bad):
    with pytest.raises(ValueError, match=r"finite features of shape \(height, width, channels\)"):
        plots.feature_grid(bad)


def test_filter_grid_draws_colour_kernels_around_mid_grey():
    kernels = np.zeros((2, 2, 3, 1), "float32")
    kernels[0, 0, :, 0] = 4, -4, 2
    picture = pixels(plots.filter_grid(kernels, scale=0.2))
    for colour in ((255, 0, 191), (128, 128, 128)):
        assert contains(picture, np.tile(np.array(colour, np.uint8), (10, 10, 1)))


def test_filter_grid_draws_other_kernels_one_by_one_with_zero_in_the_middle():
    kernels = np.zeros((2, 2, 2, 3), "float32")
    kernels[0, 0, 1, 2] = -4
    fig = plots.filter_grid(kernels, scale=0.2)
    assert fig.alt == "6 filters"
    for value in (0.0, 0.5):
        colour = np.array(mpl.colormaps["RdBu_r"](value, bytes=True)[:3])
        assert contains(pixels(fig), np.tile(colour, (10, 10, 1)))


def test_filter_grid_names_the_layout():
    with pytest.raises(ValueError, match=r"\(height, width, in_channels, filters\); received"):
        plots.filter_grid(np.zeros((3, 3, 3)))


def test_heatmap_overlay_glows_where_the_map_is_large():
    images = np.full((1, 16, 16, 3), 0.5, "float32")
    maps = np.zeros((1, 4, 4), "float32")
    maps[0, 0, 0] = 1
    picture = pixels(plots.heatmap_overlay(images, maps, scale=0.16)).astype(int)
    height = picture.shape[0]
    colourful = picture.max(axis=-1) - picture.min(axis=-1)
    assert colourful[: height // 2].max() <= 1  # the grey picture itself
    assert colourful[height // 2 + 1 : height // 2 + 4, 6:9].min() > 60
    assert colourful[-10:, -14:].max() <= 1


@pytest.mark.parametrize("shape", [(2, 4, 4), (1, 4, 4, 1)])
def test_heatmap_overlay_wants_one_map_for_each_image(shape):
    with pytest.raises(ValueError, match=r"one map of shape .* received 1 images and maps"):
        plots.heatmap_overlay(np.zeros((1, 8, 8)), np.zeros(shape))


def test_heatmap_overlay_wants_maps_in_zero_one():
    with pytest.raises(ValueError, match=r"value_range=\(0, 1\); received values from 0 to 3"):
        plots.heatmap_overlay(np.zeros((1, 8, 8)), np.full((1, 2, 2), 3.0) * np.eye(2))


def test_enlarge_agrees_with_scipy():
    maps = np.random.default_rng(0).random((2, 5, 4))
    expected = ndimage.zoom(maps, (1, 3, 4), order=1, grid_mode=True, mode="nearest")
    np.testing.assert_allclose(_drawing.enlarge(maps, 15, 16), expected, atol=1e-12)


# --- charts ----------------------------------------------------------------------------------


def lines(ax):
    return {
        (line.get_linestyle(), tuple(line.get_ydata()))
        for line in ax.lines
        if len(line.get_ydata()) > 1
    }


def test_curves_draw_validation_solid_and_training_dashed():
    fig = plots.curves({"article": HISTORY})
    assert lines(fig.axes[0]) == {
        ("-", tuple(HISTORY["val_accuracy"])),
        ("--", tuple(HISTORY["accuracy"])),
    }
    assert list(fig.axes[0].lines[0].get_xdata()) == [1, 2, 3, 4]
    assert {"article", "validation", "training", "accuracy", "epoch"} <= set(texts(fig))


def test_curves_give_each_run_its_colour_and_a_label_at_its_end():
    fig = plots.curves({"a": HISTORY, "b": HISTORY})
    labels = {text.get_text(): text for text in fig.axes[0].texts}
    assert labels["a"].get_color() == plots.PALETTE[0]
    assert labels["b"].get_color() == plots.PALETTE[1]
    pixels(fig)
    a, b = (labels[name].get_window_extent() for name in "ab")
    assert not a.overlaps(b)  # both lines end at one point
    assert a.x1 <= fig.bbox.x1


def test_curves_mark_the_best_epoch_of_accuracy_and_loss():
    fig = plots.curves({"a": HISTORY}, metrics=("accuracy", "loss"), mark_best=True)
    dots = [
        (*line.get_xdata(), *line.get_ydata())
        for ax in fig.axes
        for line in ax.lines
        if len(line.get_xdata()) == 1
    ]
    assert dots == [(3, 0.55), (2, 1.5)]
    assert {"a\nbest 55.0%", "a\nbest 1.5"} <= set(texts(fig))


def test_curves_shade_from_the_smallest_validation_loss():
    fig = plots.curves({"a": HISTORY}, mark_overfitting=True)
    assert "after epoch 2 the\nvalidation loss rises" in texts(fig)
    assert fig.axes[0].patches[0].get_x() == 2
    still_falling = HISTORY | {"val_loss": [4, 3, 2, 1]}
    assert not plots.curves({"a": still_falling}, mark_overfitting=True).axes[0].patches


def test_curves_over_seconds():
    fig = plots.curves({"a": HISTORY}, x="seconds")
    assert list(fig.axes[0].lines[0].get_xdata()) == HISTORY["seconds"]
    assert "seconds" in texts(fig)


def test_curves_draw_an_unfinished_first_epoch():
    fig = plots.curves(
        {"live": {"accuracy": [0.2], "val_accuracy": []}, "next": {}}, mark_best=True
    )
    assert len(fig.axes[0].lines) == 1
    assert "validation" not in texts(fig)


def test_curves_say_what_does_not_fit():
    with pytest.raises(ValueError, match="at least one run; received none"):
        plots.curves({})
    with pytest.raises(ValueError, match=r"'accuracy' and 'seconds' of 'a' .* received 4 and 1"):
        plots.curves({"a": HISTORY | {"seconds": [1.0]}}, x="seconds")


def test_confusion_matrix_writes_counts_and_recall():
    matrix = np.array([[8, 2, 0], [1, 9, 0], [0, 0, 0]])
    fig = plots.confusion_matrix(matrix, NAMES, title="Cats pass for dogs")
    written = texts(fig)
    pixels(fig)
    assert {"8", "2", "1", "9", *NAMES, "80%", "90%"} <= set(written)
    assert "0" not in [text.get_text() for text in fig.axes[0].texts]
    np.testing.assert_allclose(fig.axes[0].images[0].get_array()[0], [0.8, 0.2, 0])
    assert fig.alt == "Confusion matrix, accuracy 85.0%: Cats pass for dogs"


@pytest.mark.parametrize(
    "bad", [np.eye(3), np.zeros((2, 3), int), -np.eye(3, dtype=int), np.eye(2, dtype=int)]
)
def test_confusion_matrix_wants_square_counts(bad):
    with pytest.raises(ValueError, match=r"non-negative integers of shape \(3, 3\) for 3 class"):
        plots.confusion_matrix(bad, NAMES)


def test_reliability_diagram_against_a_loop():
    rng = np.random.default_rng(0)
    confidences = np.append(rng.random(200), [0.0, 1.0])
    correct = rng.random(202) < confidences**2
    fig = plots.reliability_diagram(confidences, correct, bins=5, ece=0.125)
    top, bottom = fig.axes
    heights = [bar.get_height() for bar in top.patches]
    for i in range(5):
        inside = (confidences >= i / 5) & ((confidences < (i + 1) / 5) | (i == 4))
        assert heights[i] == pytest.approx(correct[inside].mean())
        assert heights[i] + heights[5 + i] == pytest.approx(confidences[inside].mean())
        assert bottom.patches[i].get_height() == inside.sum()
    assert "expected calibration error 12.5%" in texts(fig)


def test_reliability_diagram_with_empty_bins():
    fig = plots.reliability_diagram([0.95, 0.99], [True, False])
    assert len(fig.axes[0].patches) == 2 * 1


def test_reliability_diagram_says_what_does_not_fit():
    with pytest.raises(ValueError, match=r"one shape \(n,\); received \(2,\) and \(3,\)"):
        plots.reliability_diagram([0.1, 0.2], [True] * 3)
    with pytest.raises(ValueError, match=r"\[0, 1\]; received values from 0.1 to 1.2"):
        plots.reliability_diagram([0.1, 1.2], [True, True])


def test_probability_bars():
    fig = plots.probability_bars(
        [0.7, 0.05, 0.25], NAMES, true_label=2, image=np.zeros((8, 8, 3)), title="Sure and wrong"
    )
    pixels(fig)
    assert {"cat", "dog", "true: frog", "70%", "5%", "25%"} <= set(texts(fig))
    assert len(fig.axes) == 2
    assert fig.alt == "Class probabilities, cat first with 70%: Sure and wrong"
    assert len(plots.probability_bars([1, 0, 0], NAMES).axes) == 1


def test_probability_bars_say_what_does_not_fit():
    with pytest.raises(ValueError, match=r"each of 3 classes; received shape \(2,\)"):
        plots.probability_bars([0.5, 0.5], NAMES)
    with pytest.raises(ValueError, match=r"probabilities must lie in \[0, 1\]; received"):
        plots.probability_bars([3.0, -1.0, 0.1], NAMES)


# --- how figures behave ----------------------------------------------------------------------


def test_traces_hold_the_numbers_and_label_the_ends():
    runs = {"a": ([0, 1, 2], [100, 10, 1]), "b": ([0, 2], [100, 2])}
    fig = plots.traces(runs, xlabel="seconds", ylabel="loss", log=True, title="See")
    (ax,) = fig.axes
    assert ax.get_yscale() == "log" and ax.get_xlabel() == "seconds" and ax.get_ylabel() == "loss"
    for line, (xs, ys) in zip(ax.lines, runs.values(), strict=True):
        np.testing.assert_array_equal(line.get_xdata(), xs)
        np.testing.assert_array_equal(line.get_ydata(), ys)
    ends = {text.get_text(): text for text in ax.texts}
    assert set(ends) == {"a", "b"} and ends["a"].xy == (2, 1) and ends["b"].xy == (2, 2)
    height = ax.get_position().height * fig.get_figheight() * 72
    low, high = np.log(ax.get_ylim())
    places = {  # where the labels come to lie, in points above the lower edge
        name: (np.log(text.xy[1]) - low) / (high - low) * height + text.xyann[1]
        for name, text in ends.items()
    }
    assert places["b"] - places["a"] >= 14  # far apart on the axis: they stand where the lines end
    assert abs(ends["b"].xyann[1]) < 8


@pytest.mark.parametrize("runs", [{}, {"a": ([1], [1, 2])}, {"a": ([], [])}])
def test_traces_refuse_runs_that_do_not_fit(runs):
    with pytest.raises(ValueError, match="as many xs as ys"):
        plots.traces(runs, xlabel="x", ylabel="y")


def test_a_latent_map_shows_each_point_in_the_colour_of_its_class():
    points = np.array([[0, 0], [1, 0], [1, 2], [-1, -1]], float)
    labels = [0, 1, 1, 2]
    fig = plots.latent_map({"a": points, "b": -points}, labels, limit=3, title="See")
    for ax, sign in zip(fig.axes, (1, -1), strict=True):
        shown = {t.get_text(): (t.get_color(), t.get_position()) for t in ax.texts}
        assert set(shown) == {"0", "1", "2"} and ax.get_xlim() == (-3, 3) == ax.get_ylim()
        assert shown["1"][1] == (sign * 1, sign * 1)  # the median of its two points
        for group, label in zip(ax.collections, "012", strict=True):
            np.testing.assert_array_equal(
                group.get_offsets(), sign * points[np.array(labels) == int(label)]
            )
            colour = mpl.colors.to_rgb(shown[label][0])
            np.testing.assert_allclose(group.get_facecolor()[0, :3], colour)


@pytest.mark.parametrize("maps", [{}, {"a": np.zeros((3, 2))}, {"a": np.zeros((2, 3))}])
def test_latent_maps_that_do_not_fit_are_refused(maps):
    with pytest.raises(ValueError, match=r"a point .x, y. for each of 2 labels, received"):
        plots.latent_map(maps, [0, 1])


EXAMPLES = {
    "latent_map": lambda: plots.latent_map({"a": np.eye(2)}, [0, 1], title="See"),
    "image_grid": lambda: plots.image_grid(np.zeros((2, 8, 8)), suptitle="See"),
    "feature_grid": lambda: plots.feature_grid(np.zeros((4, 4, 2))),
    "filter_grid": lambda: plots.filter_grid(np.zeros((3, 3, 3, 2))),
    "heatmap_overlay": lambda: plots.heatmap_overlay(np.zeros((1, 8, 8)), np.zeros((1, 2, 2))),
    "curves": lambda: plots.curves({"a": HISTORY}, mark_best=True, mark_overfitting=True),
    "traces": lambda: plots.traces(
        {"a": ([0, 1], [9, 1]), "b": ([0], [3])}, xlabel="s", ylabel="loss", log=True
    ),
    "confusion_matrix": lambda: plots.confusion_matrix(np.eye(3, dtype=int), NAMES),
    "reliability_diagram": lambda: plots.reliability_diagram([0.5], [True]),
    "probability_bars": lambda: plots.probability_bars([1, 0, 0], NAMES),
}


def test_every_figure_function_has_an_example():
    figures = {
        name
        for name, obj in vars(plots).items()
        if getattr(obj, "__module__", "") == plots.__name__
        and getattr(obj, "__annotations__", {}).get("return") is Figure
    }
    assert figures == set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_figure_is_a_small_png_with_a_text_and_no_trace_of_the_machine(name):
    before = dict(mpl.rcParams)
    fig = EXAMPLES[name]()
    data, metadata = fig._repr_mimebundle_()
    assert isinstance(fig, Figure) and fig.canvas.manager is None
    assert data["text/plain"] == f"Figure: {fig.alt}" and fig.alt
    assert metadata == {"image/png": {"alt": fig.alt}}
    png = base64.b64decode(data["image/png"])
    assert len(png) < 100_000
    image = Image.open(io.BytesIO(png))
    assert image.width <= 1200 and "Software" not in image.info
    assert dict(mpl.rcParams) == before  # the reader's own settings are left alone
    assert fig._repr_mimebundle_()[0] == data  # the same bytes again
    assert EXAMPLES[name]()._repr_mimebundle_()[0] == data


def test_nothing_reaches_beyond_the_edge_of_its_figure():
    for name, example in EXAMPLES.items():
        picture = pixels(example())
        rim = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
        assert (rim == 255).all(), name


def test_a_figure_left_last_in_a_cell_is_displayed_once():
    import nbclient
    import nbformat

    cells = [
        "import numpy as np\nfrom course_utils import plots",
        "plots.image_grid(np.zeros((2, 8, 8)), suptitle='See')",
        "fig = plots.image_grid(np.zeros((2, 8, 8)))\ndisplay(fig)",
        "fig = plots.image_grid(np.zeros((2, 8, 8)))",
        "import matplotlib.pyplot as plt",  # switches the inline backend on
        "plots.image_grid(np.zeros((2, 8, 8)))",
        "from course_utils import runtime\nruntime.setup()\nruntime.show_source(plots.tile)",
    ]
    node = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(node, timeout=120, kernel_name="python3").execute()
    kinds = [[set(output.get("data", ())) for output in cell.outputs] for cell in node.cells]
    once = [{"image/png", "text/plain"}]
    assert kinds[:6] == [[], once, once, [], [], once]
    assert node.cells[1].outputs[0].metadata["image/png"]["alt"] == "2 pictures: See"
    banner, source = node.cells[6].outputs
    assert banner.name == "stdout" and banner.text.count("\n") == 1
    assert source.data["text/markdown"].startswith("`course_utils.plots.tile`")


# --- what plots may import -------------------------------------------------------------------


def test_plots_import_only_numpy_and_matplotlib():
    allowed = {"matplotlib", "numpy", "cycler", "course_utils"}
    for module in (plots, _charts, _drawing):
        for node in ast.walk(ast.parse(Path(module.__file__).read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module]
            for name in names:
                root = name.split(".")[0]
                assert root in allowed | sys.stdlib_module_names, f"{module.__name__}: {name}"
                assert name != "matplotlib.pyplot"


def test_importing_plots_loads_no_tensorflow_and_no_pyplot():
    code = (
        "import sys; from course_utils import plots; "
        "print([m for m in ('tensorflow', 'keras', 'matplotlib.pyplot') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
