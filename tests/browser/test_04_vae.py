"""Notebook 04 as a class sees it: run in JupyterLab, its map walked on, and digits drawn."""

import lab
import pytest

pytestmark = [pytest.mark.browser, pytest.mark.notebook, pytest.mark.slow]

NOTEBOOK = "04_vae.ipynb"
BACK_AND_FORTH = ["ArrowRight"] * 10 + ["ArrowLeft"] * 10


@pytest.fixture
def explorer(play):
    return play("latent")


@pytest.fixture
def encoder(play):
    return play("encoder")


def ground(explorer):
    """Return the address of the map below the point, which is a new one for each map."""
    return explorer.square("point").locator("img").get_attribute("src")


def wait_ground(explorer, before):
    explorer.page.wait_for_function(
        "([image, before]) => image.src !== before",
        arg=[explorer.square("point").locator("img").element_handle(), before],
    )


# --- the map


def test_the_map_by_keyboard(explorer):
    for name, key in [
        ("point", "ArrowRight"),
        ("point", "ArrowUp"),
        ("point", "Shift+ArrowLeft"),
        ("point", "ArrowDown"),
        ("point", "Home"),
        ("kl_weight", "ArrowRight"),
        ("kl_weight", "Home"),
        ("reset", "Enter"),
    ]:
        explorer.press(name, key)
    assert explorer.message() == ""
    assert "standard deviations from the centre" in explorer.caption()


def test_the_digit_follows_the_pointer(explorer):
    before, words = explorer.pixels(), explorer.caption()
    explorer.drag("point", (0.5, 0.5), (0.7, 0.3), (0.25, 0.6))
    assert explorer.pixels() != before and explorer.caption() != words
    place = explorer.square("point").get_attribute("aria-valuetext")
    assert f"Point ({place})" in explorer.caption()


def test_another_weight_or_background_changes_the_map(explorer):
    before = ground(explorer)
    explorer.press("kl_weight", "ArrowRight")
    wait_ground(explorer, before)
    before, shown = ground(explorer), explorer.pixels()
    explorer.handle("background").focus()
    explorer.page.keyboard.press("ArrowRight")
    wait_ground(explorer, before)
    assert explorer.pixels() == shown  # the digits are those of the same point
    before = ground(explorer)
    explorer.change(lambda: explorer.control("reset").click())
    wait_ground(explorer, before)


def test_latency_of_the_point(explorer):
    lab.check_latency(
        "the map, point", lambda: explorer.latencies("point", BACK_AND_FORTH * 2), budget=60
    )


def test_latency_of_the_weight(explorer):
    explorer.handle("kl_weight").focus()
    explorer.page.keyboard.press("Home")
    explorer.page.wait_for_timeout(300)
    steps = int(float(explorer.handle("kl_weight").get_attribute("aria-valuemax")))
    keys = (["ArrowRight"] * steps + ["ArrowLeft"] * steps) * 3
    lab.check_latency("the map, weight", lambda: explorer.latencies("kl_weight", keys))


# --- the encoder


def test_the_encoder_by_keyboard(encoder):
    for name, key in [
        ("digit", "ArrowRight"),
        ("kl_weight", "ArrowRight"),
        ("drawing", "Space"),
        ("digit", "End"),
        ("reset", "Enter"),
    ]:
        if name == "drawing":
            encoder.square("drawing").focus()
            for _ in range(8):
                encoder.page.keyboard.press("ArrowDown")
            encoder.change(lambda: encoder.page.keyboard.press("Space"))
            assert encoder.caption().startswith("Your drawing")
        else:
            encoder.press(name, key)
    assert encoder.message() == ""
    assert encoder.caption().startswith("Test digit 0, ")


def test_a_digit_is_drawn(encoder):
    encoder.change(lambda: encoder.control("drawing").locator(".course-clear").click())
    assert encoder.caption().startswith("Nothing is drawn")
    encoder.drag("drawing", (0.3, 0.25), (0.7, 0.25), (0.45, 0.8))  # a seven
    assert encoder.caption().startswith("Your drawing, scaled and centred")
    assert "KL divergence" in encoder.caption() and encoder.message() == ""
    encoder.change(lambda: encoder.control("drawing").locator(".course-clear").click())
    encoder.press("digit", "ArrowRight")
    assert encoder.caption().startswith("Test digit 1, ")


@pytest.mark.parametrize("name", ["digit", "kl_weight"])
def test_latency_of_the_encoder(encoder, name):
    keys = BACK_AND_FORTH
    if name == "kl_weight":
        encoder.handle(name).focus()
        encoder.page.keyboard.press("Home")
        encoder.page.wait_for_timeout(300)
        steps = int(float(encoder.handle(name).get_attribute("aria-valuemax")))
        keys = (["ArrowRight"] * steps + ["ArrowLeft"] * steps) * 3
    lab.check_latency(f"the encoder, {name}", lambda: encoder.latencies(name, keys))
