"""What the inpainter of notebook 06 shows, and its controls."""

from collections import OrderedDict
from collections.abc import Iterator

import ipywidgets
import numpy as np

from course_utils import _holes, diffusion, pads, slow
from course_utils._memory import remember

ANY = "any"
WAYS = 8
STEPS = 20
HIDES = tuple(part for part in _holes.HIDES if part != _holes.EVERYTHING)
RESAMPLES = (1, 2, 3, 5, 10)

_ZOOM = 4


class InpainterView:
    """What the inpainter of notebook 06 shows for one state, without any widget.

    Args:
        denoiser, images, labels: as in `widgets.digit_inpainter`.

    Calling it with a state draws the picture, `fill` yields pictures while the model works, and
    `describe` says the state in words. What has been filled in is remembered.

    A state maps "digit" (index), "class" (`ANY` or a number), "resample", "seed" and "given"
    (`(side, side)` uint8 as bytes, `pads.UNKNOWN` where nothing is known) to their values.
    """

    def __init__(self, denoiser: diffusion.Denoiser, images, labels):
        images, labels = np.asarray(images), np.asarray(labels)
        square = images.ndim == 4 and images.shape[1] == images.shape[2] and images.shape[3] == 1
        if not square or not len(images) or labels.shape != images.shape[:1]:
            raise ValueError(
                "digit_inpainter needs pictures (n, side, side, 1) and as many labels; received "
                f"{images.shape} and {labels.shape}."
            )
        self._denoiser, self._labels, self.side = denoiser, labels, images.shape[1]
        most = 1 if images.dtype == np.uint8 else 255
        levels = np.rint(most * images[..., 0]).astype(np.uint8)
        # one grey level is lost to the mark of what is unknown
        self.pictures = np.where(levels == pads.UNKNOWN, pads.UNKNOWN - 1, levels).astype(np.uint8)
        self._filled: OrderedDict = OrderedDict()
        self.first = {"digit": 0, "hide": HIDES[0], "class": ANY, "resample": 5, "seed": 0,
                      "given": self.given(0, HIDES[0]).tobytes()}  # fmt: skip
        for _ in self.fill(self.first):  # for readers without a kernel; and it compiles
            pass

    def given(self, digit: int, hide: str) -> np.ndarray:
        """Return a digit with a part hidden, `(side, side)` uint8.

        Args:
            digit: its index.
            hide: one of `HIDES`.
        """
        return _holes.hidden(self.pictures[digit], hide)

    def __call__(self, state: dict) -> np.ndarray:
        """Draw what was filled in, or, where nothing was yet, what is given: `(h, w, 3)` uint8."""
        return self._draw(state, self._filled.get(self._key(state)))

    def fill(self, state: dict) -> Iterator[tuple[float, np.ndarray]]:
        """Yield (share done, picture) each time that the network was asked."""
        if (filled := self._filled.get(self._key(state))) is not None:
            yield 1.0, self._draw(state, filled)
            return
        raster, known = self._given(state)
        pictures = np.broadcast_to(raster / 127.5 - 1, (WAYS, self.side, self.side))[..., None]
        total = (STEPS - 1) * state["resample"] + 1

        def work(callback):
            return diffusion.inpaint(
                self._denoiser, pictures, known[None, ..., None], steps=STEPS, seed=state["seed"],
                labels=None if state["class"] == ANY else state["class"],
                resample=state["resample"], callback=callback,
            )  # fmt: skip

        for kind, news in slow.stepwise(work):
            i, guess = (total, news) if kind == "result" else (news[0], news[3])
            drawn = np.rint(127.5 * np.clip(guess[..., 0] + 1, 0, 2)).astype(np.uint8)
            if kind == "result":
                remember(self._filled, self._key(state), lambda drawn=drawn: drawn)
            yield i / total, self._draw(state, drawn)

    def still(self, state: dict) -> np.ndarray:
        """Draw what is given beside what was made of it, for readers without a kernel."""
        raster, _ = self._given(state)
        return _holes.beside(_holes.coloured(raster, None), self(state))

    def describe(self, state: dict) -> str:
        """Say in words what the picture shows."""
        raster, known = self._given(state)
        subject = "Your drawing"
        if np.array_equal(raster[known], self.pictures[state["digit"]][known]):
            subject = f"Test digit {state['digit']}, labelled {self._labels[state['digit']]}"
        text = f"{subject}: {np.count_nonzero(~known)} of {known.size} pixels are unknown. "
        if self._key(state) not in self._filled:
            return text + "Press Fill in."
        asked = "any class" if state["class"] == ANY else f"class {state['class']}"
        times = {1: "once", 2: "twice"}.get(state["resample"], f"{state['resample']} times")
        return text + (
            f"Filled in {WAYS} ways for {asked}: {STEPS} steps, each taken {times}, seed "
            f"{state['seed']}. What the model drew is orange."
        )

    def _key(self, state):
        return bytes(state["given"]), state["class"], state["resample"], state["seed"]

    def _given(self, state):
        raster = np.frombuffer(state["given"], np.uint8).reshape(self.side, self.side)
        return raster, raster != pads.UNKNOWN

    def _draw(self, state, drawn):
        title = "Press Fill in: the model draws what is blue"
        if drawn is not None:
            title = "What the model drew is orange"
        raster, _ = self._given(state)
        each = [None] * WAYS if drawn is None else drawn / 255
        return _holes.sheet(title, [_holes.coloured(raster, one) for one in each], _ZOOM)


def inpainter(view: InpainterView) -> slow.Refinable:
    """Return the shell of the inpainter: a digit, what of it is hidden, and a button.

    Args:
        view: what draws.
    """
    first = view.first
    # not Dropdowns: JupyterLab takes their arrow keys to move from cell to cell
    choice = ipywidgets.SelectionSlider
    controls = {
        "digit": ipywidgets.IntSlider(0, 0, len(view.pictures) - 1, description="Test digit"),
        "hide": choice(options=HIDES, description="Hide"),
        "class": choice(options=[ANY, *range(10)], description="Class"),
        "resample": choice(
            options=RESAMPLES, value=first["resample"], description="Take each step"
        ),
        "seed": ipywidgets.IntSlider(first["seed"], 0, 99, description="Seed"),
        "given": pads.DrawPad(
            view.given(0, HIDES[0]),
            description="What is given; blue is unknown",
            pixels=view.side,
            side=252,
            unknown=True,
        ),
    }

    def adjust(shell, name):
        if name in ("digit", "hide"):
            state = shell.state()
            shell.controls["given"].raster = view.given(state["digit"], state["hide"])

    return slow.Refinable(
        view,
        view.fill,
        controls,
        start="Fill in",
        name="inpainter",
        alt="A digit of which a part is unknown, and eight ways in which a model fills it in.",
        adjust=adjust,
        describe=view.describe,
        still=view.still,
    )
