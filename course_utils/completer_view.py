"""What the completer of notebook 05 shows, and its controls."""

from collections import OrderedDict
from collections.abc import Iterator

import ipywidgets
import numpy as np

from course_utils import _holes, pads, pixels
from course_utils._memory import remember

ANY = "any"
COMPLETIONS = 8
PARTICLES = 48  # written side by side for each completion, where pixels after the hole are known
HIDES = _holes.HIDES
_ZOOM = 5


def controls(view: "CompleterView") -> dict:
    """Make the controls of the completer: digit, what is hidden, class, temperature, seed, pad."""
    first = view.first
    return {
        "digit": ipywidgets.IntSlider(
            first["digit"], 0, len(view.rasters) - 1, description="Test digit"
        ),
        # not Dropdowns: JupyterLab takes their arrow keys to move from cell to cell
        "hide": ipywidgets.SelectionSlider(options=HIDES, description="Hide"),
        "class": ipywidgets.SelectionSlider(
            options=[ANY, *range(view.classes)] if view.classes else [ANY], description="Class"
        ),
        "temperature": ipywidgets.FloatSlider(
            first["temperature"],
            min=0.2,
            max=2.0,
            step=0.1,
            description="Temperature",
            readout_format=".1f",
        ),
        "seed": ipywidgets.IntSlider(first["seed"], 0, 99, description="Seed"),
        "given": pads.DrawPad(
            np.frombuffer(first["given"], np.uint8).reshape(view.side, view.side),
            description="What is given; blue is unknown",
            pixels=view.side,
            side=252,
            unknown=True,
        ),
    }


def adjust(view: "CompleterView", shell, name: str) -> None:
    """Lay another digit on the pad, or hide another part of it."""
    if name in ("digit", "hide"):
        state = shell.state()
        shell.controls["given"].raster = view.given(state["digit"], state["hide"])


class CompleterView:
    """What the completer of notebook 05 shows for one state, without any widget.

    Args:
        sampler, images, labels: as in `widgets.digit_completer`.

    Calling it with a state draws the picture, `complete` yields pictures while the model writes,
    and `describe` says the state in words. What has been written is remembered.

    A state maps "digit" (index), "class" (`ANY` or a number), "temperature", "seed" and "given"
    (`(side, side)` uint8 as bytes: 0 for paper, `pads.UNKNOWN`, 255 for ink) to their values.
    """

    def __init__(self, sampler: pixels.PixelSampler, images, labels):
        rows, columns = sampler.plan.shape
        self.side = rows * sampler.alphabet.side
        images, labels = np.asarray(images), np.asarray(labels)
        size = (self.side, self.side, 1)
        if rows != columns or images.shape[1:] != size or not len(images):
            raise ValueError(
                "digit_completer needs a sampler of square pictures, and pictures of its size, "
                f"(n, {self.side}, {self.side}, 1); received a sampler of {sampler.plan.shape} "
                f"symbols and pictures of shape {images.shape}."
            )
        if labels.shape != images.shape[:1] or not np.issubdtype(labels.dtype, np.integer):
            raise ValueError(
                f"digit_completer needs one whole number as label for each of {len(images)} "
                f"pictures; received {labels.shape} of {labels.dtype}."
            )
        self._sampler, self._labels = sampler, labels
        half = 128 if images.dtype == np.uint8 else 0.5
        self.rasters = np.where(images[..., 0] >= half, 255, 0).astype(np.uint8)
        self.classes = sampler.classes
        self._done: OrderedDict = OrderedDict()
        given = self.given(0, HIDES[0]).tobytes()
        self.first = {"digit": 0, "hide": HIDES[0], "class": ANY, "temperature": 1.0, "seed": 0,
                      "given": given}  # fmt: skip
        for _ in self.complete(self.first):  # for readers without a kernel
            pass

    def given(self, digit: int, hide: str) -> np.ndarray:
        """Return a digit with a part hidden, `(side, side)` uint8.

        Args:
            digit: its index.
            hide: one of `HIDES`.
        """
        return _holes.hidden(self.rasters[digit], hide)

    def __call__(self, state: dict) -> np.ndarray:
        """Draw the completions of a state where they have been written, else what is given."""
        done = self._done.get(self._key(state))
        return self._draw(state, done, self.side)

    def complete(self, state: dict) -> Iterator[tuple[float, np.ndarray]]:
        """Yield (share done, picture) after each row that the model has written."""
        picture, known = self._known(state)
        rows, alphabet = self._sampler.plan.shape[0], self._sampler.alphabet
        label = None if state["class"] == ANY else state["class"]
        work = pixels.completing(
            self._sampler, picture[None, ..., None], known[None, ..., None], label, COMPLETIONS,
            state["seed"], temperature=round(state["temperature"], 2), particles=PARTICLES,
        )  # fmt: skip
        for row, symbols in work:
            drawn = alphabet.decode(symbols)[..., 0]
            if row + 1 == rows:
                remember(self._done, self._key(state), lambda drawn=drawn: drawn)
            yield (row + 1) / rows, self._draw(state, drawn, (row + 1) * alphabet.side)

    def still(self, state: dict) -> np.ndarray:
        """Draw what is given beside its completions, for readers without a kernel."""
        return _holes.beside(_holes.coloured(self._raster(state), None), self(state))

    def describe(self, state: dict) -> str:
        """Say in words what the picture shows."""
        _, known = self._known(state)
        open_pixels = int(np.count_nonzero(~known))
        subject = "Your drawing"
        raster = self._raster(state)
        if not np.any(known & (raster != self.rasters[state["digit"]])):
            subject = f"Test digit {state['digit']}, labelled {self._labels[state['digit']]}"
        text = f"{subject}: {open_pixels} of {known.size} pixels are unknown. "
        if self._key(state) not in self._done:
            return text + "Press Complete."
        asked = "any class" if state["class"] == ANY else f"class {state['class']}"
        return text + (
            f"{COMPLETIONS} completions for {asked}, temperature {state['temperature']:.1f}, "
            f"seed {state['seed']}; what the model wrote is orange."
        )

    def _key(self, state):
        temperature = round(state["temperature"], 2)
        return bytes(state["given"]), state["class"], temperature, state["seed"]

    def _raster(self, state):
        return np.frombuffer(state["given"], np.uint8).reshape(self.side, self.side)

    def _known(self, state):
        """Return ink as float32 in {0, 1}, and where it is known, both `(side, side)`."""
        raster = self._raster(state)
        return (raster > pads.UNKNOWN).astype(np.float32), raster != pads.UNKNOWN

    def _draw(self, state, drawn, until):
        title = "Press Complete: the model writes what is blue"
        if drawn is not None:
            title = "Completions; what the model wrote is orange"
        raster, each = self._raster(state), [None] * COMPLETIONS if drawn is None else drawn
        return _holes.sheet(title, [_holes.coloured(raster, one, until) for one in each], _ZOOM)
