"""The classifier that measures generators: what it is worth, and what it says of known sets."""

import numpy as np
import pytest
import scipy.optimize
import scipy.special

from course_utils import checkpoints, data, judge, metrics


@pytest.fixture(scope="module")
def expert():
    return judge.load()


@pytest.fixture(scope="module")
def digits():
    return data.load_mnist("test")


def test_the_card_says_that_it_is_good_and_robust():
    accuracy = checkpoints.card("judge")["test"]["accuracy"]
    assert accuracy["none"] >= 0.995
    assert min(accuracy.values()) > 0.97
    assert sum(name != "none" for name in accuracy) >= 8


def test_the_card_is_right_about_the_first_digits(expert, digits):
    images, labels = digits
    accuracy = (expert.labels(images[:2000]) == labels[:2000]).mean()
    expected = checkpoints.card("judge")["test"]["accuracy"]["none"]
    assert accuracy == pytest.approx(expected, abs=4 * np.sqrt(0.005 / 2000))


def test_features_and_probabilities_are_those_of_the_network(expert, digits):
    images = digits[0][:600]  # more than one batch
    features, probabilities = expert.features(images), expert.probabilities(images)
    assert features.shape == (600, 64) and features.dtype == np.float32
    assert probabilities.shape == (600, 10)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_array_equal(probabilities.argmax(axis=1), expert.labels(images))
    kernel, bias = checkpoints.load("judge").get_layer("logits").get_weights()
    logits = (features @ kernel + bias) / judge._TEMPERATURE
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probabilities, expected, atol=1e-4)


def test_probabilities_are_calibrated(expert, digits):
    train_images, train_labels = (array[-10_000:] for array in data.load_mnist("train"))
    logits = expert._both(train_images)[1].astype(float)

    def cross_entropy(temperature):
        log_p = scipy.special.log_softmax(logits / temperature, axis=1)
        return -log_p[np.arange(10_000), train_labels].mean()

    best = scipy.optimize.minimize_scalar(cross_entropy, bounds=(0.1, 2), method="bounded")
    assert pytest.approx(best.x, rel=0.03) == judge._TEMPERATURE
    images, labels = digits
    error = metrics.expected_calibration_error(expert.probabilities(images), labels)
    assert error < 0.01 and cross_entropy(1) > 5 * cross_entropy(judge._TEMPERATURE)


def test_real_digits_score_well_and_others_worse(expert, digits):
    images, labels = digits
    real = expert.real(500)
    assert real["n"] == 500 and real["precision"] > 0.6 and real["recall"] > 0.6
    assert real["score"] > 9 and real["present"] == 10 and real["imbalance"] < 0.1
    sevens = np.concatenate([images[labels == 7]] * 2)[:500]
    collapsed = expert.score(sevens)
    assert collapsed["present"] == 1 and collapsed["score"] < 1.3
    assert collapsed["frechet"] > 5 * real["frechet"] and collapsed["recall"] < 0.3
    noise = np.random.default_rng(0).random((500, 28, 28, 1), dtype="float32")
    assert expert.score(noise)["precision"] < 0.05
    np.testing.assert_allclose(real["shares"].sum(), 1)


def test_the_floor_falls_with_the_number_of_pictures(expert):
    floors = [expert.real(n)["frechet"] for n in (200, 500, 1000)]
    assert floors[0] > floors[1] > floors[2] > 0


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((3, 28, 28)), r"shape \(n, 28, 28, 1\); received \(3, 28, 28\)"),
        (np.zeros((0, 28, 28, 1)), "received"),
        (np.full((3, 28, 28, 1), 255.0), r"lie in \[0, 1\]; received values from 255 to 255"),
        (np.full((3, 28, 28, 1), np.nan), r"lie in \[0, 1\]"),
    ],
)
def test_other_pictures_are_refused(expert, images, message):
    with pytest.raises(ValueError, match=message):
        expert.features(images)


def test_too_few_pictures_to_score_are_refused(expert):
    with pytest.raises(ValueError, match="100 to 10,000 pictures; received 99"):
        expert.score(np.zeros((99, 28, 28, 1)))
