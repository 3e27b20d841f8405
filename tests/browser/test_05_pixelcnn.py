"""Notebook 05 as a class sees it: run in JupyterLab, digits erased, painted and completed."""

import io
import itertools
import time

import lab
import numpy as np
import pytest
from PIL import Image

pytestmark = [pytest.mark.browser, pytest.mark.notebook, pytest.mark.slow]

NOTEBOOK = "05_pixelcnn.ipynb"
OPEN = (0, 114, 178)  # the colour of an unknown pixel
BACK_AND_FORTH = ["ArrowRight"] * 8 + ["ArrowLeft"] * 8


@pytest.fixture
def completer(play):
    return play("completer")


def blue(completer):
    """Return the share of the picture that is not written yet."""
    shown = np.asarray(Image.open(io.BytesIO(completer.pixels())).convert("RGB"))
    return np.mean(np.all(shown == OPEN, axis=-1))


def unknown(completer):
    """Return how many pixels the caption says are unknown."""
    return int(completer.caption().split(": ")[1].split(" of ")[0])


def wait_done(completer, timeout=60):
    completer.page.wait_for_function(
        "root => root.querySelector('.course-cancel').disabled",
        arg=completer.root.element_handle(),
        timeout=timeout * 1000,
    )
    completer.wait_still()


def test_it_opens_with_completions(completer):
    assert "8 completions for any class" in completer.caption()
    assert blue(completer) == 0 and unknown(completer) == 392


def test_by_keyboard(completer):
    for name, key in [
        ("digit", "ArrowRight"),
        ("hide", "ArrowRight"),
        ("reset", "Enter"),
    ]:
        completer.press(name, key)
    completer.square("given").focus()
    completer.page.keyboard.press("ArrowUp")
    completer.change(lambda: completer.page.keyboard.press("Space"))
    assert completer.caption().startswith("Your drawing")
    completer.handle("start").focus()
    completer.change(lambda: completer.page.keyboard.press("Enter"))
    wait_done(completer)
    assert completer.message() == "" and blue(completer) == 0


def test_the_drawing_can_be_watched(completer):
    """Rows appear one after another, the first within a second."""
    completer.press("digit", "ArrowRight")
    empty = blue(completer)
    begin = time.monotonic()
    completer.change(lambda: completer.control("start").click())
    first = time.monotonic() - begin
    seen = [empty, blue(completer)]
    while completer.control("cancel").is_enabled() and time.monotonic() - begin < 60:
        seen.append(blue(completer))
    wait_done(completer)
    seen.append(blue(completer))
    whole = time.monotonic() - begin
    print(f"the first rows after {first:.2f} s, all after {whole:.1f} s")
    assert first < 1 and empty > 0.1 and seen[-1] == 0
    assert all(later <= earlier for earlier, later in itertools.pairwise(seen))
    assert len(set(seen)) > 3


def test_cancel_leaves_what_was_written(completer):
    completer.press("hide", "ArrowRight")  # the upper half: particles foresee the lower one
    empty = blue(completer)
    completer.change(lambda: completer.control("start").click())
    completer.control("cancel").click()
    wait_done(completer)
    assert "Cancelled" in completer.message() and 0 < blue(completer) < empty
    assert "Press Complete" in completer.caption()


def test_class_temperature_and_seed_change_the_completions(completer):
    completer.press("digit", "ArrowRight")
    seen = []
    for name in ("class", "temperature", "seed"):
        completer.handle(name).focus()
        completer.page.keyboard.press("ArrowRight")
        completer.wait_still()
        assert "Press Complete" in completer.caption()
        completer.change(lambda: completer.control("start").click())
        wait_done(completer)
        assert blue(completer) == 0
        seen.append(completer.pixels())
    assert len(set(seen)) == 3
    assert "class 0, temperature 1.1, seed 1" in completer.caption()


def test_brushes_for_ink_paper_and_the_unknown(completer):
    completer.press("hide", "End")
    assert unknown(completer) == 0
    completer.control("given").locator(".course-unknown").click()
    completer.drag("given", (0.2, 0.5), (0.8, 0.5))
    hole = unknown(completer)
    assert hole > 60 and blue(completer) > 0
    completer.control("given").locator(".course-draw").click()
    completer.drag("given", (0.2, 0.5), (0.5, 0.5))
    inked = unknown(completer)
    assert 0 < inked < hole
    completer.control("given").locator(".course-erase").click()
    completer.drag("given", (0.2, 0.5), (0.8, 0.5))
    assert unknown(completer) < inked
    completer.change(lambda: completer.control("given").locator(".course-clear").click())
    assert unknown(completer) == 0 and completer.caption().startswith("Your drawing")


def test_latency_of_the_digit(completer):
    lab.check_latency(
        "the completer, digit", lambda: completer.latencies("digit", BACK_AND_FORTH), budget=80
    )
