"""Shells for work of more than 100 ms: a button, a thread, a progress bar and Cancel."""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator

import ipywidgets
import numpy as np

from course_utils.shells import Live

FRAME_SECONDS = 0.04  # between two pictures; more would only fill the connection


class Slow(Live):
    """Controls, a button that starts work of more than 100 ms, a progress bar and Cancel.

    The work runs in a thread, so the kernel stays free for Cancel and for other cells. Changing a
    control changes nothing until the button is pressed.

    Args:
        steps: `state -> iterator of (share done in [0, 1], picture or None)`; it runs until it is
            exhausted, or cancelled between two steps. `runtime.model_lock` is held during a step.
        controls: as in `Live`.
        start: label of the button.
        **options: as in `Live`: name, alt, read, adjust, describe. `describe` gets the state with
            which the work was started.

    The first picture is the first one that `steps` yields for the first state.
    """

    def __init__(self, steps, controls, *, start: str = "Run", **options):
        self._steps = steps
        self._thread: threading.Thread | None = None
        self._cancelled = threading.Event()
        self._start_label = start
        super().__init__(self._first_picture, controls, **options)

    def start(self) -> None:
        """Start the work; nothing happens where it runs already."""
        if self._thread is None or not self._thread.is_alive():
            self._cancelled.clear()
            self._busy(True)
            self._say("")
            self._thread = threading.Thread(target=self._work, args=(self.state(),), daemon=True)
            self._thread.start()

    def cancel(self) -> None:
        """Ask the work to stop after its present step; the last picture stays."""
        self._cancelled.set()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for the work to end; return whether it has."""
        if self._thread is not None:
            self._thread.join(seconds)
            return not self._thread.is_alive()
        return True

    def reset(self) -> None:
        """Stop the work, set every control to its first value, and show the first picture."""
        self.cancel()
        self.wait(10)
        super().reset()
        self._progress.value = 0
        self._show()

    def _first_picture(self, state: dict) -> np.ndarray:
        with contextlib.closing(_generate(self._steps, state)) as steps:
            return next(picture for _, picture in steps if picture is not None)

    def _refresh(self) -> None:
        """Leave the picture alone: the button starts the work."""

    def _buttons(self):
        self._start_button = ipywidgets.Button(
            description=self._start_label, button_style="primary"
        )
        self._start_button.add_class("course-start")
        self._start_button.on_click(lambda _: self.start())
        self._cancel_button = ipywidgets.Button(description="Cancel", disabled=True)
        self._cancel_button.add_class("course-cancel")
        self._cancel_button.on_click(lambda _: self.cancel())
        return [self._start_button, self._cancel_button]

    def _bars(self):
        self._progress = ipywidgets.FloatProgress(
            min=0, max=1, description="Progress", layout=ipywidgets.Layout(width="min(32em, 100%)")
        )
        self._progress.add_class("course-progress")
        return [self._progress]

    def _busy(self, busy: bool) -> None:
        # Disabling the button that has the focus would lose the focus, so Start stays enabled.
        self._cancel_button.disabled = not busy
        if busy:
            self._progress.value = 0

    def _work(self, state: dict) -> None:
        iterator = _generate(self._steps, state)
        shown, last, ended = 0.0, None, False
        try:
            while not (ended or self._cancelled.is_set()):
                ended = True  # also where a step fails
                with self._report():
                    step = next(iterator, None)
                    if step is not None:
                        share, picture = step
                        last = picture if picture is not None else last
                        if last is not None and time.monotonic() - shown > FRAME_SECONDS:
                            self._put(last)
                            shown, last = time.monotonic(), None
                        self._progress.value = share
                        ended = False
            with self._report():
                if last is not None:
                    self._put(last)
                self._caption.value = self._say_in_words(state)
            if self._cancelled.is_set():
                self._say("Cancelled.")
        finally:
            with contextlib.suppress(Exception):
                iterator.close()
            self._busy(False)


class Refinable(Slow):
    """A picture that follows the controls live, and a button that works on it slowly.

    A change of a control ends the work and shows the live picture of the new state.

    Args:
        render: as in `Live`.
        steps: as in `Slow`; the work starts from what `render` shows.
        controls: as in `Live`.
        **options: as in `Slow`.
    """

    def __init__(self, render, steps, controls, **options):
        self._live = render
        super().__init__(steps, controls, **options)

    def _first_picture(self, state: dict) -> np.ndarray:
        return self._live(state)

    def _refresh(self) -> None:
        self.cancel()
        self.wait(10)  # until its present step is done, so that it draws nothing any more
        self._say("")
        self._progress.value = 0
        self._show()


def stepwise(work: Callable) -> Iterator[tuple[str, object]]:
    """Make an iterator of a function that calls back, so that it waits between its steps.

    The function runs in a thread of its own, but never at the same time as its user: it waits in
    its callback until the next step is asked for, and the user waits while it works.

    Args:
        work: `callback -> result`; it must end soon when the callback returns False.

    Yields:
        ("step", arguments of the callback) at each call, and at the end ("result", result).
    """
    news: queue.SimpleQueue = queue.SimpleQueue()
    go_on: queue.SimpleQueue = queue.SimpleQueue()

    def callback(*arguments):
        news.put(("step", arguments))
        return go_on.get()

    def run():
        try:
            news.put(("result", work(callback)))
        except BaseException as error:
            news.put(("error", error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        while True:
            kind, value = news.get()
            if kind == "error":
                raise value
            yield kind, value
            if kind == "result":
                return
            go_on.put(True)
    finally:
        go_on.put(False)
        thread.join()


def _generate(steps, state):
    """Call `steps` at the first step, where what it raises is reported like any later error."""
    yield from steps(state)
