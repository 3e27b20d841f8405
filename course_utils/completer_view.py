"""What the completer of notebook 05 shows, and its controls."""

from collections import OrderedDict
from collections.abc import Iterator

import ipywidgets
import numpy as np
from PIL import Image, ImageDraw

from course_utils import pads, pixels, render
from course_utils._memory import remember

ANY = "any"
COMPLETIONS = 8
PARTICLES = 48  # written side by side for each completion, where pixels after the hole are known
NOTHING, EVERYTHING = "nothing", "everything"
HIDES = ("lower half", "upper half", "right half", "middle", EVERYTHING, NOTHING)

_ZOOM, _GAP, _TOP, _LEFT = 5, 8, 34, 8
_COLUMNS = 4
_OPEN = render.BLUE  # not known, and not yet written
_WRITTEN = np.array([(60, 44, 0), (255, 190, 60)], np.uint8)  # paper and ink of the model


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
        raster, half = self.rasters[digit].copy(), self.side // 2
        quarter = self.side // 4
        hidden = {
            "lower half": np.s_[half:],
            "upper half": np.s_[:half],
            "right half": np.s_[:, half:],
            "middle": np.s_[quarter : half + quarter, quarter : half + quarter],
            EVERYTHING: np.s_[:],
            NOTHING: np.s_[:0],
        }[hide]
        raster[hidden] = pads.UNKNOWN
        return raster

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
        picture = self(state)
        given = Image.fromarray(self._coloured(*self._known(state), None, 0))
        side = len(picture) - 2 * _TOP
        beside = Image.new("RGB", (side + 2 * _LEFT, len(picture)), render.PAPER)
        beside.paste(given.resize((side, side), Image.Resampling.NEAREST), (_LEFT, _TOP))
        render.write(ImageDraw.Draw(beside), (_LEFT, 8), "Given", 15, bold=True)
        return np.concatenate([np.asarray(beside), picture], axis=1)

    def describe(self, state: dict) -> str:
        """Say in words what the picture shows."""
        _, known = self._known(state)
        open_pixels = int(np.count_nonzero(~known))
        subject = "Your drawing"
        raster = np.frombuffer(state["given"], np.uint8).reshape(self.side, self.side)
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

    def _known(self, state):
        """Return ink as float32 in {0, 1}, and where it is known, both `(side, side)`."""
        raster = np.frombuffer(state["given"], np.uint8).reshape(self.side, self.side)
        return (raster > pads.UNKNOWN).astype(np.float32), raster != pads.UNKNOWN

    def _coloured(self, picture, known, drawn, until):
        """Colour one picture, of which `drawn` holds the rows of pixels before `until`."""
        colours = np.repeat((picture * 255).astype(np.uint8)[..., None], 3, axis=-1)
        colours[~known] = _OPEN
        if drawn is not None:
            part = ~known[:until]
            colours[:until][part] = _WRITTEN[(drawn[:until][part] > 0.5).astype(int)]
        return colours

    def _draw(self, state, drawn, until):
        picture, known = self._known(state)
        tile = self.side * _ZOOM
        width = 2 * _LEFT + _COLUMNS * tile + (_COLUMNS - 1) * _GAP
        lines = -(-COMPLETIONS // _COLUMNS)
        canvas = Image.new("RGB", (width, _TOP + lines * (tile + _GAP)), render.PAPER)
        title = "Press Complete: the model writes what is blue"
        if drawn is not None:
            title = "Completions; what the model wrote is orange"
        render.write(ImageDraw.Draw(canvas), (_LEFT, 8), title, 15, bold=True)
        for number in range(COMPLETIONS):
            one = None if drawn is None else drawn[number]
            colours = self._coloured(picture, known, one, until)
            line, column = divmod(number, _COLUMNS)
            place = _LEFT + column * (tile + _GAP), _TOP + line * (tile + _GAP)
            canvas.paste(Image.fromarray(render.enlarge(colours, tile)), place)
        return np.asarray(canvas)
