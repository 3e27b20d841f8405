"""Every shipped generator draws digits of which the judge sees what was asked for."""

import numpy as np
import pytest

from course_utils import generators, judge


@pytest.fixture(scope="module", params=generators.NAMES)
def drawn(request):
    return request.param, generators.generate(request.param, 120, seed=3)


def test_digits_are_digits(drawn):
    name, samples = drawn
    assert samples.images.shape == (120, 28, 28) and samples.images.dtype == np.uint8
    assert 0.05 < (samples.images > 127).mean() < 0.25  # MNIST: 0.13
    seen = judge.load().probabilities(samples.images[..., None] / np.float32(255))
    if samples.labels is None:
        assert name == "vae"
        assert (seen.max(axis=1) > 0.8).mean() > 0.7
    else:
        assert samples.labels.dtype == np.uint8
        np.testing.assert_array_equal(samples.labels, np.arange(120) % 10)
        assert (seen.argmax(axis=1) == samples.labels).mean() > 0.9


def test_seeds_count_and_shorter_rows_are_beginnings_of_longer_ones(drawn):
    name, samples = drawn
    done = []
    again = generators.generate(name, 60, seed=3, callback=done.append)
    assert done == [50, 60]
    np.testing.assert_array_equal(again.images, samples.images[:60])
    other = generators.generate(name, 10, seed=4)
    assert np.all(np.any(other.images != samples.images[:10], axis=(1, 2)))


def test_only_pixelcnn_draws_ink_or_paper(drawn):
    name, samples = drawn
    assert (len(np.unique(samples.images)) == 2) == (name == "pixelcnn")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("dalle", 3), "one of gan, vae, pixelcnn, diffusion; received 'dalle'"),
        (("gan", 0), "n must be a whole number of at least 1; received 0"),
        (("gan", 2.5), "n must be"),
        (("gan", True), "n must be"),
        (("gan", 3, -1), "seed must be a whole number of at least 0; received -1"),
    ],
)
def test_errors_state_the_rule(arguments, message):
    with pytest.raises(ValueError, match=message):
        generators.generate(*arguments)
