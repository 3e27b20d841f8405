"""The pads in a real JupyterLab: dragged, drawn on, and used without a mouse."""

import io

import lab
import numpy as np
import pytest
from PIL import Image
from test_widgets_browser import write_notebook

pytestmark = [pytest.mark.browser, pytest.mark.notebook, pytest.mark.slow]

CELL = """
import ipywidgets
import numpy as np
from course_utils import pads, shells

ground = np.add.outer(np.arange(100), np.arange(100)).astype("uint8")
point = pads.PointPad(
    extent=(-2, 2, -2, 2), picture=ground, description="Place on the map", side=200
)
drawing = pads.DrawPad(description="Draw here", side=196)


def render(state):
    # rows: the place, and the drawing enlarged
    x, y = state["point"]
    picture = np.zeros((60, 100), np.uint8)
    picture[0, :2] = round(50 * (x + 2)), round(50 * (y + 2))
    picture[2:30, 2:30] = np.frombuffer(state["drawing"], np.uint8).reshape(28, 28)
    return picture


shells.Live(
    render, {"point": point, "drawing": drawing}, name="pads", alt="a test",
    describe=lambda state: "at {:.2f}, {:.2f}".format(*state["point"]),
)
"""


@pytest.fixture(scope="module")
def notebook(open_notebook, tmp_path_factory):
    path = tmp_path_factory.mktemp("notebook") / "pads.ipynb"
    opened = open_notebook(write_notebook(path, CELL))
    opened.run_all()
    return opened


@pytest.fixture
def pads(notebook):
    widget = notebook.widget("pads")
    yield widget
    widget.control("reset").click()
    widget.wait_still()
    notebook.check()


def place(pads):
    picture = np.asarray(Image.open(io.BytesIO(pads.pixels())))
    return picture[0, :2] / 50 - 2


def ink(pads):
    return np.asarray(Image.open(io.BytesIO(pads.pixels())))[2:30, 2:30].astype(int)


def test_the_picture_keeps_its_shape_beside_the_pads(pads):
    height, width = np.asarray(Image.open(io.BytesIO(pads.pixels()))).shape[:2]
    box = pads.image.bounding_box()
    assert box["width"] / box["height"] == pytest.approx(width / height, rel=0.05)


def test_the_point_follows_the_pointer_while_it_is_down(pads):
    before = pads.source()
    pads.drag("point", (0.5, 0.5), (0.75, 0.25), release=False)
    pads.wait_change(before)
    pads.wait_still()
    np.testing.assert_allclose(place(pads), [1, 1], atol=0.06)
    # beyond the edge: held at the edge
    pads.drag("point", (0.75, 0.25), (1.5, 0.75), release=False)
    pads.wait_still()
    pads.page.mouse.up()
    np.testing.assert_allclose(place(pads), [2, -1], atol=0.06)
    mark = pads.control("point").locator(".course-mark").bounding_box()
    box = pads.square("point").bounding_box()
    assert mark["x"] + mark["width"] / 2 == pytest.approx(box["x"] + box["width"], abs=3)
    pads.page.mouse.move(box["x"] + 20, box["y"] + 20)  # the button is up
    pads.wait_still()
    np.testing.assert_allclose(place(pads), [2, -1], atol=0.06)


def test_the_point_by_keyboard_and_reset(pads):
    for key, where in [
        ("ArrowRight", [0.08, 0]),
        ("ArrowUp", [0.08, 0.08]),
        ("Shift+ArrowLeft", [-0.32, 0.08]),
        ("ArrowDown", [-0.32, 0]),
        ("Home", [0, 0]),
    ]:
        pads.press("point", key)
        np.testing.assert_allclose(place(pads), where, atol=0.011)
    assert pads.handle("point").get_attribute("aria-valuetext") == "0.00, 0.00"
    pads.press("point", "ArrowUp")
    pads.change(lambda: pads.control("reset").click())
    np.testing.assert_allclose(place(pads), [0, 0], atol=0.011)


def test_latency_of_the_point(pads):
    keys = ["ArrowRight"] * 15 + ["ArrowLeft"] * 15
    lab.check_latency("a point", lambda: pads.latencies("point", keys), budget=60)


def test_drawing_puts_ink_where_the_pointer_was(pads):
    pads.drag("drawing", (0.25, 0.5), (0.75, 0.5), release=False)
    pads.page.mouse.up()
    pads.wait_still()
    drawn = ink(pads)
    assert drawn[13:15, 8:20].min() > 200  # a stroke of two to three pixels
    assert drawn[:11].max() == 0 and drawn[17:].max() == 0
    assert drawn[:, :4].max() == 0 and drawn[:, 24:].max() == 0
    pads.control("drawing").locator(".course-erase").click()
    pads.drag("drawing", (0.5, 0.25), (0.5, 0.75), release=False)
    pads.page.mouse.up()
    pads.wait_still()
    erased = ink(pads)
    assert erased[:, 13:15].max() == 0 and erased[13:15, 8:11].min() > 200
    pads.change(lambda: pads.control("drawing").locator(".course-clear").click())
    assert not ink(pads).any()
    pads.control("drawing").locator(".course-draw").click()


def test_drawing_by_keyboard(pads):
    pads.square("drawing").focus()
    pads.change(lambda: pads.page.keyboard.press("Space"))
    first = ink(pads)
    assert first[14, 14] == 255
    for _ in range(5):
        pads.page.keyboard.press("ArrowDown")
    pads.change(lambda: pads.page.keyboard.press("Space"))
    assert ink(pads)[19, 14] == 255 and ink(pads)[14, 14] == 255
    pads.change(lambda: pads.page.keyboard.press("Delete"))
    assert not ink(pads).any()
