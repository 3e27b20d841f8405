"""Follow slow work live in a notebook: a bar with the time left, and a picture redrawn in place."""

import time
from collections.abc import Iterable
from html import escape

import numpy as np
from IPython import get_ipython
from IPython.display import HTML, Image, display

from course_utils import plots, render

REFRESH_SECONDS = 0.25  # between two pictures


def watch(steps: Iterable, *, label: str, width: int = 384):
    """Run an iterator of steps to its end, showing how far it is and its latest picture.

    Interrupting the kernel (the square button) ends the work after the current step; the last step
    is returned then as well, so the cells below can run.

    Args:
        steps: objects with `image`, `(height, width, 3)` float in [0, 1]; `share` of the work that
            is done, from 0 to 1; and `losses`, a dict of numbers. `transfer.Step` is one.
        label: what the display calls this work.
        width: of the displayed picture in pixels of the screen.

    Returns:
        The last step.

    Raises:
        ValueError: if there is no step at all.
        KeyboardInterrupt: if the kernel is interrupted before the first step.
    """
    begin, drawn, last = time.perf_counter(), -np.inf, None
    screen = _Screen(label, width)
    steps = iter(steps)
    try:
        for last in steps:
            now = time.perf_counter()
            if now - drawn > REFRESH_SECONDS:
                screen.draw(last, now - begin)
                drawn = time.perf_counter()
    except KeyboardInterrupt:
        if last is None:
            raise
        print(f"Interrupted at {last.share:.0%}; the last picture is kept.")
    finally:
        if hasattr(steps, "close"):
            steps.close()
    if last is None:
        raise ValueError("watch needs at least one step; received none.")
    screen.draw(last, time.perf_counter() - begin, ended=True)
    return last


def bar(label: str, share: float, text: str) -> HTML:
    """Make a progress bar with a line of text.

    Args:
        label: what screen readers call the bar.
        share: of the work that is done, from 0 to 1.
        text: shown behind the bar.
    """
    return HTML(
        f'<progress max="1" value="{share:.3f}" style="width:16em" '
        f'aria-label="{escape(label)}"></progress> {escape(text)}'
    )


def numbers(values) -> str:
    """Write a dict of numbers as one line."""
    return " · ".join(f"{name} {value:.3f}" for name, value in (values or {}).items())


class _Screen:
    """A bar and a picture that are displayed once and then updated."""

    def __init__(self, label, width):
        self._label, self._width = label, width
        self._bar = self._picture = None

    def draw(self, step, elapsed, ended=False):
        if get_ipython() is None:
            return
        parts = [f"{self._label}: {elapsed:.0f} s"]
        if step.share > 0 and not ended:
            parts.append(f"{elapsed * (1 - step.share) / step.share:.0f} s left")
        text = " · ".join([*parts, numbers(step.losses)])
        pixels = plots.to_uint8(np.clip(step.image, 0, 1))
        picture = Image(data=render.encode_png(pixels), width=self._width, alt=self._label)
        if self._bar is None:
            self._bar = display(bar(self._label, step.share, text), display_id=True)
            self._picture = display(picture, display_id=True)
        else:
            self._bar.update(bar(self._label, step.share, text))
            self._picture.update(picture)
