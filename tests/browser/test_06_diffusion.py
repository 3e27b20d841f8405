"""Notebook 06 as a class sees it: run in JupyterLab, walks scrubbed and drawn, holes filled in."""

import lab
import pytest

pytestmark = [pytest.mark.browser, pytest.mark.notebook, pytest.mark.slow]

NOTEBOOK = "06_diffusion.ipynb"
BACK_AND_FORTH = ["ArrowLeft"] * 12 + ["ArrowRight"] * 12


@pytest.fixture
def explorer(play):
    return play("diffusion")


@pytest.fixture
def inpainter(play):
    return play("inpainter")


def wait_words(widget, words, timeout=30):
    """Wait until the line below the picture says something."""
    widget.page.wait_for_function(
        "([line, words]) => line.innerText.includes(words)",
        arg=[widget.control("caption").element_handle(), words],
        timeout=timeout * 1000,
    )


def step(explorer):
    return int(float(explorer.handle("step").get_attribute("aria-valuenow")))


# --- the explorer


def test_the_slider_scrubs_through_the_first_walk(explorer):
    assert explorer.caption().startswith("The result of DPM-Solver++ with 20 steps")
    result = explorer.pixels()
    explorer.press("step", "Home")
    assert explorer.caption().startswith("Step 0 of 20, t = 999: 0.0% of")
    seen = {explorer.pixels()}
    for _ in range(20):
        explorer.press("step", "ArrowRight")
        seen.add(explorer.pixels())
    assert len(seen) == 21 and explorer.pixels() == result
    assert explorer.message() == ""


def test_another_seed_is_drawn_by_keyboard(explorer):
    first = explorer.pixels()
    explorer.press("seed", "ArrowRight")
    assert "Press Draw" in explorer.caption() and step(explorer) == 0
    explorer.handle("start").focus()
    explorer.change(lambda: explorer.page.keyboard.press("Enter"))
    wait_words(explorer, "The result of")
    assert step(explorer) == 20 and "seed 1" in explorer.caption()
    assert explorer.pixels() != first
    explorer.press("step", "ArrowLeft")  # the new walk can be scrubbed
    explorer.press("seed", "ArrowLeft")
    assert explorer.pixels() == first  # and the old one is remembered


@pytest.mark.parametrize(
    ("name", "key", "words"),
    [
        ("class", "ArrowRight", "no class"),
        ("guidance", "ArrowRight", "guidance 2.0"),
        ("sampler", "ArrowRight", "DDIM"),
        ("steps", "ArrowLeft", "10 steps"),
    ],
)
def test_every_setting_asks_for_another_walk(explorer, name, key, words):
    explorer.press(name, key)
    assert "Press Draw" in explorer.caption() and words in explorer.caption()
    explorer.change(lambda: explorer.control("start").click())
    wait_words(explorer, "The result of")
    assert words in explorer.caption() and explorer.message() == ""


def test_a_long_walk_is_cancelled(explorer):
    explorer.handle("steps").focus()
    explorer.change(lambda: explorer.page.keyboard.press("End"))
    explorer.change(lambda: explorer.control("start").click())
    cancel = explorer.control("cancel")
    assert cancel.is_enabled()
    cancel.click()
    explorer.page.wait_for_function(
        "(line) => line.innerText.includes('Cancelled.')",
        arg=explorer.control("message").element_handle(),
    )
    assert cancel.is_disabled() and step(explorer) == 0


def test_latency_of_scrubbing(explorer):
    lab.check_latency(
        "the walk, step", lambda: explorer.latencies("step", BACK_AND_FORTH), budget=60
    )


def test_latency_of_the_seed(explorer):
    # a walk that was not drawn shows its noise
    keys = ["ArrowRight"] * 9 + ["ArrowLeft"] * 9
    lab.check_latency("the walk, seed", lambda: explorer.latencies("seed", keys), budget=60)


# --- the inpainter


def test_a_hidden_part_is_filled_in_by_keyboard(inpainter):
    assert "What the model drew is orange" in inpainter.caption()
    for name, key in [
        ("digit", "ArrowRight"),
        ("hide", "ArrowRight"),
        ("digit", "ArrowRight"),
    ]:
        inpainter.press(name, key)
        assert "Press Fill in" in inpainter.caption()
    inpainter.handle("start").focus()
    inpainter.change(lambda: inpainter.page.keyboard.press("Enter"))
    wait_words(inpainter, "What the model drew is orange")
    assert inpainter.caption().startswith("Test digit 2, ") and inpainter.message() == ""


def test_a_hole_is_painted_and_filled_in_as_asked(inpainter):
    inpainter.handle("hide").focus()
    inpainter.change(lambda: inpainter.page.keyboard.press("End"))
    assert ": 0 of 784 pixels are unknown" in inpainter.caption()
    inpainter.control("given").locator(".course-unknown").click()
    box = inpainter.control("given").locator("[tabindex]").first.bounding_box()
    mouse = inpainter.page.mouse
    before = inpainter.source()
    mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.5 * box["height"])
    mouse.down()
    mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 0.5 * box["height"], steps=6)
    mouse.up()
    inpainter.wait_change(before)
    inpainter.wait_still()
    assert ": 0 of 784" not in inpainter.caption() and "Test digit 0" in inpainter.caption()
    inpainter.handle("class").focus()
    inpainter.page.keyboard.press("ArrowRight")
    inpainter.change(lambda: inpainter.control("start").click())
    wait_words(inpainter, "for class 0")
    assert inpainter.message() == ""


def test_filling_in_is_cancelled(inpainter):
    inpainter.press("hide", "ArrowRight")
    inpainter.handle("resample").focus()
    inpainter.page.keyboard.press("End")
    inpainter.page.wait_for_timeout(300)
    inpainter.change(lambda: inpainter.control("start").click())
    inpainter.control("cancel").click()
    inpainter.page.wait_for_function(
        "(line) => line.innerText.includes('Cancelled.')",
        arg=inpainter.control("message").element_handle(),
    )
    assert "Press Fill in" in inpainter.caption()
