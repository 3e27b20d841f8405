"""The style studio without a browser, on a network that only tints and an optimiser that fades."""

import types

import numpy as np
import pytest

from course_utils import pictures, render, studio, widgets

RNG = np.random.default_rng(0)
CONTENTS = {
    "tall": RNG.random((90, 45, 3)).astype("float32"),
    "wide": RNG.random((30, 61, 3)).astype("float32"),
}
STYLES = {
    name: RNG.random((20, 20, 3)).astype("float32") for name in ("red_ink", "green_ink", "gold")
}
TINTS = np.eye(3, dtype="float32")


class Network:
    """Adds the colour of each style, by its weight, and remembers what it was asked."""

    def __init__(self):
        self.calls = []

    def __call__(self, images, weights):
        self.calls.append((images.shape, weights.copy()))
        assert images.dtype == weights.dtype == np.float32
        return 0.5 * images + 0.5 * (weights @ TINTS)[:, None, None, :]


class Refiner:
    """Goes from the start to black in four steps, and remembers what it was asked."""

    def __init__(self):
        self.calls = []

    def __call__(self, content, styles, blend, start, strength, layers):
        self.calls.append((content, styles, blend, start, strength, layers))
        for number in range(1, 5):
            yield types.SimpleNamespace(
                image=start * (1 - number / 4), share=number / 4, losses={"style": 4 - number}
            )


def state(**changes):
    return {
        "content": "tall",
        "style": "red_ink",
        "second": "gold",
        "blend": 0.0,
        "strength": 1.0,
        "layers": studio.ALL_LAYERS,
        "own_content": None,
        "own_style": None,
        **changes,
    }


@pytest.fixture
def network():
    return Network()


@pytest.fixture
def refiner():
    return Refiner()


@pytest.fixture
def view(network, refiner):
    return studio.StyleView(network, CONTENTS, STYLES, refiner, ["one", "two", "three"], size=64)


def last_weights(network):
    return network.calls[-1][1][0].tolist()


def test_contents_are_brought_to_sides_the_network_can_halve_twice(view, network):
    assert {name: x.shape for name, x in view.contents.items()} == {
        "tall": (64, 32, 3),
        "wide": (28, 64, 3),
    }
    assert {shape for shape, _ in network.calls} == {(1, 64, 32, 3), (1, 28, 64, 3)}  # compiled


@pytest.mark.parametrize(
    ("changes", "weights"),
    [
        ({}, [1, 0, 0]),
        ({"strength": 0.25}, [0.25, 0, 0]),
        ({"blend": 0.25}, [0.75, 0, 0.25]),
        ({"blend": 1.0, "strength": 0.5}, [0, 0, 0.5]),
        ({"second": "red_ink", "blend": 0.7}, [1, 0, 0]),
        ({"style": "gold", "second": "green_ink", "blend": 0.5}, [0, 0.5, 0.5]),
        ({"strength": 0.0}, [0, 0, 0]),
    ],
)
def test_the_state_is_what_the_network_gets(view, network, changes, weights):
    view(state(**changes))
    assert last_weights(network) == pytest.approx(weights)


def test_the_picture_shows_what_the_network_made(view, network):
    drawn = view(state(content="wide"))
    made = network(view.contents["wide"][None], TINTS[:1])[0]
    expected = render.studio_canvas(
        np.rint(255 * view.contents["wide"]).astype(np.uint8),
        [np.rint(255 * STYLES["red_ink"]).astype(np.uint8)],
        np.rint(255 * np.clip(made, 0, 1)).astype(np.uint8),
        content_title="wide", style_titles=["red ink"], result_title="strength 100%",
    )  # fmt: skip
    np.testing.assert_array_equal(drawn, expected)


def test_what_was_made_is_remembered(view, network):
    view(state())
    view(state(strength=0.5))
    count = len(network.calls)
    view(state())
    view(state(layers="one"))  # changes nothing that the network knows of
    assert len(network.calls) == count
    view(state(own_content=np.zeros((40, 40, 3), np.uint8)))
    assert len(network.calls) == count + 1


def test_the_caption_names_everything(view):
    text = view.describe(state(blend=0.25, strength=0.8))
    assert text == "tall in the style of red ink (75%) and gold (25%), strength 80%."
    assert view.describe(state(own_style=np.zeros((8, 8, 3), np.uint8))).startswith(
        "tall in the style of your style"
    )


def test_an_own_style_is_not_asked_of_the_network(view, network, refiner):
    own = RNG.integers(0, 256, (33, 21, 3), dtype=np.uint8)
    count = len(network.calls)
    view(state(own_style=own, blend=0.5))
    assert len(network.calls) == count
    list(view.refined(state(own_style=own, blend=0.25)))
    content, styles, blend, start, _, _ = refiner.calls[-1]
    np.testing.assert_array_equal(start, content)  # the optimiser starts from the content
    np.testing.assert_allclose(styles[0], own / 255, atol=1e-6)
    np.testing.assert_array_equal(styles[1], STYLES["gold"])
    assert blend == [0.75, 0.25]


def test_refine_starts_from_the_live_picture(view, network, refiner):
    steps = list(view.refined(state(blend=0.5, strength=0.6, layers="two")))
    assert [share for share, _ in steps] == [0.25, 0.5, 0.75, 1]
    assert all(picture.shape == (460, 760, 3) for _, picture in steps)
    content, styles, blend, start, strength, layers = refiner.calls[-1]
    np.testing.assert_array_equal(content, view.contents["tall"])
    expected = np.clip(network(content[None], np.float32([[0.3, 0, 0.3]]))[0], 0, 1)
    np.testing.assert_allclose(start, expected, atol=1e-6)
    assert len(styles) == 2 and blend == [0.5, 0.5]
    assert strength == 0.6 and layers == ("one", "two")
    list(view.refined(state()))
    assert refiner.calls[-1][-1] == ("one", "two", "three")


def test_a_thin_strip_and_an_icon_are_content_too(view):
    for shape in ((3, 300, 3), (16, 16, 3), (1, 1, 3)):
        assert view(state(own_content=np.full(shape, 90, np.uint8))).shape == (460, 760, 3)


@pytest.mark.parametrize(
    ("contents", "styles", "message"),
    [
        ({}, STYLES, "received 0 and 3"),
        (CONTENTS, {}, "received 2 and 0"),
        ({"grey": np.zeros((4, 4))}, STYLES, r"received \(4, 4\)"),
    ],
)
def test_pictures_are_needed(network, contents, styles, message):
    with pytest.raises(ValueError, match=message):
        studio.StyleView(network, contents, styles)


# --- the widget


def make_studio(network, **options):
    options = {"size": 64, **options}
    return widgets.style_studio(network, CONTENTS, STYLES, **options)


def test_the_widget_follows_its_controls(network):
    shell = make_studio(network)
    assert set(shell.controls) == {"content", "style", "second", "blend", "strength"}
    shell.controls["style"].value = "green_ink"
    assert last_weights(network) == [0, 1, 0]
    shell.controls["blend"].value = 1.0
    assert last_weights(network) == [0, 0, 1]


def test_refine_runs_in_the_widget(network, refiner):
    shell = make_studio(network, refine=refiner, layers=["one", "two"])
    shell.controls["layers"].value = "one"
    shell.start()
    assert shell.wait(5)
    assert refiner.calls[-1][-1] == ("one",)
    assert len(refiner.calls) == 1  # making the widget refines nothing


def test_own_files_and_the_sliders_that_bring_back_the_others(network, refiner):
    shell = make_studio(network, refine=refiner, layers=["one"], read=pictures.read_image)
    own = np.full((20, 30, 3), 128, np.uint8)
    shell.files["own_content"] = shell.files["own_style"] = own
    shell.controls["strength"].value = 0.5
    assert shell.files["own_content"] is own
    shell.controls["content"].value = "wide"
    assert shell.files["own_content"] is None and shell.files["own_style"] is own
    shell.controls["style"].value = "gold"
    assert shell.files["own_style"] is None
    shell.files["own_content"] = own
    shell.reset()
    assert shell.files == {"own_content": None, "own_style": None}
