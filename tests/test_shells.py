"""The shells without a browser: what the callbacks do to the widgets' values."""

import base64
import io
import threading
import time

import ipywidgets
import numpy as np
import pytest
from PIL import Image

from course_utils import runtime, shells, slow


def decoded(data):
    return np.asarray(Image.open(io.BytesIO(bytes(data))))


def flat(state):
    return np.full((3, 5), state["level"], np.uint8)


def slider(**options):
    return ipywidgets.IntSlider(7, 0, 200, description="Level", **options)


def live(render=flat, controls=None, **options):
    options = {"name": "test", "alt": "A flat picture.", **options}
    return shells.Live(render, controls or {"level": slider()}, **options)


def upload():
    return ipywidgets.FileUpload(description="Own")


def button(shell, name):
    def walk(widget):
        yield widget
        for child in getattr(widget, "children", ()):
            yield from walk(child)

    return next(w for w in walk(shell.box) if f"course-{name}" in w._dom_classes)


def message(shell):
    return button(shell, "message").value


def picture(shell):
    return decoded(button(shell, "picture").value)


def test_the_first_picture_is_shown_at_its_size():
    shell = live()
    assert (picture(shell) == 7).all()
    image = button(shell, "picture")
    assert (image.width, image.height) == ("5", "3")


def test_a_control_changes_the_picture_and_nothing_else_is_rendered():
    states = []

    def render(state):
        states.append(state)
        return flat(state)

    shell = live(render)
    shell.controls["level"].value = 90
    assert (picture(shell) == 90).all()
    assert states == [{"level": 7}, {"level": 90}]


def test_reset_renders_once():
    states = []

    def render(state):
        states.append(dict(state))
        return np.full((2, 2), state["a"] + state["b"], np.uint8)

    controls = {
        "a": ipywidgets.IntSlider(1, description="a"),
        "b": ipywidgets.IntSlider(2, description="b"),
    }
    shell = live(render, controls)
    controls["a"].value, controls["b"].value = 50, 60
    states.clear()
    button(shell, "reset").click()
    assert states == [{"a": 1, "b": 2}]
    assert (picture(shell) == 3).all()


def test_what_goes_wrong_is_said_and_the_picture_stays():
    def render(state):
        if state["level"] > 100:
            raise ValueError("level must be <= 100; received " + str(state["level"]))
        return flat(state)

    shell = live(render)
    shell.controls["level"].value = 150
    assert 'role="alert"' in message(shell)
    assert "ValueError: level must be &lt;= 100; received 150" in message(shell)
    assert (picture(shell) == 7).all()
    shell.controls["level"].value = 20
    assert message(shell) == ""
    assert (picture(shell) == 20).all()


def test_an_error_at_the_start_leaves_a_widget_that_can_recover():
    def render(state):
        if state["level"] == 7:
            raise RuntimeError("not yet")
        return flat(state)

    shell = live(render)
    assert "RuntimeError: not yet" in message(shell)
    assert "image/png" not in shell._repr_mimebundle_()[0]
    shell.controls["level"].value = 8
    assert (picture(shell) == 8).all()
    assert "image/png" in shell._repr_mimebundle_()[0]


def test_a_picture_of_the_wrong_type_is_said():
    shell = live(lambda state: np.zeros((2, 2)))
    assert "must be uint8" in message(shell)


def test_what_render_prints_is_shown_and_goes_nowhere_else(capsys):
    def render(state):
        print("level <", state["level"])
        return flat(state)

    shell = live(render)
    assert 'role="status"' in message(shell)
    assert "level &lt; 7" in message(shell)
    assert capsys.readouterr().out == ""


def test_what_another_thread_prints_meanwhile_is_left_alone(capsys):
    def render(state):
        other = threading.Thread(target=lambda: print("from the training"))
        other.start()
        other.join()
        return flat(state)

    shell = live(render)
    assert message(shell) == ""
    assert capsys.readouterr().out == "from the training\n"


def test_the_models_are_locked_while_rendering():
    free = []

    def render(state):
        def attempt():
            free.append(runtime.model_lock.acquire(timeout=0.01))
            if free[-1]:
                runtime.model_lock.release()

        other = threading.Thread(target=attempt)
        other.start()
        other.join()
        return flat(state)

    live(render)
    assert free == [False]
    assert runtime.model_lock.acquire(blocking=False)
    runtime.model_lock.release()


def test_the_output_has_a_live_view_and_a_static_picture():
    shell = live()
    shell.controls["level"].value = 30
    data, metadata = shell._repr_mimebundle_()
    assert set(data) == {
        "application/vnd.jupyter.widget-view+json", "image/png", "text/plain",
    }  # fmt: skip
    assert (decoded(base64.b64decode(data["image/png"])) == 7).all()
    assert data["text/plain"] == metadata["image/png"]["alt"] == "A flat picture."


def test_every_control_needs_a_label():
    with pytest.raises(ValueError, match="needs a description as its label; 'level' has none"):
        live(controls={"level": ipywidgets.IntSlider()})


def test_adjust_may_set_other_controls_without_rendering_twice():
    states = []

    def render(state):
        states.append(dict(state))
        return np.zeros((2, 2), np.uint8)

    def adjust(shell, name):
        if name == "a":
            shell.controls["b"].value = shell.controls["a"].value * 2

    controls = {
        "a": ipywidgets.IntSlider(1, description="a"),
        "b": ipywidgets.IntSlider(2, description="b"),
    }
    live(render, controls, adjust=adjust)
    controls["a"].value = 10
    assert states == [{"a": 1, "b": 2}, {"a": 10, "b": 20}]


def test_the_caption_says_the_state():
    shell = live(describe=lambda state: f"level {state['level']} < 256")
    shell.controls["level"].value = 9
    assert "level 9 &lt; 256" in button(shell, "caption").value


# --- files -----------------------------------------------------------------------------------


def read(content):
    if content != b"good":
        raise ValueError("This is no picture; open a JPEG or PNG picture instead.")
    return 200


def with_upload(**options):
    def render(state):
        return np.full((2, 2), state["own"] or state["level"], np.uint8)

    return live(render, {"level": slider(), "own": upload()}, read=read, **options)


def send(shell, content, name="photo.jpg"):
    entry = {"name": name, "type": "", "size": len(content), "content": memoryview(content),
             "last_modified": 0}  # fmt: skip
    shell.controls["own"].set_state({"value": [entry]})


def test_an_uploaded_file_is_read_and_shown():
    shell = with_upload()
    send(shell, b"good")
    assert (picture(shell) == 200).all()
    assert shell.controls["own"].value == ()
    shell.reset()
    assert (picture(shell) == 7).all()


def test_a_bad_file_is_refused_in_one_sentence_and_can_be_tried_again():
    shell = with_upload()
    send(shell, b"good")
    for _ in range(2):
        send(shell, b"bad", "a<b.txt")
        assert "a&lt;b.txt: This is no picture; open" in message(shell)
        assert 'role="alert"' in message(shell)
        assert (picture(shell) == 200).all()
        assert shell.controls["own"].value == ()
    send(shell, b"good")
    assert message(shell) == ""


def test_a_reader_that_breaks_does_not_break_the_widget():
    def broken(content):
        raise OSError("disk on fire")

    shell = live(lambda state: np.zeros((2, 2), np.uint8), {"own": upload()}, read=broken)
    send(shell, b"x")
    assert "disk on fire" in message(shell)


def test_an_upload_without_a_reader_is_refused():
    with pytest.raises(ValueError, match="upload 'own' needs read="):
        live(controls={"level": slider(), "own": upload()})


# --- slow ------------------------------------------------------------------------------------


def slow_shell(steps, **options):
    options = {"name": "test", "alt": "A slow picture.", **options}
    return slow.Slow(steps, {"level": slider()}, **options)


def counting(state):
    yield 0.0, np.full((2, 2), state["level"], np.uint8)
    for i in range(1, 6):
        time.sleep(0.005)
        yield i / 5, np.full((2, 2), state["level"] + i, np.uint8)


def test_slow_work_runs_when_the_button_is_pressed():
    shell = slow_shell(counting, describe=lambda state: f"from {state['level']}")
    assert (picture(shell) == 7).all()
    shell.controls["level"].value = 50
    assert (picture(shell) == 7).all()
    button(shell, "start").click()
    assert shell.wait(10)
    assert (picture(shell) == 55).all()
    assert button(shell, "progress").value == 1
    assert "from 50" in button(shell, "caption").value
    assert button(shell, "cancel").disabled


def test_slow_work_can_be_cancelled_and_started_again():
    closed = []

    def endless(state):
        try:
            number = 0
            while True:
                yield 0.5, np.full((2, 2), number % 256, np.uint8)
                number += 1
                time.sleep(0.002)
        finally:
            closed.append(True)

    shell = slow_shell(endless)
    closed.clear()
    button(shell, "start").click()
    button(shell, "start").click()  # no second thread
    assert not shell.wait(0.1)
    assert not button(shell, "cancel").disabled
    button(shell, "cancel").click()
    assert shell.wait(10)
    assert closed == [True]
    assert "Cancelled." in message(shell)
    button(shell, "start").click()
    assert message(shell) == ""
    shell.reset()
    assert shell.wait(0)
    assert (picture(shell) == 0).all()
    assert button(shell, "progress").value == 0


def test_slow_work_that_fails_at_its_first_line_says_so():
    def checked(state):  # no generator, but returns one
        if state["level"] == 8:
            raise RuntimeError("out of luck")
        return iter([(1.0, np.full((2, 2), 11, np.uint8))])

    shell = slow_shell(checked)
    shell.controls["level"].value = 8
    shell.start()
    assert shell.wait(10)
    assert "RuntimeError: out of luck" in message(shell)
    assert button(shell, "cancel").disabled


def test_slow_work_that_fails_says_so_and_keeps_the_last_picture():
    def failing(state):
        yield 0.1, np.full((2, 2), 11, np.uint8)
        if state["level"] == 8:
            yield 0.2, np.full((2, 2), 12, np.uint8)
            raise RuntimeError("out of luck")

    shell = slow_shell(failing)
    shell.controls["level"].value = 8
    shell.start()
    assert shell.wait(10)
    assert "RuntimeError: out of luck" in message(shell)
    assert (picture(shell) == 12).all()
    assert button(shell, "cancel").disabled


def test_the_lock_is_free_between_two_steps():
    between = threading.Event()

    def steps(state):
        for i in range(50):
            time.sleep(0.002)
            yield i / 50, np.zeros((2, 2), np.uint8)

    shell = slow_shell(steps)
    shell.start()
    with runtime.model_lock:
        between.set()
    shell.cancel()
    assert shell.wait(10)
    assert between.is_set()


# --- live and slow


def refinable(steps=None, **options):
    def render(state):
        return np.full((4, 4), state["level"], np.uint8)

    def brighter(state):
        for number in range(1, 6):
            yield number / 5, np.full((4, 4), state["level"] + number, np.uint8)

    return slow.Refinable(
        render, steps or brighter, {"level": slider()}, start="Refine", name="both", alt="Grey.",
        **options,
    )  # fmt: skip


def level_of(shell):
    return picture(shell)[0, 0]


def test_the_picture_follows_a_control_and_the_button_refines_it():
    shell = refinable()
    assert level_of(shell) == 7
    shell.controls["level"].value = 20
    assert level_of(shell) == 20
    shell.start()
    assert shell.wait(5)
    assert level_of(shell) == 25 and button(shell, "progress").value == 1
    shell.controls["level"].value = 30  # and back to the live picture
    assert level_of(shell) == 30 and button(shell, "progress").value == 0
    shell.reset()
    assert level_of(shell) == 7


def test_a_change_of_a_control_ends_the_work_and_nothing_old_is_drawn_after_it():
    going, closed = threading.Event(), []

    def endless(state):
        try:
            while True:
                going.set()
                yield 0.5, np.full((4, 4), 99, np.uint8)
        finally:
            closed.append(state["level"])

    shell = refinable(endless)
    shell.start()
    assert going.wait(5)
    shell.controls["level"].value = 40
    assert closed == [7] and shell.wait(0)
    assert level_of(shell) == 40
    assert message(shell) == "" and button(shell, "cancel").disabled
