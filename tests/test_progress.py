"""Progress that is watched: the last step comes back, whatever happens."""

import types

import numpy as np
import pytest

from course_utils import progress


def steps(count=3, closed=None, stop_at=None):
    try:
        for number in range(1, count + 1):
            if number == stop_at:
                raise KeyboardInterrupt
            image = np.full((4, 6, 3), number / count)
            yield types.SimpleNamespace(
                image=image, share=number / count, losses={"total": 1 / number}
            )
    finally:
        if closed is not None:
            closed.append(True)


class Screen:
    """Stands in for the display of a notebook."""

    def __init__(self, monkeypatch):
        self.shown, self.updates = [], []
        monkeypatch.setattr(progress, "get_ipython", lambda: object())
        monkeypatch.setattr(progress, "display", self.display)

    def display(self, thing, display_id):
        assert display_id is True
        self.shown.append(thing)
        return types.SimpleNamespace(update=self.updates.append)


def test_the_last_step_is_returned():
    assert progress.watch(steps(), label="work").share == 1


def test_nothing_is_shown_outside_a_notebook(capsys):
    progress.watch(steps(), label="work")
    assert capsys.readouterr().out == ""


def test_the_display_is_made_once_and_then_updated(monkeypatch):
    screen = Screen(monkeypatch)
    monkeypatch.setattr(progress, "REFRESH_SECONDS", 0)
    progress.watch(steps(4), label="paint & see", width=300)
    assert len(screen.shown) == 2  # a bar and a picture
    assert len(screen.updates) == 2 * 4
    assert 'aria-label="paint &amp; see"' in screen.shown[0].data
    assert screen.shown[1].width == 300
    assert "left" in screen.updates[0].data and "left" not in screen.updates[-2].data
    assert "total 0.250" in screen.updates[-2].data and 'value="1.000"' in screen.updates[-2].data


def test_pictures_are_not_drawn_at_every_step(monkeypatch):
    screen = Screen(monkeypatch)
    progress.watch(steps(200), label="fast")
    assert len(screen.updates) < 100


def test_interrupted_work_keeps_its_last_step_and_is_closed(capsys):
    closed = []
    last = progress.watch(steps(4, closed, stop_at=3), label="work")
    assert last.share == 0.5 and closed == [True]
    assert "Interrupted at 50%" in capsys.readouterr().out


def test_an_interrupt_before_the_first_step_is_passed_on():
    with pytest.raises(KeyboardInterrupt):
        progress.watch(steps(4, stop_at=1), label="work")


def test_an_error_is_passed_on_and_the_work_closed():
    closed = []

    def failing():
        yield from steps(2, closed)
        raise ArithmeticError("no")

    with pytest.raises(ArithmeticError):
        progress.watch(failing(), label="work")
    assert closed == [True]


def test_no_step_at_all():
    with pytest.raises(ValueError, match="at least one step"):
        progress.watch(iter([]), label="work")


def test_numbers_of_a_line():
    assert progress.numbers({"loss": 1.23456, "accuracy": 0.5}) == "loss 1.235 · accuracy 0.500"
    assert progress.numbers(None) == ""
