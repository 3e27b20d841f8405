"""The shells in a real JupyterLab: keyboard, mouse, files, Cancel, themes, narrow windows."""

import io

import nbformat
import numpy as np
import pytest
from lab import check_latency
from PIL import Image

pytestmark = pytest.mark.browser

LIVE = """
import io
import time
import ipywidgets
import numpy as np
from PIL import Image
from course_utils import shells, slow

def read(content):
    try:
        return np.asarray(Image.open(io.BytesIO(content)).convert("RGB").resize((400, 200)))
    except OSError:
        raise ValueError("This is no picture that can be read.") from None

def render(state):
    if state["level"] == 3:
        raise ValueError("three is refused")
    if state["own"] is not None:
        return state["own"]
    ramp = np.arange(400)[None] + np.arange(200)[:, None]
    shift = 40 * "abc".index(state["kind"]) + 20 * "xy".index(state["list"])
    return (ramp * (1 + state["level"]) + shift).astype(np.uint8)

def live():
    controls = {
        "level": ipywidgets.IntSlider(10, 0, 50, description="Level"),
        "kind": ipywidgets.SelectionSlider(options=["a", "b", "c"], description="Kind"),
        "list": ipywidgets.Dropdown(options=["x", "y"], description="List"),
        "own": ipywidgets.FileUpload(description="Own picture", accept="image/*"),
    }
    return shells.Live(render, controls, name="plain", alt="A ramp.", read=read,
                       describe=lambda state: f"A ramp of level {state['level']}")

live()
"""
SECOND = "live()"
SLOW = """
def steps(state):
    for number in range(state["count"]):
        yield number / state["count"], np.full((100, 300), number % 256, np.uint8)
        time.sleep(0.05)
    yield 1.0, np.full((100, 300), 250, np.uint8)

slow.Slow(steps, {"count": ipywidgets.IntSlider(20, 10, 2000, 10, description="Count")},
            name="slow", alt="Grey.", start="Start")
"""


def write_notebook(path, *sources):
    """Write a notebook of code cells."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [nbformat.v4.new_code_cell(source.strip()) for source in sources]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
    return path


@pytest.fixture(scope="module")
def notebook(open_notebook, tmp_path_factory):
    path = tmp_path_factory.mktemp("notebook") / "shells.ipynb"
    opened = open_notebook(write_notebook(path, LIVE, SECOND, SLOW))
    opened.run_all()
    return opened


@pytest.fixture
def plain(notebook):
    widget = notebook.widget("plain")
    yield widget
    widget.control("reset").click()
    notebook.check()


def decoded(widget):
    return np.asarray(Image.open(io.BytesIO(widget.pixels())))


def ramp(level, kind=0):
    grid = np.arange(400)[None] + np.arange(200)[:, None]
    return (grid * (1 + level) + 40 * kind).astype(np.uint8)


def test_by_keyboard(plain):
    plain.press("level", "ArrowRight")
    np.testing.assert_array_equal(decoded(plain), ramp(11))
    plain.press("level", "ArrowLeft")
    plain.press("kind", "ArrowRight")
    np.testing.assert_array_equal(decoded(plain), ramp(10, 1))
    assert plain.caption() == "A ramp of level 10"
    plain.press("reset", "Enter")
    np.testing.assert_array_equal(decoded(plain), ramp(10, 0))
    plain.press("level", "ArrowUp")
    plain.press("level", "ArrowUp")
    np.testing.assert_array_equal(decoded(plain), ramp(12))


def test_every_control_is_reached_with_tab(plain):
    plain.handle("level").focus()
    for name in ("kind", "list", "own", "reset"):
        for _ in range(3):  # a slider's number may have the focus as well
            plain.page.keyboard.press("Tab")
            inside = plain.control(name).evaluate("(e) => e.contains(document.activeElement)")
            if inside:
                break
        assert inside, f"{name} is not reached with Tab"


def test_by_mouse(plain):
    handle = plain.handle("level").bounding_box()
    x, y = handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2
    before = plain.source()
    plain.page.mouse.move(x, y)
    plain.page.mouse.down()
    for step in range(1, 11):
        plain.page.mouse.move(x + 5 * step, y)
        plain.page.wait_for_timeout(30)
    plain.wait_change(before)  # while the button is still down
    plain.page.mouse.up()
    plain.wait_still()  # the last steps of the drag are still on their way
    plain.change(lambda: plain.handle("list").select_option("y"))
    plain.change(lambda: plain.control("reset").click())
    np.testing.assert_array_equal(decoded(plain), ramp(10))


def test_latency_of_a_live_widget(plain):
    keys = ["ArrowRight"] * 20 + ["ArrowLeft"] * 20
    check_latency("a plain picture", lambda: plain.latencies("level", keys))


def test_what_goes_wrong_is_shown_and_read_out(plain):
    plain.handle("level").focus()
    for _ in range(6):
        plain.press("level", "ArrowLeft")
    before = decoded(plain)
    plain.page.keyboard.press("ArrowLeft")  # to three
    alert = plain.control("message").locator("[role=alert]")
    alert.wait_for()
    assert "ValueError: three is refused" in alert.inner_text()
    np.testing.assert_array_equal(decoded(plain), before)
    plain.press("level", "ArrowLeft")
    alert.wait_for(state="detached")
    np.testing.assert_array_equal(decoded(plain), ramp(2))


def test_files(plain, tmp_path):
    good, text, cut = (tmp_path / name for name in ("good.png", "notes.txt", "cut.png"))
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (90, 90, 3), np.uint8)).save(good)
    text.write_text("not a picture")
    cut.write_bytes(good.read_bytes()[:2000])
    plain.change(lambda: plain.upload("own", good))
    assert decoded(plain).shape == (200, 400, 3)
    before = decoded(plain)
    for path in (text, text, cut):
        plain.upload("own", path)
        alert = plain.control("message").locator("[role=alert]")
        alert.filter(has_text=path.name).wait_for()
        assert alert.inner_text() == f"{path.name}: This is no picture that can be read."
        np.testing.assert_array_equal(decoded(plain), before)
    plain.change(lambda: plain.control("reset").click())
    plain.change(lambda: plain.upload("own", good))
    assert plain.message() == ""
    assert "(0)" in plain.control("own").inner_text()


def test_a_photo_of_many_megabytes_arrives(plain, tmp_path):
    path = tmp_path / "photo.png"
    noise = np.random.default_rng(0).integers(0, 256, (2500, 3000, 3), np.uint8)
    Image.fromarray(noise).save(path, compress_level=0)
    assert path.stat().st_size > 20e6  # Tornado's own limit is half of that, and silent
    plain.change(lambda: plain.upload("own", path), timeout=30)
    assert plain.message() == ""


def test_two_widgets_of_one_kind_are_independent(notebook):
    first, second = notebook.widget("plain", 0), notebook.widget("plain", 1)
    before = decoded(second)
    first.press("level", "ArrowRight")
    np.testing.assert_array_equal(decoded(second), before)
    second.press("level", "ArrowLeft")
    np.testing.assert_array_equal(decoded(first), ramp(11))
    np.testing.assert_array_equal(decoded(second), ramp(9))
    for widget in (first, second):
        widget.change(lambda widget=widget: widget.control("reset").click())


def test_slow_work_shows_progress_and_ends(notebook):
    slow = notebook.widget("slow")
    slow.change(lambda: slow.control("start").click())
    seen = set()
    while not seen or max(seen) < 250:
        seen.add(int(decoded(slow)[0, 0]))
        slow.page.wait_for_timeout(40)
    assert len(seen) > 3, "frames must be shown while the work runs"
    slow.page.wait_for_function(
        "(button) => button.disabled", arg=slow.control("cancel").element_handle()
    )
    notebook.check()


def test_slow_work_is_cancelled_while_it_runs(notebook):
    slow = notebook.widget("slow")
    slow.handle("count").focus()
    slow.page.keyboard.press("End")  # 2000 steps, 100 seconds
    slow.change(lambda: slow.control("start").click())
    slow.handle("start").focus()
    slow.page.keyboard.press("Enter")  # it runs already
    slow.control("cancel").click()
    slow.page.get_by_text("Cancelled.").wait_for(timeout=5000)
    before = slow.source()
    slow.page.wait_for_timeout(300)
    assert slow.source() == before
    slow.control("reset").click()
    slow.page.get_by_text("Cancelled.").wait_for(state="detached")
    notebook.check()


def test_the_output_keeps_a_static_picture(notebook):
    for cell in notebook.cells():
        bundle = cell["outputs"][0]["data"]
        assert "image/png" in bundle
        assert "text/plain" in bundle


def luminance(colour):
    numbers = [float(part) for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4
              for c in (number / 255 for number in numbers)]  # fmt: skip
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


@pytest.mark.parametrize("theme", ["JupyterLab Dark", "JupyterLab Light"])
def test_text_can_be_read_in_both_themes(notebook, plain, theme):
    plain.page.evaluate(
        "(theme) => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", theme
    )
    dark = "false" if "Dark" in theme else "true"
    plain.page.wait_for_selector(f'body[data-jp-theme-light="{dark}"]', state="attached")
    plain.page.wait_for_timeout(500)
    colours = (
        plain.control("caption")
        .locator("div[role=status]")
        .evaluate(
            "(e) => [getComputedStyle(e).color, getComputedStyle(document.querySelector("
            "'.jp-NotebookPanel-notebook')).backgroundColor]"
        )
    )
    bright, dim = sorted(map(luminance, colours), reverse=True)
    assert (bright + 0.05) / (dim + 0.05) > 7, colours


def test_a_narrow_window_scales_the_picture(notebook, plain):
    plain.page.set_viewport_size({"width": 560, "height": 900})
    try:
        plain.page.wait_for_timeout(500)
        box = plain.image.bounding_box()
        room = plain.root.bounding_box()
        assert box["width"] <= room["width"] + 1
        assert box["width"] / box["height"] == pytest.approx(2, rel=0.02)
    finally:
        plain.page.set_viewport_size({"width": 1400, "height": 1000})


def test_interrupt_and_restart(open_notebook, tmp_path):
    path = write_notebook(tmp_path / "interrupted.ipynb", LIVE, "time.sleep(60)")
    notebook = open_notebook(path)
    notebook.start_cell(0)
    notebook.wait_idle()
    widget = notebook.widget("plain")
    widget.press("level", "ArrowRight")
    notebook.start_cell(1)
    notebook.page.wait_for_timeout(1000)
    notebook.interrupt()
    notebook.wait_idle(20)
    widget = notebook.widget("plain")
    widget.press("level", "ArrowRight")
    np.testing.assert_array_equal(decoded(widget), ramp(12))
    notebook.set_source(1, "live()")
    notebook.restart_and_run_all()
    widget = notebook.widget("plain", 1)
    widget.press("level", "ArrowRight")
    np.testing.assert_array_equal(decoded(widget), ramp(11))
