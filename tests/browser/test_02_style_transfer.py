"""Notebook 02 as a class sees it: run in JupyterLab, and its studio played with."""

import io

import lab
import numpy as np
import pytest
from PIL import Image

from course_utils import runtime

pytestmark = [pytest.mark.browser, pytest.mark.notebook, pytest.mark.slow]

NOTEBOOK = "02_style_transfer.ipynb"
BACK_AND_FORTH = ["ArrowRight"] * 8 + ["ArrowLeft"] * 8


@pytest.fixture
def studio(play):
    return play("style")


def shown(widget):
    return np.asarray(Image.open(io.BytesIO(widget.pixels())).convert("RGB")).astype(int)


def test_by_keyboard(studio):
    for name, key in [
        ("content", "ArrowRight"),
        ("style", "ArrowRight"),
        ("blend", "End"),
        ("second", "Home"),
        ("strength", "Home"),
        ("reset", "Enter"),
    ]:
        studio.press(name, key)
    assert studio.message() == ""
    assert "in the style of" in studio.caption()


def test_strength_zero_is_nearly_the_photograph(studio):
    before = shown(studio)
    studio.press("strength", "Home")
    assert "strength 0%" in studio.caption()
    assert np.abs(shown(studio) - before).mean() > 2


@pytest.mark.parametrize("name", ["style", "blend", "strength", "content"])
def test_latency_of_a_slider(studio, name):
    keys = BACK_AND_FORTH  # every round ends where it began
    if name == "blend":
        studio.press("blend", "End")
        keys = keys[::-1]
    if name == "strength":
        keys = keys[::-1]
    lab.check_latency(
        f"studio, {name}", lambda: studio.latencies(name, keys, may_stay=True), budget=200
    )


def test_refine_shows_its_progress_and_ends(studio):
    before = shown(studio)
    studio.change(lambda: studio.control("start").click())
    studio.page.wait_for_function(
        "root => root.querySelector('.course-cancel').disabled",
        arg=studio.root.element_handle(),
        timeout=120_000,
    )
    assert studio.message() == ""
    assert np.abs(shown(studio) - before).mean() > 1


def test_refine_can_be_cancelled_and_a_slider_ends_it_too(studio):
    studio.change(lambda: studio.control("start").click())
    studio.control("cancel").click()
    studio.page.wait_for_timeout(1500)
    assert "Cancelled" in studio.message()
    studio.change(lambda: studio.control("start").click())
    studio.press("strength", "ArrowLeft")
    studio.page.wait_for_timeout(1000)
    assert "strength 95%" in studio.caption() and studio.message() == ""


def test_own_pictures(studio, tmp_path):
    photo = tmp_path / "phone.jpg"
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8))
    small.resize((4000, 3000)).save(photo)  # twelve megapixels
    icon = tmp_path / "icon.png"
    small.resize((16, 16)).convert("RGBA").save(icon)
    studio.change(lambda: studio.upload("own_content", photo))
    assert studio.caption().startswith("Your picture")
    studio.change(lambda: studio.upload("own_style", icon))
    assert "your style" in studio.caption()
    text = tmp_path / "notes.jpg"
    text.write_text("no picture")
    studio.upload("own_content", text)
    studio.page.wait_for_timeout(800)
    assert "notes.jpg" in studio.message() and "not a picture" in studio.message()


def test_the_profile_of_the_run_was_the_students(notebook):
    assert runtime.profile() == "lesson"
    notebook.check()
