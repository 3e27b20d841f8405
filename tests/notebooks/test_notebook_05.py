"""What notebook 05 defines, and what it says in numbers."""

import io
import re
import unicodedata

import keras
import numpy as np
import PIL.Image
import pytest
import scipy.special
import tensorflow as tf
from extract import NOTEBOOKS, load_definitions, read

from course_utils import checkpoints, data, losses, pixels

RNG = np.random.default_rng(0)
SHAPE = (14, 14, 4)


@pytest.fixture(scope="module")
def nb():
    return load_definitions("05_pixelcnn")


@pytest.fixture(scope="module")
def digits():
    images, labels = data.load_mnist("test")
    return data.binarise(images[:400], seed=0), labels[:400]


@pytest.fixture(scope="module")
def shipped():
    return checkpoints.load("pixelcnn")


@pytest.fixture(scope="module")
def card():
    return checkpoints.card("pixelcnn")


@pytest.fixture(scope="module")
def tiny(nb):
    keras.utils.set_random_seed(0)
    return nb.build_gated(SHAPE, 16, 8, 2, 8)


# --- the alphabet and the drawing


def test_every_letter_looks_like_its_block(nb):
    """Against the names that Unicode gives the letters."""
    corners = ("UPPER LEFT", "UPPER RIGHT", "LOWER LEFT", "LOWER RIGHT")
    halves = {
        "LEFT HALF BLOCK": (0, 2), "RIGHT HALF BLOCK": (1, 3), "UPPER HALF BLOCK": (0, 1),
        "LOWER HALF BLOCK": (2, 3), "FULL BLOCK": (0, 1, 2, 3), "SPACE": (),
    }  # fmt: skip
    for symbol, letter in enumerate(nb.as_text([range(16)])[0]):
        name = unicodedata.name(letter)
        ink = halves.get(name, [i for i, corner in enumerate(corners) if corner in name])
        expected = [float(i in ink) for i in range(4)]
        assert pixels.BLOCKS.decode([[[symbol]]]).ravel().tolist() == expected, name


def test_the_film_ends_with_the_digits_and_begins_without(nb, digits):
    symbols = pixels.BLOCKS.encode(digits[0][:3])[1].numpy()
    film = PIL.Image.open(io.BytesIO(nb.animate(symbols, pixels.BLOCKS, every=28, zoom=1)))
    frames = []
    for k in range(film.n_frames):
        film.seek(k)
        frames.append(np.asarray(film.convert("L")))
    assert len(frames) == 8 and np.unique(frames[0][:, :28]).tolist() == [90]
    np.testing.assert_array_equal(frames[-1][:, 30:58], 255 * digits[0][1, ..., 0])
    np.testing.assert_array_equal(frames[1][:4, :28], 255 * digits[0][0, :4, :, 0])
    assert (frames[1][4:, :28] == 90).all()


def test_stages_show_what_is_written(nb, digits):
    symbols = pixels.BLOCKS.encode(digits[0][:2])[1].numpy()
    half, whole = nb.stages(symbols, pixels.BLOCKS, (0.5, 1)).reshape(2, 2, 28, 28)
    np.testing.assert_array_equal(whole, digits[0][:2, ..., 0])
    np.testing.assert_array_equal(half[:, :14], whole[:, :14])
    assert (half[:, 14:] == np.float32(0.35)).all()


# --- the networks


def test_the_network_is_that_of_the_article(nb):
    article = nb.build_article()
    assert article.count_params() == ((49 * 64 + 64) + 7 * (9 * 64 * 64 + 64) + (64 * 256 + 256))
    assert [one.mask_type for one in article.layers if hasattr(one, "mask_type")] == list(
        "ABBBBBBB"
    )
    plain = nb.build_article(masks=None)
    assert plain.count_params() == article.count_params()
    assert article.get_layer("logits").activation is keras.activations.linear


def moved_by_trying(model, shape, place):
    """Which places move the logits of one place when they are changed, one after another."""
    seen = np.random.default_rng(3).normal(size=shape).astype("float32")
    count = shape[0] * shape[1]
    changed = np.repeat(seen[None], count, axis=0)
    for k in range(count):
        changed[k, k // shape[1], k % shape[1]] += 3
    labels = tf.zeros(count, tf.int32)

    def run(x):
        x = tf.constant(x)
        return model([x, labels[: len(x)]] if len(model.inputs) == 2 else x)[
            :, place[0], place[1]
        ].numpy()

    return (np.abs(run(changed) - run(seen[None])).max(axis=1) > 1e-6).reshape(shape[:2])


@pytest.mark.parametrize("place", [(0, 0), (6, 4), (9, 13)])
def test_influence_is_what_trying_finds(nb, tiny, place):
    for model in (tiny, nb.build_article(16, 8, shape=SHAPE)):
        moved = moved_by_trying(model, SHAPE, place)
        found = nb.influence(model, SHAPE, place) > 0
        assert not (moved & ~found).any()  # what a rectifier hides in one picture shows in others
        assert not moved[~nb.earlier(SHAPE, place)].any()
        assert moved.sum() >= 0.5 * found.sum()


def test_earlier_is_the_order_of_reading(nb):
    for place in ((0, 0), (3, 5), (13, 13)):
        expected = [[(i, j) < place for j in range(14)] for i in range(14)]
        np.testing.assert_array_equal(nb.earlier(SHAPE, place), expected)


def test_two_stacks_have_no_blind_spot(nb, tiny):
    assert not nb.leaks(tiny, SHAPE)
    assert not nb.blind_spot(tiny, SHAPE, (8, 6)).any()
    article = nb.build_article(16, 8)
    blind = nb.blind_spot(article, (28, 28, 1), (16, 14))
    assert not nb.leaks(article, (28, 28, 1)) and blind.sum() > 20
    _, columns = np.nonzero(blind)
    assert (columns > 14 + 3).all()  # up to the right, and nowhere else
    field = nb.draw_field(article, (28, 28, 1), (16, 14))
    assert not field[16, 14].any()
    np.testing.assert_allclose(field[blind], [(0.90, 0.62, 0.0)] * blind.sum())
    assert (field[20] == 0.82).all()


@pytest.mark.parametrize("masks", ["BBBBBBBB", None, "ABBBABBB"])
def test_a_wrong_mask_is_caught_by_the_derivatives(nb, masks):
    model = nb.build_article(16, 8, masks, SHAPE)
    right = masks == "ABBBABBB"  # a second A wastes something, and leaks nothing
    assert nb.leaks(model, SHAPE) is not right
    if right:
        pixels.PixelSampler(model, pixels.BLOCKS)
    else:
        with pytest.raises(ValueError):
            pixels.PixelSampler(model, pixels.BLOCKS)


def test_the_objective_is_the_negative_log_likelihood(nb, tiny, digits):
    """Against SciPy, one symbol at a time."""
    tiny.compile(keras.optimizers.Adam(), pixels.BLOCKS.encode)
    pictures, labels = digits[0][:3], digits[1][:3]
    seen = pictures.reshape(3, 14, 2, 14, 2).swapaxes(2, 3).reshape(3, 14, 14, 4)
    logits = tiny([seen, labels]).numpy().astype("float64")
    expected = 0
    for n, i, j in np.ndindex(3, 14, 14):
        symbol = int(seen[n, i, j] @ [8, 4, 2, 1])
        expected -= scipy.special.log_softmax(logits[n, i, j])[symbol]
    assert float(
        tiny.objective(tf.constant(pictures), tf.constant(labels), training=False)
    ) == pytest.approx(expected / 3, rel=1e-5)


def test_a_step_changes_every_weight_and_lowers_the_loss(nb, digits):
    keras.utils.set_random_seed(0)
    model = nb.build_gated(SHAPE, 16, 8, 2, 8)
    model.compile(keras.optimizers.Adam(2e-3), pixels.BLOCKS.encode)
    batch = tf.constant(digits[0][:64]), tf.constant(digits[1][:64])
    before = [w.numpy() for w in model.trainable_variables]
    first = float(model.objective(*batch, training=False))
    for _ in range(8):
        model.train_step(batch)
    unchanged = [
        w.path
        for w, old in zip(model.trainable_variables, before, strict=True)
        if np.array_equal(w.numpy(), old)
    ]
    assert not unchanged
    assert float(model.objective(*batch, training=False)) < first


def test_training_validates_and_draws_anew(nb, digits):
    keras.utils.set_random_seed(0)
    model = nb.build_gated(SHAPE, 16, 8, 1, 8)
    train = digits[0][:128], digits[1][:128]
    history = nb.train_pixelcnn(
        model, pixels.BLOCKS, train, train, epochs=2, batch_size=32, live=False
    )
    assert set(history) == {"loss", "val_loss", "seconds"} and len(history["loss"]) == 2
    assert history["val_loss"][1] < history["val_loss"][0] < 600
    assert int(model.optimizer.iterations) == 8


def test_the_shipped_recipe_gives_a_float32_network(nb, digits):
    small = digits[0][:64], digits[1][:64]
    net, card = nb.train_shipped(
        pixels.BLOCKS, SHAPE, (8, 1, 8), small, small, epochs=1, batch_size=32, live=False
    )
    assert keras.config.dtype_policy().name == "float32"
    assert {layer.compute_dtype for layer in net.layers if layer.weights} == {"float32"}
    assert len(card["history"]["loss"]) == 1 and card["recipe"]["policy"] == nb.POLICY


# --- likelihoods


def test_places_add_up_to_the_likelihood(nb, tiny, digits):
    costs = nb.place_nats(tiny, pixels.BLOCKS, digits[0][:5], digits[1][:5])
    assert costs.shape == (5, 14, 14) and (costs >= 0).all()
    found = pixels.log_likelihood(tiny, pixels.BLOCKS, digits[0][:5], digits[1][:5])
    np.testing.assert_allclose(costs.sum(axis=(1, 2)), -found, rtol=1e-5)


def test_belief_is_bayes_rule_on_what_has_been_read(nb, shipped, digits):
    picture = digits[0][7]
    course = nb.belief(shipped, pixels.BLOCKS, picture)
    np.testing.assert_allclose(course.sum(axis=1), 1)
    np.testing.assert_allclose(course[0], 0.1)
    whole = pixels.class_log_likelihoods(shipped, pixels.BLOCKS, picture[None])[0]
    np.testing.assert_allclose(course[-1], scipy.special.softmax(whole), atol=1e-3)
    other = picture.copy()
    other[14:] = digits[0][8][14:]  # what has not been read cannot be believed in
    np.testing.assert_allclose(
        nb.belief(shipped, pixels.BLOCKS, other)[: 7 * 14 + 1], course[: 7 * 14 + 1], atol=1e-4
    )


def test_measure_averages_over_the_classes(nb, shipped, digits):
    pictures, labels = digits[0][:20], digits[1][:20]
    found = nb.measure(shipped, pixels.BLOCKS, pictures, labels)
    told = np.array([
        [-nb.place_nats(shipped, pixels.BLOCKS, x[None], [y]).sum() for y in range(10)]
        for x in pictures
    ])  # fmt: skip
    nats = -scipy.special.logsumexp(told, axis=1, b=0.1)
    assert found["nats"] == pytest.approx(nats.mean(), rel=1e-4)
    assert found["nats_given_class"] == pytest.approx(-told[np.arange(20), labels].mean(), rel=1e-4)
    assert found["accuracy"] == np.mean(told.argmax(axis=1) == labels)
    assert found["bits_per_dimension"] == pytest.approx(nats.mean() / 784 / np.log(2), rel=1e-4)


def test_bits_per_pixel(nb):
    assert nb.bits_per_pixel(784 * np.log(256)) == pytest.approx(8)


# --- the shipped networks


def test_the_shipped_networks_are_those_of_the_notebook(nb, card):
    for name, shape, levels, sizes, epochs in (
        ("pixelcnn", SHAPE, 16, nb.BLOCKS_SIZES, nb.BLOCKS_EPOCHS),
        ("pixelcnn-grey", (28, 28, 1), 256, nb.GREY_SIZES, nb.GREY_EPOCHS),
    ):
        found, own = checkpoints.card(name), nb.build_gated(shape, levels, *sizes)
        assert own.count_params() == found["parameters"]
        assert [w.shape for w in own.weights] == [w.shape for w in checkpoints.load(name).weights]
        assert len(found["history"]["loss"]) == epochs == found["recipe"]["epochs"]
        assert found["test"]["digits"] == 10_000
        assert found["bytes"] < 8e6


def test_the_shipped_networks_leak_nothing(nb, shipped):
    assert not nb.leaks(shipped, SHAPE)
    assert not nb.leaks(checkpoints.load("pixelcnn-grey"), (28, 28, 1))


def test_the_likelihood_on_the_card_is_found_again(nb, shipped, card):
    images, labels = data.load_mnist("test")
    bits = data.binarise(images, seed=0)[::100]
    found = nb.measure(shipped, pixels.BLOCKS, bits, labels[::100])
    assert abs(found["nats"] - card["test"]["nats"]) < 4 * found["standard_error"]
    assert found["accuracy"] >= 0.95
    assert card["test"]["nats"] <= card["test"]["nats_given_class"] + np.log(10)


def test_the_grey_likelihood_on_the_card_is_found_again(nb):
    images, labels = data.load_mnist("test")
    test, grey = checkpoints.card("pixelcnn-grey")["test"], checkpoints.load("pixelcnn-grey")
    found = nb.measure_told(grey, pixels.GREY, images[::100], labels[::100])
    assert abs(found["nats_at_most"] - test["nats_at_most"]) < 4 * found["standard_error"]
    assert test["bits_per_dimension"] == pytest.approx(test["nats_at_most"] / 784 / np.log(2))
    told = nb.measure_told(grey, pixels.GREY, images[:10], labels[:10])
    exact = nb.measure(grey, pixels.GREY, images[:10], labels[:10])
    assert told["nats_given_class"] == pytest.approx(exact["nats_given_class"], rel=1e-4)
    assert exact["nats"] <= told["nats_at_most"] + 1e-3
    assert told["nats_at_most"] == pytest.approx(told["nats_given_class"] + np.log(10), rel=1e-6)


def test_completions_keep_the_upper_half(nb, shipped, digits):
    sampler = pixels.PixelSampler(shipped, pixels.BLOCKS)
    found = pixels.BLOCKS.decode(nb.finish_upper_half(sampler, digits[0][5], 6, seed=1))
    assert (found[:, :14] == digits[0][5][:14]).all()
    assert len({one[14:].tobytes() for one in found}) > 1


def test_many_are_written_in_turn(nb, shipped):
    sampler = pixels.PixelSampler(shipped, pixels.BLOCKS)
    found = nb.write_many(sampler, n=25, chunk=20)
    assert found.shape == (25, 28, 28, 1)
    expected = sampler.sample(np.arange(20) % 10, seed=0)
    np.testing.assert_array_equal(found[:20], pixels.BLOCKS.decode(expected))


def test_distances_know_real_digits(nb):
    images, labels = data.load_mnist("train")
    order = np.concatenate([np.flatnonzero(labels == d)[:30] for d in range(10)])
    in_turn = images[order].reshape(10, 30, 28, 28, 1).swapaxes(0, 1).reshape(300, 28, 28, 1)
    found = nb.distances(in_turn, images[1000:1300], images[2000:2300])
    assert found["as_asked"] > 0.95 and found["n"] == 300
    odd = nb.distances(1 - in_turn, images[1000:1300], images[2000:2300])
    assert odd["real"] == found["real"]
    assert odd["written"] > 5 * found["written"]


# --- what the likelihood does not see


def test_what_is_simple_is_probable(nb, shipped, digits):
    groups = nb.strangers(digits[0][100:140])
    assert {len(group) for name, group in groups.items() if name != "blank"} == {40}
    assert groups["noise with as much ink"].mean() == pytest.approx(
        digits[0][100:140].mean(), rel=0.1
    )
    price = {
        name: -pixels.log_likelihood(shipped, pixels.BLOCKS, np.ascontiguousarray(group))
        for name, group in groups.items()
    }
    for name in ("noise with as much ink", "paper and ink exchanged"):
        assert price[name].min() > price["test digits"].max()
    assert nb.found_out(price, "turned by 90°") > 0.6
    assert nb.found_out(price, "lower half erased") < 0.3
    assert price["blank"].max() < price["test digits"].min()


def test_found_out_compares_all_pairs(nb):
    price = {"test digits": np.array([1.0, 3.0]), "odd": np.array([2.0, 4.0])}
    assert nb.found_out(price, "odd") == 0.75


# --- the mistakes


def test_a_leak_looks_better_than_any_honest_network(nb, digits):
    """Trained alike for a moment, and measured on what was not trained on."""
    train, rest = [part[:320] for part in digits], [part[320:] for part in digits]
    reached = {}
    for masks in ("ABBBBBBB", "BBBBBBBB"):
        keras.utils.set_random_seed(0)
        net = nb.as_pixelcnn(nb.build_article(16, 32, masks, SHAPE))
        history = nb.train_pixelcnn(
            net, pixels.BLOCKS, train, rest, epochs=8, batch_size=8, live=False
        )
        reached[masks] = history["val_loss"][-1]
    assert reached["BBBBBBBB"] < 0.7 * reached["ABBBBBBB"]


def test_keras_takes_grey_levels_for_classes(digits):
    levels = data.load_mnist("test")[0][:4, ..., 0]
    logits = RNG.normal(size=(*levels.shape, 256)).astype("float32")
    found = keras.losses.sparse_categorical_crossentropy(levels, logits, from_logits=True)
    classes = (levels == 1).astype(int)
    expected = -np.take_along_axis(
        scipy.special.log_softmax(logits, axis=-1), classes[..., None], axis=-1
    )[..., 0]
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    with pytest.raises(ValueError, match="whole numbers"):
        losses.symbol_loss(levels, logits)


def test_the_likeliest_symbols_are_always_the_same(nb, shipped):
    sampler = pixels.PixelSampler(shipped, pixels.BLOCKS)
    assert nb.count_different(sampler, 4, 0) == 1
    assert nb.count_different(sampler, 4, 1) == 10


# --- numbers


def test_the_cards_are_what_the_readme_says(card):
    text = " ".join((NOTEBOOKS.parent / "README.md").read_text(encoding="utf-8").split())
    said = re.search(r"PixelCNN of notebook 05 gives .*? ([\d.]+) nats", text)
    assert float(said[1]) == pytest.approx(card["test"]["nats"], abs=0.006)
    assert f"{card['parameters']:,} weights" in text
    grey = checkpoints.card("pixelcnn-grey")["test"]["bits_per_dimension"]
    said = re.search(r"([\d.]+) bits per dimension", text)
    assert float(said[1]) == pytest.approx(grey, abs=0.0006)


def test_the_prose_of_the_notebook_agrees_with_its_cards(nb, card):
    prose = " ".join(
        cell.source for cell in read("05_pixelcnn").cells if cell.cell_type == "markdown"
    )
    test, grey = card["test"], checkpoints.card("pixelcnn-grey")["test"]
    assert f"for {nb.BLOCKS_EPOCHS} epochs" in prose
    assert f"{round(card['parameters'], -3):,} weights" in prose
    assert f"{nb.SMALL_DIGITS:,} digits" in prose
    bound = checkpoints.card("vae")["test"]["bound"]
    for value in (test["nats"], bound, bound - test["nats"]):
        assert f"{value:.2f} nats" in prose, value
    assert f"{grey['bits_per_dimension']:.3f} bits per dimension" in prose
    samples = card["samples"]
    assert f"distance of {samples['written']:.2f}" in prose
    assert f"{samples['real']:.2f} for real" in prose
