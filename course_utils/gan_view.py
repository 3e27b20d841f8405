"""What the explorer of notebook 03 shows, and its controls."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable

import ipywidgets
import numpy as np
from PIL import Image, ImageDraw

from course_utils import pads, render, samplers, shells
from course_utils._memory import remember

REACH = 2.5  # from the centre of the slice to its edge, in lengths of the code
TILES = 5  # digits along each side of the map
NO_TRUNCATION = "off"
THRESHOLDS = (NO_TRUNCATION, "2", "1.5", "1", "0.7", "0.5", "0.3", "0.1")
REST_SECONDS = 0.15  # without a change, before the slice is drawn anew

_SIZE = (630, 330)  # width, height
_ZOOM = 10
_MARK = (213, 94, 0)  # Okabe and Ito's vermilion


def controls(view: "GanView") -> dict:
    """Make the controls of the explorer: class, seed, truncation, and a point on the slice."""
    first = {"class": min(7, view.classes - 1), "seed": 0, "threshold": NO_TRUNCATION}
    return {
        # not a Dropdown: JupyterLab takes its arrow keys to move from cell to cell
        "class": ipywidgets.SelectionSlider(
            options=list(range(view.classes)), value=first["class"], description="Class"
        ),
        "seed": ipywidgets.IntSlider(first["seed"], 0, 99, description="Seed"),
        "threshold": ipywidgets.SelectionSlider(options=THRESHOLDS, description="Truncation"),
        "place": pads.PointPad(
            extent=(-REACH, REACH, -REACH, REACH),
            picture=view.map(first),
            description="Slice of the space of codes around the seed's",
            side=320,
        ),
    }


class Explorer(shells.Live):
    """The shell of the explorer: the digit at once, the slice around it when the keys rest.

    A slice is 25 digits, so that drawing it at every change would make the next change wait.

    Args:
        view: what draws both.
    """

    def __init__(self, view: "GanView"):
        self._view, self._slice, self._timer = view, None, None
        super().__init__(
            view,
            controls(view),
            name="gan",
            alt="A slice of the space of codes, the digit at a point, and what the judge says.",
            describe=view.describe,
            still=view.still,
        )

    def _show(self) -> None:
        super()._show()
        state = self.state()
        shown, self._slice = self._slice, (state["class"], state["seed"], state["threshold"])
        if shown not in (None, self._slice):
            self._later(self._show_slice)

    def _show_slice(self) -> None:
        with self._report():
            self.controls["place"].show(self._view.map(self.state()))

    def _later(self, act: Callable[[], None]) -> None:
        """Act once nothing has changed for a moment; without a kernel's event loop, at once."""
        if self._timer is not None:
            self._timer.cancel()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            act()
        else:
            self._timer = loop.call_later(REST_SECONDS, act)


class GanView:
    """What the explorer of notebook 03 shows for one state, without any widget.

    Args:
        generator, probabilities, images, labels: as in `widgets.gan_explorer`.

    Calling it with a state draws the picture, `map` the slice of the space of codes, and `describe`
    says the state in words.
    """

    def __init__(self, generator, probabilities: Callable, images, labels):
        import tensorflow as tf

        shapes = [tuple(one.shape[1:]) for one in generator.inputs]
        if len(shapes) != 2 or len(shapes[0]) != 1 or len(shapes[1]) != 1 or shapes[0][0] < 3:
            raise ValueError(
                "gan_explorer needs a generator of codes (latent_dim,) and classes (classes,); "
                f"received one of {shapes}."
            )
        (self.latent_dim,), (self.classes,) = shapes
        images, labels = np.asarray(images), np.asarray(labels)
        if images.ndim != 4 or labels.shape != images.shape[:1]:
            raise ValueError(
                "gan_explorer needs training pictures (n, height, width, 1) and as many labels; "
                f"received {images.shape} and {labels.shape}."
            )
        missing = sorted(set(range(self.classes)) - set(labels.tolist()))
        if missing:
            raise ValueError(
                f"gan_explorer needs training pictures of each class; none of {missing}."
            )
        self._probabilities = probabilities
        self._seen: OrderedDict = OrderedDict()
        self._maps: OrderedDict = OrderedDict()
        self._run = tf.function(lambda z, classes: generator([z, classes], training=False))
        self._known = [
            images[labels == digit].reshape(-1, *images.shape[1:3]) for digit in range(self.classes)
        ]
        self._flat = [known.reshape(len(known), -1).astype(np.float32) for known in self._known]
        self._small = [_halved(known) for known in self._known]
        self._squares = [np.square(small).sum(axis=1) for small in self._small]
        centres = REACH * ((np.arange(TILES) + 0.5) * 2 / TILES - 1)
        x, y = np.meshgrid(centres, centres[::-1])
        self._places = np.stack([x, y], axis=-1).reshape(-1, 2)
        first = {"class": 0, "seed": 0, "threshold": NO_TRUNCATION, "place": (0.0, 0.0)}
        self.map(first)  # both sizes of batch compile now, not at the first key press
        self(first)

    def __call__(self, state: dict) -> np.ndarray:
        """Draw the state: `(330, 630, 3)` uint8.

        Args:
            state: "class" (what is asked for), "seed" (of the code at the centre and of the two
                directions), "threshold" (one of `THRESHOLDS`) and "place" (x, y) on the slice.
        """
        digit, probabilities, nearest, distance = self._look(state)
        canvas = Image.new("RGB", _SIZE, render.PAPER)
        draw = ImageDraw.Draw(canvas)
        left, top, side = 12, 36, 28 * _ZOOM
        render.write(draw, (left, 10), f"Asked for: {state['class']}", 16, bold=True)
        canvas.paste(Image.fromarray(_enlarged(digit, _ZOOM)), (left, top))
        x = left + side + 28
        render.write(draw, (x, 10), "What the judge takes it for", 16, bold=True)
        names = [str(number) for number in range(self.classes)]
        bars = render.probability_bars(
            probabilities, names, width=_SIZE[0] - x - 8, height=96, top=3
        )
        canvas.paste(Image.fromarray(bars), (x, top - 4))
        y = top + 116
        render.write(draw, (x, y), "Closest training digit of its class", 16, bold=True)
        canvas.paste(Image.fromarray(_enlarged(nearest, 5)), (x, y + 26))
        render.write(draw, (x + 154, y + 28), f"{distance:.1f} away", 15)
        render.write(draw, (x + 154, y + 50), f"of {len(self._flat[state['class']]):,}", 15)
        return np.asarray(canvas)

    def map(self, state: dict) -> np.ndarray:
        """Draw the slice of the space of codes around the one at the centre, `(h, w)` uint8."""
        key = state["class"], state["seed"], state["threshold"]
        return remember(self._maps, key, lambda: self._map_anew(state))

    def _map_anew(self, state):
        digits = self._digits(state, self._places)
        rows = digits.reshape(TILES, TILES, *digits.shape[1:3]).transpose(0, 2, 1, 3)
        return _to_bytes(rows.reshape(TILES * digits.shape[1], TILES * digits.shape[2]))

    def still(self, state: dict) -> np.ndarray:
        """Draw map and picture side by side, for readers without a kernel."""
        picture = self(state)
        drawn = Image.fromarray(_enlarged(self.map(state) / 255, 1))
        drawn = drawn.resize((picture.shape[0],) * 2, Image.Resampling.BILINEAR)
        draw = ImageDraw.Draw(drawn)
        x, y = (drawn.width * (0.5 + part / (2 * REACH)) for part in state["place"])
        y = drawn.height - y
        draw.ellipse((x - 8, y - 8, x + 8, y + 8), outline=_MARK, width=3)
        return np.concatenate([np.asarray(drawn), picture], axis=1)

    def describe(self, state: dict) -> str:
        """Say in one line what the picture shows."""
        _, probabilities, _, distance = self._look(state)
        seen = int(np.argmax(probabilities))
        right = "as asked" if seen == state["class"] else f"not the {state['class']} asked for"
        return (
            f"The judge sees a {seen} ({probabilities[seen]:.0%}), {right}. The closest training "
            f"digit of class {state['class']} is {distance:.1f} away."
        )

    def _look(self, state):
        """Return the digit, what the judge says, the closest training digit and its distance."""
        key = state["class"], state["seed"], state["threshold"], tuple(state["place"])
        return remember(self._seen, key, lambda: self._look_anew(state))

    def _look_anew(self, state):
        digit = self._digits(state, np.asarray([state["place"]]))[0]  # (28, 28)
        probabilities = np.asarray(self._probabilities(digit[None, ..., None]))[0]
        label, flat = state["class"], digit.reshape(-1)
        # Averaging never makes distances larger, so half the size gives a lower bound of each; only
        # pictures whose bound is below the distance of one of them need a closer look.
        small = _halved(digit[None])[0]
        # einsum: for so little work the threads of `@` cost more than they save, 8 ms for 0.3
        products = np.einsum("ij,j->i", self._small[label], small)
        bounds = 4 * (self._squares[label] - 2 * products + np.sum(small**2))
        first = np.linalg.norm(self._flat[label][np.argmin(bounds)] - flat)
        near = np.flatnonzero(bounds <= first**2 * (1 + 1e-4) + 1e-4)
        distances = np.linalg.norm(self._flat[label][near] - flat, axis=1)
        nearest, distance = near[np.argmin(distances)], float(distances.min())
        return digit, probabilities, self._known[label][nearest], distance

    def _digits(self, state, places):
        """Draw the digits at places of the slice, `(n, 28, 28)` float in [0, 1]."""
        centre = np.random.default_rng(state["seed"]).normal(size=self.latent_dim)
        codes = samplers.latent_slice(centre, places, seed=state["seed"])
        threshold = state["threshold"]
        codes = samplers.truncate(codes, None if threshold == NO_TRUNCATION else float(threshold))
        classes = np.zeros((len(places), self.classes), np.float32)
        classes[:, state["class"]] = 1
        return np.clip((np.asarray(self._run(codes, classes))[..., 0] + 1) / 2, 0, 1)


def _halved(pictures):
    """Average blocks of 2 x 2 pixels: `(n, h, w)` to rows `(n, h w / 4)`."""
    n, height, width = pictures.shape
    blocks = pictures[:, : height // 2 * 2, : width // 2 * 2]
    blocks = blocks.reshape(n, height // 2, 2, width // 2, 2).mean(axis=(2, 4))
    return blocks.reshape(n, -1).astype(np.float32)


def _to_bytes(values):
    return np.rint(255 * np.clip(values, 0, 1)).astype(np.uint8)


def _enlarged(digit, factor):
    """Repeat each pixel, and make grey levels colours: `(h, w)` to `(h f, w f, 3)` uint8."""
    grey = np.repeat(np.repeat(_to_bytes(digit), factor, axis=0), factor, axis=1)
    return np.repeat(grey[..., None], 3, axis=-1)
