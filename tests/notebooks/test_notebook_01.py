"""What notebook 01 defines, and what it says in numbers."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from extract import NOTEBOOKS, load_definitions, read
from scipy.signal import correlate2d

from course_utils import checkpoints


@pytest.fixture(scope="module")
def nb():
    return load_definitions("01_cnn")


@pytest.fixture(scope="module")
def card():
    return checkpoints.card("cnn")


def test_naive_convolution_equals_scipy(nb):
    rng = np.random.default_rng(0)
    x, w, b = rng.normal(size=(7, 6, 2)), rng.normal(size=(3, 3, 2, 4)), rng.normal(size=4)
    expected = [
        b[f] + sum(correlate2d(x[..., c], w[..., c, f], mode="valid") for c in range(2))
        for f in range(4)
    ]
    np.testing.assert_allclose(nb.naive_conv2d(x, w, b), np.stack(expected, axis=-1))


def test_article_network_is_the_articles(nb):
    network = nb.build_article_network()
    assert network.count_params() == 122_570
    convolutions = [x for x in network.layers if isinstance(x, keras.layers.Conv2D)]
    assert [(c.filters, c.kernel_size, c.padding) for c in convolutions] == [
        (32, (3, 3), "valid"), (64, (3, 3), "valid"), (64, (3, 3), "valid"),
    ]  # fmt: skip
    assert sum(isinstance(x, keras.layers.MaxPooling2D) for x in network.layers) == 2
    assert network.layers[-1].activation is keras.activations.linear
    assert network.output_shape == (None, 10)


def test_switches_add_one_part_each(nb):
    plain, norm = nb.build_article_network(), nb.build_article_network(norm=True)
    assert norm.count_params() - plain.count_params() == 4 * (32 + 64 + 64)
    residual = nb.build_article_network(residual=True)
    assert residual.count_params() - plain.count_params() == 9 * 64 * 64 + 64
    network = nb.build_network((8, 16, 16))
    assert [x.name for x in network.layers if isinstance(x, keras.layers.Add)] == [
        "stage1", "stage2", "stage3",
    ]  # fmt: skip
    without = nb.build_network((8, 16, 16), residual=False)
    assert without.count_params() == network.count_params()
    assert not any(isinstance(x, keras.layers.Add) for x in without.layers)
    bare = nb.build_network((8, 16, 16), norm=False)
    assert not any(isinstance(x, keras.layers.BatchNormalization) for x in bare.layers)


@pytest.mark.parametrize("rate", [1.0, 64.0])
def test_training_step_is_one_step_of_gradient_descent(nb, rate):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    network = nb.Classifier(inputs, keras.layers.Dense(3)(inputs))
    network.bias_rate = rate
    x = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")
    y = np.array([0, 1, 2, 0, 1, 2])
    w, b = (weight.numpy().astype("float64") for weight in network.weights)

    def loss(w, b):
        z = x @ w + b
        return np.mean(np.log(np.exp(z).sum(axis=1)) - z[np.arange(6), y])

    def slope(array, rebuild, h=1e-5):  # finite differences, one number at a time
        out = np.zeros_like(array)
        for i in np.ndindex(array.shape):
            step = np.zeros_like(array)
            step[i] = h
            out[i] = (rebuild(array + step) - rebuild(array - step)) / (2 * h)
        return out

    expected_w = w - 0.1 * slope(w, lambda v: loss(v, b))
    expected_b = b - 0.1 * rate * slope(b, lambda v: loss(w, v))
    network.compile(
        optimizer=keras.optimizers.SGD(0.1),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    history = network.fit(x, y, batch_size=6, shuffle=False, verbose=0).history
    logs = {name: values[0] for name, values in history.items()}
    np.testing.assert_allclose(network.weights[0].numpy(), expected_w, atol=1e-5)
    np.testing.assert_allclose(network.weights[1].numpy(), expected_b, atol=1e-4)
    assert logs["loss"] == pytest.approx(loss(w, b), rel=1e-5)
    accuracy = ((x @ w + b).argmax(axis=1) == y).mean()
    assert logs["accuracy"] == pytest.approx(accuracy)


def test_six_views_are_the_mean_of_six_predictions(nb):
    keras.utils.set_random_seed(0)
    network = nb.build_network((4, 4, 4))
    rng = np.random.default_rng(0)
    pictures = rng.random((3, 32, 32, 3)).astype("float32")
    network.get_layer("whiten").adapt(network.get_layer("normalise")(pictures))
    logits_of = nb.make_logits_of(network)
    np.testing.assert_allclose(logits_of(pictures), network(pictures), atol=1e-5)
    padded = np.pad(pictures, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
    expected = 0
    for dy, dx, weight in ((1, 1, 1 / 4), (0, 0, 1 / 8), (2, 2, 1 / 8)):
        view = padded[:, dy : dy + 32, dx : dx + 32]
        expected = expected + weight * (network(view) + network(np.flip(view, axis=2)))
    np.testing.assert_allclose(logits_of(pictures, views=True), expected, atol=1e-5)


def test_the_five_changes_reach_the_training(nb, monkeypatch):
    seen = {}

    def spy(network, batches, *, callbacks, **options):
        first = next(iter(batches))[0].numpy()
        seen.update(network=network, callbacks=callbacks, first=first)
        return {}

    monkeypatch.setattr(nb.training, "fit", spy)
    ramp = np.linspace(0, 1, 32, dtype="float32")[None, None, :, None]
    pixels = np.broadcast_to(ramp, (100, 32, 32, 3)).copy()
    targets = np.arange(100) % 10
    for change in ("none", *nb.CHANGES):
        changes = [change] if change != "none" else []
        network = nb.train_variant("improved", changes, pixels, targets, epochs=1, seed=0)
        kinds = [type(callback).__name__ for callback in seen["callbacks"]]
        assert ("OneCycle" in kinds) == ("Lookahead" in kinds) == (change == "schedule")
        assert network.loss.label_smoothing == (0.2 if change == "smoothing" else 0.0)
        assert np.array_equal(seen["first"], pixels) == (change != "augmentation")
        types = {type(layer).__name__ for layer in network.layers}
        assert ("BatchNormalization" in types) == (change == "normalisation")
        assert ("Add" in types) == (change == "residual")


def test_perfect_answers_cost_nothing_only_with_logits(nb):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    assert nb.loss_of_perfect_answer(loss, lambda z: z) == pytest.approx(0, abs=1e-6)

    def softmax_twice(z):
        return keras.ops.clip(keras.ops.softmax(z), 1e-7, 1.0)

    floor = math.log(1 + 9 / math.e)
    assert nb.loss_of_perfect_answer(loss, softmax_twice) == pytest.approx(floor, abs=1e-5)


def test_softmax_twice_is_caught_by_the_invariant(nb):
    broken = nb.build_softmax_twice()
    outputs = broken(np.random.default_rng(0).random((4, 32, 32, 3)).astype("float32"))
    np.testing.assert_allclose(tf.reduce_sum(outputs, axis=1), 1, rtol=1e-5)


def test_range_check(nb):
    good = np.array([0.0, 0.5, 1.0])
    assert nb.check_range(good) is good
    for bad in (255 * good, good - 0.5, good / 255):
        with pytest.raises(ValueError, match=r"must fill \[0.0, 1.0\]; received"):
            nb.check_range(bad)


def test_overlap_finds_planted_pictures(nb):
    rng = np.random.default_rng(0)
    first, second = rng.random((5, 4, 4, 3)), rng.random((6, 4, 4, 3))
    assert nb.overlap(first, second) == 0
    second[[1, 4]] = first[[0, 2]]
    assert nb.overlap(first, second) == 2


def test_ablation_table_shows_means_and_differences(nb):
    table = {
        kind: {
            change: [0.5 + k / 100, 0.52 + k / 100]
            for k, change in enumerate(["none", *nb.CHANGES])
        }
        for kind in ("article", "improved")
    }
    text = nb.ablation_table(table)
    assert "| (as it is) | 51.0% | 51.0% |" in text
    assert "| augmentation | 54.0% (+3.0 points) | 54.0% (+3.0 points) |" in text


def test_shipped_network_is_the_notebooks(nb, card):
    built, loaded = nb.build_network(nb.LARGE_WIDTHS), checkpoints.load("cnn")
    assert [x.name for x in built.layers] == [x.name for x in loaded.layers]
    assert [w.shape for w in built.weights] == [w.shape for w in loaded.weights]
    assert card["recipe"]["epochs"] == nb.LARGE_EPOCHS == len(card["history"]["loss"])
    assert card["bytes"] < 8_000_000


def test_shipped_network_is_as_good_on_the_bundled_pictures(nb, card):
    pictures, labels = nb.data.load_cifar10("test")
    accuracy = nb.accuracy_of(checkpoints.load("cnn"), pictures, labels)
    # 2,000 of the 10,000 pictures on the card: three standard errors of a share
    spread = 3 * math.sqrt(card["test"]["accuracy"] * (1 - card["test"]["accuracy"]) / 2000)
    assert accuracy == pytest.approx(card["test"]["accuracy"], abs=spread)


def test_recorded_results_reach_their_marks(card):
    assert card["test"]["pictures"] == 10_000
    assert card["test"]["accuracy_views"] >= 0.94
    assert card["race"]["improved"] >= 0.84
    article, improved = card["race"]["article_history"], card["race"]["improved_history"]
    assert sum(improved["seconds"]) == pytest.approx(sum(article["seconds"]), rel=0.05)


def claims(card):
    """Every sentence with a number from a recorded run, made from the record."""
    long, table = card["long_history"], card["ablation"]
    best = int(np.argmin(long["val_loss"]))
    late = [100 * value for value in long["val_accuracy"][10:]]

    def effect(kind, change):
        return 100 * (np.mean(table[kind][change]) - np.mean(table[kind]["none"]))

    others = [
        effect(kind, change)
        for kind in ("article", "improved")
        for change in ("residual", "augmentation", "smoothing")
    ]
    assert max(abs(value) for value in others) < 2  # "change less than two points either way"
    with_luck, without = sorted(table["improved"]["normalisation"], reverse=True)
    return [
        f"smallest after epoch {best + 1}, at {long['val_loss'][best]:.2f}.",
        f"After {len(long['loss'])} epochs it has risen to {long['val_loss'][-1]:.2f}",
        f"the training loss has fallen to {long['loss'][-1]:.2f}",
        f"between {np.floor(min(late)):.0f}% and {np.ceil(max(late)):.0f}% from epoch 11 on",
        f"the same ten epochs reach {card['race']['article']:.1%} on the test pictures",
        f"{effect('article', 'schedule'):.1f} points where it is added, "
        f"{-effect('improved', 'schedule'):.1f} where it is removed",
        f"one of the two trainings reached {with_luck:.1%} and the other {without:.1%}",
        f"with {table['epochs']} epochs on the 10,000 pictures",
    ]


def test_prose_quotes_the_record(card):
    text = "\n".join(c.source for c in read("01_cnn").cells if c.cell_type == "markdown")
    for claim in claims(card):
        assert claim in text, f"the notebook does not say {claim!r}"


def test_readme_quotes_the_record(card):
    text = " ".join((NOTEBOOKS.parent / "README.md").read_text(encoding="utf-8").split())
    race = card["race"]
    for claim in (
        f"{card['test']['accuracy_views']:.2%} of the {card['test']['pictures']:,} test pictures",
        f"{card['test']['accuracy']:.2%} with one view",
        f"{race['improved']:.1%} against {race['article']:.1%}",
    ):
        assert claim in text, f"the README does not say {claim!r}"
