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
        ("maps", "ArrowUp"),
        ("saliency", "ArrowDown"),
        ("saliency", "ArrowDown"),
        ("picture", "End"),
        ("reset", "Enter"),
    ]:
        explorer.press(name, key)
    assert explorer.message() == ""
    assert "taken for" in explorer.caption()


def test_by_mouse(explorer):
    for name in ("picture", "layer", "channel"):
        handle = explorer.handle(name).bounding_box()
        x, y = handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2

        def drag(x=x, y=y):
            explorer.page.mouse.move(x, y)
            explorer.page.mouse.down()
            explorer.page.mouse.move(x + 40, y, steps=8)
            explorer.page.mouse.up()

        explorer.change(drag)
        explorer.page.wait_for_timeout(200)
    explorer.change(lambda: explorer.handle("maps").select_option(index=0))
    explorer.change(lambda: explorer.handle("saliency").select_option("off"))
    explorer.change(lambda: explorer.handle("saliency").select_option("occlusion"))
    options = explorer.handle("class").locator("option").all_inner_texts()
    before = explorer.source()
    for option in options[1:3]:  # one of the two is not the class that is explained already
        explorer.handle("class").select_option(option)
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
        steps = explorer.handle("layer").evaluate("(e) => Number(e.ariaValueMax) || 0")
        steps = int(steps) or 5
        keys = (["ArrowRight"] * steps + ["ArrowLeft"] * steps) * 3
    elif name == "picture":  # pictures not seen before: the network runs at each press
        last = int(float(explorer.handle("picture").get_attribute("aria-valuemax")))
        keys = ["ArrowRight"] * last + ["ArrowLeft"] * last
    lab.check_latency(
        f"explorer, {name}", lambda: explorer.latencies(name, keys, may_stay=name == "layer")
    )


def test_latency_of_a_class(explorer):
    keys = ["ArrowDown"] * 10 + ["ArrowUp"] * 10
    lab.check_latency("explorer, class", lambda: explorer.latencies("class", keys, may_stay=True))


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
