"""What the explorer of notebook 06 shows, and its controls."""

from collections import OrderedDict
from collections.abc import Iterator
from typing import NamedTuple

import ipywidgets
import numpy as np
from PIL import Image, ImageDraw

from course_utils import diffusion, render, slow
from course_utils._memory import remember

EACH, NONE = "0 to 9", "none"  # each digit once; no labels
COUNT = 10
SAMPLERS = {
    "DPM-Solver++": diffusion.dpm_solver_sample,
    "DDIM": diffusion.ddim_sample,
    "DDPM": diffusion.ddpm_sample,
}
STEPS = (5, 10, 20, 50, 100, 1000)

_FRAMES = 100  # kept of a walk, at most
_COLUMNS, _ZOOM, _GAP = 5, 3, 4
_LEFT, _TOP, _BETWEEN, _BAR = 10, 34, 26, 12
_INK, _FAINT, _TRACK = 34, 120, 224


class Walk(NamedTuple):
    """What is kept of the way of ten pictures out of noise."""

    times: list[int]  # of each frame; the last is -1, for x_0
    x_t: np.ndarray  # (frames, 10, h, w) uint8
    x_start: np.ndarray  # the same


class DiffusionView:
    """What the explorer of notebook 06 shows for one state, without any widget.

    Args:
        denoiser, shape: as in `widgets.diffusion_explorer`.

    Calling it with a state looks up the picture, `draw` yields pictures while a sampler works, and
    `describe` says the state in words. Walks are remembered.

    A state maps "step" (frame of the walk), "class" (`EACH`, `NONE` or a number), "guidance",
    "sampler" (a name of `SAMPLERS`), "steps" (how many in all) and "seed" to their values.
    """

    def __init__(self, denoiser: diffusion.Denoiser, shape=(28, 28, 1)):
        self._denoiser, self._shape = denoiser, tuple(shape)
        longest = denoiser.schedule.num_timesteps
        self.steps = [steps for steps in STEPS if steps <= longest] or [longest]
        steps = 20 if 20 in self.steps else self.steps[-1]
        self.first = {"step": frames(steps), "class": EACH, "guidance": 1.5,
                      "sampler": next(iter(SAMPLERS)), "steps": steps, "seed": 0}  # fmt: skip
        self._walks: OrderedDict = OrderedDict()
        for _ in self.draw(self.first):
            pass
        self._first_walk = self._walks.pop(_key(self.first))

    def drawn(self, state: dict) -> bool:
        """Say whether the walk of this state is remembered."""
        return self._walk(state) is not None

    def __call__(self, state: dict) -> np.ndarray:
        """Look up a frame of the walk; where it was not drawn yet, show the noise it begins with.

        Returns:
            `(height, width)` uint8.
        """
        walk = self._walk(state)
        if walk is None:
            first = self.times(state["steps"])[0]
            return self._picture(first, _bytes(self._noise(state)), None)
        frame = min(state["step"], len(walk.times) - 1)
        return self._picture(walk.times[frame], walk.x_t[frame], walk.x_start[frame])

    def draw(self, state: dict) -> Iterator[tuple[float, np.ndarray | None]]:
        """Yield (share done, picture or None) at each step of the sampler."""
        if self.drawn(state):
            yield 1.0, self({**state, "step": frames(state["steps"])})
            return
        count = state["steps"]
        labels, guidance = self._asked(state)

        def work(callback):
            return SAMPLERS[state["sampler"]](
                self._denoiser, self._noise(state), labels=labels, guidance=guidance, steps=count,
                seed=state["seed"], callback=callback,
            )  # fmt: skip

        times, noisy, guesses = [], [], []
        for kind, news in slow.stepwise(work):
            if kind == "result":
                news = count, -1, news, news
            i, t, x_t, x_start = news
            picture = None
            if i % _stride(count) == 0:
                times.append(t)
                noisy.append(_bytes(x_t))
                guesses.append(_bytes(x_start))
                picture = self._picture(t, noisy[-1], guesses[-1])
            if kind == "result":
                walk = Walk(times, np.stack(noisy), np.stack(guesses))
                remember(self._walks, _key(state), lambda walk=walk: walk)
            yield i / count, picture

    def describe(self, state: dict) -> str:
        """Say in words what the picture shows."""
        steps, seed = state["steps"], state["seed"]
        how = f"{state['sampler']} with {steps} steps"
        asked = {EACH: "each digit once", NONE: "no class"}.get(
            state["class"], f"class {state['class']}"
        )
        if state["class"] != NONE:
            asked += f", guidance {state['guidance']:.1f}"
        if not self.drawn(state):
            return f"Noise of seed {seed}. Press Draw to see what {how} makes of it ({asked})."
        t = self.times(steps)[min(state["step"], frames(steps))]
        if t < 0:
            return f"The result of {how}: {asked}, seed {seed}."
        share = self._denoiser.schedule.alpha_bar(t)
        return (
            f"Step {state['step'] * _stride(steps)} of {steps}, t = {t}: {share:.1%} of x_t's "
            f"variance is picture, the rest noise. {how}: {asked}, seed {seed}."
        )

    def times(self, steps: int) -> list[int]:
        """Return the time step of each frame of a walk; the last is -1."""
        times = diffusion.timesteps(self._denoiser.schedule, steps).tolist()
        return [*times[:: _stride(steps)], -1]

    def _asked(self, state):
        """Return labels and guidance."""
        if state["class"] == NONE:
            return None, 1.0
        labels = np.arange(COUNT) if state["class"] == EACH else state["class"]
        return labels, state["guidance"]

    def _noise(self, state):
        return np.random.default_rng(state["seed"]).standard_normal((COUNT, *self._shape))

    def _walk(self, state):
        key = _key(state)
        if key == _key(self.first) and hasattr(self, "_first_walk"):
            return self._first_walk
        return self._walks.get(key)

    def _picture(self, t, x_t, x_start):
        left = _tiles(x_t)
        height, block = left.shape
        width = 2 * _LEFT + 2 * block + _BETWEEN
        canvas = np.full((_TOP + height + 14 + _BAR + 8, width), 255, np.uint8)
        right = slice(_LEFT + block + _BETWEEN, width - _LEFT)
        canvas[_TOP : _TOP + height, _LEFT : _LEFT + block] = left
        if x_start is not None:
            canvas[_TOP : _TOP + height, right] = _tiles(x_start)
        share = float(self._denoiser.schedule.alpha_bar(t))
        bar = canvas[-_BAR - 8 : -8, _LEFT : width - _LEFT]
        bar[:] = _TRACK
        bar[:, : round(share * bar.shape[1])] = _INK
        image = Image.fromarray(canvas)
        draw = ImageDraw.Draw(image)
        title = "x_0, the result" if t < 0 else f"x_t at t = {t}: {share:.0%} picture"
        render.write(draw, (_LEFT, 9), title, 16, _INK, bold=True)
        if x_start is None:
            place = (right.start + block // 2, _TOP + height // 2)
            render.write(draw, place, "Press Draw", 18, _FAINT, anchor="mm")
        render.write(draw, (right.start, 9), "The guess of x_0 in it", 16, _INK, bold=True)
        return np.asarray(image)


def frames(steps: int) -> int:
    """Return the number of the last frame of a walk of so many steps."""
    return -(-steps // _stride(steps))


class Explorer(slow.Refinable):
    """The shell of the explorer: a slider that scrubs through a walk, and a button that draws one.

    Args:
        view: what draws.
    """

    def __init__(self, view: DiffusionView):
        self._view = view
        super().__init__(
            view,
            view.draw,
            _controls(view),
            start="Draw",
            name="diffusion",
            alt="Ten noisy pictures on their way to digits, and what the network takes them for.",
            adjust=self._adjust_step,
            describe=view.describe,
        )

    def _adjust_step(self, _, name):
        if name != "step":
            self._go_to_end()

    def _go_to_end(self):
        """Put the slider at the result; where there is none, at the noise."""
        state, slider = self.state(), self.controls["step"]
        slider.max = frames(state["steps"])
        slider.value = slider.max if self._view.drawn(state) else 0

    def _work(self, state):
        super()._work(state)
        if not self._cancelled.is_set() and self._view.drawn(state):
            with self._silence():
                self._go_to_end()
            self._caption.value = self._say_in_words(self.state())


def _controls(view):
    first = view.first
    # not Dropdowns: JupyterLab takes their arrow keys to move from cell to cell
    choice = ipywidgets.SelectionSlider
    return {
        "step": ipywidgets.IntSlider(first["step"], 0, first["step"], description="Step"),
        "class": choice(options=[EACH, NONE, *range(10)], value=EACH, description="Class"),
        "guidance": ipywidgets.FloatSlider(
            first["guidance"], min=0, max=8, step=0.5, description="Guidance", readout_format=".1f"
        ),
        "sampler": choice(options=list(SAMPLERS), description="Sampler"),
        "steps": choice(options=view.steps, value=first["steps"], description="Steps in all"),
        "seed": ipywidgets.IntSlider(first["seed"], 0, 99, description="Seed"),
    }


def _stride(steps):
    return -(-steps // _FRAMES)


def _key(state):
    guidance = 1.0 if state["class"] == NONE else round(state["guidance"], 2)
    return state["class"], guidance, state["sampler"], state["steps"], state["seed"]


def _bytes(pictures):
    """Turn `(10, h, w, 1)` in [-1, 1] into `(10, h, w)` uint8; noise reaches beyond and is cut."""
    return np.rint(127.5 * np.clip(pictures[..., 0] + 1, 0, 2)).astype(np.uint8)


def _tiles(pictures):
    """Lay ten pictures out in two rows, enlarged."""
    height, width = (side * _ZOOM for side in pictures.shape[1:])
    lines = len(pictures) // _COLUMNS
    large = pictures.repeat(_ZOOM, axis=1).repeat(_ZOOM, axis=2)
    drawn = np.full(
        (lines * (height + _GAP) - _GAP, _COLUMNS * (width + _GAP) - _GAP), 255, np.uint8
    )
    for number, picture in enumerate(large):
        line, column = divmod(number, _COLUMNS)
        top, left = line * (height + _GAP), column * (width + _GAP)
        drawn[top : top + height, left : left + width] = picture
    return drawn
