"""Style transfer by optimisation, on two small layers whose gradients can be checked."""

import gc
import threading
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from skimage import color
from skimage.transform import resize as skimage_resize

from course_utils import losses, transfer

RNG = np.random.default_rng(0)
PHOTO = RNG.random((12, 16, 3)).astype("float32")
STYLE = RNG.random((10, 9, 3)).astype("float32")
OTHER_STYLE = RNG.random((8, 14, 3)).astype("float32")
ARGUMENTS = {"content_layers": ["deep"], "style_layers": ["early", "deep"], "style_weight": 7.0}


@pytest.fixture(scope="module")
def extractor():
    """Two smooth layers, so that finite differences mean something."""
    keras.utils.set_random_seed(0)
    images = keras.Input((None, None, 3))
    early = keras.layers.Conv2D(4, 3, padding="same", activation="tanh")(images)
    deep = keras.layers.AveragePooling2D(2)(early)
    deep = keras.layers.Conv2D(5, 3, padding="same", activation="tanh")(deep)
    model = keras.Model(images, {"early": early, "deep": deep})
    for weight in model.weights:
        weight.assign(2 * weight)
    return model


@pytest.fixture(scope="module")
def objective(extractor):
    return transfer.Objective(extractor, PHOTO, STYLE, variation_weight=0.3, **ARGUMENTS)


def by_hand(extractor, image, *, weights=(1.0, 1.0), style_weight=7.0, variation_weight=0.3):
    """The loss of one picture, everything computed anew."""
    of_image, of_photo, of_style = (extractor(x[None]) for x in (image, PHOTO, STYLE))
    content = np.mean((of_image["deep"] - of_photo["deep"]) ** 2)
    style = 0.0
    for name, weight in zip(("early", "deep"), weights, strict=True):
        g, a = (
            np.einsum("ijc,ijd->cd", f[name][0], f[name][0]) / np.prod(f[name].shape[1:3])
            for f in (of_image, of_style)
        )
        style += weight * np.mean((g - a) ** 2) / 4
    variation = sum((np.diff(image, axis=axis) ** 2).sum() for axis in (0, 1)) / image.size
    return content, style, variation, content + style_weight * style + variation_weight * variation


# --- objective


def test_cached_targets_give_the_loss_of_recomputed_ones(extractor, objective):
    for image in (PHOTO, RNG.random(PHOTO.shape).astype("float32")):
        found = objective.losses(tf.constant(image[None]))
        expected = dict(
            zip(("content", "style", "variation", "total"), by_hand(extractor, image), strict=True)
        )
        assert list(found) == list(expected)
        for name, value in expected.items():
            assert found[name].shape == (1,)
            np.testing.assert_allclose(found[name], [value], rtol=1e-4, atol=1e-7)


def test_gradient_agrees_with_finite_differences(objective):
    values, gradient = objective.value_and_gradient(tf.constant(PHOTO[None]))
    assert float(values["content"][0]) == 0
    gradient = gradient.numpy()[0]
    for _ in range(5):  # along random directions
        direction = RNG.normal(size=PHOTO.shape).astype("float32")
        ahead, behind = (
            float(objective.losses(tf.constant((PHOTO + h * direction)[None]))["total"][0])
            for h in (1e-2, -1e-2)
        )
        slope = (gradient * direction).sum()
        assert (ahead - behind) / 2e-2 == pytest.approx(slope, rel=0.03, abs=2e-3)


@pytest.mark.parametrize("name", ["early", "deep"])
def test_every_style_layer_counts(extractor, objective, name):
    """The article's zip over a batch of one stops after the first layer."""
    before = float(objective.losses(PHOTO[None])["style"][0])
    other = transfer.Objective(extractor, PHOTO, STYLE, variation_weight=0.3, **ARGUMENTS)
    other.style_targets[name] = other.style_targets[name] + 1.0
    assert float(other.losses(PHOTO[None])["style"][0]) > before + 0.01


def test_layers_have_weights_of_their_own(extractor):
    weighted = transfer.Objective(
        extractor, PHOTO, STYLE, content_layers={"deep": 2.0},
        style_layers={"early": 0.5, "deep": 3.0}, style_weight=7.0, variation_weight=0.3,
    )  # fmt: skip
    image = RNG.random(PHOTO.shape).astype("float32")
    content, style, _, _ = by_hand(extractor, image, weights=(0.5, 3.0))
    found = weighted.losses(image[None])
    np.testing.assert_allclose(found["content"], [2 * content], rtol=1e-4)
    np.testing.assert_allclose(found["style"], [style], rtol=1e-4)


def test_style_does_not_depend_on_where_things_are(extractor):
    """Of a picture that is periodic and one that is moved by a period, but for the edges."""
    tile = np.tile(RNG.random((4, 4, 3)).astype("float32"), (8, 8, 1))
    both = [
        transfer.Objective(extractor, PHOTO, picture, **ARGUMENTS).style_targets["early"]
        for picture in (tile, np.roll(tile, (4, 8), axis=(0, 1)))
    ]
    np.testing.assert_allclose(*both, atol=1e-6)


def test_a_batch_is_several_objectives(extractor):
    photos = RNG.random((3, 12, 16, 3)).astype("float32")
    images = RNG.random((3, 12, 16, 3)).astype("float32")
    weights = [1.0, 5.0, 0.0]
    options = {"content_layers": ["deep"], "style_layers": ["early"]}
    together = transfer.Objective(
        extractor, photos, STYLE, style_weight=weights, variation_weight=0.1, **options
    )
    values, gradient = together.value_and_gradient(tf.constant(images))
    for i in range(3):
        alone = transfer.Objective(
            extractor, photos[i], STYLE, style_weight=weights[i], variation_weight=0.1, **options
        )
        value, slope = alone.value_and_gradient(tf.constant(images[i : i + 1]))
        np.testing.assert_allclose(values["total"][i], value["total"][0], rtol=1e-5)
        np.testing.assert_allclose(gradient[i], slope[0], atol=1e-6)


def test_blends_average_gram_matrices(extractor):
    styles = {"one": STYLE, "two": OTHER_STYLE}
    blended = transfer.Objective(extractor, PHOTO, styles, blend=[3, 1], **ARGUMENTS)
    one, two = (losses.gram_matrix(extractor(s[None])["deep"]) for s in (STYLE, OTHER_STYLE))
    np.testing.assert_allclose(blended.style_targets["deep"], 0.75 * one + 0.25 * two, rtol=1e-5)
    even = transfer.Objective(extractor, PHOTO, list(styles.values()), **ARGUMENTS)
    np.testing.assert_allclose(even.style_targets["deep"], (one + two) / 2, rtol=1e-5)
    only = transfer.Objective(extractor, PHOTO, styles, blend=[0, 2], **ARGUMENTS)
    np.testing.assert_allclose(only.style_targets["deep"], two, rtol=1e-5)


def test_content_or_style_alone(extractor):
    content = transfer.Objective(extractor, PHOTO, [], content_layers=["early"], style_layers=[])
    values, _ = content.value_and_gradient(tf.constant(PHOTO[None]))
    assert float(values["style"][0]) == float(values["content"][0]) == 0
    style = transfer.Objective(extractor, PHOTO, STYLE, content_layers=[], style_layers=["early"])
    assert float(style.losses(PHOTO[None])["content"][0]) == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"style_layers": ["later"]}, "must give later"),
        ({"blend": [1, 2]}, r"received \[1.0, 2.0\] for 1 styles"),
        ({"blend": [-1]}, "not negative"),
        ({"blend": [0]}, "above zero"),
    ],
)
def test_objective_refuses(extractor, changes, message):
    with pytest.raises(ValueError, match=message):
        transfer.Objective(extractor, PHOTO, STYLE, **(ARGUMENTS | changes))


@pytest.mark.parametrize("photo", [PHOTO[..., 0], PHOTO[..., :2], PHOTO[None, None]])
def test_objective_refuses_what_is_not_a_picture(extractor, photo):
    with pytest.raises(ValueError, match=r"a picture must have the shape \(height, width, 3\)"):
        transfer.Objective(extractor, photo, STYLE, **ARGUMENTS)


# --- optimisation


def test_the_loss_never_rises_and_pixels_stay_colours(objective):
    steps = list(transfer.minimise(objective, RNG.random(PHOTO.shape).astype("float32"), 15))
    totals = [step.losses["total"] for step in steps]
    assert len(steps) == 15 and (np.diff(totals) <= 1e-6).all() and totals[-1] < 0.7 * totals[0]
    for step in steps:
        assert step.image.shape == PHOTO.shape and step.image.dtype == np.float32
        assert step.image.min() >= 0 and step.image.max() <= 1
        assert step.size == 16
    assert [step.share for step in steps] == pytest.approx(np.arange(1, 16) / 15)
    # the numbers belong to the picture they come with
    found = objective.losses(steps[-1].image[None])["total"]
    np.testing.assert_allclose(found, [totals[-1]], rtol=1e-4)


class Bowl:
    """A quadratic whose smallest value within the colours is known: the target, cut off."""

    target = np.linspace(-0.5, 1.5, 5 * 7 * 3).reshape(5, 7, 3).astype("float32")

    def value_and_gradient(self, images):
        difference = images - self.target
        total = tf.reduce_sum(difference**2, axis=(1, 2, 3))
        return {"total": total}, 2 * difference


def test_the_optimum_within_the_bounds_is_found():
    *_, last = transfer.minimise(Bowl(), np.full((5, 7, 3), 0.3), 50)
    np.testing.assert_allclose(last.image, np.clip(Bowl.target, 0, 1), atol=1e-5)


def test_work_stands_still_between_two_steps(objective):
    before = threading.active_count()
    steps = transfer.minimise(objective, PHOTO, 50)
    next(steps)
    assert threading.active_count() == before + 1
    steps.close()
    assert threading.active_count() == before
    steps = transfer.minimise(objective, PHOTO, 50)
    next(steps)
    del steps
    gc.collect()
    assert threading.active_count() == before


def test_what_goes_wrong_in_the_work_is_raised_where_it_is_asked_for():
    class Broken(Bowl):
        def value_and_gradient(self, images):
            raise ArithmeticError("no gradient today")

    with pytest.raises(ArithmeticError, match="no gradient today"):
        next(transfer.minimise(Broken(), PHOTO, 3))


def test_coarse_to_fine(extractor):
    steps = list(
        transfer.stylize(
            extractor, PHOTO, STYLE, sizes=(8, 16, 24), iterations=(4, 3, 2), **ARGUMENTS
        )
    )
    assert [step.size for step in steps] == [8] * 4 + [16] * 3 + [24] * 2
    assert [step.image.shape for step in steps[::4]] == [(6, 8, 3), (12, 16, 3), (18, 24, 3)]
    shares = [step.share for step in steps]
    assert (np.diff(shares) > 0).all() and shares[-1] == pytest.approx(1)
    work = np.array([64] * 4 + [256] * 3 + [576] * 2)
    np.testing.assert_allclose(shares, np.cumsum(work) / work.sum())


def test_each_stage_starts_from_the_result_of_the_last(extractor, monkeypatch):
    starts = []
    original = transfer.minimise

    def spy(goal, image, count):
        starts.append(image)
        yield from original(goal, image, count)

    monkeypatch.setattr(transfer, "minimise", spy)
    noise = RNG.random((20, 20, 3)).astype("float32")
    options = {"sizes": (8, 16), "iterations": (2, 2), "start": noise, **ARGUMENTS}
    steps = list(transfer.stylize(extractor, PHOTO, STYLE, **options))
    np.testing.assert_allclose(starts[0], transfer.resize(noise, (6, 8)))
    np.testing.assert_allclose(starts[1], transfer.resize(steps[1].image, (12, 16)))


@pytest.mark.parametrize(
    ("sizes", "iterations"),
    [((), ()), ((8, 16), (3,)), ((8,), (0,)), ((16, 8), (3, 3)), ((8, 8), (3, 3))],
)
def test_stages_must_fit(extractor, sizes, iterations):
    with pytest.raises(ValueError, match="sizes"):
        next(transfer.stylize(extractor, PHOTO, STYLE, sizes=sizes, iterations=iterations))


# --- pictures


def test_resize_agrees_with_scikit_image_on_a_smooth_picture():
    y, x = np.mgrid[0:40, 0:60] / 10
    smooth = np.stack([np.sin(x) / 2 + 0.5, np.cos(y) / 2 + 0.5, np.sin(x + y) / 2 + 0.5], -1)
    found = transfer.resize(smooth, 30)
    assert found.shape == (20, 30, 3) and found.dtype == np.float32
    expected = skimage_resize(smooth, (20, 30), order=3, anti_aliasing=True)
    assert np.abs(found - expected)[2:-2, 2:-2].max() < 0.03


def test_resize_keeps_proportions_range_and_what_has_the_size_already():
    assert transfer.resize(PHOTO, 100).shape == (75, 100, 3)
    assert transfer.resize(PHOTO.transpose(1, 0, 2), 8).shape == (8, 6, 3)
    assert transfer.resize(PHOTO, (5, 50)).shape == (5, 50, 3)
    np.testing.assert_array_equal(transfer.resize(PHOTO, 16), PHOTO)
    edge = np.zeros((8, 8, 3), "float32")
    edge[:, 4:] = 1  # bicubic interpolation overshoots here
    large = transfer.resize(edge, 64)
    assert large.min() >= 0 and large.max() <= 1


def test_an_icon_and_a_strip_can_be_painted(extractor):
    for shape in ((16, 16, 3), (3, 40, 3)):
        tiny = RNG.random(shape).astype("float32")
        *_, last = transfer.stylize(
            extractor, tiny, STYLE, sizes=(64,), iterations=(1,), **ARGUMENTS
        )
        assert max(last.image.shape) == 64


def test_kept_colours_are_those_of_the_content():
    image = 0.4 + 0.2 * PHOTO
    content = 0.4 + 0.2 * RNG.random(PHOTO.shape).astype("float32")  # far from the edges of sRGB
    found = transfer.keep_colours(image, content)
    assert found.dtype == np.float32 and found.min() >= 0 and found.max() <= 1
    lab = color.rgb2lab(found)
    np.testing.assert_allclose(lab[..., 0], color.rgb2lab(image)[..., 0], atol=0.05)
    np.testing.assert_allclose(lab[..., 1:], color.rgb2lab(content)[..., 1:], atol=0.05)
    np.testing.assert_allclose(transfer.keep_colours(content, content), content, atol=1e-3)


def test_colours_that_no_screen_can_show_are_cut_off_without_a_warning():
    bright, blue = np.full((4, 4, 3), 0.02), np.tile([0.0, 0.0, 1.0], (4, 4, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = transfer.keep_colours(bright, blue)
    assert 0 <= found.min() <= found.max() <= 1


def test_matched_colours_have_the_quantiles_of_the_content():
    style, content = RNG.random((40, 40, 3)) ** 2, 0.2 + 0.5 * RNG.random((30, 50, 3))
    found = transfer.match_colours(style, content)
    assert found.shape == style.shape and found.dtype == np.float32
    levels = np.linspace(0.02, 0.98, 25)
    for channel in range(3):
        np.testing.assert_allclose(
            np.quantile(found[..., channel], levels),
            np.quantile(content[..., channel], levels),
            atol=0.01,
        )
        # colours are mapped, not moved: the order of the pixels stays
        order = np.argsort(style[..., channel].ravel())
        assert (np.diff(found[..., channel].ravel()[order]) >= -1e-6).all()
