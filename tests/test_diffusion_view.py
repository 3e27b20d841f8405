"""The widgets of notebook 06 without a browser, on a denoiser whose pictures can be read."""

import threading
import time

import numpy as np
import pytest
import traitlets

from course_utils import (
    _holes,
    diffusion,
    diffusion_view,
    inpainter_view,
    pads,
    schedules,
    slow,
    widgets,
)

COSINE = schedules.cosine()
SHAPE = (28, 28, 1)


def painter(calls=None, wait=0.0):
    """Return a denoiser of pictures of one grey: -1 + 0.2 * label, or 1 without a label."""

    def network(inputs):
        x_t, t, labels = inputs
        if calls is not None:
            calls.append(labels.tolist())
        time.sleep(wait)
        a = COSINE.alphas_cumprod[t].reshape(-1, 1, 1, 1)
        x_start = (-1 + 0.2 * labels).reshape(-1, 1, 1, 1) + 0 * x_t
        return (x_t - np.sqrt(a) * x_start) / np.sqrt(1 - a)

    return diffusion.Denoiser(network, COSINE, "noise")


@pytest.fixture
def calls():
    return []


@pytest.fixture
def view(calls):
    return diffusion_view.DiffusionView(painter(calls), SHAPE)


def state(view, **changes):
    return view.first | changes


def grey(label):
    return round(255 * min(label, 10) / 10)


def run(steps):
    for _ in steps:
        pass


# --- the explorer ------------------------------------------------------------------------------


def test_the_first_walk_is_there_and_scrubbing_asks_no_network(view, calls):
    calls.clear()
    pictures = [view(state(view, step=step)) for step in range(21)]
    assert calls == []
    assert len({picture.tobytes() for picture in pictures}) == 21
    assert all(picture.dtype == np.uint8 and picture.ndim == 2 for picture in pictures)
    assert len({picture.shape for picture in pictures}) == 1


def test_a_frame_shows_x_t_and_the_guess_of_its_time(view):
    way = diffusion.trajectory(
        painter(), np.random.default_rng(0).standard_normal((10, *SHAPE)), steps=20,
        labels=np.arange(10), guidance=1.5, seed=0,
    )  # fmt: skip
    for step in (0, 7, 19):
        picture = view(state(view, step=step))
        # the first digit of the left block, one pixel in nine
        shown = picture[34 : 34 + 84, 10 : 10 + 84][1::3, 1::3]
        wanted = np.clip(127.5 * (way.x_t[step, 0, ..., 0] + 1), 0, 255)
        assert np.abs(shown - wanted).max() <= 0.51
        # the last digit of the right block
        guess = picture[34 + 88 : 34 + 88 + 84, -10 - 84 : -10]
        assert np.all(guess == round(127.5 * (way.x_start[step, 9, 0, 0, 0] + 1)))
    last = view(state(view, step=20))
    np.testing.assert_array_equal(last[34:206, 10:446], last[34:206, -446:-10])


def test_the_bar_shows_how_much_of_the_variance_is_picture(view):
    for step, t in ((0, 999), (10, view.times(20)[10]), (20, -1)):
        bar = view(state(view, step=step))[-12, 10:-10]
        share = 1.0 if t < 0 else np.prod(1 - COSINE.betas[: t + 1])
        assert np.mean(bar < 100) == pytest.approx(share, abs=2e-3)
        assert np.all(np.diff(bar.astype(int)) >= 0)


def test_what_was_not_drawn_shows_its_noise_alone(view, calls):
    calls.clear()
    other = state(view, seed=3, step=0)
    assert not view.drawn(other)
    picture = view(other)
    assert calls == []
    assert "Press Draw" in view.describe(other)
    run(view.draw(other))
    first = view(other)
    np.testing.assert_array_equal(first[34:206, 10:446], picture[34:206, 10:446])
    assert np.any(first[34:206, 480:] != picture[34:206, 480:])
    assert "Press Draw" not in view.describe(other)


@pytest.mark.parametrize(
    ("sampler", "steps"), [*((name, 5) for name in diffusion_view.SAMPLERS), ("DDPM", 1000)]
)
def test_every_sampler_is_drawn_and_long_walks_keep_a_part(view, calls, sampler, steps):
    asked = state(view, sampler=sampler, steps=steps, **{"class": 4, "guidance": 1.0})
    calls.clear()
    seen = list(view.draw(asked))
    assert calls == [[4] * 10] * steps
    shares = [share for share, _ in seen]
    assert shares == sorted(shares) and shares[-1] == 1.0
    kept = [picture for _, picture in seen if picture is not None]
    assert len(kept) == diffusion_view.frames(steps) + 1 <= 101
    for step in (0, 3, diffusion_view.frames(steps)):
        np.testing.assert_array_equal(view(asked | {"step": step}), kept[step])
    assert kept[-1][60, 20] == grey(4)
    calls.clear()
    assert len(list(view.draw(asked))) == 1 and calls == []


def test_classes_and_guidance_reach_the_network(view, calls):
    calls.clear()
    run(view.draw(state(view, steps=5, **{"class": diffusion_view.NONE})))
    assert calls == [[10] * 10] * 5
    calls.clear()
    run(view.draw(state(view, steps=5, guidance=3.0)))
    assert calls == [[10] * 10 + list(range(10))] * 5
    # without labels guidance means nothing: nothing new to draw
    assert view.drawn(state(view, steps=5, guidance=8.0, **{"class": diffusion_view.NONE}))


def test_words(view):
    assert view.describe(view.first) == (
        "The result of DPM-Solver++ with 20 steps: each digit once, guidance 1.5, seed 0."
    )
    words = view.describe(state(view, step=10))
    t = view.times(20)[10]
    assert words.startswith(f"Step 10 of 20, t = {t}: {COSINE.alpha_bar(t):.1%} of x_t's variance")


def test_the_widget_scrubs_draws_and_resets(calls):
    shell = widgets.diffusion_explorer(painter(calls))
    slider, first = shell.controls["step"], shell._image.value
    calls.clear()
    slider.value = 4
    assert shell._image.value != first and calls == []
    shell.controls["steps"].value = 5
    assert (slider.value, slider.max) == (0, 5) and "Press Draw" in shell._caption.value
    shell.start()
    assert shell.wait(20)
    assert (slider.value, slider.max) == (5, 5) and len(calls) == 5
    assert "The result of" in shell._caption.value and shell._progress.value == 1
    shell.controls["class"].value = 3
    assert slider.value == 0
    shell.controls["class"].value = diffusion_view.EACH  # remembered: its result is shown at once
    assert slider.value == 5 and "The result of" in shell._caption.value
    shell.reset()
    assert shell._image.value == first and shell.state() == shell._view.first
    assert shell._message.value == ""


def test_the_first_walk_stays_while_others_are_forgotten(view):
    for seed in range(1, 70):
        run(view.draw(state(view, steps=5, seed=seed, **{"class": 0, "guidance": 1.0})))
    assert view.drawn(view.first)
    assert not view.drawn(state(view, steps=5, seed=1, **{"class": 0, "guidance": 1.0}))


def test_cancel_ends_a_walk_and_the_next_one_runs(calls):
    shell = widgets.diffusion_explorer(painter(calls, wait=0.002))
    shell.controls["sampler"].value = "DDPM"
    shell.controls["steps"].value = 1000
    calls.clear()
    before = threading.active_count()
    shell.start()
    while len(calls) < 3:
        time.sleep(0.01)
    shell.cancel()
    assert shell.wait(10) and len(calls) < 900
    assert "Cancelled." in shell._message.value and shell.controls["step"].value == 0
    asked = len(calls)
    time.sleep(0.1)
    assert len(calls) == asked and threading.active_count() <= before  # nothing works on unseen
    shell.controls["steps"].value = 5
    shell.start()
    assert shell.wait(20) and shell.controls["step"].value == 5


def test_a_short_schedule_has_fewer_steps_to_choose_from():
    short = schedules.cosine(60)

    def network(inputs):
        return inputs[0]

    view = diffusion_view.DiffusionView(diffusion.Denoiser(network, short, "noise"), SHAPE)
    assert view.steps == [5, 10, 20, 50]


# --- the inpainter -----------------------------------------------------------------------------

IMAGES = np.random.default_rng(0).random((3, 28, 28, 1)).astype("float32")
LABELS = np.array([7, 2, 1])


@pytest.fixture(scope="module")
def inpainting():
    return inpainter_view.InpainterView(painter(), IMAGES, LABELS)


def test_a_part_is_hidden_and_no_pixel_of_a_digit_looks_hidden():
    view = inpainter_view.InpainterView(painter(), np.full((1, 28, 28, 1), 128, np.uint8), [0])
    for hide, open_pixels in (
        ("lower half", 392), ("upper half", 392), ("right half", 392), ("middle", 196),
        (_holes.NOTHING, 0),
    ):  # fmt: skip
        raster = view.given(0, hide)
        assert np.count_nonzero(raster == pads.UNKNOWN) == open_pixels, hide
        assert set(raster.ravel()) <= {127, 128}


def test_known_pixels_stay_and_the_rest_is_drawn(inpainting):
    asked = inpainting.first | {"class": 5}
    assert "Press Fill in" in inpainting.describe(asked)
    empty = inpainting(asked)
    seen = list(inpainting.fill(asked))
    assert len(seen) == 19 * 5 + 2 and seen[-1][0] == 1.0
    np.testing.assert_array_equal(inpainting(asked), seen[-1][1])
    tile = seen[-1][1][34 : 34 + 112, 8 : 8 + 112][1::4, 1::4]
    np.testing.assert_array_equal(tile[:14], np.repeat(inpainting.pictures[0, :14, :, None], 3, 2))
    between = 0.5 * np.array([60 + 255, 44 + 190, 60.0])  # the grey of class 5, in the model's hues
    assert np.abs(tile[14:] - between).max() <= 1
    assert np.any(empty != seen[-1][1])
    words = inpainting.describe(asked)
    assert (
        "392 of 784 pixels are unknown. Filled in 8 ways for class 5: 20 steps, each taken 5 times"
        in words
    )


def test_what_was_filled_in_is_remembered_and_a_painted_hole_is_another(inpainting):
    run(inpainting.fill(inpainting.first))
    assert len(list(inpainting.fill(inpainting.first))) == 1
    raster = inpainting.given(1, _holes.NOTHING)
    raster[3:9, 4:8] = pads.UNKNOWN
    own = inpainting.first | {"digit": 1, "given": raster.tobytes()}
    assert inpainting.describe(own).startswith("Test digit 1, labelled 2: 24 of 784 pixels")
    raster[20, 20] = 255 - raster[20, 20] // 2
    assert inpainting.describe(own | {"given": raster.tobytes()}).startswith("Your drawing: 24")


def test_still_shows_what_is_given_beside_the_result(inpainting):
    still, picture = inpainting.still(inpainting.first), inpainting(inpainting.first)
    assert still.shape[0] == picture.shape[0]
    np.testing.assert_array_equal(still[:, -picture.shape[1] :], picture)


def test_the_inpainter_follows_its_controls():
    shell = widgets.digit_inpainter(painter(), IMAGES, LABELS)
    first = shell._image.value
    for name, value in (("hide", "middle"), ("digit", 1), ("class", 4), ("resample", 1)):
        before = shell._image.value, bytes(shell.controls["given"].value)
        shell.controls[name].value = value
        changed = bytes(shell.controls["given"].value) != before[1]
        assert changed == (name in ("hide", "digit"))
    assert "Press Fill in" in shell._caption.value
    shell.start()
    assert shell.wait(20) and "for class 4" in shell._caption.value
    assert "20 steps, each taken once" in shell._caption.value
    shell.reset()
    assert shell._image.value == first and shell._message.value == ""
    with pytest.raises(traitlets.TraitError):
        shell.controls["given"].value = b"too short"


@pytest.mark.parametrize(
    ("images", "labels"),
    [(IMAGES[..., 0], LABELS), (IMAGES, LABELS[:2]), (IMAGES[:, :20], LABELS), (IMAGES[:0], [])],
)
def test_refuses_pictures_that_do_not_fit(images, labels):
    with pytest.raises(ValueError, match=r"n, side, side, 1.* and as many labels; received"):
        inpainter_view.InpainterView(painter(), images, labels)


# --- a function that calls back, step by step --------------------------------------------------


def test_stepwise_waits_between_steps():
    log = []

    def work(callback):
        for number in range(3):
            log.append(number)
            if callback(number, "x") is False:
                return "ended"
        return "done"

    steps = slow.stepwise(work)
    assert next(steps) == ("step", (0, "x"))
    time.sleep(0.05)
    assert log == [0]  # it does not run ahead
    assert list(steps) == [("step", (1, "x")), ("step", (2, "x")), ("result", "done")]


def test_stepwise_passes_errors_on_and_ends_the_work_when_closed():
    def fails(callback):
        callback(1)
        raise ValueError("no such step")

    steps = slow.stepwise(fails)
    assert next(steps) == ("step", (1,))
    with pytest.raises(ValueError, match="no such step"):
        next(steps)
    answers = []
    steps = slow.stepwise(lambda callback: answers.append(callback(1)))
    next(steps)
    steps.close()
    assert answers == [False]
