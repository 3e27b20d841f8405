"""Notebook 01 as a class sees it: run in JupyterLab, and its widget moved in every way."""

import lab
import numpy as np
import pytest
from PIL import Image

pytestmark = [pytest.mark.browser, pytest.mark.notebook, pytest.mark.slow]

BACK_AND_FORTH = ["ArrowRight"] * 10 + ["ArrowLeft"] * 10


@pytest.fixture(scope="module")
def notebook(open_notebook):
    opened = open_notebook(lab.NOTEBOOKS / "01_cnn.ipynb")
    seconds = opened.run_all(timeout=420)
    print(f"01_cnn.ipynb ran in {seconds:.0f} s")
    return opened


@pytest.fixture
def explorer(notebook):
    widget = notebook.widget("cnn")
    yield widget
    widget.control("reset").click()
    notebook.page.wait_for_timeout(300)
    notebook.check()


def test_by_keyboard(explorer):
    for name, key in [
        ("picture", "ArrowRight"),
        ("layer", "ArrowLeft"),
        ("channel", "ArrowRight"),
        ("channel", "Home"),
        ("saliency", "ArrowRight"),
        ("saliency", "ArrowRight"),
        ("saliency", "Home"),
        ("picture", "End"),
        ("reset", "Enter"),
    ]:
        explorer.press(name, key)
    assert explorer.message() == ""
    assert "taken for" in explorer.caption()


def drag_to(explorer, name, share):
    """Drag a slider's handle to a share of its track."""
    handle = explorer.handle(name).bounding_box()
    track = explorer.control(name).locator(".noUi-base").bounding_box()
    y = handle["y"] + handle["height"] / 2
    explorer.page.mouse.move(handle["x"] + handle["width"] / 2, y)
    explorer.page.mouse.down()
    explorer.page.mouse.move(track["x"] + share * track["width"], y, steps=8)
    explorer.page.mouse.up()


def test_by_mouse(explorer):
    for name, share in [
        ("picture", 0.6),
        ("layer", 0.1),
        ("channel", 0.5),
        ("channel", 0),
        ("saliency", 0.5),
        ("saliency", 1),
        ("saliency", 0),
    ]:
        explorer.change(lambda name=name, share=share: drag_to(explorer, name, share))
        explorer.page.wait_for_timeout(300)
    before = explorer.source()
    for share in (0.5, 1):  # one of the two is not the class that is explained already
        drag_to(explorer, "class", share)
        explorer.page.wait_for_timeout(300)
    assert explorer.source() != before
    explorer.change(lambda: explorer.control("reset").click())


@pytest.mark.parametrize("name", ["layer", "picture", "channel"])
def test_latency_of_a_slider(explorer, name):
    keys = BACK_AND_FORTH * 2
    if name == "layer":
        explorer.handle("layer").focus()
        explorer.page.keyboard.press("Home")
        explorer.page.wait_for_timeout(300)
        steps = int(float(explorer.handle("layer").get_attribute("aria-valuemax")))
        keys = (["ArrowRight"] * steps + ["ArrowLeft"] * steps) * 3
    elif name == "picture":  # pictures not seen before: the network runs at each press
        last = int(float(explorer.handle("picture").get_attribute("aria-valuemax")))
        keys = ["ArrowRight"] * last + ["ArrowLeft"] * last
    lab.check_latency(
        f"explorer, {name}", lambda: explorer.latencies(name, keys, may_stay=name == "layer")
    )


def test_latency_of_a_class(explorer):
    keys = ["ArrowRight"] * 10 + ["ArrowLeft"] * 10
    lab.check_latency("explorer, class", lambda: explorer.latencies("class", keys, may_stay=True))


def test_latency_with_occlusion(explorer):
    explorer.press("saliency", "ArrowRight")
    lab.check_latency(
        "explorer, picture with occlusion",
        lambda: explorer.latencies("picture", BACK_AND_FORTH),
    )


def test_own_files(explorer, tmp_path):
    good, text, cut = (tmp_path / name for name in ("good.jpg", "notes.txt", "cut.png"))
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (300, 500, 3), np.uint8)).save(good)
    text.write_text("not a picture")
    Image.fromarray(rng.integers(0, 256, (200, 200, 3), np.uint8)).save(cut)
    cut.write_bytes(cut.read_bytes()[:3000])
    explorer.change(lambda: explorer.upload("own", good))
    assert explorer.caption().startswith("Your picture, taken for")
    shown = explorer.pixels()
    for path in (text, cut, text):
        explorer.upload("own", path)
        alert = explorer.control("message").locator("[role=alert]")
        alert.filter(has_text=path.name).wait_for()
        assert alert.inner_text().count("\n") == 0
        assert "Traceback" not in alert.inner_text()
        assert explorer.pixels() == shown
    explorer.press("layer", "ArrowLeft")
    assert explorer.message() == ""
