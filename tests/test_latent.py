"""The widgets of notebook 04 without a browser, on nets whose every output is known."""

import io
import itertools
import math

import keras
import numpy as np
import pytest
import scipy.integrate
import scipy.ndimage
import scipy.spatial
import scipy.stats
from PIL import Image

from course_utils import _latent_canvas as canvas
from course_utils import data, latent, runtime, widgets

RNG = np.random.default_rng(0)
LOG_VAR = np.array([-2.0, -3.0])


def make_net(scale=1.0, activation=None, seed=0):
    """Return models that are linear, and the matrices of encoder and decoder.

    z_mean = scale · x A, z_log_var = `LOG_VAR`, logits = z B.
    """
    rng = np.random.default_rng(seed)
    a = scale * rng.normal(0, 0.15, (784, 2)).astype("float32")
    b = rng.normal(0, 2, (2, 784)).astype("float32")
    picture, z = keras.Input((28, 28, 1)), keras.Input((2,))
    mean, log_var = keras.layers.Dense(2, use_bias=False), keras.layers.Dense(2)
    flat = keras.layers.Flatten()(picture)
    encoder = keras.Model(picture, [mean(flat), log_var(flat)])
    dense = keras.layers.Dense(784, use_bias=False, activation=activation)
    decoder = keras.Model(z, keras.layers.Reshape((28, 28, 1))(dense(z)))
    mean.kernel.assign(a)
    log_var.kernel.assign(np.zeros((784, 2)))
    log_var.bias.assign(LOG_VAR)
    dense.kernel.assign(b)
    return encoder, decoder, a.astype(float), b.astype(float)


NARROW, WIDE = make_net(), make_net(scale=3.0, seed=1)
NETS = {"0.1": WIDE[:2], "1": NARROW[:2]}
MATRICES = {"0.1": WIDE[2:], "1": NARROW[2:]}


@pytest.fixture(scope="module")
def digits():
    images, labels = data.load_mnist("test")
    return images[:300], labels[:300]


@pytest.fixture(scope="module")
def explorer(digits):
    return latent.ExplorerView(NETS, *digits)


@pytest.fixture(scope="module")
def encoder(digits):
    return latent.EncoderView(NETS, *digits)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def decoded(z, net="1"):
    """Decode places as NumPy does it: `(n, 28, 28)` uint8."""
    return np.rint(255 * sigmoid(np.atleast_2d(z) @ MATRICES[net][1])).reshape(-1, 28, 28)


def assert_same_bytes(found, expected):
    assert found.dtype == np.uint8
    np.testing.assert_allclose(found.astype(int), expected, atol=1)  # float32 may round otherwise


# --- what the nets compute


def test_codes_are_the_means_of_the_pictures(explorer, digits):
    for net in NETS:
        expected = digits[0].reshape(-1, 784) @ MATRICES[net][0]
        np.testing.assert_allclose(explorer.planes[net].codes, expected, atol=1e-4)


def test_the_map_shows_nearly_all_codes(explorer):
    for plane in explorer.planes.values():
        inside = (np.abs(plane.codes) <= plane.reach).mean()
        assert inside > 0.99 and plane.reach >= 3.5
        assert (2 * plane.reach) % 1 == 0
        assert plane.extent == (-plane.reach, plane.reach, -plane.reach, plane.reach)
    assert explorer.planes["0.1"].reach > explorer.planes["1"].reach


def test_a_wider_map_has_wider_steps(explorer):
    for plane in explorer.planes.values():
        assert plane.step / 0.25 in (1, 2, 4, 8)
        assert 4 * plane.step <= plane.reach  # the block is a part of the map
        assert plane.reach / plane.step <= 24


def test_decoding_is_the_sigmoid_of_the_logits(explorer):
    z = RNG.normal(size=(7, 2))
    for net, plane in explorer.planes.items():
        assert_same_bytes(plane.decode(z), decoded(z, net))


def test_the_block_around_a_point_lies_as_the_map_does(explorer):
    plane = explorer.planes["1"]
    block = plane.around((0.5, -1.25))
    for row, column in itertools.product(range(5), range(5)):
        place = 0.5 + plane.step * (column - 2), -1.25 + plane.step * (2 - row)
        assert_same_bytes(block[row, column], decoded(place)[0])


def test_nearest_codes_are_those_of_a_tree(explorer, digits):
    plane = explorer.planes["1"]
    tree = scipy.spatial.cKDTree(plane.codes)
    for point in RNG.normal(size=(20, 2)) * 2:
        distances, found = tree.query(point, 25)
        counts, distance = plane.nearest(point)
        assert distance == pytest.approx(distances[0], rel=1e-5)
        expected = np.bincount(digits[1][found], minlength=10)
        assert counts == {d: n for d, n in enumerate(expected) if n}
        assert list(counts.values()) == sorted(counts.values(), reverse=True)


def test_few_codes_are_all_near(digits):
    plane = latent.Plane(*NETS["1"], digits[0][:4], digits[1][:4])
    assert sum(plane.nearest((0, 0))[0].values()) == 4


def test_a_look_is_what_the_definitions_say(encoder):
    picture = encoder.pictures[3]
    look = encoder.planes["1"].look(picture)
    mean = picture.reshape(784) / 255 @ MATRICES["1"][0]
    np.testing.assert_allclose(look.z_mean, mean, atol=1e-4)
    np.testing.assert_allclose(look.z_std, np.exp(LOG_VAR / 2), rtol=1e-5)
    assert_same_bytes(look.mean, decoded(mean)[0])

    def integrand(z, m, s):  # log q - log p, weighted by q
        q, p = scipy.stats.norm(m, s), scipy.stats.norm()
        return q.pdf(z) * (q.logpdf(z) - p.logpdf(z))

    kl = sum(
        scipy.integrate.quad(integrand, m - 9 * s, m + 9 * s, args=(m, s))[0]
        for m, s in zip(mean, look.z_std, strict=True)
    )
    assert look.kl == pytest.approx(kl, rel=1e-3)


def test_draws_come_from_q_and_their_loss_and_deviation_are_those_of_many(encoder):
    plane, picture = encoder.planes["1"], encoder.pictures[3]
    look = plane.look(picture)
    x = picture.reshape(784) / 255
    z = x @ MATRICES["1"][0] + np.exp(LOG_VAR / 2) * RNG.normal(size=(4000, 2))
    logits = z @ MATRICES["1"][1]
    chance = sigmoid(logits)
    losses = -(x * np.log(chance) + (1 - x) * np.log1p(-chance)).sum(axis=1)
    error = losses.std() / math.sqrt(len(look.draws))
    assert abs(look.reconstruction - losses.mean()) < 4 * error
    deviation = chance.std(axis=0).reshape(28, 28)
    seen = deviation > 0.05
    ratio = look.deviation[seen] / deviation[seen]
    assert 0.7 < np.median(ratio) < 1.3  # of 24 draws: 15% is one standard error
    np.testing.assert_allclose(
        look.deviation, np.std(look.draws / 255, axis=0), atol=0.004
    )  # of bytes
    assert len({draw.tobytes() for draw in look.draws}) == len(look.draws) == 24


def test_a_look_repeats_itself(encoder):
    one, other = (encoder.planes["1"].look(encoder.pictures[5]) for _ in range(2))
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("call", ["decode", "look"])
def test_the_models_are_locked_while_they_run(explorer, encoder, monkeypatch, call):
    held = []
    plane = explorer.planes["1"]
    real = getattr(plane, f"_{call}")
    monkeypatch.setattr(
        plane, f"_{call}", lambda *args: held.append(runtime.model_lock._is_owned()) or real(*args)
    )
    plane.decode(np.zeros((1, 2))) if call == "decode" else plane.look(encoder.pictures[0])
    assert held == [True] and not runtime.model_lock._is_owned()


# --- drawings


def test_digits_of_mnist_stay_as_they_are():
    images = np.rint(255 * data.load_mnist("test")[0][:3000, ..., 0]).astype(np.uint8)
    same = sum(np.array_equal(latent.centred(digit), digit) for digit in images)
    assert same >= 2998  # three of 10,000 are 19 pixels long


@pytest.mark.parametrize("shift", [(0, 3), (-4, 2), (4, 4)])
def test_a_moved_digit_comes_back_to_its_place(encoder, shift):
    for digit in encoder.pictures[:20]:
        moved = np.roll(digit, shift, axis=(0, 1))
        if moved[:, 0].any() or moved[0].any() or moved[-1].any() or moved[:, -1].any():
            continue  # it went over the edge
        np.testing.assert_array_equal(latent.centred(moved), digit)


def test_a_drawing_gets_the_size_and_centre_of_mnist():
    for side in (10, 14, 26):
        drawing = np.zeros((28, 28), np.uint8)
        drawing[1 : 1 + side, 1:4] = 255
        drawing[side - 2 : side + 1, 1 : 1 + side // 2] = 255  # an L, in a corner
        found = latent.centred(drawing)
        assert found.shape == (28, 28) and found.dtype == np.uint8
        rows = np.flatnonzero(found.any(axis=1))
        assert rows[-1] - rows[0] + 1 == 20
        centre = scipy.ndimage.center_of_mass(found.astype(float))
        assert np.abs(np.array(centre) - 14).max() <= 0.5 + 1e-6
        assert found.max() > 200


def test_a_dot_does_not_fill_the_picture():
    drawing = np.zeros((28, 28), np.uint8)
    drawing[0:3, 25:28] = 255
    found = latent.centred(drawing)
    rows = np.flatnonzero(found.any(axis=1))
    assert rows[-1] - rows[0] + 1 == 6 and 12 < rows.mean() < 16


@pytest.mark.parametrize("value", [0, 1])
def test_nothing_and_hardly_anything(value):
    drawing = np.zeros((28, 28), np.uint8)
    drawing[::27, ::27] = value  # corners
    found = latent.centred(drawing)
    assert found is None or found.shape == (28, 28)
    assert (found is None) == (value == 0) or not found.any()


def test_a_lopsided_drawing_stays_in_the_picture():
    drawing = np.zeros((28, 28), np.uint8)
    drawing[0:28, 0:10] = 255
    drawing[14, 10:28] = 40
    found = latent.centred(drawing)
    assert found.shape == (28, 28) and found.any()


# --- the explorer's picture


def state(**changes):
    return {"kl_weight": "1", "point": (0.5, -1.0), "background": latent.CODES, **changes}


def large(picture):
    """Cut the large digit out of the explorer's picture."""
    return picture[32 : 32 + 252, 10 : 10 + 252, 0]


@pytest.mark.parametrize("net", list(NETS))
@pytest.mark.parametrize("point", [(0.5, -1.0), (-2.25, 3.0)])
def test_the_digit_at_the_point_is_shown_large_and_in_the_middle(explorer, net, point):
    picture = explorer(state(kl_weight=net, point=point))
    assert picture.shape == (386, 596, 3)
    expected = decoded(point, net)[0]
    assert_same_bytes(large(picture), expected.repeat(9, axis=0).repeat(9, axis=1))
    middle = picture[152 : 152 + 56, 410 : 410 + 56, 0]
    assert_same_bytes(middle, expected.repeat(2, axis=0).repeat(2, axis=1))


def test_the_bar_shows_the_shares_of_the_nearest_digits(explorer):
    point = (1.0, 1.0)
    counts, _ = explorer.planes["1"].nearest(point)
    row = explorer(state(point=point))[32 + 252 + 14 + 23 + 1, 10 : 10 + 252]
    for digit, number in counts.items():
        colour = np.array(canvas._COLOURS[digit])
        assert (row == colour).all(axis=-1).sum() == pytest.approx(252 * number / 25, abs=1)


def test_the_background_changes_the_map_only(explorer):
    codes, mosaic = (explorer.map(state(background=b)) for b in (latent.CODES, latent.DECODED))
    assert codes.shape == (672, 672, 3) and mosaic.shape == (672, 672)
    np.testing.assert_array_equal(explorer(state()), explorer(state(background=latent.DECODED)))


def test_each_digit_of_the_mosaic_is_the_one_of_its_place(explorer):
    for net, plane in explorer.planes.items():
        drawn = explorer.map(state(kl_weight=net, background=latent.DECODED))
        for row, column in [(0, 0), (6, 6), (2, 9), (11, 11)]:
            place = 2 * plane.reach * (np.array([column, 11 - row]) + 0.5) / 12 - plane.reach
            tile = drawn[56 * row : 56 * (row + 1), 56 * column : 56 * (column + 1)]
            assert_same_bytes(tile[::2, ::2], decoded(place, net)[0])
            np.testing.assert_array_equal(tile[::2], tile[1::2])


def test_dots_lie_where_the_codes_are(explorer):
    codes = np.array([[1.0, 2.0], [-3.0, 0.5]])
    drawn = canvas.code_map(codes, np.array([1, 1]), 4.0)
    colour = np.array(canvas._COLOURS[1])
    blank = canvas.code_map(np.full((2, 2), 9.0), np.array([1, 1]), 4.0)
    for x, y in codes:
        row, column = round(672 * (4 - y) / 8), round(672 * (x + 4) / 8)
        assert blank[row, column].min() > 200
        np.testing.assert_allclose(drawn[row, column], (255 + colour) / 2, atol=3)  # half seen


def test_still_puts_the_marked_map_beside_the_picture(explorer):
    here = state(point=(-1.0, 2.0))
    still = explorer.still(here)
    np.testing.assert_array_equal(still[:, -596:], explorer(here))
    unmarked = explorer.still(here | {"point": (2.0, -2.0)})
    changed = (still != unmarked).any(axis=-1)[25 : 25 + 336, 8 : 8 + 336]
    plane = explorer.planes["1"]
    middle = (
        336 * (plane.reach - 1.0) / (2 * plane.reach),
        336 * (plane.reach - 2.0) / (2 * plane.reach),
    )
    rows, columns = np.nonzero(changed[: 336 // 2])
    assert np.ptp(rows) < 25 and np.ptp(columns) < 25
    assert columns.mean() == pytest.approx(middle[0], abs=1.5)
    assert rows.mean() == pytest.approx(middle[1], abs=1.5)
    assert explorer.still(state(background=latent.DECODED)).shape == still.shape


def test_the_explorer_says_where_the_point_is(explorer):
    text = explorer.describe(state(point=(1.0, -1.5)))
    radius = math.hypot(1, 1.5)
    density = scipy.stats.multivariate_normal([0, 0], np.eye(2)).pdf([1, -1.5])
    farther = scipy.stats.chi2(2).sf(radius**2)
    assert text.startswith(
        f"Point (1.00, -1.50), {radius:.2f} standard deviations from the centre. The density of "
        f"the prior is {density:.2g}, {farther:.0%} of that at the centre.\n"
    )
    assert "less than 1% of" in explorer.describe(state(point=(3.5, 0)))
    assert text.endswith("away.")


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ({8: 25}, "All 25 nearest codes are of digit 8"),
        ({4: 20, 9: 5}, "The 25 nearest codes are 20 of digit 4 and 5 of digit 9"),
        (
            {4: 10, 9: 8, 8: 7},
            "The 25 nearest codes are 10 of digit 4, 8 of digit 9 and 7 of digit 8",
        ),
        (
            {4: 10, 9: 6, 8: 5, 1: 3, 2: 1},
            "The 25 nearest codes are 10 of digit 4, 6 of digit 9, 5 of digit 8 and 4 of other "
            "digits",
        ),
    ],
)
def test_digits_in_words(counts, text):
    assert latent._of_digits(counts) == text


# --- the encoder's picture


def seen(view, **changes):
    chosen = {"kl_weight": "1", "digit": 0, **changes}
    chosen.setdefault("drawing", view.pictures[chosen["digit"]].tobytes())
    return chosen


def test_the_encoders_picture_shows_what_went_in_and_came_out(encoder):
    now = seen(encoder, digit=7)
    picture = encoder(now)
    assert picture.shape == (366, 716, 3)
    look = encoder.planes["1"].look(encoder.pictures[7])
    second, top = 10 + 312 + 24, 32
    for number, panel in enumerate([encoder.pictures[7], look.mean]):
        x = second + number * 124
        found = picture[top : top + 112, x : x + 112, 0]
        np.testing.assert_array_equal(found, panel.repeat(4, axis=0).repeat(4, axis=1))
    heat = picture[top : top + 112 : 4, second + 248 : second + 360 : 4].astype(int).sum(axis=-1)
    order = scipy.stats.spearmanr(
        heat.ravel(), np.minimum(look.deviation, canvas.MOST_DEVIATION).ravel()
    ).statistic
    assert order > 0.98
    first_draw = picture[178 : 178 + 56, second : second + 56, 0]
    np.testing.assert_array_equal(first_draw, look.draws[0].repeat(2, axis=0).repeat(2, axis=1))


def test_ellipses_are_one_and_two_standard_deviations_from_the_mean():
    blank = np.full((320, 320, 3), 255, np.uint8)
    drawn = canvas._with_ellipses(blank, np.array([1.0, -0.5]), np.array([0.5, 0.25]), 4.0)
    x, y = 320 * 5 / 8, 320 * 4.5 / 8
    vermilion = drawn[..., 2].astype(int) < drawn[..., 0].astype(int) - 60
    rows, columns = np.nonzero(vermilion)
    for times in (1, 2):
        for dx, dy in [(0.5, 0), (-0.5, 0), (0, 0.25), (0, -0.25)]:
            place = np.array([x + 40 * times * dx, y + 40 * times * dy])
            assert np.hypot(columns + 0.5 - place[0], rows + 0.5 - place[1]).min() < 1.6
    assert columns.max() + 1 - columns.min() == pytest.approx(80, abs=3)
    assert rows.max() + 1 - rows.min() == pytest.approx(40, abs=3)


@pytest.mark.parametrize(
    ("mean", "std"), [((30, -30), (1, 1)), ((0, 0), (1e6, 1e-9)), ((4, 4), (0.1, 0.1))]
)
def test_ellipses_anywhere_break_nothing(mean, std):
    blank = np.full((320, 320, 3), 255, np.uint8)
    drawn = canvas._with_ellipses(blank, np.array(mean), np.array(std), 4.0)
    assert drawn.shape == blank.shape and (drawn != blank).any()


def test_the_encoder_says_what_it_did(encoder):
    look = encoder.planes["0.1"].look(encoder.pictures[2])
    text = encoder.describe(seen(encoder, digit=2, kl_weight="0.1"))
    assert text.startswith(f"Test digit 2, a {encoder.labels[2]}, lands at ")
    assert f"({look.z_mean[0]:.2f}, {look.z_mean[1]:.2f})" in text
    assert f"KL divergence {look.kl:.1f} nats" in text
    assert f"reconstruction loss {look.reconstruction:.1f} nats" in text
    assert f"by up to {look.deviation.max():.2f}." in text


def test_a_drawing_is_centred_and_said_to_be(encoder):
    moved = np.roll(encoder.pictures[4], (0, 3), axis=(0, 1))
    now = seen(encoder, digit=4, drawing=moved.tobytes())
    assert encoder.describe(now).startswith("Your drawing, scaled and centred as the digits of")
    np.testing.assert_array_equal(encoder(now), encoder(seen(encoder, digit=4)))


def test_an_empty_drawing_is_no_mistake(encoder):
    now = seen(encoder, drawing=bytes(784))
    picture = encoder(now)
    assert picture.shape == (366, 716, 3)
    assert encoder.describe(now).startswith("Nothing is drawn. Draw a digit")
    assert (picture != encoder(seen(encoder))).any()


def test_a_code_outside_the_map_is_said_to_be(encoder, monkeypatch):
    assert "(outside the map)" not in encoder.describe(seen(encoder))
    monkeypatch.setattr(encoder.planes["1"], "reach", 0.01)
    assert "(outside the map) with" in encoder.describe(seen(encoder))
    assert encoder(seen(encoder)).shape == (366, 716, 3)


def test_a_net_runs_once_for_each_picture(digits, monkeypatch):
    view = latent.EncoderView(NETS, *digits)
    calls = []
    for plane in view.planes.values():
        real = plane.look
        monkeypatch.setattr(plane, "look", lambda x, real=real: calls.append(1) or real(x))
    for _ in range(2):
        for net in NETS:
            view(seen(view, digit=9, kl_weight=net))
            view.describe(seen(view, digit=9, kl_weight=net))
    assert len(calls) == len(NETS)


def test_all_is_compiled_before_the_first_key_press(explorer, encoder, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("traced after construction")

    monkeypatch.setattr(keras.Model, "__call__", refuse)
    for net in NETS:
        explorer(state(kl_weight=net, point=(0.125, 0.25)))
        encoder(seen(encoder, kl_weight=net, digit=11))


# --- what is refused


def probabilities():
    return {"1": (NARROW[0], make_net(activation="sigmoid")[1])}


def three_axes():
    z = keras.Input((3,))
    dense = keras.layers.Dense(784)(z)
    return {"1": (NARROW[0], keras.Model(z, keras.layers.Reshape((28, 28, 1))(dense)))}


def not_finite():
    encoder, decoder, _, _ = make_net()
    encoder.weights[0].assign(np.full((784, 2), np.nan))
    return {"1": (encoder, decoder)}


@pytest.mark.parametrize("make", [widgets.latent_explorer, widgets.digit_encoder])
@pytest.mark.parametrize(
    ("nets", "message"),
    [
        (dict, "with at least one; received {}"),
        (lambda: [NETS["1"]], r"needs a mapping from kl_weight to \(encoder, decoder\)"),
        (lambda: {"1": NARROW[0]}, r"must be a pair \(encoder, decoder\); received .* for '1'"),
        (lambda: {"1": (None, NARROW[1])}, r"The encoder must be .* received one from \[\] to"),
        (lambda: {"1": NARROW[1::-1]}, r"The encoder must be .* from \[\(2,\)\] to"),
        (three_axes, r"The decoder must be .* received one from \[\(3,\)\]"),
        (probabilities, "must return logits, not probabilities"),
        (not_finite, "must return finite codes"),
    ],
)
def test_nets_of_another_kind_are_refused(make, nets, message, digits):
    with pytest.raises(ValueError, match=message):
        make(nets(), digits[0][:9], digits[1][:9])


@pytest.mark.parametrize("make", [widgets.latent_explorer, widgets.digit_encoder])
@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((0, 28, 28, 1)), [], r"with m > 0; received \(0, 28, 28, 1\)"),
        (np.zeros((5, 28, 28)), [0] * 5, r"received \(5, 28, 28\)"),
        (np.full((2, 28, 28, 1), 200.0), [0] * 2, "received float64 from 200 to 200"),
        (np.full((2, 28, 28, 1), np.nan), [0] * 2, "received float64 from nan to nan"),
        (np.zeros((2, 28, 28, 1)), [0] * 3, r"for each of 2 images; received labels of shape \(3"),
        (np.zeros((2, 28, 28, 1)), [0.5, 1], "and type float64"),
        (np.zeros((2, 28, 28, 1)), [-1, 1], "from -1 to 1"),
    ],
)
def test_pictures_and_labels_of_another_kind_are_refused(make, images, labels, message):
    with pytest.raises(ValueError, match=message):
        make(NETS, images, np.array(labels))


# --- the widgets


def shown(shell):
    return np.asarray(Image.open(io.BytesIO(bytes(shell._image.value))))


def png(content):
    return np.asarray(Image.open(io.BytesIO(content)))


@pytest.fixture
def latent_shell(digits):
    return widgets.latent_explorer(NETS, *digits)


@pytest.fixture
def encoder_shell(digits):
    return widgets.digit_encoder(NETS, *digits)


def test_the_explorer_begins_with_weight_one_and_follows_the_point(latent_shell, explorer):
    assert latent_shell.controls["kl_weight"].value == "1"
    assert set(latent_shell.state()) == set(state())
    latent_shell.controls["point"].value = (1.5, -2.0)
    np.testing.assert_array_equal(shown(latent_shell), explorer(state(point=(1.5, -2.0))))
    assert "Point (1.50, -2.00)" in latent_shell._caption.value


def test_another_weight_puts_another_map_below_the_same_point(latent_shell, explorer):
    pad = latent_shell.controls["point"]
    pad.value = (1.5, -2.0)
    latent_shell.controls["kl_weight"].value = "0.1"
    assert pad.value == (1.5, -2.0)
    assert pad.extent == explorer.planes["0.1"].extent
    np.testing.assert_array_equal(png(pad.picture), explorer.map(state(kl_weight="0.1")))
    np.testing.assert_array_equal(
        shown(latent_shell), explorer(state(kl_weight="0.1", point=(1.5, -2.0)))
    )
    far = explorer.planes["0.1"].reach
    pad.value = (far, -far)
    latent_shell.controls["kl_weight"].value = "1"
    near = explorer.planes["1"].reach
    assert pad.value == (near, -near)  # held at the edge of the smaller map


def test_decoded_digits_go_below_the_point(latent_shell, explorer):
    before = shown(latent_shell)
    latent_shell.controls["background"].value = latent.DECODED
    pad = latent_shell.controls["point"]
    np.testing.assert_array_equal(png(pad.picture), explorer.map(state(background=latent.DECODED)))
    np.testing.assert_array_equal(shown(latent_shell), before)


def test_reset_brings_back_the_first_map(latent_shell, explorer):
    before, pad = shown(latent_shell), latent_shell.controls["point"]
    first = pad.value
    latent_shell.controls["kl_weight"].value = "0.1"
    latent_shell.controls["background"].value = latent.DECODED
    pad.value = (explorer.planes["0.1"].reach, 0.0)
    latent_shell.reset()
    assert pad.extent == explorer.planes["1"].extent and pad.value == first
    np.testing.assert_array_equal(png(pad.picture), explorer.map(state()))
    np.testing.assert_array_equal(shown(latent_shell), before)


def test_readers_without_a_kernel_see_the_map_too(latent_shell, explorer):
    drawn = png(latent_shell._first_png)
    np.testing.assert_array_equal(
        drawn, explorer.still(state(point=latent_shell.controls["point"].value))
    )


def test_choosing_a_digit_puts_it_on_the_pad(encoder_shell, encoder):
    pad = encoder_shell.controls["drawing"]
    np.testing.assert_array_equal(pad.raster, encoder.pictures[0])
    encoder_shell.controls["digit"].value = 12
    np.testing.assert_array_equal(pad.raster, encoder.pictures[12])
    np.testing.assert_array_equal(shown(encoder_shell), encoder(seen(encoder, digit=12)))
    assert "Test digit 12" in encoder_shell._caption.value


def test_drawing_is_followed_and_another_choice_replaces_it(encoder_shell, encoder):
    pad = encoder_shell.controls["drawing"]
    pad.raster = np.roll(encoder.pictures[3], 2, axis=1)
    np.testing.assert_array_equal(
        shown(encoder_shell), encoder(seen(encoder, drawing=encoder.pictures[3].tobytes()))
    )
    assert "Your drawing" in encoder_shell._caption.value
    pad.raster = np.zeros((28, 28), np.uint8)
    assert "Nothing is drawn" in encoder_shell._caption.value
    assert encoder_shell._message.value == ""
    encoder_shell.controls["digit"].value = 5
    np.testing.assert_array_equal(pad.raster, encoder.pictures[5])
    encoder_shell.controls["kl_weight"].value = "0.1"
    encoder_shell.reset()
    np.testing.assert_array_equal(shown(encoder_shell), encoder(seen(encoder)))


def test_names_of_nets_may_be_numbers(digits):
    shell = widgets.latent_explorer({1.0: NETS["1"], 0.5: NETS["0.1"]}, *digits)
    assert shell.controls["kl_weight"].options == ("1.0", "0.5")


def test_bytes_and_floats_are_the_same_digits(digits, encoder):
    view = latent.EncoderView(NETS, np.rint(digits[0] * 255).astype(np.uint8), digits[1])
    np.testing.assert_array_equal(view.pictures, encoder.pictures)
    np.testing.assert_array_equal(view(seen(view)), encoder(seen(encoder)))
