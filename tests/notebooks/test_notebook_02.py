"""What notebook 02 defines, and what it says in numbers."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from extract import NOTEBOOKS, load_definitions, read

from course_utils import backbones, checkpoints, losses, pictures, transfer

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def nb():
    return load_definitions("02_style_transfer")


@pytest.fixture(scope="module")
def card():
    return checkpoints.card("style")


@pytest.fixture(scope="module")
def vgg():
    return backbones.load("vgg16")


@pytest.fixture(scope="module")
def extract(nb, vgg):
    return vgg.extractor([*nb.LAYERS, nb.CONTENT_LAYER])


@pytest.fixture(scope="module")
def photo():
    return transfer.resize(pictures.load_picture("china"), (32, 48))


@pytest.fixture(scope="module")
def style():
    return transfer.resize(pictures.load_picture("mosaic"), (40, 40))


# --- optimising a picture


def test_naive_gram(nb):
    features = RNG.normal(size=(3, 4, 5))
    expected = np.einsum("ijc,ijd->cd", features, features) / 12
    np.testing.assert_allclose(nb.naive_gram(features), expected)


def test_the_loss_of_the_notebook_is_that_of_the_package(nb, extract, photo, style):
    loss_of = nb.make_loss(extract, photo, style, 7.0)
    objective = transfer.Objective(
        extract, photo, style, content_layers=[nb.CONTENT_LAYER], style_layers=nb.LAYERS,
        style_weight=7.0,
    )  # fmt: skip
    image = RNG.random((1, 32, 48, 3)).astype("float32")
    expected = objective.losses(image)
    for name, value in loss_of(image).items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-4)
    assert float(loss_of(photo[None])["content"][0]) < 1e-8


def test_one_step_is_adams_first_step(nb):
    """Adam's first step moves every pixel by the learning rate against its gradient's sign."""
    start = np.float32([[[0.5, 0.5, 0.5], [0.005, 0.5, 0.995]]])[None]
    slope = np.float32([[[1, -2, 3], [4, 0.1, -0.2]]])[None]
    image = tf.Variable(start)

    def loss_of(picture):
        return {"total": tf.reduce_sum(picture * slope, axis=(1, 2, 3))}

    values = nb.make_adam_step(loss_of, image, 0.02)()
    np.testing.assert_allclose(values["total"], [(start * slope).sum()], rtol=1e-5)
    expected = np.clip(start - 0.02 * np.sign(slope), 0, 1)  # cut off at both ends
    np.testing.assert_allclose(image.numpy(), expected, atol=1e-5)


def test_adam_paints(nb, extract, photo, style):
    loss_of = nb.make_loss(extract, photo, style, 10.0)
    steps = list(nb.adam_steps(loss_of, photo, 8))
    assert [step.share for step in steps] == pytest.approx(np.arange(1, 9) / 8)
    assert steps[-1].losses["total"] < 0.7 * steps[0].losses["total"]
    assert steps[-1].image.shape == photo.shape


def test_both_loops_of_the_article_have_one_loss_and_take_the_same_steps(nb, vgg, style):
    photo = transfer.resize(pictures.load_picture("china"), (32, 48))
    first, first_image = nb.first_loop(vgg, photo, style)
    second, second_image = nb.second_loop(vgg, photo, style)
    for _ in range(3):
        np.testing.assert_allclose(first(), second(), rtol=1e-3)
    # Adam moves a pixel by the sign of its gradient, however small: a few may differ
    difference = np.abs(np.clip(first_image.numpy(), 0, 1) - second_image.numpy())
    assert np.quantile(difference, 0.9) < 1e-3
    assert [f"block{n}_conv1" for n in (1, 2, 3, 4, 5)] == nb.ARTICLE_LAYERS  # as in the article


# --- the network that paints


@pytest.fixture(scope="module")
def net(nb):
    keras.utils.set_random_seed(0)
    return nb.build_transfer_net(3, widths=(4, 6, 8), blocks=2)


def test_the_network_keeps_the_size_of_a_picture(net):
    result = net([tf.random.uniform((2, 20, 32, 3)), tf.eye(3)[:2]])
    assert result.shape == (2, 20, 32, 3) and result.dtype == "float32"
    assert 0 <= result.numpy().min() <= result.numpy().max() <= 1


def test_the_shipped_network_is_the_one_of_the_notebook(nb, card):
    network = nb.build_transfer_net(8)
    assert network.count_params() == card["parameters"]
    assert card["bytes"] < 8e6
    shipped = checkpoints.load("style")
    assert [w.shape for w in shipped.weights] == [w.shape for w in network.weights]
    assert card["styles"] == pictures.names("style")
    assert card["recipe"]["steps"] == 250 * nb.NET_EPOCHS == 250 * len(card["history"]["loss"])


def test_drawn_styles_are_blends_and_strengths(nb):
    weights = nb.draw_styles(4000, 8, keras.random.SeedGenerator(0)).numpy()
    assert weights.shape == (4000, 8) and weights.min() >= 0
    strength, used = weights.sum(axis=1), (weights > 0).sum(axis=1)
    assert strength.max() <= 1 + 1e-6
    assert np.mean(strength < 1e-6) == pytest.approx(0.10, abs=0.02)
    assert np.mean((strength > 1e-6) & (strength < 1 - 1e-6)) == pytest.approx(0.15, abs=0.02)
    assert np.mean(used == 2) == pytest.approx(0.15 * 7 / 8, abs=0.02)
    assert used.max() == 2
    every = weights[strength > 0.99].mean(axis=0)
    np.testing.assert_allclose(every, 1 / 8, atol=0.02)


def test_the_judge_adds_up_what_the_notebook_says(nb, extract, style):
    other = transfer.resize(pictures.load_picture("facets"), (40, 40))
    judge = nb.make_judge(extract, [style, other], 5.0)
    photos, result = (RNG.random((3, 32, 32, 3)).astype("float32") for _ in range(2))
    weights = np.float32([[1, 0], [0.3, 0.1], [0, 0]])
    found = judge(photos, result, weights)
    features, targets = extract(result), extract(photos)
    for i, (s, shares) in enumerate([(1, (1, 0)), (0.4, (0.75, 0.25)), (0, (0, 0))]):
        content = np.mean((features[nb.CONTENT_LAYER][i] - targets[nb.CONTENT_LAYER][i]) ** 2)
        style_loss = 0
        for name in nb.LAYERS:
            grams = [losses.gram_matrix(extract(x[None])[name])[0] for x in (style, other)]
            target = sum(share * g for share, g in zip(shares, grams, strict=True))
            style_loss += np.mean((losses.gram_matrix(features[name])[i] - target) ** 2) / 4
        pixels = np.mean((result[i] - photos[i]) ** 2)
        variation = sum((np.diff(result[i], axis=a) ** 2).sum() for a in (0, 1)) / result[i].size
        total = content + s * (5 * style_loss + 20 * variation) + (1 - s) * 300 * pixels
        np.testing.assert_allclose(found["total"][i], total, rtol=1e-3)
        np.testing.assert_allclose(found["style"][i], s * style_loss, rtol=1e-3)


def test_a_training_step_changes_every_weight_and_lowers_the_loss(nb, extract, style):
    keras.utils.set_random_seed(0)
    network = nb.build_transfer_net(1, widths=(4, 6, 8), blocks=1)
    network.prepare(nb.make_judge(extract, [style], 5.0), 1, 0)
    network.compile(optimizer=keras.optimizers.Adam(3e-3))
    photos = RNG.random((2, 32, 32, 3)).astype("float32")
    before = [w.numpy() for w in network.trainable_variables]
    photos = tf.constant(photos)
    first = network.train_step((photos,))
    for weight, old in zip(network.trainable_variables, before, strict=True):
        assert not np.array_equal(weight.numpy(), old), weight.path
    for _ in range(15):
        last = network.train_step((photos,))
    assert float(last["loss"]) < float(first["loss"])
    assert any("seed_generator" in v.path for v in network.variables)  # so a resume is exact


def test_training_pictures_leave_out_the_held_out_ones(nb):
    photographs, sheets = nb.training_pictures()
    held_out = [pictures.load_picture(n, value_range=(0, 255)) for n in nb.HELD_OUT]
    for picture in [*photographs, *sheets]:
        assert picture.dtype == np.uint8 and picture.shape[-1] == 3
        assert not any(np.array_equal(picture, one) for one in held_out)
    assert len(photographs) == 11 and len(sheets) == 69
    assert sheets[0].shape == (384, 384, 3)


# --- the mistakes


def test_every_mistake_breaks_its_statement(nb, extract, photo):
    for gram, right in (
        (losses.gram_matrix, True),
        (nb.gram_of_strips, False),
        (nb.features_themselves, False),
    ):
        assert nb.forgets_positions(gram, np.random.default_rng(1)) is right
    targets = dict.fromkeys(nb.LAYERS)
    assert nb.uses_every_layer(nb.LAYERS, targets)
    assert not nb.uses_every_layer(nb.LAYERS[:1], targets)
    low, high = (backbones.preprocess(np.full(3, v, "float32")) for v in (0, 1))
    assert nb.keeps_pictures(lambda x: np.clip(x, low, high), photo)
    assert not nb.keeps_pictures(lambda x: np.clip(x, 0, 1), photo)


def test_a_mistaken_gram_has_the_shape_of_a_right_one(nb):
    features = RNG.normal(size=(2, 4, 6, 5)).astype("float32")
    assert nb.gram_of_strips(features).shape == losses.gram_matrix(features).shape
    assert not np.allclose(nb.gram_of_strips(features), losses.gram_matrix(features), atol=0.05)


def test_prediction_distances(nb, extract, style):
    assert nb.gram_distance(style, style, extract) == 0
    assert nb.gram_distance(style[::-1], style, extract) > 0.01


# --- numbers


def test_the_card_is_what_the_readme_and_the_notebook_say(nb, card):
    rows = card["test"]["rows"]
    assert card["test"]["pictures"] == list(nb.HELD_OUT) and len(rows) == 8 * 2
    assert all(row["net_loss"] < row["photo_loss"] for row in rows)
    faster = np.median([row["lbfgs_seconds"] / row["net_seconds"] for row in rows])
    readme = (NOTEBOOKS.parent / "README.md").read_text(encoding="utf-8")
    text = " ".join(readme.split())
    said = re.search(r"one picture of 256 × 256 pixels in ([\d.]+) s", text)
    seconds = np.median([row["net_seconds"] for row in rows])
    assert float(said[1]) == pytest.approx(seconds, abs=0.006)
    assert f"{faster:.0f} times as fast as 60 steps of the optimiser" in text
    loops = card["loops"]
    assert f"{loops['our_step_ratio']:.0f} times as fast a step" in text
    assert f"{loops['seconds'] / loops['our_seconds']:.0f} times as fast to the same loss" in text
    assert (
        loops["our_step_ratio"] >= 5
        and loops["step_ratio"] > 3
        and loops["our_seconds"] < loops["seconds"]
    )
    assert f"{card['parameters']:,} weights" in text


def test_the_prose_of_the_notebook_agrees_with_its_parameters(nb):
    prose = " ".join(cell.source for cell in read("02_style_transfer").cells)
    assert f"{250 * nb.NET_EPOCHS:,} steps" in prose
