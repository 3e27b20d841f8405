"""Notebook 03 as a class sees it: run in JupyterLab, and its explorer played with."""

import io

import lab
import numpy as np
import pytest
from PIL import Image

from course_utils import runtime

pytestmark = [pytest.mark.browser, pytest.mark.notebook, pytest.mark.slow]

NOTEBOOK = "03_gan.ipynb"
BACK_AND_FORTH = ["ArrowRight"] * 9 + ["ArrowLeft"] * 9
LEFT_TO_RIGHT = ["ArrowLeft"] * 7 + ["ArrowRight"] * 9 + ["ArrowLeft"] * 2


@pytest.fixture
def explorer(play):
    return play("gan")


def digit(explorer):
    """Return the large digit of the picture, `(280, 280)`."""
    picture = np.asarray(Image.open(io.BytesIO(explorer.pixels())).convert("L")).astype(int)
    return picture[36:316, 12:292]


def slice_shown(explorer):
    return explorer.control("place").locator("img").get_attribute("src")


def test_by_keyboard(explorer):
    for name, key in [
        ("class", "ArrowRight"),
        ("seed", "ArrowRight"),
        ("threshold", "ArrowRight"),
        ("place", "Shift+ArrowLeft"),
        ("place", "ArrowUp"),
        ("reset", "Enter"),
    ]:
        explorer.press(name, key)
    assert explorer.message() == ""
    assert "The judge sees a 7" in explorer.caption()


def test_every_class_is_drawn_as_asked(explorer):
    explorer.press("threshold", "ArrowRight")  # no odd codes
    explorer.press("class", "Home")
    seen = [explorer.caption()]
    for _ in range(9):
        explorer.press("class", "ArrowRight")
        seen.append(explorer.caption())
    for number, caption in enumerate(seen):
        assert f"sees a {number} (" in caption and "as asked" in caption, caption


def test_the_slice_follows_class_and_seed_but_not_the_point(explorer):
    before = slice_shown(explorer)
    explorer.press("place", "ArrowRight")
    assert slice_shown(explorer) == before
    for name in ("class", "seed", "threshold"):
        explorer.press(name, "ArrowRight")
        explorer.page.wait_for_timeout(300)
        assert slice_shown(explorer) != before
        before = slice_shown(explorer)


def test_a_drag_moves_through_the_slice(explorer):
    first = digit(explorer)
    box = explorer.control("place").locator("[tabindex]").first.bounding_box()
    mouse = explorer.page.mouse
    mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    mouse.down()
    before = explorer.source()
    mouse.move(box["x"] + 0.9 * box["width"], box["y"] + 0.1 * box["height"], steps=8)
    explorer.wait_change(before)
    mouse.up()
    explorer.wait_still()
    assert np.abs(digit(explorer) - first).mean() > 5
    explorer.handle("place").focus()
    explorer.change(lambda: explorer.page.keyboard.press("Home"))
    np.testing.assert_array_equal(digit(explorer), first)


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("place", BACK_AND_FORTH),
        ("seed", BACK_AND_FORTH),
        ("class", LEFT_TO_RIGHT),
        ("threshold", ["ArrowRight"] * 7 + ["ArrowLeft"] * 7 + ["ArrowRight"] * 4),
    ],
)
def test_latency(explorer, name, keys):
    lab.check_latency(
        f"explorer, {name}", lambda: explorer.latencies(name, keys, may_stay=True), budget=60
    )


def test_the_profile_of_the_run_was_the_students(notebook):
    assert runtime.profile() == "lesson"
    notebook.check()
